"""Times builds against a plain mmdebstrap of the same packages, in one run.

Figures: cold_ratio, late_change_ratio and unchanged_ratio are seconds of ours by seconds of
mmdebstrap, medians of --rounds; own_peak_mib is the largest memory of our own process;
version_seconds one start; changed_mib what differs between the raw disks of two versions, in blocks
of 512 KiB.
"""

import argparse
import compileall
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from imagebuilder.ports.disks import BLOCK_BYTES

ROOT = Path(__file__).resolve().parents[1]
IMAGEBUILDER = str(ROOT / ".venv/bin/imagebuilder")
SYSTEM = [
    *("linux-image-cloud-amd64", "initramfs-tools", "zstd", "systemd-sysv", "dbus", "udev"),
    *("openssh-server", "python3", "ca-certificates", "iproute2"),
]
SMALL = ["figlet", "sl"]

NETWORK = """\
      - name: Network
        action: CreateFile
        inputs:
          - path: /etc/systemd/network/80-dhcp.network
            content: "[Match]\\nName=en* eth*\\n[Network]\\nDHCP=yes\\n"
          - path: /etc/systemd/system/host-keys.service
            content: |
              [Unit]
              Before=ssh.service
              [Service]
              Type=oneshot
              ExecStart=/usr/bin/ssh-keygen -A
              [Install]
              WantedBy=multi-user.target
      - name: Enable
        action: ExecuteBash
        inputs:
          commands: [systemctl enable systemd-networkd ssh host-keys]
"""


