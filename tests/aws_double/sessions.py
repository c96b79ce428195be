"""The Security Token Service: roles are assumed only by whom their trust policy lets in."""

import re
from typing import Any, Final

from moto.iam.models import iam_backends

from tests.aws_double.accounts import Caller, Session
from tests.aws_double.operations import Answer, Asked, operation
from tests.aws_double.organization import standing
from tests.aws_double.policies import allows
from tests.aws_double.refusals import Refusal

_ROLE: Final = re.compile(r"arn:aws:iam::(\d{12}):role/(?:.*/)?([\w+=,.@-]+)")
_SHORTEST: Final = 900
_LONGEST_CHAINED: Final = 3600


@operation("sts", "GetCallerIdentity")
def get_caller_identity(asked: Asked) -> Answer:
    """Tell who the caller is."""
    caller = asked.caller
    return {"Account": caller.account, "Arn": caller.arn, "UserId": caller.user_id}


@operation("sts", "AssumeRole")
def assume_role(asked: Asked) -> Answer:
    """Give temporary credentials of a role, if its trust policy says so."""
    arn = asked.parameters["RoleArn"]
    role, account = _role(arn)
    name = asked.parameters["RoleSessionName"]
    if role is None or not _is_trusted(asked, role):
        said = f"User: {asked.caller.arn} is not authorized to perform: sts:AssumeRole on resource"
        raise Refusal("AccessDenied", f"{said}: {arn}", status=403)
    seconds = int(asked.get("DurationSeconds") or 3600)
    _check_duration(asked, seconds, int(role.max_session_duration or 3600))
    who = Caller(
        account=account,
        arn=f"arn:aws:sts::{account}:assumed-role/{role.name}/{name}",
        user_id=f"{role.id}:{name}",
        tags=tuple((tag["Key"], tag["Value"]) for tag in asked.get("Tags") or []),
    )
    session = asked.world.accounts.begin_session(who, asked.world.clock.now(), seconds)
    user = {"AssumedRoleId": who.user_id, "Arn": who.arn}
    said_of_source = asked.get("SourceIdentity")
    return {
        "Credentials": _credentials(session),
        "AssumedRoleUser": user,
        **({"SourceIdentity": said_of_source} if said_of_source else {}),
    }


def _role(arn: str) -> tuple[Any, str]:
    found = _ROLE.fullmatch(arn)
    if not found:
        raise Refusal("ValidationError", f"{arn} is invalid")
    account = found[1]
    for backend in iam_backends[account].values():
        for role in backend.roles.values():
            if role.arn == arn:
                return role, account
    return None, account


def _is_trusted(asked: Asked, role: Any) -> bool:
    if asked.caller.arn.endswith(":root"):
        return False  # AWS lets no root of an account assume a role
    stands = standing(asked.account)
    context = {
        "aws:PrincipalAccount": asked.account,
        "aws:PrincipalArn": asked.caller.arn,
        "sts:RoleSessionName": asked.parameters["RoleSessionName"],
        **{f"aws:RequestTag/{tag['Key']}": tag["Value"] for tag in asked.get("Tags") or []},
    }
    if stands:
        context["aws:PrincipalOrgID"] = stands.id
    for parameter in ("ExternalId", "SourceIdentity"):
        if asked.get(parameter) is not None:
            context[f"sts:{parameter}"] = asked.get(parameter)
    needed = ["sts:AssumeRole"]
    needed += ["sts:TagSession"] if asked.get("Tags") else []
    needed += ["sts:SetSourceIdentity"] if asked.get("SourceIdentity") else []
    policy = role.assume_role_policy_document
    return all(allows(policy, asked.caller, action, context) for action in needed)


def _check_duration(asked: Asked, seconds: int, longest: int) -> None:
    is_chained = ":assumed-role/" in asked.caller.arn
    if is_chained and seconds > _LONGEST_CHAINED:
        said = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by"
        raise Refusal("ValidationError", f"{said} role chaining.")
    if not _SHORTEST <= seconds <= longest:
        said = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        raise Refusal("ValidationError", said)


def _credentials(session: Session) -> dict[str, Any]:
    return {
        "AccessKeyId": session.access_key,
        "SecretAccessKey": session.secret,
        "SessionToken": session.token,
        "Expiration": session.expires_at,
    }


@operation("sts", "GetSessionToken")
def get_session_token(asked: Asked) -> Answer:
    """Give temporary credentials of the caller's own."""
    seconds = int(asked.get("DurationSeconds") or 43200)
    now = asked.world.clock.now()
    session = asked.world.accounts.begin_session(asked.caller, now, seconds)
    return {"Credentials": _credentials(session)}
