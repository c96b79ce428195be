"""Objects: where S3Download and S3Upload are told to find them and to bring them."""

import re
from dataclasses import dataclass

from imagebuilder.ports.transfers import Bucket
from imagebuilder.services.provisioning.inputs import Item
from imagebuilder.services.provisioning.refusals import ActionRefusedError

_ADDRESS = re.compile(r"s3://([A-Za-z0-9._-]+)/(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectAddress:
    """A key in a bucket, or with `is_prefix` all keys that begin so."""

    bucket: Bucket
    key: str
    is_prefix: bool

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.rpartition("/")[2]


def object_address(item: Item, name: str) -> ObjectAddress:
    """Give what an input names; one that ends with /* or / is a prefix.

    Raises: ActionRefusedError.
    """
    written = item.text(name)
    found = _ADDRESS.fullmatch(written)
    if found is None:
        raise ActionRefusedError(f"{written} is no object's address, such as s3://bucket/key.")
    key = found[2].removesuffix("*")
    if "*" in key or (key != found[2] and key and not key.endswith("/")):
        raise ActionRefusedError(f"{written} has a * that is not all of its last part.")
    is_prefix = key != found[2] or key.endswith("/") or not key
    owner = item.optional("expectedBucketOwner")
    return ObjectAddress(
        bucket=Bucket(name=found[1], owner=owner or None), key=key, is_prefix=is_prefix
    )
