"""Filing: the action modules for files and folders, and ExecuteBinary, carried out on a machine.

All of it is done by programs of the image inside its own confinement, so that no path of a document
and no link in the image reaches further.

Source: AWS Task Orchestrator and Executor, action modules.
"""

from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import replace

from imagebuilder.domain.component import ActionName
from imagebuilder.domain.units import MIB, size_text
from imagebuilder.ports.actions import Action, ActionCall, ActionResult
from imagebuilder.ports.machine import Script
from imagebuilder.ports.process import CommandResult
from imagebuilder.services.provisioning.encodings import encoding_of, text_in
from imagebuilder.services.provisioning.file_scripts import (
    BEGINNING,
    CHANGES,
    change_script,
    folder_path,
    shell_call,
)
from imagebuilder.services.provisioning.inputs import Item, items
from imagebuilder.services.provisioning.listing import LISTING_SCRIPT, listed, listing_call
from imagebuilder.services.provisioning.refusals import ActionRefusedError, SayingNo, told

LARGEST_READ_BYTES = 1 * MIB
_READ_AT_ONCE = 2
"""So many of the largest files fit into the output that is kept of a script."""
_SHOW = "printFileContent"


_READING = rf"""
read_file() {{
  require_file "$1"
  head -c {LARGEST_READ_BYTES + 1} < "$1" | base64 -w 0
  echo
}}
"""


def file_actions() -> Mapping[ActionName, Action]:
    """Give the action of each module of this family."""
    changing = SayingNo(FileChanges())
    return {
        **dict.fromkeys(CHANGES, changing),
        ActionName.LIST_FILES: SayingNo(FileListing()),
        ActionName.READ_FILE: SayingNo(FileReading()),
        ActionName.EXECUTE_BINARY: SayingNo(BinaryRun()),
    }


class FileChanges:
    """The modules that change files and folders: all items of a step in one script."""

    def run(self, call: ActionCall) -> ActionResult:
        """Change what the items say, in their order, up to the first that fails."""
        given = items(call.inputs)
        script = _limited(call, change_script(call.action, given))
        result = call.machine.run(script, call.on_line)
        return ActionResult(result=result, outputs=tuple({} for _ in given))


class FileListing:
    """ListFiles: the files of a folder, joined by commas in `files`."""

    def run(self, call: ActionCall) -> ActionResult:
        """List what is there, links to files with them."""
        given = items(call.inputs)
        calls = [_listing_call(item) for item in given]
        result = call.machine.run(_limited(call, f"{LISTING_SCRIPT}{_lines(calls)}"))
        if _has_failed(result):
            return told(call, replace(result, stdout=b""))
        if result.dropped_bytes:
            raise ActionRefusedError("There are more files than can be listed at once.")
        found = [
            listed(folder_path(item), line)
            for item, line in zip(given, result.stdout.splitlines(), strict=True)
        ]
        lines = "".join(f"{file}\n" for files in found for file in files).encode()
        outputs = tuple({"files": ",".join(files)} for files in found)
        return told(call, replace(result, stdout=lines), outputs)


class FileReading:
    """ReadFile: a file's text in `content`, shown only when the document asks for it."""

    def run(self, call: ActionCall) -> ActionResult:
        """Read the files, each up to a limit."""
        given = items(call.inputs)
        texts: list[str] = []
        seconds = 0.0
        for start in range(0, len(given), _READ_AT_ONCE):
            batch = given[start : start + _READ_AT_ONCE]
            calls = [shell_call("read_file", item.path("path")) for item in batch]
            left = None if call.timeout_seconds is None else call.timeout_seconds - seconds
            script = Script(text=f"{BEGINNING}{_READING}{_lines(calls)}", timeout_seconds=left)
            result = call.machine.run(script)
            seconds += result.seconds
            if _has_failed(result):
                return told(call, replace(result, stdout=b""))
            texts += map(_read, batch, result.stdout.splitlines())
        shown = (t for i, t in zip(given, texts, strict=True) if i.flag(_SHOW, default=False))
        result = CommandResult(
            argv=(call.action,),
            exit_status=0,
            stdout="".join(shown).encode(),
            stderr=b"",
            seconds=seconds,
        )
        return told(call, result, tuple({"content": text} for text in texts))


class BinaryRun:
    """ExecuteBinary: one program of the image with its arguments."""

    def run(self, call: ActionCall) -> ActionResult:
        """Run it; `stdout` is what it said, without the line end at its end."""
        item = next(iter(items(call.inputs)), Item())
        program, arguments = item.text("path"), item.texts("arguments")
        if program.startswith("-"):
            raise ActionRefusedError(f"{program} is no path of a program.")
        script = _limited(call, f"{shell_call('exec', program, *arguments)}\n")
        result = call.machine.run(script, call.on_line)
        stdout = result.stdout.decode(errors="replace").rstrip("\r\n")
        return ActionResult(result=result, outputs=({"stdout": stdout},))


def _listing_call(item: Item) -> str:
    pattern = item.optional("fileNamePattern") or "*"
    is_recursive = item.flag("recursive", default=False)
    return listing_call(folder_path(item), pattern, is_recursive=is_recursive)


def _read(item: Item, line: bytes) -> str:
    path, encoding = item.path("path"), encoding_of(item)
    content = b64decode(line)
    if len(content) > LARGEST_READ_BYTES:
        raise ActionRefusedError(
            f"{path} is larger than the {size_text(LARGEST_READ_BYTES)} that ReadFile takes."
        )
    text = text_in(content, encoding)
    if text is None:
        raise ActionRefusedError(f"{path} is not text in {encoding}.")
    return text


def _limited(call: ActionCall, text: str) -> Script:
    return Script(text=text, timeout_seconds=call.timeout_seconds)


def _lines(calls: Sequence[str]) -> str:
    return "".join(f"{call}\n" for call in calls)


def _has_failed(result: CommandResult) -> bool:
    return result.exit_status != 0 or result.has_timed_out
