"""Image services of OpenStack on loopback: one in memory, and a real Glance.

The one in memory refuses what the real one refuses; the same tests hold for both.
"""

import hashlib
import json
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import urllib3

from tests.listeners import free_port
from tests.roots import CHECKOUT, wait_until

OWNER, CONSUMER, POWERLESS = "good", "consumer", "powerless"
"""Tokens: of who owns images and may do all, of another project, and of who may deactivate none."""
PROJECTS = {OWNER: "p1", CONSUMER: "p2", POWERLESS: "p1"}
_VENV = CHECKOUT / ".cache/glance"

_SERVE = """\
import os, sys
sys.argv = ["glance-api"]
os.environ["OS_GLANCE_CONFIG_DIR"] = sys.path[0]
from cheroot.wsgi import Server
from glance.wsgi.api import application
WHO = {"good": ("p1", "admin,member,reader"), "consumer": ("p2", "member,reader"),
       "powerless": ("p1", "reader,member")}
def front(environ, start):
    who = WHO.get(environ.pop("HTTP_X_AUTH_TOKEN", ""))
    if who is None:
        start("401 Unauthorized", [("Content-Length", "0")])
        return []
    environ.update(HTTP_X_IDENTITY_STATUS="Confirmed", HTTP_X_PROJECT_ID=who[0],
                   HTTP_X_TENANT_ID=who[0], HTTP_X_USER_ID="u", HTTP_X_ROLES=who[1])
    return application(environ, start)
Server(("127.0.0.1", int(os.environ["PORT"])), front, numthreads=4).start()
"""
_SETTINGS = """\
[DEFAULT]
enabled_backends = file:file
log_file = {folder}/log
[database]
connection = sqlite:///{folder}/db
[glance_store]
default_backend = file
[file]
filesystem_store_datadir = {folder}/images
[os_glance_staging_store]
filesystem_store_datadir = {folder}/staging
[os_glance_tasks_store]
filesystem_store_datadir = {folder}/tasks
[paste_deploy]
config_file = {folder}/paste.ini
[oslo_policy]
policy_file = {folder}/policy.yaml
"""
_POLICY = '"deactivate": "role:admin"\n'
"""By default the members of a project may do it too; many services are stricter."""
_PASTE = """\
[pipeline:glance-api]
pipeline = versionnegotiation context rootapp
[composite:rootapp]
paste.composite_factory = glance.api:root_app_factory
/: apiversions
/v2: apiv2app
[app:apiversions]
paste.app_factory = glance.api.versions:create_resource
[app:apiv2app]
paste.app_factory = glance.api.v2.router:API.factory
[filter:versionnegotiation]
paste.filter_factory = glance.api.middleware.version_negotiation:VersionNegotiationFilter.factory
[filter:context]
paste.filter_factory = glance.api.middleware.context:ContextMiddleware.factory
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """A service that answers at an address."""

    url: str

    def ask(self, token: str, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        """Give how it answers whoever has a token."""
        headers = {"X-Auth-Token": token, "Content-Type": "application/json"}
        if method == "PATCH":
            headers["Content-Type"] = "application/openstack-images-v2.1-json-patch"
        content = None if body is None else json.dumps(body).encode()
        url = f"{self.url}/v2/{path}"
        answer = urllib3.request(method, url, body=content, headers=headers, retries=False)
        return answer.status, answer.data

    def images(self) -> list[dict[str, Any]]:
        """Give all images that are not hidden, as their owner sees them."""
        found: list[dict[str, Any]] = json.loads(self.ask(OWNER, "GET", "images")[1])["images"]
        return found


@contextmanager
def real_glance(folder: Path) -> Iterator[Glance]:
    """Give a real Glance, installed the first time, which takes a minute or two."""
    python = _VENV / "bin/python"
    if not (_VENV / "bin/glance-manage").exists():
        subprocess.run([sys.executable, "-m", "venv", _VENV], check=True, timeout=120)
        wanted = ["glance==33.0.0", "cheroot"]
        argv = [str(python), "-m", "pip", "install", "--quiet", *wanted]
        subprocess.run(argv, check=True, timeout=600)
    (folder / "glance-api.conf").write_text(_SETTINGS.format(folder=folder))
    (folder / "paste.ini").write_text(_PASTE)
    (folder / "policy.yaml").write_text(_POLICY)
    (folder / "serve.py").write_text(_SERVE)
    for name in ("images", "staging", "tasks"):
        (folder / name).mkdir()
    settings = str(folder / "glance-api.conf")
    sync = [str(_VENV / "bin/glance-manage"), "--config-file", settings, "db_sync"]
    subprocess.run(sync, check=True, timeout=120, capture_output=True)
    port = free_port()
    environment = {"PORT": str(port), "PATH": "/usr/bin:/bin"}
    with (folder / "out").open("wb") as out:
        argv = [str(python), str(folder / "serve.py")]
        process = subprocess.Popen(argv, env=environment, stdout=out, stderr=out)
    glance = Glance(url=f"http://127.0.0.1:{port}")
    try:
        wait_until(lambda: _answers(glance), "Glance", 60.0)
        yield glance
    finally:
        process.terminate()
        process.wait(timeout=20)


def _answers(glance: Glance) -> bool:
    try:
        return glance.ask(OWNER, "GET", "images")[0] == 200
    except urllib3.exceptions.HTTPError:
        return False


@contextmanager
def fake_glance() -> Iterator[Glance]:
    """Give a service in memory."""
    with _Service() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield Glance(url=f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
            thread.join()


@dataclass(slots=True)
class _Image:
    told: dict[str, Any]
    owner: str
    members: set[str] = field(default_factory=set)
    content: bytes = b""


class _Service(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Asked)
        self.images: dict[str, _Image] = {}


class _Asked(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Service

    def log_message(self, *_: object) -> None:
        """Stay silent."""

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - the library's names

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        project = PROJECTS.get(self.headers.get("X-Auth-Token", ""))
        status, told = (401, {}) if project is None else self._told(project, body)
        content = told if isinstance(told, bytes) else json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _told(self, project: str, body: bytes) -> tuple[int, Any]:  # noqa: C901, PLR0911 - a table
        parts = urlsplit(self.path)
        words = parts.path.removeprefix("/v2/images").strip("/").split("/")
        if words == [""]:
            return self._all(project, body, dict(parse_qsl(parts.query)))
        image = self.server.images.get(words[0])
        if image is None or project not in {image.owner, *image.members}:
            return 404, {}
        if project != image.owner and self.command != "GET":
            return 403, {}
        match (self.command, words[1:]):
            case ("GET", []):
                return 200, image.told
            case ("DELETE", []):
                del self.server.images[words[0]]
                return 204, b""
            case ("PATCH", []):
                return self._patched(image, body)
            case (_, ["file"]):
                return self._file(image, body)
            case ("POST", ["actions", "deactivate"]):
                if self.headers["X-Auth-Token"] == POWERLESS:
                    return 403, {}
                image.told["status"] = "deactivated"
                return 204, b""
            case (_, ["members", *rest]):
                return self._members(image, body, rest)
        return 405, {}

    def _all(self, project: str, body: bytes, asked: dict[str, str]) -> tuple[int, Any]:
        if self.command == "POST":
            fixed = {"id": str(uuid.uuid4()), "status": "queued", "os_hidden": False}
            told = {**json.loads(body), **fixed}
            self.server.images[told["id"]] = _Image(told=told, owner=project)
            return 201, told
        asked.pop("limit", None)
        found = [
            image.told
            for image in self.server.images.values()
            if image.owner == project
            and not image.told["os_hidden"]
            and all(image.told.get(name) == value for name, value in asked.items())
        ]
        return 200, {"images": found}

    def _patched(self, image: _Image, body: bytes) -> tuple[int, Any]:
        if not self.headers["Content-Type"].startswith("application/openstack-images-v2"):
            return 415, {}
        for change in json.loads(body):
            image.told[change["path"].strip("/")] = change["value"]
        return 200, image.told

    def _file(self, image: _Image, body: bytes) -> tuple[int, Any]:
        if self.command == "GET":
            return (200, image.content) if image.told["status"] == "active" else (403, {})
        if image.told["status"] != "queued":
            return 409, {}
        if (image.told["disk_format"] == "qcow2") is not body.startswith(b"QFI"):
            return 415, {}
        image.content = body
        hashed = {"os_hash_algo": "sha512", "os_hash_value": hashlib.sha512(body).hexdigest()}
        image.told |= {"status": "active", **hashed}
        return 204, b""

    def _members(self, image: _Image, body: bytes, rest: list[str]) -> tuple[int, Any]:
        if self.command == "GET":
            return 200, {"members": [{"member_id": name} for name in sorted(image.members)]}
        if self.command == "DELETE":
            is_there = rest[0] in image.members
            image.members.discard(rest[0])
            return (204 if is_there else 404), b""
        member = json.loads(body)["member"]
        if image.told.get("visibility") != "shared":
            return 403, {}
        if member in image.members:
            return 409, {}
        image.members.add(member)
        return 200, {}
