"""What a playbook did, from the lines that its driver writes; they were written by foreign code."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from imagebuilder.domain.digest import Canonical
from imagebuilder.ports.process import OnLine

_FAILED = ("runner_on_failed", "runner_on_unreachable", "runner_item_on_failed")
_MOST_LINES = 20_000
_SHOWN_TASKS = 20


@dataclass(slots=True)
class PlaybookLog:
    """Takes the lines as they come; tells `on_line` of each play and task.

    `status` is ansible-playbook's exit status, None while it has not come to its end.
    Shape: `counts` maps the number of a run to how many tasks ended how; `changed` to their names.
    """

    on_line: OnLine | None = None
    status: int | None = None
    counts: dict[int, Mapping[str, int]] = field(default_factory=dict)
    changed: dict[int, list[str]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def add(self, line: bytes) -> None:
        """Take one line; what cannot be read is no line of ours and says nothing."""
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            return
        if isinstance(entry, dict):
            self._take(entry)

    @property
    def output(self) -> str:
        """All that was told, as text."""
        return "\n".join(self.said)

    @property
    def failure(self) -> str:
        """What went wrong, for people; the last complaints when no task did."""
        return "\n".join(self.failures) or "\n".join(self.said[-_SHOWN_TASKS:])

    def outputs(self) -> dict[str, str]:
        """Give what later steps may refer to: how many tasks of the first run ended how."""
        counts = self.counts.get(1, {})
        return {name: str(counts.get(name, 0)) for name in ("ok", "changed", "skipped")}

    def not_idempotent(self) -> str:
        """Say which tasks of the second run changed something again; nothing when none did."""
        again = self.changed.get(2, [])
        if not again and not self.counts.get(2, {}).get("changed"):
            return ""
        named = "\n".join(f"  {task}" for task in again[:_SHOWN_TASKS])
        return f"The second run was to change nothing, and these tasks did again:\n{named}"

    def _take(self, entry: Mapping[str, Canonical]) -> None:
        run = entry.get("run")
        number = run if isinstance(run, int) else 1
        task = str(entry.get("task", ""))
        match entry.get("event"):
            case "end":
                status = entry.get("status")
                self.status = status if isinstance(status, int) else None
            case "playbook_on_play_start":
                again = " again" if number > 1 else ""
                self._say(f"play{again}: {entry.get('play', '')}")
            case "runner_on_ok":
                self._add_success(number, task, is_changed=entry.get("is_changed") is True)
            case "runner_on_skipped":
                self._say(f"{task}: skipped")
            case "playbook_on_stats":
                self._count(number, entry.get("counts"))
            case event if event in _FAILED:
                self._add_failure(task, entry)
            case _:
                for line in str(entry.get("stdout", "")).splitlines():
                    self._say(line)

    def _add_success(self, number: int, task: str, *, is_changed: bool) -> None:
        self._say(f"{task}: {'changed' if is_changed else 'ok'}")
        if is_changed:
            self.changed.setdefault(number, []).append(task)

    def _add_failure(self, task: str, entry: Mapping[str, Canonical]) -> None:
        is_ignored = entry.get("is_ignored") is True
        how = "failed, ignored" if is_ignored else "failed"
        if entry.get("event") == "runner_item_on_failed":
            how = f"item {entry.get('item', '')} {how}"
        texts = [
            str(entry[name]) for name in ("censored", "msg", "stdout", "stderr") if name in entry
        ]
        lines = [f"{task}: {how}", *(f"  {line}" for text in texts for line in text.splitlines())]
        for line in lines:
            self._say(line)
        if not is_ignored:
            self.failures += lines

    def _count(self, number: int, counts: Canonical) -> None:
        if isinstance(counts, dict):
            self.counts[number] = {k: v for k, v in counts.items() if isinstance(v, int)}

    def _say(self, line: str) -> None:
        if not line.strip():
            return
        if len(self.said) < _MOST_LINES:
            self.said.append(line)
        if self.on_line is not None:
            self.on_line(line)
