"""RegistryImages: image files fetched from OCI registries.

A manifest of ours, or of others who keep a disk so, is taken by its disk; one with a single layer,
whatever it is, by that: an image of a container of one layer is a tar file of a root.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from imagebuilder.adapters.web.registry import Registry
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.units import size_text
from imagebuilder.formats.oci import Descriptor, image_file_of
from imagebuilder.ports.building import StorageFull
from imagebuilder.ports.foreign import FetchedImage, RegistryImageRefused, RegistryReference

_FORM = re.compile(
    r"(?P<repository>[^/@\s]+/[^:@\s]+)(?::(?P<tag>[\w.-]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_WRITE = "Write host/name:tag or host/name@sha256:..."
_SEVERAL = "Name an image with one disk or one layer; export a container first: podman export."


class RegistryImages:
    """Fetches image files."""

    def __init__(
        self,
        secret_of: Callable[[str], bytes],
        scratch: Callable[[], AbstractContextManager[Path]],
    ) -> None:
        """Find what credentials refer to by secret_of; fetch into a folder of scratch."""
        self._secret_of = secret_of
        self._scratch = scratch

    @contextmanager
    def fetched(
        self, reference: RegistryReference, on_bytes: Callable[[int], None]
    ) -> Iterator[FetchedImage]:
        """Give the file of an image, compared with its digest. Raises: as the port."""
        form = _FORM.fullmatch(reference.text)
        if form is None or not (form["tag"] or form["digest"]):
            raise RegistryImageRefused(reference.text, "It is no reference to an image.", _WRITE)
        secret = reference.credentials
        registry = Registry(
            form["repository"],
            is_plain_http=reference.is_plain_http,
            credentials=(lambda: self._secret_of(secret)) if secret else None,
            again="Try again; nothing was recorded.",
        )
        manifest = registry.manifest(form["digest"] or form["tag"])
        if manifest is None:
            raise RegistryImageRefused(reference.text, "The registry does not have it.", _WRITE)
        layer = _file_of(reference.text, manifest)
        with self._scratch() as folder:
            free_bytes = shutil.disk_usage(folder).free
            if layer.size_bytes > free_bytes:
                raise StorageFull(str(folder), size_text(free_bytes))
            file = folder / "image"
            registry.fetch(layer, file, on_bytes)
            source = f"oci:{form['repository']}@{Digest.of_bytes(manifest)}"
            yield FetchedImage(file=file, source=source)


def _file_of(reference: str, manifest: bytes) -> Descriptor:
    try:
        found = image_file_of(manifest)
    except ValueError as error:
        raise RegistryImageRefused(reference, f"{error}.", _SEVERAL) from error
    if found is None:
        raise RegistryImageRefused(reference, "It has several layers, and no disk.", _SEVERAL)
    return found
