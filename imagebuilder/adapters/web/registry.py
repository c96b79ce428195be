"""Registry: content of a repository of an OCI registry, asked for by its digest.

Source: OCI distribution specification 1.1.0; Docker's "Token Authentication Specification".
"""

import hashlib
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlencode, urlsplit

from imagebuilder.adapters.web.asking import NOT_FOUND, UNAUTHORIZED, HttpService, Reply, Request
from imagebuilder.domain.digest import Digest, DigestMismatch
from imagebuilder.domain.target import TargetUnavailable
from imagebuilder.formats.oci import INDEX_TYPE, MANIFEST_TYPE, Descriptor
from imagebuilder.ports.targets import PlacingFailed, TargetRefused

CHUNK_BYTES = 8 << 20
_ATTEMPTS = 5
_OK = 200
_PIECE_BYTES = 1 << 20
_LONGEST_ERROR_BYTES = 1000
_NUMBER = re.compile(r"[0-9]{1,18}")
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_HINT = (
    "Name an account that may do this in credentials, as env:NAME or file:PATH of user:password."
)
_NO_DELETION = (
    "Registries delete nothing unless they are told to (storage.delete.enabled of docker-registry);"
    " allow it, or delete it there by hand."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Bytes to be kept by a registry. `journal` is where it is kept how far they came."""

    digest: Digest
    size_bytes: int
    file: Path
    journal: Path


class Registry:
    """Speaks with one repository of a registry."""

    def __init__(
        self,
        repository: str,
        *,
        is_plain_http: bool,
        credentials: Callable[[], bytes] | None,
        again: str = "",
    ) -> None:
        """Ask for host/name; credentials give user:password, each time they are needed.

        Errors say what is to be done again, if it is no distribution.
        """
        host, _, self._name = repository.partition("/")
        scheme = "http" if is_plain_http else "https"
        self._is_plain = is_plain_http
        self._credentials = credentials
        self._authorization = ""
        self.service = HttpService(f"oci:{repository}", f"{scheme}://{host}", _HINT, again=again)

    def check(self) -> None:
        """Do nothing when we are let in. Raises: TargetUnavailable; TargetRefused."""
        self._good(Request(method="GET", path="/v2/"))

    def manifest(self, reference: str) -> bytes | None:
        """Give a manifest or index by its tag or digest, None when there is none.

        Raises: TargetUnavailable; TargetRefused; DigestMismatch: it is another one.
        """
        path = self._path(f"manifests/{reference}")
        request = Request(
            method="GET", path=path, headers={"Accept": f"{MANIFEST_TYPE}, {INDEX_TYPE}"}
        )
        reply = self._asked(request)
        if reply.status == NOT_FOUND:
            return None
        body = self.service.required(request, reply).body
        if ":" in reference:
            self._refuse_other(reference, Digest.of_bytes(body), Digest.parse(reference))
        return body

    def push_manifest(self, reference: str, content: bytes, media_type: str) -> Reply:
        """See that a manifest is kept under a tag or its digest, and is what was sent.

        Raises: TargetUnavailable; TargetRefused; PlacingFailed; DigestMismatch.
        """
        request = Request(
            method="PUT",
            path=self._path(f"manifests/{reference}"),
            headers={"Content-Type": media_type},
            body=content,
        )
        reply = self._good(request)
        digest = Digest.of_bytes(content)
        kept = self.manifest(str(digest))
        if kept is None:
            told = f"PUT of manifest {reference}"
            raise PlacingFailed(self.service.place, told, "It does not have it afterwards.")
        return reply

    def delete_manifest(self, digest: Digest) -> None:
        """See that a manifest, and so its tags, are gone. Raises: as the port."""
        request = Request(method="DELETE", path=self._path(f"manifests/{digest}"))
        reply = self._asked(request)
        if reply.status != NOT_FOUND:
            self.service.required(request, reply, _NO_DELETION)

    def size_of(self, digest: Digest) -> int | None:
        """Give how large a blob there is, None when there is none. Raises: as the port."""
        request = Request(method="HEAD", path=self._path(f"blobs/{digest}"))
        reply = self._asked(request)
        if reply.status == NOT_FOUND:
            return None
        self.service.required(request, reply)
        return _number(reply.headers.get("content-length", ""))

    def fetch(self, layer: Descriptor, into: Path, on_bytes: Callable[[int], None]) -> None:
        """Write a blob into a new file, compared with its digest, no further than its size.

        Raises: TargetUnavailable; TargetRefused; PlacingFailed; DigestMismatch.
        """
        digest = layer.digest
        request = Request(method="GET", path=self._path(f"blobs/{digest}"))
        # Who may see it is settled before anything is sent.
        self.size_of(digest)
        found, taken_bytes = hashlib.sha256(), 0
        with self.service.opened(self._signed(request)) as response, into.open("xb") as file:
            if response.status != _OK:
                reply = Reply(status=response.status, body=response.read(_LONGEST_ERROR_BYTES))
                self.service.required(request, reply)
            while taken_bytes <= layer.size_bytes and (chunk := response.read(_PIECE_BYTES)):
                found.update(chunk)
                file.write(chunk)
                taken_bytes += len(chunk)
                on_bytes(len(chunk))
        self._refuse_other(f"blob {digest.short}", Digest(found.hexdigest()), digest)

    def push_bytes(self, content: bytes) -> Digest:
        """See that a few bytes are kept as a blob, and give their digest. Raises: as the port."""
        digest = Digest.of_bytes(content)
        if self.size_of(digest) != len(content):
            self._end(self._begun(), content, digest)
        return digest

    def push_file(self, content: Content, on_bytes: Callable[[int], None]) -> None:
        """See that a file is kept as a blob; one that is there is not sent again.

        What was cut off goes on where it was, as far as the registry remembers it.
        Raises: TargetUnavailable; TargetRefused; PlacingFailed: it says the digest is another.
        """
        if self.size_of(content.digest) == content.size_bytes:
            return
        content.journal.parent.mkdir(parents=True, exist_ok=True)
        location, sent_bytes = self._resumed(content.journal)
        failures = 0
        with content.file.open("rb") as file:
            while sent_bytes < content.size_bytes:
                try:
                    location, count = self._sent(location, file, sent_bytes)
                except TargetUnavailable:
                    failures += 1
                    if failures == _ATTEMPTS:
                        raise
                    location, sent_bytes = self._resumed(content.journal)
                    continue
                # At once: some registries drop an upload that is resumed by an older place.
                content.journal.write_text(location)
                sent_bytes += count
                on_bytes(count)
        self._end(location, b"", content.digest)
        content.journal.unlink(missing_ok=True)

    def _begun(self) -> str:
        request = Request(
            method="POST", path=self._path("blobs/uploads/"), headers={"Content-Length": "0"}
        )
        return self._location(self._good(request), request)

    def _sent(self, location: str, file: BinaryIO, start: int) -> tuple[str, int]:
        """Send a chunk, and give where the next one is to go, and how many bytes it was."""
        file.seek(start)
        chunk = file.read(CHUNK_BYTES)
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Range": f"{start}-{start + len(chunk) - 1}",
        }
        request = Request(method="PATCH", path=location, headers=headers, body=chunk)
        return self._location(self._good(request), request), len(chunk)

    def _end(self, location: str, rest: bytes, digest: Digest) -> None:
        joined = "&" if urlsplit(location).query else "?"
        path = f"{location}{joined}{urlencode({'digest': str(digest)})}"
        headers = {"Content-Type": "application/octet-stream"}
        self._good(Request(method="PUT", path=path, headers=headers, body=rest))
        if self.size_of(digest) is None:
            told = f"PUT of blob {digest.short}"
            raise PlacingFailed(self.service.place, told, "It does not have it afterwards.")

    def _resumed(self, journal: Path) -> tuple[str, int]:
        """Give where an upload goes on, or begins, and from which byte."""
        if journal.exists():
            request = Request(method="GET", path=journal.read_text())
            reply = self._asked(request)
            held = reply.headers.get("range", "").removeprefix("bytes=").partition("-")[2]
            # A range cannot say that nothing is there: of one byte it says 0-0 as well.
            if reply.is_good and _number(held) > 0:
                return self._location(reply, request), _number(held) + 1
        return self._begun(), 0

    def _location(self, reply: Reply, request: Request) -> str:
        location = reply.headers.get("location", "")
        if not location:
            raise PlacingFailed(
                self.service.place, f"{request.method} of a blob", "It names no place to go on."
            )
        return self.service.url(location)

    def _path(self, rest: str) -> str:
        return f"/v2/{self._name}/{rest}"

    def _good(self, request: Request) -> Reply:
        return self.service.required(request, self._asked(request))

    def _asked(self, request: Request) -> Reply:
        """Ask, and ask again as somebody when the registry wants to know who we are."""
        reply = self.service.ask(self._signed(request))
        # Whom it led us to may not say where our password is to go.
        is_asked = reply.status == UNAUTHORIZED and reply.is_own
        if is_asked and self._is_let_in(reply.headers):
            return self.service.ask(self._signed(request))
        return reply

    def _signed(self, request: Request) -> Request:
        if not self._authorization or not self.service.is_own(self.service.url(request.path)):
            return request
        headers: Mapping[str, str] = {**request.headers, "Authorization": self._authorization}
        return replace(request, headers=headers)

    def _is_let_in(self, headers: Mapping[str, str]) -> bool:
        """Get what is asked for to be let in; False when we have nothing to show."""
        scheme, _, rest = headers.get("www-authenticate", "").partition(" ")
        basic = ""
        if self._credentials is not None:
            basic = f"Basic {b64encode(self._credentials()).decode()}"
        if scheme.lower() == "basic":
            self._authorization = basic
            return bool(basic)
        if scheme.lower() == "bearer":
            self._authorization = f"Bearer {self._token(dict(_PARAMETER.findall(rest)), basic)}"
            return True
        return False

    def _token(self, asked: Mapping[str, str], basic: str) -> str:
        realm = self.service.url(asked.get("realm", ""))
        if urlsplit(realm).scheme != "https" and not self._is_plain:
            raise TargetRefused(
                self.service.place, "to let us in", f"It sends us to {realm}, without HTTPS.", _HINT
            )
        words = {name: asked[name] for name in ("service", "scope") if name in asked}
        request = Request(
            method="GET",
            path=f"{realm}?{urlencode(words)}",
            headers={"Authorization": basic} if basic else {},
        )
        told = self.service.required(request, self.service.ask(request)).json()
        token = told.get("token") or told.get("access_token") if isinstance(told, dict) else None
        if not isinstance(token, str):
            raise TargetRefused(self.service.place, "to let us in", "It gives no token.", _HINT)
        return token

    def _refuse_other(self, what: str, found: Digest, expected: Digest) -> None:
        if found != expected:
            hint = "Trust that registry not, or the way to it."
            raise DigestMismatch(
                f"{what} of {self.service.place}", expected=expected, found=found, hint=hint
            )


def _number(text: str) -> int:
    """Give what a header says, nothing when it is no number."""
    return int(text) if _NUMBER.fullmatch(text) else 0
