"""Claims: what runs built and no version holds yet, as one small file for each run."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from imagebuilder.adapters.local.workplace import working_folder
from imagebuilder.domain.built import Needs
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.ids import RunId


class FolderClaims:
    """Claims below a folder."""

    def __init__(self, folder: Path) -> None:
        """Use folder, made with the first claim."""
        self._folder = folder

    def claim(self, run_id: RunId, needs: Needs) -> None:
        """Keep that a run needs this, beside all that it claimed before.

        Durable: it survives a crash once this returned.
        """
        target = self._folder / run_id
        if target.exists():
            needs |= _read(target)
        self._folder.mkdir(parents=True, exist_ok=True)
        with working_folder(self._folder / "incoming", "claim-") as folder:
            new = folder / "claim"
            with new.open("w") as opened:
                json.dump(_document(needs), opened)
                opened.flush()
                os.fsync(opened.fileno())
            new.replace(target)
        _sync(self._folder)

    def claims(self) -> Mapping[RunId, Needs]:
        """Give what each run claimed."""
        if not self._folder.is_dir():
            return {}
        files = (path for path in self._folder.iterdir() if path.is_file())
        return {RunId(path.name): _read(path) for path in sorted(files)}

    def release(self, run_id: RunId) -> None:
        """Forget what a run claimed."""
        (self._folder / run_id).unlink(missing_ok=True)


def _document(needs: Needs) -> dict[str, list[str]]:
    kinds = {"blobs": needs.blobs, "layers": needs.layers, "disks": needs.disks}
    return {kind: sorted(digest.hex for digest in digests) for kind, digests in kinds.items()}


def _read(path: Path) -> Needs:
    fields = json.loads(path.read_text())
    return Needs(
        blobs=_digests(fields["blobs"]),
        layers=_digests(fields["layers"]),
        disks=_digests(fields["disks"]),
    )


def _digests(texts: Iterable[str]) -> frozenset[Digest]:
    return frozenset(map(Digest, texts))


def _sync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
