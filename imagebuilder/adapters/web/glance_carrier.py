"""GlanceCarrier: a version as an image of OpenStack's image service, shared with projects.

Names are not unique there, so that an image of ours is known by a property that holds the
shipment's token.

Source: OpenStack Image service API v2.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from imagebuilder.adapters.web.asking import (
    CONFLICT,
    NOT_FOUND,
    HttpService,
    Reply,
    Request,
)
from imagebuilder.domain.distribution import Placement
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.objection import Objection
from imagebuilder.domain.published import artifact_in, lacking, native_architecture, release_of
from imagebuilder.domain.recipe import ArtifactFormat
from imagebuilder.domain.target import GlancePlace, Target, TargetSpec, filled
from imagebuilder.domain.units import GIB
from imagebuilder.ports.targets import (
    Drift,
    FormatUnavailable,
    OnBytes,
    Placed,
    PlacingFailed,
    Shipment,
    TargetRefused,
    Usage,
)

_TOKEN = "imagebuilder_token"  # noqa: S105 - the name of a property
_HINT = "Give a token that may do this: openstack token issue, and name it in token as env:NAME."
_NO_DEACTIVATION = (
    "Let the token's role deactivate images (Glance's policy deactivate), or delete it as well."
)
_PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
_JSON = {"Content-Type": "application/json"}
_ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64"}
"""What OpenStack calls those of Debian. Source: glance's metadata definitions, compute-libvirt."""
_KEPT = ("name", "visibility", "os_hash_algo", "os_hash_value")
"""What is compared later, as the service says it."""
_MEMBERS = "members"
_NOTHING = "nothing"
_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """What is uploaded."""

    path: Path
    format: ArtifactFormat


class GlanceCarrier:
    """Brings versions to image services."""

    def __init__(self, secret_of: Callable[[str], bytes]) -> None:
        """Find what a token refers to by secret_of."""
        self._secret_of = secret_of

    def targets(self, spec: TargetSpec) -> Sequence[Target]:
        """Give the one service that an entry names."""
        endpoint = _place(spec).endpoint.rstrip("/")
        parts = urlsplit(endpoint)
        key = f"glance:{parts.netloc}{parts.path}"
        return [Target(key=key, spec=spec, where={"endpoint": endpoint})]

    def hindrances(
        self, target: Target, version: ImageVersion, takers: Sequence[Target] = ()
    ) -> Sequence[Objection]:
        """Give what the version lacks, and whether we are let in. Raises: TargetUnavailable."""
        del takers
        found = list(lacking(version, (ArtifactFormat.RAW,)))
        try:
            self._service(target).good("GET", "v2/images?limit=1")
        except (TargetRefused, PlacingFailed) as error:
            reason = f"{error.message} {error.context}"
            found.append(Objection(reason=reason, remedy=error.hint))
        return found

    def place(self, target: Target, shipment: Shipment, on_bytes: OnBytes) -> Placed:
        """See that the image is there, active, and shared. Raises: as the port."""
        if lacking(shipment.version, (ArtifactFormat.RAW,)):
            formats = (ArtifactFormat.QCOW2,)
            raise FormatUnavailable(target.key, shipment.version.reference, formats)
        place, service = _place(target.spec), self._service(target)
        with _file(shipment) as file:
            image = service.found(shipment.token)
            if image is not None and image["status"] not in {"active", "queued"}:
                # What was cut off in the middle of its upload takes no other.
                service.good("DELETE", f"v2/images/{image['id']}")
                image = None
            if image is None:
                image = service.json("POST", "v2/images", _told(place, shipment, file))
            path = f"v2/images/{image['id']}"
            if image["status"] == "queued":
                _upload(service, f"{path}/file", file.path, on_bytes)
                image = service.json("GET", path)
            traits = {name: str(image.get(name, "")) for name in _KEPT}
            placed = Placed(
                external_id=image["id"], traits={**traits, _MEMBERS: " ".join(place.members)}
            )
            shipment.on_made(placed)
            _refuse_other(target, image, file.path)
        for member in place.members:
            service.share(path, member)
        return placed

    def drifts(
        self, target: Target, placement: Placement, takers: Sequence[Target] = ()
    ) -> Sequence[Drift]:
        """Give what is gone, hidden, renamed or not shared any more. Raises: as the port."""
        del takers
        service, path = self._service(target), f"v2/images/{placement.external_id}"
        image = service.image(path)
        if image is None:
            return [Drift(what="image", wanted=placement.external_id, found=_NOTHING)]
        wanted = {name: placement.traits[name] for name in _KEPT if name in placement.traits}
        wanted |= {"status": "active", "os_hidden": "False"}
        drifts = [
            Drift(what=name, wanted=value, found=str(image.get(name, _NOTHING)))
            for name, value in wanted.items()
            if str(image.get(name, _NOTHING)) != value
        ]
        members = set(placement.traits.get(_MEMBERS, "").split())
        shared = service.members(path) if members else set()
        return [
            *drifts,
            *(
                Drift(what="share", wanted=member, found=_NOTHING)
                for member in sorted(members - shared)
            ),
        ]

    def usages(self, target: Target, placement: Placement) -> Sequence[Usage]:
        """Give nothing: the image service does not know of machines."""
        del target, placement
        return []

    def withdraw(self, target: Target, placement: Placement, *, delete: bool) -> None:
        """Hide the image, share it with nobody, and let nobody load it; delete it if asked.

        Raises: TargetUnavailable; TargetRefused.
        """
        service, path = self._service(target), f"v2/images/{placement.external_id}"
        if service.image(path) is None:
            return
        if delete:
            service.gone(path)
            return
        change = [{"op": "replace", "path": "/os_hidden", "value": True}]
        service.good("PATCH", path, change, _PATCH)
        for member in placement.traits.get(_MEMBERS, "").split():
            service.gone(f"{path}/members/{member}")
        service.good("POST", f"{path}/actions/deactivate", hint=_NO_DEACTIVATION)

    def _service(self, target: Target) -> "_Service":
        place = _place(target.spec)
        token = self._secret_of(place.token).decode() if place.token else ""
        return _Service(HttpService(target.key, place.endpoint, _HINT), token)


