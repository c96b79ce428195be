"""Shelving: versions are put on shelves, which hand out files: folders and buckets.

All shelves are laid out alike, so that sha256sum, systemd-sysupdate, machinectl and readers of
simplestreams find what they know:

    web/web_1.2.0-3.qcow2                  a version in one of its formats
    web/web_1.2.0-3.qcow2.sigstore.jsonl   what was signed of it
    web/SHA256SUMS                         the digests of all files of an image
    web/SHA256SUMS.gpg                     a signature of them, when there is a key
    streams/v1/index.json                  leads to streams/v1/imagebuilder.json, which lists all

A file is told of after it is there, and not any more before it is gone.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import PurePath, PurePosixPath

from imagebuilder.domain.digest import Digest
from imagebuilder.domain.distribution import Placement
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.objection import Objection
from imagebuilder.domain.published import artifact_in, file_name, lacking
from imagebuilder.domain.recipe import ArtifactFormat
from imagebuilder.domain.target import FolderPlace, S3Place, Target, TargetSpec, TargetUnavailable
from imagebuilder.formats.simplestreams import (
    INDEX_PATH,
    PRODUCTS_PATH,
    StreamFile,
    index_of,
    told_files,
    with_version,
    without_files,
)
from imagebuilder.formats.sums import sums_bytes, sums_of
from imagebuilder.ports.shelves import Change, Parcel, Shelf
from imagebuilder.ports.targets import (
    Drift,
    FormatUnavailable,
    OnBytes,
    Placed,
    Shipment,
    TargetRefused,
    Usage,
)

BUNDLE_ENDING = ".sigstore.jsonl"
_ATTEMPTS = 50
_NOTHING = "nothing"


class Shelving:
    """Brings versions to folders and buckets: a Carrier of both."""

    def __init__(
        self,
        shelf_of: Callable[[Target], Shelf],
        digest_of: Callable[[PurePath], Digest],
        seal: Callable[[bytes], bytes] = lambda _: b"",
    ) -> None:
        """Use the shelf of each target; `digest_of` reads a file of this machine.

        `seal` signs a text, for itself alone; what it gives is empty when there is no key.
        """
        self._shelf_of = shelf_of
        self._digest_of = digest_of
        self._seal = seal

    def targets(self, spec: TargetSpec) -> Sequence[Target]:
        """Give the one place that an entry names."""
        match spec.place:
            case FolderPlace(path=path):
                return [Target(key=f"folder:{path}", spec=spec, where={"path": path})]
            case S3Place(bucket=bucket, prefix=prefix):
                key = f"s3:{bucket}/{prefix.strip('/')}".rstrip("/")
                return [Target(key=key, spec=spec, where={"bucket": bucket, "prefix": prefix})]
            case other:
                raise TypeError(f"{type(other).__name__} is no shelf")

    def hindrances(
        self, target: Target, version: ImageVersion, takers: Sequence[Target] = ()
    ) -> Sequence[Objection]:
        """Give formats the version lacks, and what the place itself says. Raises: as the port."""
        del takers
        formats = _formats(target)
        found = list(lacking(version, formats))
        needed_bytes = sum(size for _, size in _sizes(version, formats))
        objection = self._shelf_of(target).hindrance(needed_bytes)
        return found if objection is None else [*found, objection]

    def place(self, target: Target, shipment: Shipment, on_bytes: OnBytes) -> Placed:
        """See that the files are there, and told of. Raises: as the port."""
        version, formats = shipment.version, _formats(target)
        if lacking(version, formats):
            raise FormatUnavailable(target.key, version.reference, formats)
        shelf = self._shelf_of(target)
        told = self._sums(target, shelf, version.image)
        files: list[StreamFile] = []
        traits: dict[str, str] = {}
        for format_, size_bytes in _sizes(version, formats):
            with self._parcel(shipment, format_) as parcel:
                self._put(target, shelf, parcel, told, on_bytes)
            files.append(
                StreamFile(
                    format=format_, path=parcel.path, digest=parcel.digest, size_bytes=size_bytes
                )
            )
            traits[parcel.path] = str(parcel.digest)
            if shipment.bundle:
                signed = f"{parcel.path}{BUNDLE_ENDING}"
                shelf.rewrite(signed, lambda _: shipment.bundle)
                traits[signed] = str(Digest.of_bytes(shipment.bundle))
        own = {PurePosixPath(path).name: Digest.parse(text) for path, text in traits.items()}
        self._sum_up(
            target, shelf, version.image, lambda content: sums_bytes(sums_of(content) | own)
        )
        self._rewrite(
            target, shelf, PRODUCTS_PATH, partial(with_version, version=version, files=files)
        )
        self._index(target, shelf)
        return Placed(external_id=files[0].path, traits=traits)

    def drifts(
        self, target: Target, placement: Placement, takers: Sequence[Target] = ()
    ) -> Sequence[Drift]:
        """Give files and lines that are not as they were left. Raises: as the port."""
        del takers
        shelf = self._shelf_of(target)
        owned = _owned(target, placement)
        sums = self._sums(target, shelf, _image(owned))
        with _translated(target, PRODUCTS_PATH):
            listed = told_files(shelf.read(PRODUCTS_PATH))
        return [
            drift
            for path, digest in owned.items()
            for drift in _drifts_of(path, digest, shelf, sums, listed)
        ]

    def usages(self, target: Target, placement: Placement) -> Sequence[Usage]:
        """Give nothing: who fetched a file is not known to a place that hands files out."""
        del target, placement
        return []

    def withdraw(self, target: Target, placement: Placement, *, delete: bool) -> None:
        """Take the files away: what is fetched without asking cannot be kept from being used.

        Raises: TargetUnavailable; TargetRefused: somebody put something else in their place.
        """
        del delete
        shelf = self._shelf_of(target)
        owned = _owned(target, placement)
        names = {PurePosixPath(path).name for path in owned}
        told = self._sums(target, shelf, _image(owned))
        self._rewrite(target, shelf, PRODUCTS_PATH, partial(without_files, paths=owned.keys()))
        self._index(target, shelf)
        self._sum_up(
            target,
            shelf,
            _image(owned),
            lambda content: sums_bytes(
                {name: digest for name, digest in sums_of(content).items() if name not in names}
            ),
        )
        for path, digest in owned.items():
            found = shelf.find(path)
            # What the sums told of as ours is ours, though it was damaged since.
            is_ours = told.get(PurePosixPath(path).name) == digest
            if found is not None and found.digest != digest and not is_ours:
                raise _foreign(target, path)
            shelf.remove(path)

    def _put(
        self,
        target: Target,
        shelf: Shelf,
        parcel: Parcel,
        told: Mapping[str, Digest],
        on_bytes: OnBytes,
    ) -> None:
        """Put a file where nothing is, or where ours was and was damaged."""
        found = shelf.find(parcel.path)
        if found is not None and found.digest == parcel.digest:
            return
        if found is not None and told.get(PurePosixPath(parcel.path).name) != parcel.digest:
            raise _foreign(target, parcel.path)
        shelf.put(parcel, on_bytes)

    @contextmanager
    def _parcel(self, shipment: Shipment, format_: ArtifactFormat) -> Iterator[Parcel]:
        path = f"{shipment.version.image}/{file_name(shipment.version, format_)}"
        artifact = artifact_in(shipment.version, format_)
        with ExitStack() as opened:
            if artifact is not None:
                file, digest = shipment.file(artifact), artifact.digest
            else:
                file = opened.enter_context(shipment.disk())
                digest = self._digest_of(file)
            yield Parcel(path=path, file=file, digest=digest)

    def _sums(self, target: Target, shelf: Shelf, image: str) -> Mapping[str, Digest]:
        path = _sums_path(image)
        with _translated(target, path):
            return sums_of(shelf.read(path))

    def _rewrite(self, target: Target, shelf: Shelf, path: str, change: Change) -> None:
        with _translated(target, path):
            shelf.rewrite(path, change)

    def _sum_up(self, target: Target, shelf: Shelf, image: str, change: Change) -> None:
        """Change the sums of an image, and let their signature be of what they are."""
        path = _sums_path(image)
        self._rewrite(target, shelf, path, change)

        def signed(sums: bytes, _: bytes) -> bytes:
            return self._seal(sums) if sums else b""

        self._follow(target, shelf, f"{path}.gpg", path, signed)

    def _index(self, target: Target, shelf: Shelf) -> None:
        """Let the index tell of the products."""
        self._follow(
            target, shelf, INDEX_PATH, PRODUCTS_PATH, lambda products, was: index_of(was, products)
        )

    def _follow(
        self,
        target: Target,
        shelf: Shelf,
        path: str,
        followed: str,
        made: Callable[[bytes, bytes], bytes],
    ) -> None:
        """Make a text of another one and of what it was, also when others change that meanwhile.

        Who changed the other last sees in the end that this one is of what it is.
        """
        source = shelf.read(followed)
        for _ in range(_ATTEMPTS):
            self._rewrite(target, shelf, path, partial(made, source))
            before, source = source, shelf.read(followed)
            if source == before:
                return
        reason = f"Others changed {followed} after each of {_ATTEMPTS} attempts."
        raise TargetUnavailable(target.key, f"to change {path}", reason)


def _formats(target: Target) -> tuple[ArtifactFormat, ...]:
    match target.spec.place:
        case FolderPlace(formats=formats) | S3Place(formats=formats):
            return formats
        case other:
            raise TypeError(f"{type(other).__name__} is no shelf")


def _sizes(
    version: ImageVersion, formats: Sequence[ArtifactFormat]
) -> Iterator[tuple[ArtifactFormat, int]]:
    """Give how large each file is; a raw disk is as large as a machine sees it."""
    for format_ in formats:
        artifact = artifact_in(version, format_)
        if artifact is not None:
            yield format_, artifact.size_bytes
        else:
            yield format_, max((a.virtual_size_bytes for a in version.artifacts), default=0)


def _sums_path(image: str) -> str:
    return f"{image}/SHA256SUMS"


def _image(owned: Mapping[str, Digest]) -> str:
    return PurePosixPath(next(iter(owned))).parts[0]


def _owned(target: Target, placement: Placement) -> Mapping[str, Digest]:
    """Give the files that were put there. Raises: TargetRefused: we were only told of them."""
    if not placement.traits:
        raise TargetRefused(
            target.key,
            f"to say which files {placement.external_id} is",
            "It was not put there by a distribution.",
            "See to the files yourself, then: imagebuilder placement withdraw",
        )
    return {path: Digest.parse(text) for path, text in placement.traits.items()}


def _drifts_of(
    path: str,
    digest: Digest,
    shelf: Shelf,
    sums: Mapping[str, Digest],
    listed: Mapping[str, Digest],
) -> Iterator[Drift]:
    found = shelf.find(path)
    held = None if found is None else found.digest or "another file"
    name = PurePosixPath(path).name
    seen = [(path, held), (f"{path} in SHA256SUMS", sums.get(name))]
    if not path.endswith(BUNDLE_ENDING):
        seen.append((f"{path} in {PRODUCTS_PATH}", listed.get(path)))
    for what, there in seen:
        if there != digest:
            yield Drift(what=what, wanted=str(digest), found=str(there or _NOTHING))


def _foreign(target: Target, path: str) -> TargetRefused:
    return TargetRefused(
        target.key,
        f"to change {path}",
        "What is there was not put there by us, or was changed since.",
        "Look whose it is, take it away, then do this again.",
    )


@contextmanager
def _translated(target: Target, path: str) -> Iterator[None]:
    """Let nobody think that a text which somebody broke is our fault."""
    try:
        yield
    except ValueError as error:
        raise TargetRefused(
            target.key,
            f"to change {path}",
            f"It is not as we write it: {error}.",
            "Mend it or take it away, then do this again.",
        ) from error
