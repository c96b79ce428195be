"""The walls around OpenSCAP: it sees the image, which cannot be written, the content, and no more.

It stays root, without a user namespace: in one all files would seem to belong to nobody. Of root's
capabilities it has two: to read what it does not own, and to look from the image's own root.
"""

from pathlib import Path

CONTENT, IMAGE, OUT = "/content.xml", "/image", "/out"
_CAPABILITIES = ("CAP_SYS_CHROOT", "CAP_DAC_READ_SEARCH")
_SCRATCH_BYTES = 256 * 1024 * 1024
_ADDRESS_SPACE_BYTES = 4 * 1024 * 1024 * 1024
LARGEST_RESULT_BYTES = 256 * 1024 * 1024
_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/tmp",  # noqa: S108 - inside
    "LC_ALL": "C.UTF-8",
    "OSCAP_PROBE_ROOT": IMAGE,
    "OSCAP_EVALUATION_TARGET": f"chroot://{IMAGE}",
    "APT_CONFIG": f"{OUT}/apt.conf",
}
"""Source: oscap-chroot(8), which sets the same two."""
_APT_SETTINGS = """\
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Cache::pkgcache "{folder}/pkgcache.bin";
Dir::Cache::srcpkgcache "";
"""
"""Without them the engine asks libapt for the packages as this machine's own settings say; where
these have no cache it writes one into the image, and knows no package."""


def apt_settings(folder: str) -> str:
    """Give settings of apt by which the engine's cache of packages lies in a folder."""
    return _APT_SETTINGS.format(folder=folder)


def between_walls(
    argv: list[str], root: Path, content: Path, out: Path, seconds: float
) -> list[str]:
    """Give the command that runs argv with nothing but these to see, and only out to write."""
    view = ["--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib64"):
        view += ["--symlink", f"usr/{name}", f"/{name}"]
    view += ["--dir", "/etc", "--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"]
    # By it the engine tells which file systems are of this machine.
    view += ["--symlink", "/proc/self/mounts", "/etc/mtab"]
    view += ["--proc", "/proc", "--dev", "/dev", "--size", str(_SCRATCH_BYTES), "--tmpfs", "/tmp"]  # noqa: S108 - inside
    view += ["--ro-bind", str(root), IMAGE, "--ro-bind", str(content), CONTENT]
    view += ["--bind", str(out), OUT, "--chdir", OUT, "--clearenv"]
    for name, value in _ENVIRONMENT.items():
        view += ["--setenv", name, value]
    walls = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]
    walls += ["--unshare-cgroup-try", "--die-with-parent", "--new-session", "--hostname", "image"]
    walls += ["--cap-drop", "ALL"]
    for capability in _CAPABILITIES:
        walls += ["--cap-add", capability]
    limits = ["/usr/bin/prlimit", f"--as={_ADDRESS_SPACE_BYTES}", f"--fsize={LARGEST_RESULT_BYTES}"]
    limits += [f"--cpu={seconds:.0f}", "--core=0", "--"]
    return ["bwrap", *walls, *view, "--", *limits, *argv]
