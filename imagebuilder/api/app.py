"""The WSGI application: three paths, JSON, and nothing that waits for anybody.

Source: PEP 3333.
"""

import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from imagebuilder.api.errors import BodyTooLarge, MethodUnfit, PathUnknown, status_of
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.domain.hook import LARGEST_BODY_BYTES, HookCall
from imagebuilder.domain.run import Run

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

    from imagebuilder.bootstrap import Application

_LOG = logging.getLogger(__name__)
_JSON = "application/json"
_HOOKS = "/hooks/"
_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """What is behind the door.

    `check` raises what is wrong; `metrics` gives a page and its content type.
    """

    admit: Callable[[HookCall], Sequence[Run]]
    metrics: Callable[[], tuple[bytes, str]]
    check: Callable[[], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    status: int
    body: bytes
    content_type: str = _JSON
    allowed: str = ""


def door_of(application: "Application") -> "HttpDoor":
    """Give the door that leads to a catalogue's services."""
    return HttpDoor(
        Inside(
            admit=application.admitting.admit,
            metrics=application.metrics.page,
            check=lambda: application.runs.newest(1),
        )
    )


class HttpDoor:
    """The application."""

    def __init__(self, inside: Inside) -> None:
        """Lead to what is inside."""
        self._inside = inside

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer a request, whatever happens."""
        path = str(environ.get("PATH_INFO", "")).encode("latin-1").decode(errors="replace")
        method = str(environ["REQUEST_METHOD"])
        answer = self._answered(path, method, environ)
        _LOG.info("%s %r %d", method, path[:200], answer.status)
        headers = [
            ("Content-Type", answer.content_type),
            ("Content-Length", str(len(answer.body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ]
        headers += [("Allow", answer.allowed)] if answer.allowed else []
        start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", headers)
        return [b"" if method == "HEAD" else answer.body]

    def _answered(self, path: str, method: str, environ: "WSGIEnvironment") -> _Answer:
        try:
            return self._routed(path, method, environ)
        except ImageBuilderError as error:
            status = status_of(error)
            if status >= _SERVER_ERROR:
                _LOG.warning("%s: %s %s", error.code, error.message, error.context)
            allowed = error.allowed if isinstance(error, MethodUnfit) else ""
            told = {"code": error.code, "message": error.message}
            told |= {"context": error.context, "hint": error.hint}
            return _Answer(status=status, body=_json({"error": told}), allowed=allowed)
        except Exception:  # noqa: BLE001 - whoever asked gets an answer, and the log the rest
            _LOG.exception("a fault of our own")
            told = {
                "code": "unexpected",
                "message": "imagebuilder itself failed; this is not your fault.",
                "context": "",
                "hint": "Look into the log of this server.",
            }
            return _Answer(status=_SERVER_ERROR, body=_json({"error": told}))

    def _routed(self, path: str, method: str, environ: "WSGIEnvironment") -> _Answer:
        if path == "/healthz":
            _require(path, method, "GET", "HEAD")
            self._inside.check()
            return _Answer(status=HTTPStatus.OK, body=_json({"status": "ok"}))
        if path == "/metrics":
            _require(path, method, "GET", "HEAD")
            page, content_type = self._inside.metrics()
            return _Answer(status=HTTPStatus.OK, body=page, content_type=content_type)
        pipeline = path.removeprefix(_HOOKS)
        if path.startswith(_HOOKS) and pipeline and "/" not in pipeline:
            _require(path, method, "POST")
            runs = self._inside.admit(_call(unquote(pipeline), environ))
            return _Answer(
                status=HTTPStatus.ACCEPTED if runs else HTTPStatus.OK,
                body=_json({"runs": [_run(run) for run in runs]}),
            )
        raise PathUnknown(path)


def _require(path: str, method: str, *allowed: str) -> None:
    if method not in allowed:
        raise MethodUnfit(path, method, ", ".join(allowed))


def _call(pipeline: str, environ: "WSGIEnvironment") -> HookCall:
    return HookCall(
        pipeline=pipeline,
        body=_body(environ),
        signature=str(environ.get("HTTP_IMAGEBUILDER_SIGNATURE", "")),
        body_signature=str(environ.get("HTTP_X_HUB_SIGNATURE_256", "")),
        event=str(environ.get("HTTP_X_GITHUB_EVENT", "")),
    )


def _body(environ: "WSGIEnvironment") -> bytes:
    length = str(environ.get("CONTENT_LENGTH") or "0")
    if not length.isdecimal() or int(length) > LARGEST_BODY_BYTES:
        raise BodyTooLarge
    body: bytes = environ["wsgi.input"].read(int(length))
    return body


def _run(run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "image": run.image,
        "state": run.state.value,
        "variant": run.order.variant if run.order else "",
    }


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"
