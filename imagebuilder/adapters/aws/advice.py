"""Advice: what AWS refused, as people are told: where, what, why, and what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

from imagebuilder.adapters.aws.accounts import Entrance, role_arn
from imagebuilder.adapters.aws.calls import NO_CREDENTIALS, CallRefused
from imagebuilder.domain.objection import Objection
from imagebuilder.ports.targets import TargetRefused

_DENIED = frozenset(
    ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AccessDeniedForDependency",
     "OperationNotPermitted"),
)  # fmt: skip
_NOT_ENABLED = frozenset(
    ("AuthFailure", "OptInRequired", "UnrecognizedClientException", "InvalidClientTokenId"),
)  # fmt: skip
_QUOTA = frozenset(
    ("ResourceLimitExceeded", "SnapshotLimitExceeded", "ServiceQuotaExceededException",
     "TagLimitExceeded", "ParameterLimitExceeded"),
)  # fmt: skip
_UNAVAILABLE_IMAGE = frozenset(
    ("InvalidAMIID.NotFound", "InvalidAMIID.Unavailable", "InvalidRequest")
)
_NOT_OF_IT = frozenset(
    ("AWSOrganizationsNotInUseException", "OrganizationalUnitNotFoundException"),
)
_RETRY = "Mend it, then go on with: imagebuilder distribute --retry"
_HINTS = (
    (
        frozenset((NO_CREDENTIALS,)),
        "Give credentials: AWS_PROFILE, or AWS_ACCESS_KEY_ID and the rest, or a role.",
    ),
    (_DENIED, "Let {who} do {call}; docs/aws.md has the policies."),
    (
        _NOT_ENABLED,
        (
            "Enable the region {region} in account {account}, leave it out, or see whether the "
            "credentials are still those of the account."
        ),
    ),
    (
        _QUOTA,
        "Ask for a higher quota in {place}, or withdraw what is old.",
    ),
    (
        _NOT_OF_IT,
        (
            "Name a unit of the organization that account {account} belongs to, take a home "
            "account of the unit's organization, or list the accounts instead."
        ),
    ),
    (
        _UNAVAILABLE_IMAGE,
        "See what became of the image that is copied: imagebuilder target check",
    ),
)


@contextmanager
def told(target: str) -> Iterator[None]:
    """Let what AWS refuses within be told as refused by a target. Raises: TargetRefused."""
    try:
        yield
    except CallRefused as refused:
        raise TargetRefused(
            target, refused.call, reason_of(refused), hint_for(refused)
        ) from refused


def objection_to(refused: CallRefused) -> Objection:
    """Give what a refusal speaks against."""
    return Objection(
        reason=f"{refused.entrance.key} refuses {refused.call}: {refused.code}: {refused.said}",
        remedy=hint_for(refused),
    )


def reason_of(refused: CallRefused) -> str:
    """Give who said what."""
    where = f"account {refused.entrance.account}, region {refused.entrance.region}"
    return f"{refused.code}: {refused.said} ({where})"


def hint_for(refused: CallRefused, otherwise: str = _RETRY) -> str:
    """Give what to do about a refusal; `otherwise` where nothing is known of it."""
    entrance, code = refused.entrance, refused.code
    if refused.call == "sts:AssumeRole":
        return _entering(entrance)
    if "kms" in code.lower() or "kms" in refused.said.lower() or "key ID" in refused.said:
        return (
            f"Let the key's policy, or a grant, give account {entrance.account} kms:DescribeKey, "
            "Decrypt, ReEncrypt*, GenerateDataKeyWithoutPlaintext and CreateGrant."
        )
    place = f"account {entrance.account}, region {entrance.region}"
    found = (hint for codes, hint in _HINTS if code in codes)
    return next(found, otherwise).format(
        who=_who(entrance),
        call=refused.call,
        region=entrance.region,
        account=entrance.account,
        place=place,
    )


def _entering(entrance: Entrance) -> str:
    secret = entrance.access.external_id
    told_secret = f"its external id must be what {secret} holds" if secret else "it takes none"
    return (
        f"Let {role_arn(entrance)} be there and trust who asks, and see its condition: "
        f"{told_secret}. docs/aws.md has the template."
    )


def _who(entrance: Entrance) -> str:
    return role_arn(entrance) if entrance.access.role else f"account {entrance.account}'s caller"
