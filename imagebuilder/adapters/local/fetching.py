"""ArchiveFetcher: files of package archives over HTTP, with the credentials that settings hold."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from urllib.parse import urlsplit

from imagebuilder.domain.digest import Digest
from imagebuilder.domain.units import size_text
from imagebuilder.ports.building import MirrorUnreachable

_TIMEOUT_SECONDS = 20
_LARGEST_INDEX_BYTES = 32 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedFile:
    """A signed index as an archive gave it; nobody has looked at the signature yet."""

    content: bytes
    digest: Digest


class ArchiveFetcher:
    """Fetches files. A `lasting` one asks for each signed index once, for one look at many things.

    Shape: `credentials` maps a host to user:password.
    """

    def __init__(
        self, credentials: Mapping[str, str] | None = None, *, is_lasting: bool = False
    ) -> None:
        """Give credentials to the hosts they are for, and to no other."""
        self._credentials = credentials or {}
        self._is_lasting = is_lasting
        self._known: dict[str, SignedFile] = {}
        self._lock = Lock()

    def indexes(self, addresses: Sequence[str]) -> Mapping[str, SignedFile]:
        """Give signed indexes, fetched at the same time. Raises: MirrorUnreachable."""
        if not self._is_lasting:
            return self._fetched(addresses)
        # Who comes second waits for the first, and then asks nobody.
        with self._lock:
            self._known |= self._fetched([a for a in addresses if a not in self._known])
            return {address: self._known[address] for address in addresses}

    def _fetched(self, addresses: Sequence[str]) -> dict[str, SignedFile]:
        if not addresses:
            return {}
        with ThreadPoolExecutor(max_workers=len(addresses)) as threads:
            return dict(zip(addresses, threads.map(self._index, addresses), strict=True))

    def _index(self, address: str) -> SignedFile:
        content = self.file(address, _LARGEST_INDEX_BYTES)
        if len(content) > _LARGEST_INDEX_BYTES:
            raise MirrorUnreachable(address, f"It is over {size_text(_LARGEST_INDEX_BYTES)} large.")
        return SignedFile(content=content, digest=Digest.of_bytes(content))

    def file(self, address: str, limit_bytes: int) -> bytes:
        """Give a file; of one beyond a limit the beginning, a byte longer than that.

        Raises: MirrorUnreachable.
        """
        # ruff: noqa: PLC0415 - a build that asks no archive starts a twentieth of a second sooner
        from http.client import HTTPException
        from urllib.request import Request, urlopen

        request = Request(address)  # noqa: S310 - http(s) by schema
        credentials = self._credentials.get(urlsplit(address).hostname or "")
        if credentials is not None:
            secret = b64encode(credentials.encode()).decode()
            # Not for where a redirection leads.
            request.add_unredirected_header("Authorization", f"Basic {secret}")
        try:
            with urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 - as above
                content = bytes(answer.read(limit_bytes + 1))
                # Who reads so many bytes and no more is not told that there should be others.
                if len(content) <= limit_bytes and answer.length:
                    raise MirrorUnreachable(address, f"{answer.length} bytes did not arrive.")
        except (OSError, HTTPException) as error:
            reason = str(error) or type(error).__name__
            raise MirrorUnreachable(address, reason) from error
        return content
