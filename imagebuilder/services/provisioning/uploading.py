"""Uploading: S3Upload.

Source: AWS Task Orchestrator and Executor, file upload module.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from imagebuilder.ports.actions import ActionCall
from imagebuilder.ports.process import OutputFile
from imagebuilder.ports.transfers import ObjectStore
from imagebuilder.services.provisioning.carrying import Carrier, Scratch
from imagebuilder.services.provisioning.inputs import Item, items
from imagebuilder.services.provisioning.listing import LISTING_SCRIPT, listed, listing_call
from imagebuilder.services.provisioning.objects import ObjectAddress, object_address
from imagebuilder.services.provisioning.refusals import ActionRefusedError


@dataclass(frozen=True, slots=True)
class ObjectUploads:
    """S3Upload: files of the image, by name or by pattern."""

    objects: ObjectStore
    scratch: Scratch
    largest_bytes: int

    def __call__(
        self, call: ActionCall, carrier: Carrier
    ) -> tuple[Sequence[str], Sequence[Mapping[str, str]]]:
        """Bring file after file; what was brought stays when a later one fails.

        Raises: ActionRefusedError; TransferFailed.
        """
        lines = []
        for item in items(call.inputs):
            target = object_address(item, "destination")
            for path, key in _wanted(item, target, carrier):
                with self.scratch() as folder:
                    file = folder / "object"
                    carrier.take(path, OutputFile(path=file, limit_bytes=self.largest_bytes))
                    self.objects.bring(file, target.bucket, key)
                lines.append(f"{path} was uploaded")
        return lines, tuple({} for _ in items(call.inputs))


def _wanted(item: Item, target: ObjectAddress, carrier: Carrier) -> list[tuple[str, str]]:
    """Give paths with the keys they go to."""
    source = item.path("source")
    folder, _, name = source.rpartition("/")
    if "*" in folder:
        raise ActionRefusedError(f"{source} has a * before its last /.")
    if "*" not in name:
        return [(source, target.key + name if target.is_prefix else target.key)]
    recurse = item.flag("recurse", default=False)
    call = listing_call(f"{folder}/", name, is_recursive=recurse)
    found = listed(folder, carrier.said(f"{LISTING_SCRIPT}{call}\n").encode())
    if not found:
        raise ActionRefusedError(f"There is no file {source}.")
    prefix = target.key if target.is_prefix else f"{target.key}/"
    return [(path, prefix + path.removeprefix(f"{folder}/")) for path in found]
