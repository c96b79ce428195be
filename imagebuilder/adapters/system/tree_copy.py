"""CopyTree: files shipped beside a component, copied into the image.

The archive is made here, of plain files and with nothing of this machine's owners or times, and
unpacked by the image's own tar, so that no link in the image leads out of it.
"""

import os
import tarfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from shlex import quote
from typing import TypeAlias

from imagebuilder.adapters.system.shipped import ShippedEntry, shipped
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.plan import DEFAULT_SOURCE_DATE_EPOCH
from imagebuilder.ports.actions import ActionCall, ActionResult
from imagebuilder.ports.documents import DocumentUnreadable
from imagebuilder.ports.machine import Script
from imagebuilder.ports.process import CommandResult

_FILE_MODE, _FOLDER_MODE = 0o644, 0o755
_LEAST_SECONDS = 0.1

# A folder that is there keeps its owner and mode, and a link to a folder stays one.
_UNPACK = """
set -e
mkdir -p -- "$folder"
tar --extract --file=- --directory="$folder" --no-overwrite-dir --keep-directory-symlink \\
  --same-permissions --same-owner
"""


Folders: TypeAlias = Callable[[str], AbstractContextManager[Path]]
"""Gives a new folder, named with a prefix, that is gone when the context ends."""


class CopyTree:
    """Copies files and folders beside the component to where its inputs say."""

    def __init__(self, folders: Folders) -> None:
        """Keep archives, for as long as they are read, in what folders gives."""
        self._folders = folders

    def run(self, call: ActionCall) -> ActionResult:
        """Copy each item, up to the first that fails."""
        inputs = call.inputs if isinstance(call.inputs, Sequence) else [call.inputs]
        items = [item for item in inputs if isinstance(item, Mapping)]
        results: list[CommandResult] = []
        left = call.timeout_seconds
        for item in items:
            with self._folders("copy-") as folder:
                result = _copied(call, item, left, folder / "archive.tar")
            results.append(result)
            if result.exit_status != 0:
                break
            left = None if left is None else max(_LEAST_SECONDS, left - result.seconds)
        outputs: list[Mapping[str, str]] = [{} for _ in items]
        return ActionResult(result=results[-1], outputs=outputs)


def _copied(
    call: ActionCall, item: Mapping[str, Canonical], seconds: float | None, archive: Path
) -> CommandResult:
    source, destination = str(item.get("source")), str(item.get("destination"))
    if call.folder is None:
        return _refused("There are no files beside this component.")
    if not destination.startswith("/"):
        return _refused(f"The destination {destination} is not absolute.")
    try:
        entries = shipped(call.folder, source)
        place = PurePosixPath(destination)
        if destination.endswith("/") and not entries[0].is_folder:
            place /= PurePosixPath(source).name
        _write_archive(archive, entries, place.name, item)
    except DocumentUnreadable as fault:
        return _refused(fault.message, fault.context)
    except (OSError, ValueError) as fault:
        return _refused(f"{source} cannot be copied: {fault}")
    if call.on_line is not None:
        count = sum(not entry.is_folder for entry in entries)
        call.on_line(f"{source}: {count} file{'' if count == 1 else 's'} to {place}")
    checks = [_account_check(name, item.get(name)) for name in ("owner", "group")]
    text = f"folder={quote(str(place.parent))}\n{''.join(checks)}{_UNPACK}"
    return call.machine.run(
        Script(text=text, stdin_file=archive, timeout_seconds=seconds), call.on_line
    )


def _account_check(kind: str, name: Canonical) -> str:
    """Fail when the image does not know an account by that name: tar would take root instead."""
    if name is None or str(name).isdigit():
        return ""
    table = "passwd" if kind == "owner" else "group"
    missing = quote(f"The image has no {'user' if kind == 'owner' else 'group'} {name}.")
    return (
        f"cut -d: -f1 /etc/{table} | grep -qxF -e {quote(str(name))} ||"
        f" {{ echo {missing} >&2; exit 1; }}\n"
    )


def _write_archive(
    path: Path, entries: Sequence[ShippedEntry], top: str, item: Mapping[str, Canonical]
) -> None:
    """Write a tar archive that is the same for the same files. Raises: OSError; ValueError."""
    permissions = item.get("permissions")
    mode = None if permissions is None else int(str(permissions), 8)
    with tarfile.open(path, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for entry in entries:
            name = "/".join(filter(None, (top, entry.name)))
            if not name:
                continue  # the root of the image is there, and is not ours to change
            member = tarfile.TarInfo(name)
            member.mtime = DEFAULT_SOURCE_DATE_EPOCH
            member.uid, member.uname = _account(item.get("owner"))
            member.gid, member.gname = _account(item.get("group"))
            member.mode = _mode(entry, mode)
            if entry.is_folder:
                member.type = tarfile.DIRTYPE
                archive.addfile(member)
            elif entry.target:
                member.type, member.linkname = tarfile.SYMTYPE, entry.target
                archive.addfile(member)
            else:
                with entry.file.open("rb") as content:
                    member.size = os.fstat(content.fileno()).st_size
                    archive.addfile(member, content)


def _account(name: Canonical) -> tuple[int, str]:
    """Give the number and the name by which tar finds an account; root when there is none."""
    if name is None:
        return 0, "root"
    return (int(str(name)), "") if str(name).isdigit() else (0, str(name))


def _mode(entry: ShippedEntry, asked: int | None) -> int:
    """Give a mode: folders may be entered by all who may read them."""
    if asked is None:
        return _FOLDER_MODE if entry.is_folder or entry.is_executable else _FILE_MODE
    return asked | (asked & 0o444) >> 2 if entry.is_folder else asked


def _refused(*reasons: str) -> CommandResult:
    return CommandResult(
        argv=("CopyTree",),
        exit_status=1,
        stdout=b"",
        stderr="\n".join(filter(None, reasons)).encode(),
        seconds=0.0,
    )
