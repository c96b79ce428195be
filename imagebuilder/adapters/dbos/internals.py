"""All internal names of DBOS that we use, for what it does not offer; a test holds it to them."""

from collections.abc import Sequence

from dbos import DBOS
from dbos import _workflow_commands as commands

# ruff: noqa: SLF001 - this file is for that
_REST_SECONDS = 30.0


def recover(executors: Sequence[str]) -> None:
    """Have what those processes were doing put back on its queues; twice does no harm."""
    DBOS._recover_pending_workflows(list(executors))


def rest(dbos: DBOS) -> None:
    """Let DBOS look now and then, and not every second, for what we never have.

    That is delayed workflows, those with a time limit, and work on no queue of ours: half of what
    an idle process does.
    """
    commands._BACKGROUND_JOBS_INTERVAL_SEC = _REST_SECONDS
    dbos._registry.get_internal_queue()._polling_interval_sec = _REST_SECONDS
