"""The Key Management Service: moto keeps keys; policies and grants say who may use them."""

from typing import Final

from tests.aws_double.operations import Asked, PassedOn, operation
from tests.aws_double.refusals import Refusal
from tests.aws_double.volume_keys import KeyNotUsable, full_arn, key_at, may_use

_ACROSS_ACCOUNTS: Final = (
    "CreateGrant", "Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext", "GetPublicKey", "ListGrants", "RevokeGrant", "Sign",
    "Verify",
)  # fmt: skip
"""What an account may do with another's key, if that says so."""


def use_key(asked: Asked) -> None:
    """Let moto do it for the account that has the key, if the caller may."""
    named = asked.get("KeyId")
    if not named:
        raise PassedOn
    arn = full_arn(named, asked.account, asked.region)
    owner = arn.split(":")[4]
    try:
        key = key_at(arn)
    except KeyNotUsable as missing:
        raise Refusal("NotFoundException", str(missing)) from missing
    if arn.split(":")[3] != asked.region:
        raise Refusal("NotFoundException", f"Invalid arn {asked.region}")
    if not may_use(asked.caller, key, asked.operation):
        said = (
            f"User: {asked.caller.arn} is not authorized to perform: kms:{asked.operation} on "
            "this resource because no resource-based policy allows the action"
        )
        raise Refusal("AccessDeniedException", said)
    raise PassedOn(account=owner)


for _name in _ACROSS_ACCOUNTS:
    operation("kms", _name)(use_key)
