"""Who may act in which account of the double: roles, keys, organizations, shares."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.aws_double import Double
from tests.aws_double.organization import join
from tests.aws_double.serving import HOME, REGION
from tests.aws_double_tests.clouds import FAR, OTHER, Cloud, mapped, settle
from tests.aws_double_tests.refused import refused

THIRD = "333333333333"
ROLE = "golden-distribute"
ARN = f"arn:aws:iam::{OTHER}:role/{ROLE}"


def a_role(double: Double, condition: Mapping[str, Any], *actions: str) -> None:
    """Let the other account have a role that trusts home."""
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{HOME}:root"},
                "Action": ["sts:AssumeRole", *actions],
                "Condition": condition,
            }
        ],
    }
    double.client("iam", OTHER).create_role(
        RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(trust)
    )


def assumed(double: Double, account: str = HOME, **more: Any) -> dict[str, str]:
    """Give credentials of the role."""
    said = {"RoleArn": ARN, "RoleSessionName": "golden-1"} | more
    given = double.client("sts", account).assume_role(**said)["Credentials"]
    return {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }


EXTERNAL = {"StringEquals": {"sts:ExternalId": "tenant-1"}}


def test_a_role_that_is_not_there_is_refused(double: Double) -> None:
    with refused("AccessDenied", says="sts:AssumeRole"):
        assumed(double)


@pytest.mark.parametrize("said", [{}, {"ExternalId": "tenant-2"}], ids=["none", "wrong"])
def test_a_role_without_the_right_external_id_is_refused(
    double: Double, said: dict[str, str]
) -> None:
    a_role(double, EXTERNAL)
    with refused("AccessDenied"):
        assumed(double, **said)


def test_a_role_is_assumed_by_nobody_whom_it_does_not_trust(double: Double) -> None:
    a_role(double, EXTERNAL)
    with refused("AccessDenied"):
        assumed(double, THIRD, ExternalId="tenant-1")


def test_a_session_acts_in_the_account_of_its_role(double: Double) -> None:
    a_role(double, EXTERNAL)
    keys = assumed(double, ExternalId="tenant-1")
    who = double.client("sts", **keys).get_caller_identity()
    assert (who["Account"], who["Arn"].endswith("assumed-role/golden-distribute/golden-1")) == (
        OTHER,
        True,
    )
    double.client("ec2", **keys).create_key_pair(KeyName="theirs")
    assert double.client("ec2", OTHER).describe_key_pairs()["KeyPairs"][0]["KeyName"] == "theirs"
    assert double.log.calls("CreateKeyPair")[0].account == OTHER


def test_tags_and_source_of_a_session_must_be_trusted_too(double: Double) -> None:
    a_role(double, {}, "sts:SetSourceIdentity")
    assumed(double, SourceIdentity="golden")
    with refused("AccessDenied"):
        assumed(double, Tags=[{"Key": "run", "Value": "1"}])


def test_a_condition_on_the_name_of_the_session_is_held(double: Double) -> None:
    a_role(double, {"StringLike": {"sts:RoleSessionName": "golden-*"}})
    assumed(double)
    with refused("AccessDenied"):
        assumed(double, RoleSessionName="other-1")


def test_a_condition_on_the_organization_is_held(double: Double) -> None:
    made = double.client("organizations").create_organization(FeatureSet="ALL")["Organization"]
    a_role(double, {"StringEquals": {"aws:PrincipalOrgID": made["Id"]}})
    assumed(double)
    with refused("AccessDenied"):
        assumed(double, THIRD)


@pytest.mark.parametrize("seconds", [900, 3600])
def test_a_session_is_as_long_as_asked_for(double: Double, seconds: int) -> None:
    a_role(double, {})
    keys = assumed(double, DurationSeconds=seconds)
    double.world.clock.advance(seconds=seconds - 5)
    double.client("ec2", **keys).describe_key_pairs()
    double.world.clock.advance(seconds=10)
    with refused("RequestExpired"):
        double.client("ec2", **keys).describe_key_pairs()


def test_a_session_longer_than_its_role_lets_it_is_refused(double: Double) -> None:
    a_role(double, {})
    with refused("ValidationError", says="MaxSessionDuration"):
        assumed(double, DurationSeconds=7200)


def test_the_tree_is_told_to_its_management_and_delegates_alone(double: Double) -> None:
    organizations = double.client("organizations")
    with refused("AWSOrganizationsNotInUseException"):
        organizations.list_accounts()
    organizations.create_organization(FeatureSet="ALL")
    root = organizations.list_roots()["Roots"][0]["Id"]
    unit = organizations.create_organizational_unit(ParentId=root, Name="web")
    join(HOME, OTHER, unit["OrganizationalUnit"]["Id"])
    theirs = double.client("organizations", OTHER)
    listed = organizations.list_accounts_for_parent(ParentId=unit["OrganizationalUnit"]["Id"])
    assert [one["Id"] for one in listed["Accounts"]] == [OTHER]
    with refused("AccessDeniedException"):
        theirs.list_accounts()
    organizations.register_delegated_administrator(
        AccountId=OTHER, ServicePrincipal="ssm.amazonaws.com"
    )
    assert len(theirs.list_accounts()["Accounts"]) == 2


def a_key(double: Double, account: str, region: str, *others: str) -> str:
    """Give a key that its account and some others may use."""
    named = [f"arn:aws:iam::{one}:root" for one in (account, *others)]
    allow = {"Effect": "Allow", "Principal": {"AWS": named}, "Action": "kms:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    made = double.client("kms", account, region).create_key(Policy=policy)
    return str(made["KeyMetadata"]["Arn"])


def test_a_key_of_another_account_is_told_of_when_its_policy_says_so(double: Double) -> None:
    kms = double.client("kms")
    closed, opened = a_key(double, OTHER, REGION), a_key(double, OTHER, REGION, HOME)
    with refused("AccessDeniedException", says="kms:DescribeKey"):
        kms.describe_key(KeyId=closed)
    assert kms.describe_key(KeyId=opened)["KeyMetadata"]["AWSAccountId"] == OTHER
    with refused("NotFoundException"):
        kms.describe_key(KeyId=opened.replace(opened[-4:], "0000"))


def test_a_grant_lets_its_grantee_do_what_it_names(double: Double) -> None:
    key, kms = a_key(double, OTHER, REGION), double.client("kms")
    double.client("kms", OTHER).create_grant(
        KeyId=key,
        GranteePrincipal=f"arn:aws:iam::{HOME}:user/admin",
        Operations=["DescribeKey"],
    )
    kms.describe_key(KeyId=key)
    with refused("AccessDeniedException"):
        kms.encrypt(KeyId=key, Plaintext=b"x")


def encrypted(cloud: Cloud, key: str) -> str:
    """Give an image at home, encrypted with a key, that the other account may launch and copy."""
    snapshot = cloud.snapshot(Encrypted=True, KmsKeyArn=key)
    image = cloud.image(BlockDeviceMappings=mapped(snapshot))
    cloud.share(image)
    cloud.share_storage(image)
    return image


def test_a_key_that_one_may_not_use_encrypts_no_snapshot(cloud: Cloud) -> None:
    key = a_key(cloud.double, OTHER, REGION)
    with refused("AccessDeniedException", reason="DEPENDENCY_ACCESS_DENIED"):
        cloud.snapshot(Encrypted=True, KmsKeyArn=key)


def test_an_encrypted_image_is_launched_only_with_its_key(cloud: Cloud) -> None:
    launch = {"MinCount": 1, "MaxCount": 1}
    closed = encrypted(cloud, a_key(cloud.double, HOME, REGION))
    with refused("InvalidKMSKey.InvalidState"):
        cloud.ec2(OTHER).run_instances(ImageId=closed, **launch)
    cloud.ec2().run_instances(ImageId=closed, **launch)
    opened = cloud.snapshot(Encrypted=True, KmsKeyArn=a_key(cloud.double, HOME, REGION, OTHER))
    image = cloud.image("golden-2", BlockDeviceMappings=mapped(opened))
    cloud.share(image)
    cloud.ec2(OTHER).run_instances(ImageId=image, **launch)


@pytest.mark.parametrize(
    ("users", "state"), [((), "failed"), ((OTHER,), "available")], ids=["closed", "open"]
)
def test_an_encrypted_image_is_copied_only_with_its_key(
    cloud: Cloud, users: tuple[str, ...], state: str
) -> None:
    image = encrypted(cloud, a_key(cloud.double, HOME, REGION, *users))
    theirs, own = cloud.ec2(OTHER, FAR), a_key(cloud.double, OTHER, FAR)
    made = theirs.copy_image(
        SourceImageId=image, SourceRegion=REGION, Name="copy", Encrypted=True, KmsKeyId=own
    )
    copied = settle(theirs, made["ImageId"])
    snapshot = copied["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    (told,) = theirs.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"]
    assert (copied["State"], told["KmsKeyId"]) == (state, own)


def test_a_share_reaches_the_organization_at_once_and_others_when_they_accept(
    double: Double,
) -> None:
    double.client("organizations").create_organization(FeatureSet="ALL")
    join(HOME, OTHER)
    recipe = f"arn:aws:imagebuilder:{REGION}:{HOME}:image-recipe/web/1.0.0"
    ram = double.client("ram")
    with refused("MalformedArnException"):
        ram.create_resource_share(name="x", resourceArns=[f"arn:aws:ec2:{REGION}::image/ami-1"])
    share = ram.create_resource_share(
        name="golden", resourceArns=[recipe], principals=[OTHER, THIRD]
    )["resourceShare"]["resourceShareArn"]
    theirs, outside = double.client("ram", OTHER), double.client("ram", THIRD)

    def seen(client: Any) -> list[str]:
        listed = client.list_resources(resourceOwner="OTHER-ACCOUNTS")["resources"]
        return [one["arn"] for one in listed]

    assert (seen(theirs), seen(outside)) == ([recipe], [])
    (invitation,) = outside.get_resource_share_invitations()["resourceShareInvitations"]
    outside.accept_resource_share_invitation(
        resourceShareInvitationArn=invitation["resourceShareInvitationArn"]
    )
    assert seen(outside) == [recipe]
    ram.disassociate_resource_share(resourceShareArn=share, principals=[OTHER])
    assert seen(theirs) == []


def test_a_share_that_stays_inside_goes_to_nobody_else(double: Double) -> None:
    with refused("OperationNotPermittedException"):
        double.client("ram").create_resource_share(
            name="golden", principals=[THIRD], allowExternalPrincipals=False
        )
