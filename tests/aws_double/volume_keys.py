"""Keys that volumes and snapshots are encrypted with, and who may use them. moto keeps them."""

from typing import Any, Final

from moto.kms.exceptions import NotFoundException
from moto.kms.models import kms_backends

from tests.aws_double.accounts import Caller
from tests.aws_double.operations import Asked
from tests.aws_double.organization import standing
from tests.aws_double.policies import allows, is_principal
from tests.aws_double.refusals import Refusal

DEFAULT_ALIAS: Final = "alias/aws/ebs"
_ENABLED: Final = "Enabled"


class KeyNotUsable(Exception):
    """A key is not there, not enabled, or not the caller's to use."""


def default_key(account: str, region: str) -> str:
    """Give the ARN of the key that AWS keeps for an account's volumes in a region."""
    return str(kms_backends[account][region].describe_key(DEFAULT_ALIAS).arn)


def is_default_key(arn: str) -> bool:
    """Tell whether it is a key that AWS keeps, which cannot be shared."""
    return DEFAULT_ALIAS in key_at(arn).aliases


def key_at(arn: str) -> Any:
    """Give a key by its ARN, whoever has it.

    Raises:
        KeyNotUsable: there is none
    """
    parts = arn.split(":")
    try:
        backend = kms_backends[parts[4]][parts[3]]
        if parts[5].startswith("alias/") and backend.get_key_id_from_alias(arn) is None:
            raise KeyNotUsable(f"Alias {arn} is not found.")
        key = backend.describe_key(arn)
    except (KeyError, NotFoundException, IndexError) as missing:
        raise KeyNotUsable(f"Key '{arn}' does not exist") from missing
    if DEFAULT_ALIAS in key.aliases:
        key.key_manager = "AWS"  # moto takes all keys for customers'
    return key


def full_arn(named: str, account: str, region: str) -> str:
    """Give the ARN of what is named by ARN, id or alias."""
    if named.startswith("arn:"):
        return named
    kind = "" if named.startswith("alias/") else "key/"
    return f"arn:aws:kms:{region}:{account}:{kind}{named}"


def may_use(caller: Caller, key: Any, action: str) -> bool:
    """Tell whether a key's policy, or a grant of it, lets the caller do something."""
    stands = standing(caller.account)
    context = {
        "kms:CallerAccount": caller.account,
        "aws:PrincipalAccount": caller.account,
        "aws:PrincipalArn": caller.arn,
        "kms:GrantIsForAWSResource": "true",
    } | ({"aws:PrincipalOrgID": stands.id} if stands else {})
    if allows(key.policy, caller, f"kms:{action}", context):
        return True
    return any(
        action in grant.operations and _is_granted(grant.grantee_principal, caller)
        for grant in key.grants.values()
    )


def _is_granted(grantee: str, caller: Caller) -> bool:
    """Grants to roles that services play are the account's own for this purpose."""
    of_a_service = f"arn:aws:iam::{caller.account}:role/aws-service-role/"
    return is_principal(grantee, caller) or grantee.startswith(of_a_service)


def usable_key(
    caller: Caller, named: str, region: str, *actions: str, account: str | None = None
) -> str:
    """Give the ARN of a key that the caller may use, by default to read and write volumes.

    Raises:
        KeyNotUsable: it is not there, in another region, disabled, or the caller may not
    """
    arn = full_arn(named, account or caller.account, region)
    key = key_at(arn)
    if key.arn.split(":")[3] != region:
        raise KeyNotUsable(f"Key '{arn}' is not of the region {region}")
    if key.key_state != _ENABLED:
        raise KeyNotUsable(f"Key '{arn}' is {key.key_state}")
    wanted = actions or ("Decrypt", "GenerateDataKeyWithoutPlaintext", "CreateGrant")
    for action in wanted:
        if not may_use(caller, key, action):
            raise KeyNotUsable(f"{caller.arn} may not kms:{action} with '{arn}'")
    return str(key.arn)


def key_for_new(asked: Asked, *, encrypted: bool, named: str | None) -> str | None:
    """Give the key of a new snapshot of the caller: None if it is not to be encrypted.

    Raises:
        Refusal: a key is named without encryption
        KeyNotUsable: the caller may not use it
    """
    if named and not encrypted:
        said = "The parameter KmsKeyId requires the parameter Encrypted to be set."
        raise Refusal("InvalidParameterDependency", said)
    if named:
        return usable_key(asked.caller, named, asked.region)
    by_default = (asked.account, asked.region) in asked.world.encrypts_by_default
    return default_key(asked.account, asked.region) if encrypted or by_default else None
