"""Initramfs: made once for what goes into it, beside the layers that do not concern it."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime

from imagebuilder.domain.component import Network
from imagebuilder.domain.digest import DigestMismatch
from imagebuilder.domain.layer import Layer, Tree, contents_of
from imagebuilder.domain.plan import INITRAMFS_LAYER
from imagebuilder.ports.blobs import BlobMissing, BlobStore
from imagebuilder.ports.building import LayerStore, NewLayer, Roots
from imagebuilder.ports.process import OnLine
from imagebuilder.services.building import finishing


class InitramfsMaker:
    """Finds or makes the initramfs layer of a root file system."""

    def __init__(
        self, layers: LayerStore, blobs: BlobStore, roots: Roots, not_before: datetime | None
    ) -> None:
        """Use no layer from before a moment."""
        self._layers = layers
        self._blobs = blobs
        self._roots = roots
        self._not_before = not_before
        self._beside: ThreadPoolExecutor | None = None
        self._early: Future[Layer] | None = None

    def found(self, tree: Tree, release: str) -> Layer | None:
        """Give the layer made for a kernel if all that went into it is still the same."""
        key = finishing.initramfs_key(tree, release)
        layer = self._layers.find(key, (), self._not_before).layer
        if layer is None:
            return None
        try:
            inputs = self._blobs.read(layer.evidence["inputs"])
        except (BlobMissing, DigestMismatch):
            return None  # without the list nobody can tell, so it is made again
        return layer if finishing.is_initramfs_current(inputs, tree) else None

    def made(
        self, stack: Sequence[Layer], tree: Tree, release: str, on_line: OnLine | None
    ) -> Layer:
        """Make the layer for a stack whose tree and kernel are given.

        Raises: FinishFailed: the image's own tools could not make it.
        """
        with self._roots.scratch(stack) as root:
            machine = root.machine(Network.NONE)
            result = machine.run(finishing.initramfs_script(release), on_line)
            if result.exit_status != 0:
                raise finishing.FinishFailed("initramfs", result)
            inputs = finishing.initramfs_inputs(result.stdout.decode(errors="replace"), tree)
            layer = root.seal(
                NewLayer(
                    key=finishing.initramfs_key(tree, release),
                    name=INITRAMFS_LAYER,
                    evidence={"inputs": self._blobs.put(inputs)},
                    fits_any=True,
                )
            )
        self._layers.publish(layer)
        return layer

    def begin(self, stack: Sequence[Layer]) -> None:
        """Begin to make it beside the next layers, once there is a kernel and none is made for it.

        What is made so is found later like any other, if the next layers leave its inputs alone.
        """
        if self._early is not None:
            return
        tree = self._layers.tree(contents_of(stack))
        release = finishing.kernel_release(tree)
        if release is None or self.found(tree, release) is not None:
            return
        self._beside = ThreadPoolExecutor(max_workers=1, thread_name_prefix="initramfs")
        self._early = self._beside.submit(self.made, tuple(stack), tree, release, None)

    @property
    def is_under_way(self) -> bool:
        """Whether it is being made now."""
        return self._early is not None and not self._early.done()

    def finish(self) -> None:
        """Wait for what was begun; whether it went well is seen when it is looked for."""
        if self._beside is not None:
            self._beside.shutdown(wait=True)

    def has_begun(self, layer: Layer) -> bool:
        """Whether a layer is the one that was begun beside, and so was made by this build."""
        early = self._early
        is_good = early is not None and early.done() and early.exception() is None
        return early is not None and is_good and early.result() == layer