class _Service:
    """The API of an image service."""

    def __init__(self, http: HttpService, token: str) -> None:
        self._http = http
        self._headers = {"X-Auth-Token": token} if token else {}

    def asked(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[Request, Reply]:
        request = Request(
            method=method, path=path, body=body, headers={**(headers or {}), **self._headers}
        )
        return request, self._http.ask(request)

    def good(
        self,
        method: str,
        path: str,
        content: Any = None,  # noqa: ANN401 - what JSON can write
        headers: Mapping[str, str] = _JSON,
        *,
        hint: str = "",
    ) -> Reply:
        """Give a reply that is good. Raises: as the port."""
        body = None if content is None else json.dumps(content).encode()
        request, reply = self.asked(method, path, body, headers)
        return self._http.required(request, reply, hint)

    def put(self, path: str, body: Iterable[bytes], headers: Mapping[str, str]) -> None:
        """Upload something. Raises: as the port."""
        request, reply = self.asked("PUT", path, body, headers)
        self._http.required(request, reply)

    def json(self, method: str, path: str, content: Any = None) -> dict[str, Any]:  # noqa: ANN401 - as above
        """Give the image that is answered. Raises: as the port."""
        told = self.good(method, path, content).json()
        if not _is_image(told):
            raise PlacingFailed(self._http.place, f"{method} {path}", "It answers with no image.")
        image: dict[str, Any] = told
        return image

    def image(self, path: str) -> dict[str, Any] | None:
        """Give an image, None when there is none. Raises: as the port."""
        request, reply = self.asked("GET", path)
        if reply.status == NOT_FOUND:
            return None
        told = self._http.required(request, reply).json()
        return told if isinstance(told, dict) else {}

    def found(self, token: str) -> dict[str, Any] | None:
        """Give the image that a shipment was begun as. Raises: as the port."""
        images = self._listed(f"v2/images?{urlencode({_TOKEN: token})}", "images")
        # A service that does not know the property as a filter lists others too.
        ours = (image for image in images if _is_image(image) and image.get(_TOKEN) == token)
        return next(ours, None)

    def share(self, path: str, member: str) -> None:
        """See that a project may use an image. Raises: as the port."""
        body = json.dumps({"member": member}).encode()
        request, reply = self.asked("POST", f"{path}/members", body, _JSON)
        if reply.status != CONFLICT:
            self._http.required(request, reply)

    def members(self, path: str) -> set[str]:
        """Give the projects that an image is shared with. Raises: as the port."""
        return {str(each.get("member_id")) for each in self._listed(f"{path}/members", "members")}

    def _listed(self, path: str, key: str) -> Sequence[dict[str, Any]]:
        """Give what a list holds; nothing of what is none. Raises: as the port."""
        told = self.good("GET", path).json()
        listed = told.get(key) if isinstance(told, dict) else None
        return (
            [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
        )

    def gone(self, path: str) -> None:
        """See that something is not there. Raises: as the port."""
        request, reply = self.asked("DELETE", path)
        if reply.status != NOT_FOUND:
            self._http.required(request, reply)


def _is_image(told: object) -> bool:
    return isinstance(told, dict) and all(isinstance(told.get(k), str) for k in ("id", "status"))


def _upload(service: _Service, path: str, file: Path, on_bytes: OnBytes) -> None:
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Length": str(file.stat().st_size),
    }

    def pieces() -> Iterator[bytes]:
        with file.open("rb") as opened:
            while piece := opened.read(_PIECE_BYTES):
                yield piece
                on_bytes(len(piece))

    service.put(path, pieces(), headers)


def _told(place: GlancePlace, shipment: Shipment, file: _File) -> dict[str, Any]:
    """Give what an image is created with. Units: min_disk in GiB."""
    version = shipment.version
    distribution, _, release = release_of(version).partition(":")
    architecture = native_architecture(version)
    disk_bytes = max(a.virtual_size_bytes for a in version.artifacts)
    return {
        "name": filled(place.name, shipment.words),
        "disk_format": file.format,
        "container_format": "bare",
        "visibility": "shared" if place.members else "private",
        "min_disk": -(-disk_bytes // GIB),
        "architecture": _ARCHITECTURES.get(architecture, architecture),
        "os_distro": distribution,
        "os_version": release,
        "imagebuilder_version": version.reference,
        _TOKEN: shipment.token,
    }


@contextmanager
def _file(shipment: Shipment) -> Iterator[_File]:
    qcow2 = artifact_in(shipment.version, ArtifactFormat.QCOW2)
    with ExitStack() as opened:
        if qcow2 is not None:
            path, format_ = shipment.file(qcow2), ArtifactFormat.QCOW2
        else:
            path, format_ = opened.enter_context(shipment.disk()), ArtifactFormat.RAW
        yield _File(path=Path(path), format=format_)


def _refuse_other(target: Target, image: Mapping[str, Any], file: Path) -> None:
    """Let an image pass that is active and holds the file. Raises: PlacingFailed."""
    status, algorithm = image.get("status"), str(image.get("os_hash_algo", ""))
    if status != "active":
        raise PlacingFailed(target.key, f"image {image['id']}", f"Its status is {status}.")
    try:
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, algorithm).hexdigest()
    except (TypeError, ValueError) as error:  # some hashes have no length of their own
        reason = f"It tells no hash that is known here: {algorithm!r}."
        raise PlacingFailed(target.key, f"image {image['id']}", reason) from error
    if digest != image.get("os_hash_value"):
        reason = f"Its {algorithm} is {image.get('os_hash_value')}, that of the file {digest}."
        hint = f"Delete the image {image['id']} there, then do this again."
        raise PlacingFailed(target.key, f"image {image['id']}", reason, hint)


def _place(spec: TargetSpec) -> GlancePlace:
    if not isinstance(spec.place, GlancePlace):
        raise TypeError(f"{type(spec.place).__name__} is no image service")
    return spec.place
