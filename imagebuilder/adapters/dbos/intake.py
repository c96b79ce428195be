"""Intake: runs are put on the queue of DBOS, many in one transaction.

DBOS itself has a transaction for each, on connections that runs under way need too, and waits as
long as its database is away. Whoever hands out work has a lease to renew meanwhile.
"""

from collections.abc import Sequence

from dbos import DBOSClient, EnqueueOptions
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from imagebuilder.adapters.dbos.system_database import APPLICATION, SCHEMA
from imagebuilder.adapters.dbos.workflows import ENGINE_VERSION, RUN_WORKFLOW, RUNS_QUEUE
from imagebuilder.domain.errors import Unavailable
from imagebuilder.domain.ids import RunId
from imagebuilder.ports.engine import Begin, EngineOrder


class QueueUnavailable(Unavailable):
    """Runs cannot be put on the queue of the engine now."""

    code = "queue-unavailable"

    def __init__(self, reason: str) -> None:
        """Say what the database said."""
        super().__init__(
            "The queue of the engine that does runs is not available.",
            context=reason,
            hint="Check the database; what waits is tried again by itself.",
        )


class Intake:
    """Takes runs in."""

    def __init__(self, engine: Engine) -> None:
        """Put them into the database of DBOS, which `engine` opens."""
        self._engine = engine
        self._client = DBOSClient(
            system_database_engine=engine,
            dbos_system_schema=SCHEMA,
            application_name=APPLICATION,
            lazy=True,
            retry_connection_errors=False,
        )

    def take(self, orders: Sequence[EngineOrder]) -> None:
        """See that runs get done; of one that was taken before nothing happens.

        Raises: QueueUnavailable: none of them was taken.
        """
        try:
            with self._engine.begin() as connection:
                for order in orders:
                    self._client.enqueue_in_transaction(
                        connection,
                        _options(order),
                        *(order.run_id, order.attempt, order.pool, order.priority),
                    )
        except DBAPIError as error:
            raise QueueUnavailable(str(error.orig)) from error

    def drop(self, begins: Sequence[Begin]) -> None:
        """Take runs off the queues, that of their pool too; one that is over stays as it is.

        What they wait for may never come, and meanwhile they keep others of their kind waiting.

        Raises: QueueUnavailable.
        """
        ids = [_workflow_id(*begin) for begin in begins]
        try:
            self._client.cancel_workflows(ids, cancel_children=True)
        except DBAPIError as error:
            raise QueueUnavailable(str(error.orig)) from error

    def close(self) -> None:
        """Let go of the database."""
        self._client.destroy()


def _options(order: EngineOrder) -> EnqueueOptions:
    return {
        "workflow_name": RUN_WORKFLOW,
        "queue_name": RUNS_QUEUE,
        # What names a workflow that is there already enqueues nothing.
        "workflow_id": _workflow_id(order.run_id, order.attempt),
        "queue_partition_key": order.exclusion,
        "priority": order.priority,
        "app_version": ENGINE_VERSION,
    }


def _workflow_id(run_id: RunId, attempt: int) -> str:
    return f"{run_id}/{attempt}"
