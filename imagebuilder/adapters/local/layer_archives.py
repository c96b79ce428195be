"""FileLayerArchives: layers of a FileLayerStore as files for other machines, and back.

An archive is the bytes of a layer's files, in the order of their names in the manifest, one after
another in a Zstandard stream. So it can name nothing: every name, kind, owner and size is that of
the manifest, whose digest is the layer's content. No name of a manifest is made that leads out of
the new folder, and what was made is read again and compared before anybody finds it.
"""

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import BinaryIO

import zstandard

from imagebuilder.adapters.local import manifest
from imagebuilder.adapters.local.layers import FileLayerStore
from imagebuilder.adapters.local.manifest_check import check_tree
from imagebuilder.adapters.local.space import full_told
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.layer import Entry, EntryKind, Layer, LayerTree, total_size_bytes
from imagebuilder.domain.units import GIB, size_text
from imagebuilder.ports.building import LayerDamaged, LayerMissing
from imagebuilder.ports.sharing import LayerRefused

LARGEST_LAYER_BYTES = 64 * GIB
_LEVEL = 3
_LARGEST_WINDOW_BYTES = 128 << 20
_CHUNK_BYTES = 256 * 1024
_ZEROS = bytes(_CHUNK_BYTES)
_OPAQUE = "trusted.overlay.opaque"
_SPECIAL = {
    EntryKind.CHARACTER_DEVICE: stat.S_IFCHR,
    EntryKind.BLOCK_DEVICE: stat.S_IFBLK,
    EntryKind.FIFO: stat.S_IFIFO,
    EntryKind.SOCKET: stat.S_IFSOCK,
}


class FileLayerArchives:
    """Packs and unpacks the layers of one store."""

    def __init__(self, store: FileLayerStore, largest_bytes: int = LARGEST_LAYER_BYTES) -> None:
        """Take no layer into store whose files are larger together."""
        self._store = store
        self._largest_bytes = largest_bytes

    def manifest(self, content: Digest) -> bytes:
        """Give what is written of a layer's files. Raises: LayerMissing."""
        return self._store.manifest_text(content)

    def note(self, content: Digest, text: bytes) -> None:
        """Keep what is written of a layer's files, so that trees can be had of it.

        Raises: LayerRefused: it is another one, or names what may not be made.
        """
        if Digest.of_bytes(text) != content:
            raise LayerRefused(content, "Its manifest is that of another layer.")
        try:
            tree = _checked(text)
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            raise LayerRefused(content, f"Its manifest is not to be followed: {error}.") from error
        self._store.note(content, tree)

    def pack(self, content: Digest, into: PurePath) -> Digest:
        """Write the archive of a layer into a new file, and give the archive's own digest.

        Raises: LayerMissing; LayerDamaged: nothing that differs from the manifest is packed.
        """
        tree, folder = self._store.noted(content), self._store.kept_path(content)
        if not folder.is_dir():
            raise LayerMissing(content.short, content)
        compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
        with Path(into).open("xb") as file, compressor.stream_writer(file) as archive:
            for path, entry in _files(tree):
                if _packed(f"{folder}{path}", archive.write) != entry.content:
                    raise LayerDamaged(content.short, path)
        return manifest.file_digest(str(into))

    def unpack(self, layer: Layer, archive: PurePath) -> None:
        """Make the files of a noted layer from an archive, and keep it under its content.

        Raises: LayerRefused: the archive is not of that layer, or too large; LayerMissing: nothing
        is noted of it; StorageFull.
        """
        tree = self._store.noted(layer.content)
        with self._store.incoming() as folder, full_told(folder), _refused(layer.content):
            self._refuse_large(tree, folder)
            root = folder / "tree"
            _make_names(root, tree)
            with Path(archive).open("rb") as file:
                _fill(root, tree, file)
            _set_attributes(root, tree)
            difference = manifest.first_difference(tree, manifest.scan(root))
            if difference is not None:
                raise ValueError(f"{difference} is not as the manifest says")
            self._store.adopt(root, layer, tree)

    def _refuse_large(self, tree: LayerTree, folder: Path) -> None:
        size_bytes = total_size_bytes(tree.entries)
        free_bytes = shutil.disk_usage(folder).free
        if size_bytes > min(self._largest_bytes, free_bytes):
            raise ValueError(
                f"its files are {size_text(size_bytes)} together, "
                f"{size_text(free_bytes)} are free and {size_text(self._largest_bytes)} allowed"
            )


