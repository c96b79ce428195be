"""Tiny root file systems, recipes of them, and the command that builds them."""

import atexit
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest
import yaml

CHECKOUT = Path(__file__).parents[1]
PROGRAMS = (
    *("sh", "bash", "cat", "ls", "mkdir", "rm", "mv", "cp", "ln", "chmod", "chown", "touch"),
    *("sleep", "find", "env", "id", "mount", "mknod", "seq", "head", "grep", "readlink", "dd"),
    *("stat", "true", "tr", "setsid", "mkfifo", "base64", "rmdir", "mktemp", "iconv"),
    *("tar", "cut"),
)
LONG_SECONDS = 120.0


@functools.cache
def tiny_root() -> Path:
    """Give a root folder of a shell and a few programs of this machine; it is never changed."""
    root = Path(tempfile.mkdtemp(prefix="tiny-root-")) / "root"
    root.mkdir(mode=0o755)
    atexit.register(shutil.rmtree, root.parent)
    for folder in ("usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "etc", "root", "var", "tmp"):
        (root / folder).mkdir(parents=True)
    for link in ("bin", "sbin", "lib", "lib64"):
        (root / link).symlink_to(f"usr/{link}")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/\n")
    (root / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")
    for program in PROGRAMS:
        found = shutil.which(program, path="/usr/bin:/bin:/usr/sbin:/sbin")
        assert found is not None, f"{program} is not on this machine"
        shutil.copy(Path(found).resolve(), root / "usr/bin" / program)
        _copy_libraries(found, root)
    return root


def _copy_libraries(program: str, root: Path) -> None:
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    for word in listed.split():
        if word.startswith("/"):
            # /lib is /usr/lib on every system that is built upon.
            target = root / word.lstrip("/")
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(word, target)


@functools.cache
def tiny_archive() -> Path:
    """Give the tiny root as a tar file."""
    return _archived(tiny_root())


@functools.cache
def python_archive() -> Path:
    """Give a tar file of the tiny root with the Python that runs us, as /usr/bin/python3."""
    root = tiny_root().with_name("python-root")
    shutil.copytree(tiny_root(), root, symlinks=True)
    program = Path(sys.base_prefix).resolve() / f"bin/python3.{sys.version_info.minor}"
    library = Path(sysconfig.get_path("stdlib")).resolve()
    inside = root / str(program).lstrip("/")
    inside.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(program, inside)
    left_out = ("test", "idlelib", "site-packages", "ensurepip", "lib2to3", "config-*", "*.a")
    shutil.copytree(
        library,
        root / str(library).lstrip("/"),
        ignore=shutil.ignore_patterns(*left_out, "__pycache__"),
        dirs_exist_ok=True,
    )
    for binary in (program, *library.glob("lib-dynload/*.so")):
        _copy_libraries(str(binary), root)
    (root / "usr/bin/python3").symlink_to(program)
    return _archived(root)


def _archived(root: Path) -> Path:
    archive = root.with_suffix(".tar")
    with tarfile.open(archive, "w") as opened:
        opened.add(root, ".", filter=_of_root)
    return archive


def _of_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


class Workbench:
    """A folder with recipes and components, a state folder, and the command."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.environment: dict[str, str] = {}

    def component(self, name: str, *commands: str, text: str = "", **more: object) -> None:
        """Write a component whose only build step runs commands, or one with that text."""
        step = {"name": "Do", "action": "ExecuteBash", "inputs": {"commands": list(commands)}}
        timeout = more.pop("timeoutSeconds", None)
        if timeout is not None:
            step["timeoutSeconds"] = timeout  # type: ignore[assignment]
        document = {
            "name": name,
            "schemaVersion": 1.0,
            "version": "1.0.0",
            "phases": [{"name": "build", "steps": [step]}],
            **more,
        }
        path = self.folder / "components" / name / "component.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text or yaml.safe_dump(document, sort_keys=False))

    def recipe(self, *components: str, name: str = "tiny", **more: object) -> Path:
        """Write a recipe of components; its parent is the tiny root and its artifact a tar file."""
        document = {
            "kind": "Recipe",
            "name": name,
            "version": "1.0.x",
            "parent": f"rootfs:{tiny_archive()}",
            "components": list(components),
            "artifacts": ["tar"],
            **more,
        }
        path = self.folder / "recipes" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        return path

    def run(self, *arguments: object) -> "subprocess.CompletedProcess[str]":
        """Run the command to its end."""
        return subprocess.run(
            self._argv(arguments),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
            env=self._environment(),
            cwd=self.folder,
        )

    def build(self, recipe: Path, *options: str) -> "Built":
        """Build a recipe, which has to go well."""
        done = self.run("build", recipe, "--json", *options)
        assert done.returncode == 0, done.stderr[-4000:]
        answer = json.loads(done.stdout)
        return Built(answer=answer, log=done.stderr)

    def refused(self, recipe: Path, *options: str) -> "Refusal":
        """Build a recipe, which has to be refused."""
        done = self.run("build", recipe, "--json", *options)
        assert done.returncode != 0, done.stdout
        assert "Traceback" not in done.stderr, done.stderr
        error = json.loads(done.stderr.splitlines()[-1])["error"]
        return Refusal(status=done.returncode, error=error)

    def begin(self, *arguments: object) -> "subprocess.Popen[str]":
        """Start the command and leave it running."""
        return subprocess.Popen(
            self._argv(arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self._environment(),
            cwd=self.folder,
            start_new_session=True,
        )

    def runs(self) -> list[dict[str, object]]:
        """Give the recorded runs, newest first."""
        done = self.run("run", "list", "--json")
        assert done.returncode == 0, done.stderr
        listed = json.loads(done.stdout)
        return list(listed["runs"] if isinstance(listed, dict) else listed)

    def logs(self) -> str:
        """Give what all steps of all runs have printed so far."""
        found = sorted((self.home / "runs").glob("*/*.log"))
        return "".join(path.read_text(errors="replace") for path in found)

    def artifact_of(self, built: "Built") -> Path:
        """Give the tar file of the version that a build made."""
        done = self.run("image", "show", built.answer["version"], "--json")
        assert done.returncode == 0, done.stderr
        digest = json.loads(done.stdout)["artifacts"][0]["digest"].removeprefix("sha256:")
        (found,) = [
            p for p in _files(self.home / "blobs") if digest.endswith(p.name) or digest in p.name
        ]
        return found

    def artifact(self) -> Path:
        """Give the only blob there is that is a tar file."""
        (found,) = [p for p in _files(self.home / "blobs") if tarfile.is_tarfile(p)]
        return found

    def _argv(self, arguments: Iterable[object]) -> list[str]:
        return [sys.executable, "-m", "imagebuilder", *map(str, arguments)]

    def _environment(self) -> Mapping[str, str]:
        plain = {k: v for k, v in os.environ.items() if not k.startswith("IMAGEBUILDER_")}
        ours = {"IMAGEBUILDER_HOME": str(self.home), "PYTHONPATH": str(CHECKOUT)}
        return {**plain, **ours, **self.environment}


class Built:
    """How a build ended that went well."""

    def __init__(self, *, answer: dict[str, object], log: str) -> None:
        self.answer = answer
        self.log = log

    @property
    def layers(self) -> list[str]:
        """The layers that were made now."""
        listed = self.answer["built_layers"]
        assert isinstance(listed, list)
        return listed


class Refusal:
    """How a build ended that did not."""

    def __init__(self, *, status: int, error: dict[str, str]) -> None:
        self.status = status
        self.code = error["code"]
        self.message = error["message"]
        self.context = error["context"]
        self.hint = error["hint"]

    def __repr__(self) -> str:
        return f"{self.status} {self.code}: {self.message}\n{self.context}\n{self.hint}"


def left_behind(home: Path) -> list[str]:
    """Give the working folders and unfinished files that are in a state folder."""
    found = [p for part in ("work", "layers/incoming") for p in (home / part).glob("*")]
    found += [path for path in _files(home / "blobs") if path.name.startswith(".")]
    return [str(path) for path in found]


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def wait_until(is_so: Callable[[], bool], what: str = "it", seconds: float = LONG_SECONDS) -> None:
    """Wait for a condition, with a limit."""
    pause = threading.Event()
    for _ in range(round(seconds / 0.02)):
        if is_so():
            return
        pause.wait(0.02)
    pytest.fail(f"{what} did not come true within {seconds} s")


def traces(*marks: str) -> list[str]:
    """Give the processes and mounts that name one of the marks, our own aside."""
    ours = {str(os.getpid()), str(os.getppid())}
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        if folder.name in ours:
            continue
        for name in ("cmdline", "environ", "mounts"):
            try:
                text = (folder / name).read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            lines = text.splitlines() if name == "mounts" else [text]
            found += [
                f"{folder.name} {name}: {line[:200]}"
                for line in lines
                if any(mark in line for mark in marks)
            ]
    return found


def kill(process: "subprocess.Popen[str]", number: signal.Signals = signal.SIGKILL) -> int:
    """Send a process a signal, as its terminal would, and give its exit status."""
    process.send_signal(number)
    process.communicate(timeout=LONG_SECONDS)
    return process.returncode