def say(text: str) -> None:
    """Tell whoever waits."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


class Bench:
    """One set of documents, homes and measurements below a folder."""

    def __init__(self, folder: Path) -> None:
        """Work below folder."""
        self.folder = folder
        self.packages = folder / "packages"
        self.debs = folder / "debs"
        self.peaks: list[float] = []
        self.write_documents("first")

    def write_documents(self, page: str, extra: Sequence[str] = ()) -> None:
        """Write the recipe and its components; page is what the last one writes."""
        self._component("system", self._install(SYSTEM) + NETWORK)
        self._component("web", self._install(["nginx-light"]))
        self._component("extra", self._install(extra) if extra else "")
        command = (
            "      - name: Page\n        action: ExecuteBash\n        inputs:\n"
            f"          commands: ['echo {page} > /etc/page.conf']\n"
        )
        self._component("page", command)
        used = ["system", "web", *(["extra"] if extra else []), "page"]
        recipe = self.folder / "recipes/bench.yaml"
        recipe.parent.mkdir(exist_ok=True)
        recipe.write_text(
            "kind: Recipe\nname: bench\nversion: 1.0.x\nparent: debian:bookworm\n"
            f"components: [{', '.join(used)}]\nartifacts: [qcow2]\ndisk: {{size: 2GiB}}\n"
        )

    @staticmethod
    def _install(packages: Sequence[str]) -> str:
        return (
            "      - name: Install\n        action: InstallPackages\n        inputs:\n"
            f"          packages: [{', '.join(packages)}]\n"
        )

    def _component(self, name: str, steps: str) -> None:
        folder = self.folder / "components" / name
        folder.mkdir(parents=True, exist_ok=True)
        head = (
            f"name: {name}\nschemaVersion: 1.0\nversion: 1.0.0\n"
            "phases:\n  - name: build\n    steps:\n"
        )
        if steps:
            (folder / "component.yaml").write_text(head + steps)

    def home(self, name: str) -> Path:
        """Give a fresh home whose package downloads are those of all others.

        Nothing is removed before all is measured: the disk would still be busy with that.
        """
        home = self.folder / name
        (home / "cache").mkdir(parents=True)
        self.packages.mkdir(exist_ok=True)
        (home / "cache/packages").symlink_to(self.packages)
        return home

    def build(self, home: Path, *options: str) -> tuple[float, dict[str, object]]:
        """Build, and give the seconds of the whole process and what it printed."""
        argv = [IMAGEBUILDER, "build", "--json", *options, str(self.folder / "recipes/bench.yaml")]
        environment = dict(os.environ, IMAGEBUILDER_HOME=str(home))
        log = self.folder / "build.log"
        started = time.perf_counter()
        with log.open("wb") as errors:
            process = subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stderr=errors)
            watcher = threading.Thread(target=self._watch, args=(process,))
            watcher.start()
            output, _ = process.communicate()
        seconds = time.perf_counter() - started
        watcher.join()
        if process.returncode != 0:
            say(log.read_text()[-3000:])
            raise SystemExit(f"the build ended with {process.returncode}")
        return seconds, json.loads(output)

    def _watch(self, process: "subprocess.Popen[bytes]") -> None:
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            try:
                lines = status.read_text().splitlines()
            except OSError:
                return
            self.peaks += [int(x.split()[1]) / 1024 for x in lines if x.startswith("VmHWM")]
            time.sleep(0.02)

    def steps(self) -> None:
        """Show where the time of the last build went."""
        for line in (self.folder / "build.log").read_text().splitlines():
            event = json.loads(line) if line.startswith("{") else {}
            if event.get("event") == "step-ended":
                say(f"    {event['seconds']:7.2f} s  {event['step']}  {event['detail']}")
            elif event.get("event") == "line" and event["step"] == "disk":
                say(f"               {event['text']}")

    def keep_debs(self) -> None:
        """Download what plain mmdebstrap needs, once."""
        self.debs.mkdir(exist_ok=True)
        copy = f'cp "$1"/var/cache/apt/archives/*.deb {self.debs}/'
        skip = "--skip=essential/unlink,cleanup/apt,download/empty"
        self._mmdebstrap(skip, f"--customize-hook={copy}")

    def plain(self) -> float:
        """Give the seconds of a plain mmdebstrap to a tar file."""
        archives = '"$1"/var/cache/apt/archives'
        copy = f"mkdir -p {archives}; cp {self.debs}/*.deb {archives}/"
        return self._mmdebstrap("--skip=download/empty", f"--setup-hook={copy}")

    def _mmdebstrap(self, *options: str) -> float:
        packages = ",".join([*SYSTEM, "nginx-light"])
        target = self.folder / "plain.tar"
        argv = ["mmdebstrap", "--variant=minbase", f"--include={packages}", *options]
        started = time.perf_counter()
        subprocess.run(
            [*argv, "bookworm", str(target)],
            check=True,
            capture_output=True,
            env=dict(os.environ, TMPDIR=str(self.folder)),
        )
        return time.perf_counter() - started


def changed_mib(old: Path, new: Path, folder: Path) -> float:
    """Give what differs between two disk files, as raw disks, in blocks."""
    raws = []
    for number, file in enumerate((old, new)):
        raw = folder / f"{number}.raw"
        subprocess.run(["qemu-img", "convert", "-O", "raw", str(file), str(raw)], check=True)
        raws.append(raw)
    with raws[0].open("rb") as one, raws[1].open("rb") as other:
        changed = 0
        while (block := one.read(BLOCK_BYTES)) and (against := other.read(BLOCK_BYTES)):
            changed += block != against
    return changed * BLOCK_BYTES / 2**20


def median_of(rounds: int, measured: Callable[[], float]) -> float:
    """Give the median of several measurements."""
    return statistics.median(measured() for _ in range(rounds))


def file_of(result: dict[str, object]) -> Path:
    """Give the qcow2 file that a build to its artifact printed."""
    files = result["files"]
    if not isinstance(files, dict):
        raise SystemExit("the build printed no files")
    return Path(str(files["qcow2"]))


def measure(bench: Bench, rounds: int) -> dict[str, float]:
    """Give every figure."""
    until = ("--until", "artifact")
    # As after any first start, also where Python is told to write no bytecode.
    compileall.compile_dir(str(ROOT / "imagebuilder"), quiet=1)
    say("filling the package caches ...")
    bench.keep_debs()
    bench.build(bench.home("warm"), *until)
    plain_seconds, cold_seconds = [], []
    for number in range(rounds):
        plain_seconds.append(bench.plain())
        cold_seconds.append(bench.build(bench.home(f"cold-{number}"), *until)[0])
        say(
            f"round {number + 1}: mmdebstrap {plain_seconds[-1]:.1f} s, "
            f"ours {cold_seconds[-1]:.1f} s"
        )
    bench.steps()
    plain = statistics.median(plain_seconds)
    say("building, booting and recording one version ...")
    home = bench.folder / f"cold-{rounds - 1}"
    bench.build(home)
    late = []
    for number in range(max(3, rounds)):
        bench.write_documents(f"change {number}")
        late.append(bench.build(home, *until)[0])
        say(f"late change: {late[-1]:.2f} s")
    bench.steps()
    bench.write_documents("first")
    first = file_of(bench.build(home, *until)[1])
    unchanged = median_of(7, lambda: bench.build(home)[0])
    say(f"unchanged: {unchanged:.3f} s")
    bench.write_documents("first", SMALL)
    second = file_of(bench.build(home, *until)[1])
    return {
        "cold_ratio": statistics.median(cold_seconds) / plain,
        "late_change_ratio": statistics.median(late) / plain,
        "unchanged_ratio": unchanged / plain,
        "own_peak_mib": max(bench.peaks),
        "version_seconds": median_of(7, version_seconds),
        "changed_mib": changed_mib(first, second, bench.folder),
        "plain_mmdebstrap_seconds": plain,
        "cold_seconds": statistics.median(cold_seconds),
        "late_change_seconds": statistics.median(late),
        "unchanged_seconds": unchanged,
    }


VMDB2 = """\
steps:
  - mkimg: "{{{{ output }}}}"
    size: 2G
  - mklabel: gpt
    device: "{{{{ output }}}}"
  - mkpart: primary
    device: "{{{{ output }}}}"
    start: 0%
    end: 100%
    tag: rootfs
  - kpart: "{{{{ output }}}}"
  - mkfs: ext4
    partition: rootfs
  - mount: rootfs
  - debootstrap: bookworm
    mirror: {mirror}
    target: rootfs
  - apt: install
    packages: [{packages}]
    tag: rootfs
  - fstab: rootfs
  - grub: bios
    tag: rootfs
    root-fs: rootfs
