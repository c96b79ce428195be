"""BorrowingLayers: layers that are made on the side, upon layers of a store that stays as it is."""

from pathlib import Path

from imagebuilder.adapters.local.layers import FileLayerStore
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.layer import Layer
from imagebuilder.ports.building import LayerMissing


class BorrowingLayers(FileLayerStore):
    """Keeps its own layers, and reads those that it lacks where they are.

    No layer of the other store is found by its key: what is to be made is made anew.
    """

    def __init__(self, folder: Path, boot_id: str, lender: FileLayerStore) -> None:
        """Keep layers in folder and borrow of lender."""
        super().__init__(folder, boot_id)
        self._lender = lender

    def get(self, content: Digest) -> Layer:
        """Give a layer by its content, verified. Raises: LayerMissing; LayerDamaged."""
        return super().get(content) if self._is_own(content) else self._lender.get(content)

    def tree_path(self, content: Digest) -> Path:
        """Give the folder that an overlay takes as a lower one."""
        mine = self._is_own(content)
        return super().tree_path(content) if mine else self._lender.tree_path(content)

    def manifest_text(self, content: Digest) -> bytes:
        """Give what is written of a layer's files. Raises: LayerMissing."""
        try:
            return super().manifest_text(content)
        except LayerMissing:
            return self._lender.manifest_text(content)

    def _is_own(self, content: Digest) -> bool:
        return super().tree_path(content).is_dir()
