"""Entering: whether credentials are of the account that is meant, before it is believed."""

from imagebuilder.adapters.aws.accounts import Entrance
from imagebuilder.adapters.aws.calls import Calls
from imagebuilder.domain.objection import Objection
from imagebuilder.ports.targets import TargetRefused

WHO = "sts:GetCallerIdentity"


def stranger(calls: Calls, entrance: Entrance) -> Objection | None:
    """Give what is wrong when an account is not the one that is entered. Raises: CallRefused."""
    account = calls.call(entrance, WHO)["Account"]
    if account == entrance.account:
        return None
    return Objection(
        reason=f"{entrance.key} is not entered: {WHO} says that the "
        f"credentials are of account {account}.",
        remedy=f"Name a role of account {entrance.account}, or take its credentials.",
    )


def refuse_stranger(calls: Calls, entrance: Entrance) -> None:
    """Do nothing in the account that is meant: what another one does not see may well be there.

    Raises: TargetRefused; CallRefused; TargetUnavailable.
    """
    if wrong := stranger(calls, entrance):
        raise TargetRefused(entrance.key, WHO, wrong.reason, wrong.remedy)