"""


def peers(bench: Bench) -> None:
    """Say how long the same job takes the peers that are installed, or how they failed."""
    packages = [*SYSTEM, "nginx-light"]
    spec, disk = bench.folder / "peer.vmdb", bench.folder / "peer.raw"
    mirror = _mirror()
    spec.write_text(VMDB2.format(mirror=mirror, packages=", ".join(packages)))
    mkosi = ["mkosi", "--distribution=debian", "--release=bookworm", "--format=disk", "--bootable"]
    mkosi += [f"--mirror={mirror}", f"--output-dir={bench.folder / 'mkosi'}", "--force"]
    for argv in (
        ["vmdb2", str(spec), "--output", str(disk)],
        [*mkosi, *(f"--package={package}" for package in packages)],
    ):
        if shutil.which(argv[0]) is None:
            say(f"{argv[0]}: not installed")
            continue
        (bench.folder / "mkosi").mkdir(exist_ok=True)
        started = time.perf_counter()
        done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=bench.folder)
        seconds = time.perf_counter() - started
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        say(f"{argv[0]}: {seconds:.1f} s, exit status {done.returncode} {' '.join(last)[:200]}")


def _mirror() -> str:
    """Give the archive that this machine's own apt uses."""
    argv = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    listed = subprocess.run(argv, check=True, capture_output=True, text=True)
    return listed.stdout.split("\n", maxsplit=1)[0]


def version_seconds() -> float:
    """Give the seconds of one `imagebuilder --version`."""
    started = time.perf_counter()
    subprocess.run([IMAGEBUILDER, "--version"], check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="cold builds and mmdebstraps")
    parser.add_argument("--folder", type=Path, default=None, help="where to work")
    parser.add_argument("--peers", action="store_true", help="time vmdb2 and mkosi too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="bench-") as folder:
        bench = Bench(Path(folder))
        figures = measure(bench, arguments.rounds)
        if arguments.peers:
            peers(bench)
    for name, value in figures.items():
        say(f"{name:>26} {value:10.3f}")
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
