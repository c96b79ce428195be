"""A strict double of AWS: real HTTP on the loopback, refusals as AWS makes them, moto for the rest.

    serving        running_double(): a server with its world, log and faults
    fixtures       `double`, for tests: a new one for each, of one server and its clients
    apart, __main__  the same in a process of its own: for benchmarks, for people
    application    one request: who asks, what for, faults, our handler or moto, the log
    wire           bytes of HTTP <-> operation and parameters, by the models of botocore
    accounts       who an access key is; sessions, regions that are not enabled
    calls, faults  what was asked, and what goes wrong on purpose
    world          all that the double knows; one for each double
    ...            the rest are handlers, by topic; each registers its operations

What it says is held to by tests/aws_double_tests, first of all its refusals. It knows no IAM
policies of callers: whoever has credentials of an account may do all that the account may do.
"""

from tests.aws_double.serving import Double, running_double

__all__ = ["Double", "running_double"]
