"""Log lines: what Python's logging is told becomes JSON, or what people read, by structlog.

Whoever logs uses the standard library, and gives what belongs to a thing as `extra`: run, stage,
pipeline. Nothing is written until `set_up` is called, so that commands stay silent.
"""

import logging
from collections.abc import MutableMapping
from enum import StrEnum
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from structlog.typing import Processor

# ruff: noqa: PLC0415 - structlog takes 60 ms to load, which commands that log nothing need not wait

_TALKATIVE = ("alembic", "apscheduler", "boto3", "botocore", "s3transfer", "urllib3", "waitress")
"""Libraries of which only what is wrong is of interest."""
_SILENT_SECONDS = 60.0


class LogForm(StrEnum):
    """How lines look."""

    JSON = "json"
    CONSOLE = "console"


def set_up(form: LogForm, level: str, stream: IO[str]) -> None:
    """Let everything that is logged from now on become lines of a stream."""
    import structlog

    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *_rendering(form, is_terminal=stream.isatty()),
        ],
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    handler.addFilter(Repetitions())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


def _rendering(form: LogForm, *, is_terminal: bool) -> "list[Processor]":
    import structlog

    match form:
        case LogForm.JSON:
            return [
                structlog.processors.dict_tracebacks,
                structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
            ]
        case LogForm.CONSOLE:
            plain = structlog.dev.plain_traceback
            return [
                _printable,
                structlog.dev.ConsoleRenderer(
                    colors=is_terminal, exception_formatter=plain, sort_keys=False
                ),
            ]


def _printable(
    logger: object, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Give an event in whose texts nothing steers a terminal."""
    del logger, method
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = "".join(c if c.isprintable() or c in "\t\n" else "?" for c in value)
    return event


class Repetitions(logging.Filter):
    """Passes what is wrong once a minute: who is away says so twice a second, in every chore.

    What passes again has `repeated`, how often it was said meanwhile.
    """

    def __init__(self) -> None:
        """Begin with nothing said."""
        super().__init__()
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is written."""
        if record.levelno < logging.WARNING:
            return True
        what = (record.name, record.getMessage())
        at, count = self._said.get(what, (float("-inf"), 0))
        if record.created - at < _SILENT_SECONDS:
            self._said[what] = (at, count + 1)
            return False
        if count:
            record.repeated = count
        old = record.created - _SILENT_SECONDS
        self._said = {w: said for w, said in self._said.items() if said[0] > old}
        self._said[what] = (record.created, 0)
        return True
