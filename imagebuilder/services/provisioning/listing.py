"""Listing: the files of a folder in the image, whatever their names hold."""

import re
from base64 import b64decode

from imagebuilder.services.provisioning.file_scripts import BEGINNING, shell_call
from imagebuilder.services.provisioning.refusals import ActionRefusedError

_SPECIAL_IN_FIND = re.compile(r"[][?\\]")

# Each item gives one line of base64, so that no name and no content can be taken for a line's end.
# The empty name at the end tells that find came to its own end.
_LISTING = r"""
list_files() { # folder, pattern, options
  require_folder "$1"
  folder=$1 pattern=$2
  shift 2
  (cd -- "$folder" && find . -mindepth 1 "$@" -xtype f -name "$pattern" -print0 && printf '\0') |
    base64 -w 0
  echo
}
"""
LISTING_SCRIPT = f"{BEGINNING}{_LISTING}"
"""What a script of `listing_call` lines begins with; each prints one line for `listed`."""


def listing_call(folder: str, pattern: str, *, is_recursive: bool) -> str:
    """Give a line of shell that lists files whose names fit; a * is all that is special."""
    depth = () if is_recursive else ("-maxdepth", "1")
    return shell_call("list_files", folder, _SPECIAL_IN_FIND.sub(r"\\\g<0>", pattern), *depth)


def listed(folder: str, line: bytes) -> list[str]:
    """Give the paths a line tells, sorted."""
    listing = b64decode(line)
    if listing != b"\0" and not listing.endswith(b"\0\0"):
        raise ActionRefusedError(f"The files of {folder} could not all be listed.")
    names = listing.rstrip(b"\0").split(b"\0") if listing != b"\0" else []
    above = folder.removesuffix("/")
    return sorted(f"{above}/{name.decode(errors='replace').removeprefix('./')}" for name in names)
