"""What a machine says of its packages, carried into a folder."""

from pathlib import Path

from imagebuilder.adapters.local.carried import PackageLists
from imagebuilder.adapters.local.contents import RootContents
from imagebuilder.ports.machine import Script
from imagebuilder.ports.process import CommandResult, OnLine

STATUS = """\
Package: nginx
Status: install ok installed
Version: 1.22.1-9
Architecture: amd64
Source: nginx

"""


class Listed:
    """A machine that has some files."""

    def __init__(self, files: dict[str, str], others: str = "") -> None:
        self.files = files
        self.others = others

    def run(self, script: Script, on_line: OnLine | None = None) -> CommandResult:
        word, _, path = script.text.strip().partition(" ")
        content = self.files.get(path)
        if script.stdout_file is not None and content is not None:
            Path(script.stdout_file.path).write_text(content)
        status = 0 if word != "cat" or content is not None else 1
        said = self.others.encode() if word != "cat" else b""
        return CommandResult(argv=("sh",), exit_status=status, stdout=said, stderr=b"", seconds=0)

    def restart(self, delay_seconds: float = 0.0) -> None:
        raise NotImplementedError


def test_carried_when_a_machine_has_lists_then_they_read_as_those_of_a_root(
    tmp_path: Path,
) -> None:
    machine = Listed(
        {
            "/etc/os-release": 'ID=debian\nVERSION_CODENAME=bookworm\nPRETTY_NAME="Debian 12"\n',
            "/var/lib/dpkg/status": STATUS,
        }
    )

    with PackageLists(tmp_path).carried(machine) as root:
        contents = RootContents().read(root)

    assert contents.release.name == "debian:bookworm"
    assert [package.name for package in contents.installed] == ["nginx"]
    assert contents.gaps == ()
    assert list(tmp_path.iterdir()) == []


def test_carried_when_a_machine_has_another_package_manager_then_that_is_a_gap(
    tmp_path: Path,
) -> None:
    machine = Listed({}, others="/var/lib/rpm\n/etc/passwd\n")

    with PackageLists(tmp_path).carried(machine) as root:
        contents = RootContents().read(root)
        assert not (root / "etc/passwd").exists()

    assert contents.installed == ()
    assert contents.gaps == ("the packages of rpm, whose list is not read",)
