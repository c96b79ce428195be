"""`imagebuilder` and `python -m imagebuilder`."""

import sys

from imagebuilder import __version__


def main() -> None:
    """Run the command line; the version is told without loading it."""
    if sys.argv[1:] in (["--version"], ["version"]):
        sys.stdout.write(f"imagebuilder {__version__}\n")
        return
    from imagebuilder.cli.main import run  # noqa: PLC0415 - see above: the version is instant

    run()


if __name__ == "__main__":
    main()
