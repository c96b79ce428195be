"""`imagebuilder` and `python -m imagebuilder`."""

import gc
import sys

from imagebuilder import __version__

_GARBAGE_THRESHOLD = 50_000


def main() -> None:
    """Run the command line; the version is told without loading it."""
    if sys.argv[1:] in (["--version"], ["version"]):
        sys.stdout.write(f"imagebuilder {__version__}\n")
        return
    # Nearly all that is made while modules load stays: to look for garbage in it is time lost.
    gc.set_threshold(_GARBAGE_THRESHOLD)
    from imagebuilder.cli.main import run  # noqa: PLC0415 - see above: the version is instant

    try:
        run()
    finally:
        # Nor at the end, where Python looks once more at all that goes with the process anyway.
        gc.freeze()


if __name__ == "__main__":
    main()
