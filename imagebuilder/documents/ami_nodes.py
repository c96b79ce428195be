"""What a recipe says of an AMI that it is built on: where it is, and how its account is entered."""

import re

from imagebuilder.documents.excerpt import quoted
from imagebuilder.documents.nodes import MappingNode, Node, ScalarNode
from imagebuilder.documents.reading import OpenDocument, mapping_at, text_at
from imagebuilder.documents.secret_references import conceal_secrets
from imagebuilder.domain.recipe import AmiParent

_AMI = re.compile(
    r"ami:(?P<region>[a-z]{2,4}(-[a-z]+)+-[0-9]+)/(?P<ami>ami-([0-9a-f]{8}|[0-9a-f]{17}))"
)
_HINT = "Write ami:REGION/ID, such as ami:eu-central-1/ami-0123456789abcdef0."


def check_ami(reading: OpenDocument, root: MappingNode, written: ScalarNode) -> None:
    """Report what the schema cannot say of a parent that is an AMI."""
    if is_ami(written) and _AMI.fullmatch(written.text) is None:
        message = f"{quoted(written.text)} names no AMI in a region."
        reading.fault(message, written.origin, _HINT)
    options = mapping_at(root, "parent")
    if options is None or "external_id" not in options.entries:
        return
    external_id = options.entries["external_id"]
    conceal_secrets(reading, [external_id.value])
    if "role" not in options.entries:
        message = "An external id is asked for by a role, and none is named."
        reading.fault(message, external_id.key.origin, "Write role: with its ARN, or leave it out.")


def region_of(written: ScalarNode) -> str | None:
    """Give the region of a parent that is an AMI, None of one that is malformed."""
    found = _AMI.fullmatch(written.text)
    return found["region"] if found else None


def ami_of(node: Node, written: str) -> AmiParent:
    """Give the AMI of a parent in which nothing is wrong, however it is written."""
    found = _AMI.fullmatch(written)
    if found is None:
        raise ValueError(f"{written!r} was not checked")
    access = {}
    if isinstance(node, MappingNode):
        given = {key: text_at(node, key) for key in ("role", "external_id")}
        access = {key: value.text for key, value in given.items() if value is not None}
    return AmiParent(ami=found["ami"], region=found["region"], **access, origin=node.origin)


def is_ami(written: ScalarNode) -> bool:
    """Whether a parent is an AMI, or would be if nothing were wrong with it."""
    return written.text.partition(":")[0] == "ami"
