"""File scripts: what the modules that change files and folders come to as shell text for the image.

Each module has its shell functions and gives one call of them for each item, so that all items of a
step are one script. All words of a document are quoted; a path begins with a slash or a dot.

Source: AWS Task Orchestrator and Executor, action modules for the file system.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from shlex import quote

from imagebuilder.domain.component import ActionName
from imagebuilder.services.provisioning.encodings import content_of, encoding_of
from imagebuilder.services.provisioning.inputs import Item
from imagebuilder.services.provisioning.refusals import ActionRefusedError

_PERMISSIONS = re.compile(r"0?[0-7]{3,4}|[ugoa]*([-+=][rwxXst]*)+(,[ugoa]*([-+=][rwxXst]*)+)*")
_NOT_PLAIN = re.compile(rb"[^\n -~]|[%\\-]")

BEGINNING = r"""set -eu
fail() { printf '%s\n' "$1" >&2; exit 1; }
is_there() { [ -e "$1" ] || [ -L "$1" ]; }
is_file() { [ -f "$1" ]; }
is_folder() { [ -d "$1" ]; }
require_file() { is_file "$1" || fail "There is no file $1."; }
require_folder() { is_folder "$1" || fail "There is no folder $1."; }
make_parent() { case $1 in */*) mkdir -p -- "${1%/*}/" ;; esac; }
"""
"""What every script begins with."""

_CREATING = r"""
take_on() { # path, owner, permissions
  if [ -n "$2" ]; then chown -- "$2" "$1"; fi
  case $3 in
    '') ;;
    *[!0-7]*) chmod -- "$3" "$1" ;;
    *) chmod -- "$(printf %o $((0$3 & ~0$(umask))))" "$1" ;;
  esac
}
refuse_there() { # path, whether it may be overwritten
  if [ "$2" = no ] && is_there "$1"; then fail "$1 is there already"; fi
}
create_file() { # path, content, overwrite, owner, permissions
  refuse_there "$1" "$3"
  if is_folder "$1"; then fail "$1 is a folder"; fi
  make_parent "$1"
  printf "$2" > "$1"
  take_on "$1" "$4" "$5"
}
append_file() { # path, content
  require_file "$1"
  printf "$2" >> "$1"
}
create_folder() { # path, overwrite, owner, permissions
  refuse_there "$1" "$2"
  mkdir -p -- "$1"
  take_on "$1" "$3" "$4"
}
create_symlink() { # path, target, force
  case $2 in /*) target=$2 ;; *) target=${1%/*}/$2 ;; esac
  [ -e "$target" ] || fail "$2 is not there, which $1 should point to"
  if [ -L "$1" ]; then
    [ "$3" = yes ] || fail "$1 is there already"
  elif [ -e "$1" ]; then
    fail "$1 is there already and is no link"
  fi
  make_parent "$1"
  ln -sfn -- "$2" "$1"
}
"""
_MOVING = r"""
is_entry() { [ -L "$1" ] || { [ -e "$1" ] && [ ! -d "$1" ]; }; }
each() { # what is done, to what kind, what was asked for, what was found
  deed=$1 is_right=$2 asked=$3
  shift 3
  is_found=no
  for from do
    case ${from##*/} in . | ..) continue ;; esac
    if "$is_right" "$from"; then
      is_found=yes
      "$deed"
    fi
  done
  [ "$is_found" = yes ] || fail "There is no $kind $asked."
}
aim() {
  case $to in
    */) mkdir -p -- "$to"; place=$to${from##*/} ;;
    *) make_parent "$to"; place=$to ;;
  esac
  if [ "$overwrite" = no ] && is_there "$place"; then fail "$place is there already"; fi
}
aim_at_file() {
  aim
  if is_folder "$place"; then fail "$place is a folder; to put a file into it, end it with /"; fi
}
aim_at_folder() {
  aim
  case $place/ in "$from"/*) fail "$place lies in $from" ;; esac
  if is_there "$place"; then require_folder "$place"; fi
}
copy_file() { aim_at_file; cp -aL -- "$from" "$place"; }
move_file() { aim_at_file; mv -f -- "$from" "$place"; }
copy_folder() { aim_at_folder; mkdir -p -- "$place"; cp -a -- "$from/." "$place/"; }
move_folder() {
  aim_at_folder
  if is_there "$place"; then
    cp -a -- "$from/." "$place/"
    rm -rf -- "$from"
  else
    mv -- "$from" "$place"
  fi
}
delete_file() { rm -f -- "$from"; }
delete_folder() { # path, force
  if [ -L "$1" ] || ! is_folder "$1"; then fail "There is no folder $1."; fi
  if [ "$2" = yes ]; then rm -rf -- "$1"; else rmdir -- "$1"; fi
}
"""
_SETTING = r"""
set_owner() { # path, owner, group, options
  path=$1 owner=$2 group=$3
  shift 3
  if [ -z "$group" ]; then group=$(id -g -- "$owner" 2> /dev/null) || group=; fi
  chown "$@" -- "$owner${group:+:$group}" "$path"
}
set_file_owner() { require_file "$1"; set_owner "$@"; }
set_folder_owner() { require_folder "$1"; set_owner "$@"; }
set_permissions() { # path, permissions, options
  path=$1 permissions=$2
  shift 2
  chmod "$@" -- "$permissions" "$path"
}
set_file_permissions() { require_file "$1"; set_permissions "$@"; }
set_folder_permissions() { require_folder "$1"; set_permissions "$@"; }
set_file_encoding() { # path, encoding
  require_file "$1"
  scratch=$(mktemp)
  trap 'rm -f -- "$scratch"' EXIT
  iconv -f utf-8 -t "$2" < "$1" > "$scratch" || fail "$1 is not text in utf-8"
  cat < "$scratch" > "$1"
  rm -f -- "$scratch"
}
"""


@dataclass(frozen=True, slots=True)
class _Module:
    functions: str
    call: Callable[[Item], str]


def change_script(action: ActionName, given: list[Item]) -> str:
    """Give the script of a module that only changes things, for all its items.

    Raises: ActionRefusedError: before anything was done.
    """
    module = _MODULES[action]
    calls = "\n".join(module.call(item) for item in given)
    return f"{BEGINNING}{module.functions}{calls}\n"


def shell_call(function: str, *arguments: str) -> str:
    """Give a line of shell that calls a function with these words."""
    return " ".join((function, *map(quote, arguments)))


def folder_path(item: Item, name: str = "path") -> str:
    """Give a path without the slashes at its end. Raises: ActionRefusedError."""
    return item.path(name).rstrip("/") or "/"


def _file_path(item: Item) -> str:
    path = item.path("path")
    if path.endswith("/"):
        raise ActionRefusedError(f"{path} names a folder, not a file.")
    return path


def _create_file(item: Item) -> str:
    content = _printed(content_of(item))
    overwrite = _yes_or_no(item, "overwrite", default=True)
    return shell_call("create_file", _file_path(item), content, overwrite, *_attributes(item))


def _append_file(item: Item) -> str:
    return shell_call("append_file", _file_path(item), _printed(content_of(item)))


def _create_folder(item: Item) -> str:
    overwrite = _yes_or_no(item, "overwrite", default=True)
    return shell_call("create_folder", folder_path(item), overwrite, *_attributes(item))


def _create_symlink(item: Item) -> str:
    force = _yes_or_no(item, "force", default=False)
    return shell_call("create_symlink", _file_path(item), item.text("target"), force)


def _carrying(deed: str, kind: str, test: str) -> Callable[[Item], str]:
    """Give the call of a module that takes sources, perhaps many, to a destination."""

    def call(item: Item) -> str:
        source = item.path("source") if kind == "file" else _inner_folder(item, "source")
        destination = item.path("destination")
        if "*" in source and not destination.endswith("/"):
            raise ActionRefusedError(f"{destination} takes many sources, so it has to end with /.")
        overwrite = _yes_or_no(item, "overwrite", default=True)
        given = f"kind={kind} overwrite={overwrite} to={quote(destination)}"
        return f"{given}; {shell_call('each', deed, test, source)} {_found(source)}"

    return call


def _delete_file(item: Item) -> str:
    path = _file_path(item)
    return f"kind=file; {shell_call('each', 'delete_file', 'is_entry', path)} {_found(path)}"


def _delete_folder(item: Item) -> str:
    force = _yes_or_no(item, "force", default=False)
    return shell_call("delete_folder", _inner_folder(item, "path"), force)


def _inner_folder(item: Item, name: str) -> str:
    path = folder_path(item, name)
    if path.rpartition("/")[2] in ("", ".", ".."):
        raise ActionRefusedError(f"{path} is no folder that could be taken away.")
    return path


def _set_owner(function: str, path: Callable[[Item], str]) -> Callable[[Item], str]:
    def call(item: Item) -> str:
        options = _recursive(item, "-hRH") if path is folder_path else ()
        owner, group = item.text("owner"), item.optional("group") or ""
        return shell_call(function, path(item), owner, group, *options)

    return call


def _set_permissions(function: str, path: Callable[[Item], str]) -> Callable[[Item], str]:
    def call(item: Item) -> str:
        options = _recursive(item, "-R") if path is folder_path else ()
        item.text("permissions")
        return shell_call(function, path(item), _permissions(item), *options)

    return call


def _set_file_encoding(item: Item) -> str:
    return shell_call("set_file_encoding", _file_path(item), encoding_of(item))


def _recursive(item: Item, option: str) -> tuple[str, ...]:
    return (option,) if item.flag("recursive", default=True) else ()


def _attributes(item: Item) -> tuple[str, str]:
    """Give owner with group, and permissions; empty for what the system gives."""
    owner, group = item.optional("owner") or "", item.optional("group")
    return f"{owner}{':' + group if group else ''}", _permissions(item)


def _permissions(item: Item) -> str:
    written = item.optional("permissions") or ""
    if written and not _PERMISSIONS.fullmatch(written):
        raise ActionRefusedError(f"Permissions are three or four octal digits, not {written}.")
    return written


def _yes_or_no(item: Item, name: str, *, default: bool) -> str:
    return "yes" if item.flag(name, default=default) else "no"


def _printed(content: bytes) -> str:
    """Give the format by which the shell's own printf prints these bytes, in no program's argv."""
    return _NOT_PLAIN.sub(lambda found: b"\\%03o" % found[0][0], content).decode()


def _found(source: str) -> str:
    """Give the words by which the shell finds what a path means; dots at the front count as any."""
    folder, _, name = source.rpartition("/")
    if "*" in folder:
        raise ActionRefusedError(f"{source} has a * before its last /.")
    pattern = "*".join(quote(part) if part else "" for part in name.split("*"))
    found = f"{quote(folder + '/')}{pattern}"
    return f"{found} {quote(folder + '/')}.{pattern}" if pattern.startswith("*") else found


_MODULES: Mapping[ActionName, _Module] = {
    ActionName.APPEND_FILE: _Module(_CREATING, _append_file),
    ActionName.CREATE_FILE: _Module(_CREATING, _create_file),
    ActionName.CREATE_FOLDER: _Module(_CREATING, _create_folder),
    ActionName.CREATE_SYMLINK: _Module(_CREATING, _create_symlink),
    ActionName.COPY_FILE: _Module(_MOVING, _carrying("copy_file", "file", "is_file")),
    ActionName.MOVE_FILE: _Module(_MOVING, _carrying("move_file", "file", "is_entry")),
    ActionName.COPY_FOLDER: _Module(_MOVING, _carrying("copy_folder", "folder", "is_folder")),
    ActionName.MOVE_FOLDER: _Module(_MOVING, _carrying("move_folder", "folder", "is_folder")),
    ActionName.DELETE_FILE: _Module(_MOVING, _delete_file),
    ActionName.DELETE_FOLDER: _Module(_MOVING, _delete_folder),
    ActionName.SET_FILE_ENCODING: _Module(_SETTING, _set_file_encoding),
    ActionName.SET_FILE_OWNER: _Module(_SETTING, _set_owner("set_file_owner", _file_path)),
    ActionName.SET_FOLDER_OWNER: _Module(_SETTING, _set_owner("set_folder_owner", folder_path)),
    ActionName.SET_FILE_PERMISSIONS: _Module(
        _SETTING, _set_permissions("set_file_permissions", _file_path)
    ),
    ActionName.SET_FOLDER_PERMISSIONS: _Module(
        _SETTING, _set_permissions("set_folder_permissions", folder_path)
    ),
}
CHANGES = frozenset(_MODULES)
"""The modules that only change things, and have no outputs."""
