"""Stand-ins for files that components download: as small as they can be, and of the real form."""

import subprocess
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

AGENT_VERSION = "3.3.2299.0"
CLI_VERSION = "2.27.50"

_AGENT_UNIT = """\
[Service]
ExecStart=/usr/bin/amazon-ssm-agent
[Install]
WantedBy=multi-user.target
"""
_CLI_INSTALLER = f"""\
#!/bin/sh
set -e
test "$1 $3 $5" = "--install-dir --bin-dir --update"
mkdir -p "$2/v2/current/bin"
printf '#!/bin/sh\\necho "aws-cli/{CLI_VERSION} Python/3.13.4 Linux/6.1 exe/x86_64.debian.12"\\n' \\
  > "$2/v2/current/bin/aws"
chmod 0755 "$2/v2/current/bin/aws"
ln -sf "$2/v2/current/bin/aws" "$4/aws"
"""


def _agent(folder: Path) -> Path:
    """Make a package of the agent, where Amazon has it."""
    tree = folder / "tree"
    for path, text in {
        "DEBIAN/control": (
            f"Package: amazon-ssm-agent\nVersion: {AGENT_VERSION}-1\nArchitecture: amd64\n"
            "Maintainer: Tests <tests@example.org>\nDescription: A stand-in\n"
        ),
        "usr/bin/amazon-ssm-agent": "#!/bin/sh\nexec sleep infinity\n",
        "lib/systemd/system/amazon-ssm-agent.service": _AGENT_UNIT,
    }.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
    (tree / "usr/bin/amazon-ssm-agent").chmod(0o755)
    package = folder / AGENT_VERSION / "debian_amd64/amazon-ssm-agent.deb"
    package.parent.mkdir(parents=True)
    subprocess.run(
        ["dpkg-deb", "--build", "--root-owner-group", str(tree), str(package)],
        check=True,
        capture_output=True,
    )
    return package


def _command_line(folder: Path) -> Path:
    """Make a zip file of the command line, named as Amazon names it."""
    file = folder / f"awscli-exe-linux-x86_64-{CLI_VERSION}.zip"
    with zipfile.ZipFile(file, "w") as archive:
        installer = zipfile.ZipInfo("aws/install")
        installer.external_attr = 0o755 << 16
        archive.writestr(installer, _CLI_INSTALLER)
    return file


DOWNLOADED: Mapping[str, tuple[str, Callable[[Path], Path]]] = {
    "amazon-ssm-agent": (AGENT_VERSION, _agent),
    "aws-cli": (CLI_VERSION, _command_line),
}
"""Components that download, with the version their stand-in has, and what makes it in a folder."""
