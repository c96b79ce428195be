"""FolderRunFiles: runs/<id>/ with one log a step."""

import re
from collections.abc import Sequence
from pathlib import Path, PurePath

from imagebuilder.domain.ids import RunId

_DETAILS = ".detailedoutput.json"
_MOST_BYTES = 1 << 20
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


class FolderRunFiles:
    """Keeps the files of runs below a folder."""

    def __init__(self, folder: Path) -> None:
        """Use folder, made when the first run writes."""
        self._folder = folder

    def append(self, run_id: RunId, number: int, step: str, text: str) -> None:
        """Add a line to a step's log."""
        name = f"{number:02d}-{_UNSAFE.sub('-', step)[:60]}.log"
        with (Path(self.folder(run_id)) / name).open(
            "a", encoding="utf-8", errors="replace"
        ) as log:
            log.write(text + "\n")

    def log(self, run_id: RunId, number: int) -> str:
        """Give a step's log; empty when it said nothing."""
        found = sorted((self._folder / run_id).glob(f"{number:02d}-*.log"))
        return found[0].read_text(encoding="utf-8", errors="replace") if found else ""

    def log_after(self, run_id: RunId, number: int, offset: int) -> tuple[str, int]:
        """Give whole lines that a step's log has behind an offset, and the offset behind them."""
        found = sorted((self._folder / run_id).glob(f"{number:02d}-*.log"))
        if not found:
            return "", offset
        with found[0].open("rb") as log:
            log.seek(offset)
            read = log.read(_MOST_BYTES)
            if b"\n" not in read:
                read += log.readline()
        whole = read[: read.rfind(b"\n") + 1]
        return whole.decode("utf-8", errors="replace"), offset + len(whole)

    def keep_details(self, run_id: RunId, number: int, component: str, document: bytes) -> None:
        """Keep what a component did within a step; the file appears whole or not at all."""
        name = f"{number:02d}-{_UNSAFE.sub('-', component)[:60]}{_DETAILS}"
        folder = Path(self.folder(run_id))
        new = folder / f".{name}.new"
        new.write_bytes(document)
        new.replace(folder / name)

    def details(self, run_id: RunId, number: int) -> Sequence[PurePath]:
        """Give the files of what components did within a step."""
        return sorted((self._folder / run_id).glob(f"{number:02d}-*{_DETAILS}"))

    def folder(self, run_id: RunId) -> PurePath:
        """Give the run's own folder, made when it is not there."""
        folder = self._folder / run_id
        folder.mkdir(parents=True, exist_ok=True)
        return folder
