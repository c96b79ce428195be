"""Parameters of the Systems Manager that point to images."""

import re
from typing import Final

from tests.aws_double.images import found
from tests.aws_double.operations import Answer, Asked, PassedOn, operation
from tests.aws_double.refusals import Refusal

_IMAGE: Final = "aws:ec2:image"
_IMAGE_ID: Final = re.compile(r"ami-[0-9a-f]{8}([0-9a-f]{9})?")


def resolved(asked: Asked, named: str) -> str:
    """Give the id of an image that is named by its id, or by a parameter.

    Raises:
        Refusal: there is no such parameter
    """
    if not named.startswith("resolve:ssm:"):
        return named
    name = named.removeprefix("resolve:ssm:")
    kept = asked.moto("ssm").get_parameters([name]).get(name)
    if kept is None:
        raise Refusal("InvalidParameterValue", f"The parameter '{name}' does not exist.")
    return str(kept.value)


@operation("ssm", "PutParameter")
def put_parameter(asked: Asked) -> Answer:
    """Keep a parameter; of one that names an image which the caller does not see, say so only.

    AWS looks at the image after it has said yes, and if it is not there no version appears.
    """
    value = str(asked.parameters["Value"])
    if asked.get("DataType") != _IMAGE:
        raise PassedOn
    if not _IMAGE_ID.fullmatch(value):
        raise Refusal("ValidationException", f"'{value}' is not of the data type {_IMAGE}.")
    try:
        found(asked, value)
    except Refusal:
        known = asked.moto("ssm").get_parameters([asked.parameters["Name"]])
        version = max((kept.version for kept in known.values()), default=0) + 1
        return {"Version": version, "Tier": asked.get("Tier") or "Standard"}
    raise PassedOn
