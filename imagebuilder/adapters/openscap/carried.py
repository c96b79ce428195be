"""The engine carried into an image that runs: it needs nothing of it but a shell and tar.

What it says there is what the image lets it see: root inside could change its answer.
"""

import re
import tarfile
from io import BytesIO
from pathlib import Path

from imagebuilder.adapters.openscap.walls import apt_settings
from imagebuilder.ports.process import Command, CommandRunner

_PROGRAM = Path("/usr/bin/oscap")
_FOLDER = "/run/imagebuilder-scan"
"""Inside; a file system in memory that is gone with the boot."""
_PLATFORMS = Path("/usr/share/openscap/cpe")
_LIBRARY = re.compile(r"(?:^|\s)(/\S+)\s+\(0x")
"""Source: ldd(1): NAME => PATH (ADDRESS), and the loader as PATH (ADDRESS)."""
_LOADER = re.compile(r"ld-linux[^/]*$")

# Reads itself, the content and what is asked of it from standard input; gives the result there, and
# what it says by the way beside it. --skip-valid: the schemas are as large as the rest, and the
# content was read when it was added.
_SCRIPT = """\
set -eu
rm -rf {folder}
mkdir {folder}
trap 'rm -rf {folder}' EXIT
cd {folder}
tar -x
status=0
APT_CONFIG={folder}/apt.conf OSCAP_CPE_PATH={folder}/cpe \\
  ./lib/loader --library-path ./lib ./oscap xccdf eval --skip-valid \\
  {arguments} >&2 || status=$?
cat arf.xml
exit "$status"
"""


def pack_engine(commands: CommandRunner, content: Path, tailoring: bytes | None, to: Path) -> None:
    """Leave an archive of the engine, all that it loads, and what it judges by, in a file.

    Raises: ProgramMissing; CommandFailed.
    """
    loads = commands.check(Command(argv=["ldd", str(_PROGRAM)], timeout_seconds=60))
    libraries = map(Path, _LIBRARY.findall(loads.stdout.decode()))
    with tarfile.open(to, "w") as archive:
        _add(archive, _PROGRAM.resolve(), "oscap")
        for library in libraries:
            name = "loader" if _LOADER.search(library.name) else library.name
            _add(archive, library.resolve(), f"lib/{name}")
        for platforms in sorted(_PLATFORMS.glob("*.xml")):
            _add(archive, platforms.resolve(), f"cpe/{platforms.name}")
        _add(archive, content.resolve(), "content.xml")
        _write(archive, "apt.conf", apt_settings(_FOLDER).encode())
        if tailoring is not None:
            _write(archive, "tailoring.xml", tailoring)


def carried_scan(arguments: list[str]) -> str:
    """Give the script that unpacks an archive in an image, judges it, and clears up."""
    return _SCRIPT.format(folder=_FOLDER, arguments=" ".join(arguments))


def _add(archive: tarfile.TarFile, file: Path, name: str) -> None:
    member = archive.gettarinfo(file, name)
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    with file.open("rb") as content:
        archive.addfile(member, content)


def _write(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, BytesIO(content))
