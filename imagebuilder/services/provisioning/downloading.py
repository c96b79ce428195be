"""Downloading: WebDownload and S3Download.

Source: AWS Task Orchestrator and Executor, file download modules.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from imagebuilder.ports.actions import ActionCall
from imagebuilder.ports.transfers import Checksum, ObjectStore, WebFetcher, WebSource
from imagebuilder.services.provisioning.carrying import Carrier, Scratch
from imagebuilder.services.provisioning.file_scripts import BEGINNING, folder_path, shell_call
from imagebuilder.services.provisioning.inputs import Item, items
from imagebuilder.services.provisioning.objects import ObjectAddress, object_address
from imagebuilder.services.provisioning.refusals import ActionRefusedError

LARGEST_COUNT = 1000
"""A prefix with more objects is not downloaded at all."""
_DIGEST_LENGTHS = {"md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}
_NOT_A_NAME = frozenset({"", ".", ".."})

Told = tuple[Sequence[str], Sequence[Mapping[str, str]]]


@dataclass(frozen=True, slots=True)
class WebDownloads:
    """WebDownload: files of the web; `destination` is where each is."""

    web: WebFetcher
    scratch: Scratch

    def __call__(self, call: ActionCall, carrier: Carrier) -> Told:
        """Fetch what is not there already. Raises: ActionRefusedError; TransferFailed."""
        wanted = [(_web_source(item), _web_path(item), item) for item in items(call.inputs)]
        lines = []
        for source, path, item in wanted:
            if self._is_there(carrier, source, path, item):
                lines.append(f"{path} is there already, with that checksum")
                continue
            with self.scratch() as folder:
                file = folder / "download"
                self.web.fetch(source, file, carrier.seconds_left())
                carrier.put(file, path)
            lines.append(f"{path} was downloaded")
        return lines, tuple({"destination": path} for _, path, _ in wanted)

    def _is_there(self, carrier: Carrier, source: WebSource, path: str, item: Item) -> bool:
        """Whether the file need not be fetched. Raises: ActionRefusedError: nor may it be."""
        overwrite = item.flag("overwrite", default=True)
        checksum = source.checksum
        found = carrier.existing(path, f"{checksum.algorithm}sum" if checksum else "")
        if found and not overwrite:
            raise ActionRefusedError(f"{path} is there already.")
        return checksum is not None and found == checksum.digest


@dataclass(frozen=True, slots=True)
class ObjectDownloads:
    """S3Download: an object, or all below a prefix."""

    objects: ObjectStore
    scratch: Scratch

    def __call__(self, call: ActionCall, carrier: Carrier) -> Told:
        """Fetch object after object; what was fetched stays when a later one fails.

        Raises: ActionRefusedError; TransferFailed.
        """
        lines = []
        for item in items(call.inputs):
            source = object_address(item, "source")
            overwrite = item.flag("overwrite", default=True)
            for key, path in self._wanted(source, item, carrier):
                if not overwrite and carrier.existing(path):
                    raise ActionRefusedError(f"{path} is there already.")
                with self.scratch() as folder:
                    file = folder / "object"
                    self.objects.fetch(source.bucket, key, file)
                    carrier.put(file, path)
                lines.append(f"{path} was downloaded")
        return lines, tuple({} for _ in items(call.inputs))

    def _wanted(self, source: ObjectAddress, item: Item, carrier: Carrier) -> list[tuple[str, str]]:
        """Give keys with the paths they go to, when their folder is there."""
        destination = item.path("destination")
        if not source.is_prefix:
            path = destination + source.name if destination.endswith("/") else destination
            _require_folder(carrier, path.rpartition("/")[0] or "/")
            return [(source.key, path)]
        folder = folder_path(item, "destination")
        _require_folder(carrier, folder)
        keys = self.objects.keys(source.bucket, source.key, LARGEST_COUNT + 1)
        if len(keys) > LARGEST_COUNT:
            raise ActionRefusedError(
                f"There are more than {LARGEST_COUNT} objects below {source.key}; none was taken."
            )
        found = [
            (key, _path_below(folder, key.removeprefix(source.key)))
            for key in keys
            if not key.endswith("/")
        ]
        if not found:
            raise ActionRefusedError(f"There are no objects below {source.key}.")
        return found


def _require_folder(carrier: Carrier, folder: str) -> None:
    carrier.said(f"{BEGINNING}{shell_call('require_folder', folder)}\n")


def _path_below(folder: str, relative: str) -> str:
    if _NOT_A_NAME & set(relative.split("/")) or "\0" in relative:
        raise ActionRefusedError(f"The key {relative!r} is no path below a folder.")
    return f"{folder.removesuffix('/')}/{relative}"


def _web_source(item: Item) -> WebSource:
    return WebSource(
        url=item.text("source"),
        checksum=_checksum(item),
        ignores_certificate=item.flag("ignoreCertificateErrors", default=False),
    )


def _checksum(item: Item) -> Checksum | None:
    digest, algorithm = item.optional("checksum"), item.optional("algorithm")
    if not digest and not algorithm:
        return None
    if not digest or not algorithm:
        raise ActionRefusedError("The inputs checksum and algorithm go together.")
    name, digest = algorithm.lower().replace("-", ""), digest.strip().lower()
    length = _DIGEST_LENGTHS.get(name)
    if length is None:
        raise ActionRefusedError(
            f"The algorithm is {algorithm}; known are MD5, SHA1, SHA256, SHA512."
        )
    if not re.fullmatch(f"[0-9a-f]{{{length}}}", digest):
        raise ActionRefusedError(f"A checksum of {algorithm} has {length} digits of 0-9 and a-f.")
    return Checksum(algorithm=name, digest=digest)


def _web_path(item: Item) -> str:
    """Give where a download goes: a folder keeps the name that the address ends with."""
    destination = item.path("destination")
    if not destination.endswith("/"):
        return destination
    try:
        name = unquote(urlsplit(item.text("source")).path).rpartition("/")[2]
    except ValueError:
        name = ""
    if name in _NOT_A_NAME or "\0" in name:
        raise ActionRefusedError("The source ends with no name, so the destination needs one.")
    return destination + name
