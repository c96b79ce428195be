"""What we use of DBOS that it does not offer is there, and is what we take it to be."""

import inspect

from dbos import DBOS
from dbos import _workflow_commands as commands

from imagebuilder.adapters.dbos.internals import rest


def test_recovery_when_looked_for_then_it_takes_the_names_of_processes() -> None:
    (parameter,) = inspect.signature(DBOS._recover_pending_workflows).parameters.values()

    assert parameter.name == "executor_ids"


def test_jobs_when_a_process_rests_then_their_interval_is_read_when_they_begin() -> None:
    source = inspect.getsource(commands.background_jobs_thread)

    assert "_BACKGROUND_JOBS_INTERVAL_SEC" in source


def test_internal_queue_when_a_process_rests_then_it_is_looked_at_rarely() -> None:
    dbos = DBOS(config={"name": "imagebuilder-test", "system_database_url": "sqlite://"})
    try:
        rest(dbos)

        queue = dbos._registry.get_internal_queue()
        assert queue._polling_interval_sec == 30.0
    finally:
        DBOS.destroy(destroy_registry=True)
