"""Who an access key is: accounts, sessions of assumed roles, regions that are not enabled."""

import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from moto.iam.models import iam_backends

from tests.aws_double.refusals import Refusal

_OF_AN_ADMIN = re.compile(r"AKIA(\d{12})ADMN")


def admin_key(account: str) -> str:
    """Give the access key of an account's administrator; any secret goes with it."""
    return f"AKIA{account}ADMN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks."""

    account: str
    arn: str
    user_id: str
    tags: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Temporary credentials, and who has them."""

    caller: Caller
    access_key: str
    secret: str
    token: str
    expires_at: datetime


class Accounts:
    """All accounts there are: whichever twelve digits are asked for."""

    def __init__(self) -> None:
        """No sessions; all regions enabled."""
        self._sessions: dict[str, Session] = {}
        self._not_enabled: set[tuple[str, str]] = set()

    def disable_region(self, account: str, region: str) -> None:
        """Let a region be one that the account did not opt in to."""
        self._not_enabled.add((account, region))

    def enable_region(self, account: str, region: str) -> None:
        """Let the account opt in to a region."""
        self._not_enabled.discard((account, region))

    def is_enabled(self, account: str, region: str) -> bool:
        """Tell whether the account may use a region."""
        return (account, region) not in self._not_enabled

    def begin_session(self, caller: Caller, now: datetime, seconds: int) -> Session:
        """Give temporary credentials to somebody."""
        session = Session(
            caller=caller,
            access_key=f"ASIA{secrets.token_hex(8).upper()}",
            secret=secrets.token_urlsafe(30),
            token=secrets.token_urlsafe(90),
            expires_at=(now + timedelta(seconds=seconds)).replace(microsecond=0),
        )
        self._sessions[session.access_key] = session
        return session

    def caller(self, access_key: str, token: str | None, now: datetime, service: str) -> Caller:
        """Give who has an access key.

        Raises:
            Refusal: nobody has it, the token is not the one that goes with it, or it has expired
        """
        if session := self._sessions.get(access_key):
            if token != session.token:
                raise unknown_credentials(service)
            if session.expires_at <= now:
                raise expired_credentials(service)
            return session.caller
        if of_admin := _OF_AN_ADMIN.fullmatch(access_key):
            account = of_admin[1]
            arn = f"arn:aws:iam::{account}:user/admin"
            return Caller(account=account, arn=arn, user_id=f"AIDA{account}")
        for account, partitions in iam_backends.items():
            for backend in partitions.values():
                for user in backend.users.values():
                    if any(key.access_key_id == access_key for key in user.access_keys):
                        return Caller(account=account, arn=user.arn, user_id=user.id)
        raise unknown_credentials(service)


def unknown_credentials(service: str) -> Refusal:
    """Give what a service says to one whom it does not know, or not in this region."""
    if service == "ec2":
        said = "AWS was not able to validate the provided access credentials"
        return Refusal("AuthFailure", said, status=401)
    if service == "s3":
        said = "The AWS Access Key Id you provided does not exist in our records."
        return Refusal("InvalidAccessKeyId", said, status=403)
    code = "InvalidClientTokenId" if _is_query(service) else "UnrecognizedClientException"
    return Refusal(code, "The security token included in the request is invalid.", status=403)


def expired_credentials(service: str) -> Refusal:
    """Give what a service says to one whose session is over."""
    if service == "ec2":
        return Refusal("RequestExpired", "Request has expired.", status=400)
    is_old = _is_query(service) or service == "s3"
    code = "ExpiredToken" if is_old else "ExpiredTokenException"
    return Refusal(code, "The security token included in the request is expired", status=403)


def _is_query(service: str) -> bool:
    return service in {"sts", "iam", "autoscaling", "cloudformation", "sns", "elasticloadbalancing"}
