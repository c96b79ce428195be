"""`python -m tests.aws_double`: the double as a program, for people and for benchmarks."""

import argparse
import signal
import sys
import threading
from types import FrameType
from typing import Final

from tests.aws_double.calls import Call
from tests.aws_double.serving import HOME, Double, running_double

_PORT: Final = 4580

_HOW_TO: Final = """
In another shell:

{exports}

Any program that knows AWS_ENDPOINT_URL asks the sandbox then, for example

  aws ec2 describe-images --owners self
  aws sts get-caller-identity

The access key says the account: AKIA, twelve digits of your choice, ADMN. Nothing is kept when
the sandbox ends, which Ctrl-C does.
"""


def main() -> None:
    """Serve until Ctrl-C or SIGTERM."""
    options = _options()
    ended = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    with running_double(options.port) as double:
        _begin(double, options)
        ended.wait()


def _begin(double: Double, options: argparse.Namespace) -> None:
    if options.calls:
        double.log.heard_by(_show)
    if options.throttle:
        double.faults.throttle(percent=options.throttle)
    _say(f"AWS sandbox: {double.endpoint}")
    variables = double.environment(options.account).items()
    exports = "\n".join(f"  export {name}={value}" for name, value in variables)
    _say(_HOW_TO.format(exports=exports))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="aws-sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=_PORT, help=f"0: any free one ({_PORT})")
    parser.add_argument("--account", default=HOME, help=f"whose credentials are shown ({HOME})")
    parser.add_argument("--calls", action="store_true", help="show each call on stderr")
    parser.add_argument("--throttle", type=float, metavar="PERCENT", help="throttle some calls")
    return parser.parse_args()


def _show(call: Call) -> None:
    where = f"{call.account or '-'} {call.region}"
    sys.stderr.write(f"{where} {call.service} {call.operation}: {call.outcome}\n")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