def _checked(text: bytes) -> LayerTree:
    tree = manifest.read(text)
    check_tree(tree)
    if manifest.written(tree) != text:
        raise ValueError("it is not as we write it")
    return tree


@contextmanager
def _refused(content: Digest) -> Iterator[None]:
    """Say in our own words what is wrong with an archive; a full disk is told by others."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise LayerRefused(content, f"It cannot be made here: {error}.") from error
    except (ValueError, zstandard.ZstdError) as error:
        raise LayerRefused(content, f"Its archive is not unpacked: {error}.") from error


def _files(tree: LayerTree) -> Iterator[tuple[str, Entry]]:
    """Give what has bytes of its own in an archive, in their order there."""
    for path, entry in sorted(tree.entries.items()):
        if entry.kind is EntryKind.FILE and entry.hard_link_of is None:
            yield path, entry


def _packed(path: str, write: Callable[[bytes], object]) -> Digest:
    digest = hashlib.sha256()
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb", buffering=0) as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            write(chunk)
    return Digest(digest.hexdigest())


def _make_names(root: Path, tree: LayerTree) -> None:
    """Make everything but the bytes of files; parents come before what lies in them."""
    for path, entry in sorted(tree.entries.items()):
        full = f"{root}{path}"
        if entry.hard_link_of is not None:
            os.link(f"{root}{entry.hard_link_of}", full, follow_symlinks=False)
        elif entry.kind is EntryKind.DIRECTORY:
            Path(full).mkdir(mode=0o700)
        elif entry.kind is EntryKind.SYMLINK:
            Path(full).symlink_to(entry.target or "")
        elif entry.kind is EntryKind.FILE:
            os.close(os.open(full, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
        else:
            os.mknod(full, _SPECIAL[entry.kind] | 0o600, os.makedev(*(entry.device or (0, 0))))
    for path in tree.whiteouts:
        os.mknod(f"{root}{path}", stat.S_IFCHR, os.makedev(0, 0))


def _fill(root: Path, tree: LayerTree, archive: BinaryIO) -> None:
    """Give every file as many bytes as it should have, and see that there are no more."""
    decompressor = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW_BYTES)
    with decompressor.stream_reader(archive, closefd=False) as reader:
        for path, entry in _files(tree):
            with os.fdopen(os.open(f"{root}{path}", os.O_WRONLY | os.O_NOFOLLOW), "wb") as file:
                _copy(reader, file, entry.size_bytes)
        if reader.read(1):
            raise ValueError("it holds more than the files")


def _copy(reader: zstandard.ZstdDecompressionReader, file: BinaryIO, size_bytes: int) -> None:
    """Write so many bytes, with holes for zeros."""
    left = size_bytes
    while left:
        chunk = reader.read(min(left, _CHUNK_BYTES))
        if not chunk:
            raise ValueError("it ends before the last file does")
        left -= len(chunk)
        if chunk == _ZEROS[: len(chunk)]:
            file.seek(len(chunk), os.SEEK_CUR)
        else:
            file.write(chunk)
    file.truncate(size_bytes)


def _set_attributes(root: Path, tree: LayerTree) -> None:
    """Set owners, modes, attributes and times, of a folder after all that is in it."""
    for path, entry in sorted(tree.entries.items(), reverse=True):
        if entry.hard_link_of is not None:
            continue
        full = f"{root}{path}"
        os.chown(full, entry.uid, entry.gid, follow_symlinks=False)
        if entry.kind is not EntryKind.SYMLINK:
            # A change of owner takes set-user-id bits and capabilities away, so both come after it.
            os.chmod(full, entry.mode)  # noqa: PTH101 - text is enough
        _set_xattrs(full, {name: bytes.fromhex(value) for name, value in entry.xattrs})
        if path in tree.opaque:
            _set_xattrs(full, {_OPAQUE: b"y"})
        os.utime(full, (entry.mtime, entry.mtime), follow_symlinks=False)


def _set_xattrs(full: str, xattrs: Mapping[str, bytes]) -> None:
    for name, value in xattrs.items():
        os.setxattr(full, name, value, follow_symlinks=False)
