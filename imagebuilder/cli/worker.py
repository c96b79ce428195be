"""`imagebuilder worker`: a process that stays and does the work of pools."""

from imagebuilder.cli.output import told_errors
from imagebuilder.cli.staying import Drain, Pools, pools_of, stay

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time


def worker(*, pool: Pools = None, drain: Drain = 600) -> None:
    """Do the runs that `imagebuilder serve` hands out, on this or another machine."""
    with told_errors():
        from imagebuilder.bootstrap import Application
        from imagebuilder.services.pipelines.serving import ServeOrder

        application = Application()
        pools = pools_of(pool or application.usual_pools)
        stay(application, ServeOrder(controls=False, pools=pools, drain_seconds=float(drain)))
