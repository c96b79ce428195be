"""Transferring: who does the action modules that fetch files and bring them away.

Source: AWS Task Orchestrator and Executor, file download and upload modules.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from imagebuilder.domain.actions import ActionName
from imagebuilder.ports.actions import Action
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.transfers import ObjectStore, WebFetcher
from imagebuilder.services.provisioning.carrying import Moving, Scratch, TransferAction
from imagebuilder.services.provisioning.downloading import ObjectDownloads, WebDownloads
from imagebuilder.services.provisioning.refusals import SayingNo
from imagebuilder.services.provisioning.uploading import ObjectUploads


@dataclass(frozen=True, slots=True, kw_only=True)
class Transferring:
    """What transfers are made with. Units: `largest_bytes` is what may be brought out of an image.

    Invariant: no file is in memory as a whole.
    """

    web: WebFetcher
    objects: ObjectStore
    scratch: Scratch
    clock: Clock
    largest_bytes: int


def transfer_actions(means: Transferring) -> Mapping[ActionName, Action]:
    """Give the action of each module of this family."""
    moving: Mapping[ActionName, Moving] = {
        ActionName.WEB_DOWNLOAD: WebDownloads(means.web, means.scratch),
        ActionName.S3_DOWNLOAD: ObjectDownloads(means.objects, means.scratch),
        ActionName.S3_UPLOAD: ObjectUploads(means.objects, means.scratch, means.largest_bytes),
    }
    return {action: SayingNo(TransferAction(work, means.clock)) for action, work in moving.items()}
