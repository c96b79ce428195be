"""The Resource Access Manager, as far as shares go: who has a share of what. Images have none."""

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from tests.aws_double.operations import Answer, Asked, operation
from tests.aws_double.organization import is_within, standing
from tests.aws_double.refusals import Refusal

_ACCOUNT: Final = re.compile(r"\d{12}")
_OF_ORGANIZATION: Final = re.compile(r"arn:aws:organizations::\d{12}:(organization|ou)/.+")
_MACHINE_IMAGE: Final = re.compile(r"arn:aws:ec2:[^:]+:[^:]*:image/ami-.+")


@dataclass(slots=True, kw_only=True)
class Share:
    """Some resources that an account lets others use."""

    arn: str
    name: str
    account: str
    region: str
    made_at: datetime
    is_open: bool
    """Whether it may go beyond the organization."""
    resources: set[str] = field(default_factory=set)
    principals: set[str] = field(default_factory=set)
    invitations: dict[str, str] = field(default_factory=dict)
    """Account -> ARN of the invitation that it has not accepted."""
    is_deleted: bool = False

    def reaches(self, account: str) -> bool:
        """Tell whether an account has it."""
        if self.is_deleted or account in self.invitations:
            return False
        return any(account == named or is_within(account, named) for named in self.principals)


def _unknown(arn: str) -> Refusal:
    return Refusal("UnknownResourceException", f"{arn} could not be found.")


def _owned(asked: Asked) -> Share:
    arn = asked.parameters["resourceShareArn"]
    for share in asked.world.shares:
        if share.arn == arn and share.account == asked.account and not share.is_deleted:
            return share
    raise _unknown(arn)


@operation("ram", "CreateResourceShare")
def create_resource_share(asked: Asked) -> Answer:
    """Make a share of some resources for some principals."""
    share = Share(
        arn=f"arn:aws:ram:{asked.region}:{asked.account}:resource-share/{uuid.uuid4()}",
        name=asked.parameters["name"],
        account=asked.account,
        region=asked.region,
        made_at=asked.world.clock.now(),
        is_open=asked.get("allowExternalPrincipals") is not False,
    )
    _add(share, asked.get("resourceArns") or [], asked.get("principals") or [])
    asked.world.shares.append(share)
    return {"resourceShare": _told(share)}


def _add(share: Share, resources: Sequence[str], principals: Sequence[str]) -> None:
    for arn in resources:
        if not arn.startswith("arn:") or _MACHINE_IMAGE.fullmatch(arn):
            said = f"The resource {arn} is of no type that can be shared."
            raise Refusal("MalformedArnException", said)
    own = standing(share.account)
    invitations = {}
    for named in principals:
        if not (_ACCOUNT.fullmatch(named) or _OF_ORGANIZATION.fullmatch(named)):
            raise Refusal("InvalidParameterException", f"Principal ID {named} is malformed.")
        if own and (is_within(named, own.arn) or named == own.arn or f"ou/{own.id}/" in named):
            continue
        if not share.is_open or not _ACCOUNT.fullmatch(named):
            said = f"{named} is not of the organization of {share.account}."
            raise Refusal("OperationNotPermittedException", said)
        invitations[named] = f"{share.arn}-invitation/{uuid.uuid4()}".replace(
            ":resource-share/", ":resource-share-invitation/"
        )
    share.resources |= set(resources)
    share.principals |= set(principals)
    share.invitations |= invitations


def _told(share: Share) -> dict[str, Any]:
    return {
        "resourceShareArn": share.arn,
        "name": share.name,
        "owningAccountId": share.account,
        "allowExternalPrincipals": share.is_open,
        "status": "DELETED" if share.is_deleted else "ACTIVE",
        "creationTime": share.made_at,
    }


@operation("ram", "AssociateResourceShare")
def associate_resource_share(asked: Asked) -> Answer:
    """Let a share have more resources or principals."""
    _add(_owned(asked), asked.get("resourceArns") or [], asked.get("principals") or [])
    return {"resourceShareAssociations": []}


@operation("ram", "DisassociateResourceShare")
def disassociate_resource_share(asked: Asked) -> Answer:
    """Take resources or principals from a share."""
    share = _owned(asked)
    share.resources -= set(asked.get("resourceArns") or [])
    share.principals -= set(asked.get("principals") or [])
    return {"resourceShareAssociations": []}


@operation("ram", "DeleteResourceShare")
def delete_resource_share(asked: Asked) -> Answer:
    """Let nobody have the share any more."""
    _owned(asked).is_deleted = True
    return {"returnValue": True}


def _visible(asked: Asked) -> list[Share]:
    is_own = asked.parameters["resourceOwner"] == "SELF"
    return [
        share
        for share in asked.world.shares
        if share.region == asked.region
        and (share.account == asked.account if is_own else share.reaches(asked.account))
    ]


@operation("ram", "GetResourceShares")
def get_resource_shares(asked: Asked) -> Answer:
    """List the caller's shares, or those that it has of others."""
    wanted, name = asked.get("resourceShareArns"), asked.get("name")
    return {
        "resourceShares": [
            _told(share)
            for share in _visible(asked)
            if (not wanted or share.arn in wanted) and name in {None, share.name}
        ]
    }


@operation("ram", "ListResources")
def list_resources(asked: Asked) -> Answer:
    """List what is shared."""
    return {
        "resources": [
            {"arn": arn, "resourceShareArn": share.arn, "status": "AVAILABLE"}
            for share in _visible(asked)
            for arn in sorted(share.resources)
        ]
    }


@operation("ram", "GetResourceShareInvitations")
def get_invitations(asked: Asked) -> Answer:
    """List the invitations that the caller has not accepted."""
    return {
        "resourceShareInvitations": [
            {
                "resourceShareInvitationArn": share.invitations[asked.account],
                "resourceShareArn": share.arn,
                "resourceShareName": share.name,
                "senderAccountId": share.account,
                "receiverAccountId": asked.account,
                "status": "PENDING",
            }
            for share in asked.world.shares
            if asked.account in share.invitations and not share.is_deleted
        ]
    }


@operation("ram", "AcceptResourceShareInvitation")
def accept_invitation(asked: Asked) -> Answer:
    """Have a share that one was invited to."""
    arn = asked.parameters["resourceShareInvitationArn"]
    for share in asked.world.shares:
        if share.invitations.get(asked.account) == arn:
            del share.invitations[asked.account]
            said = {"resourceShareInvitationArn": arn, "status": "ACCEPTED"}
            return {"resourceShareInvitation": said}
    raise Refusal("ResourceShareInvitationArnNotFoundException", f"{arn} could not be found.")
