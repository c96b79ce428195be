"""The options that say what must hold of a version's findings."""

from typing import Annotated

import typer


def severity_names(incomplete: str) -> list[str]:
    """Complete a severity."""
    from imagebuilder.domain.severity import Severity  # noqa: PLC0415 - only completion needs it

    return [each.value for each in Severity if each.value.startswith(incomplete)]


FailOn = Annotated[
    str | None,
    typer.Option(
        "--fail-on",
        metavar="SEVERITY",
        help="Findings at least this bad stop it: critical, high, medium, low, info.",
        autocompletion=severity_names,
    ),
]
OnlyFixable = Annotated[
    bool,
    typer.Option("--only-fixable", help="Of the vulnerabilities only those with a fix stop it."),
]
KnownExploited = Annotated[
    bool, typer.Option("--known-exploited", help="What is exploited already stops it.")
]
Profile = Annotated[
    str | None,
    typer.Option("--profile", metavar="PROFILE", help="It must have been scanned for this one."),
]
MinCoverage = Annotated[
    str | None,
    typer.Option(
        "--min-coverage", metavar="SHARE", help="So much of its controls must be judged: 0.6."
    ),
]
MaxDataAge = Annotated[
    str | None,
    typer.Option(
        "--max-data-age", metavar="DURATION", help="How old advisories may be; 7d if left out."
    ),
]
RequiredTests = Annotated[
    list[str] | None,
    typer.Option(
        "--require-test",
        metavar="TEST",
        help="It must have passed these: a stage, pack:NAME, a file, a test; may be repeated.",
    ),
]
