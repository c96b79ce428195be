"""`imagebuilder component`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.cli.options import AsJson
from imagebuilder.cli.output import told_errors
from imagebuilder.domain.component import PhaseName

if TYPE_CHECKING:
    from imagebuilder.cli.checking import Sound
    from imagebuilder.services.authoring import Authoring

app = typer.Typer(help="Components: reusable pieces of build work.", no_args_is_help=True)

_ALL_PHASES = ",".join(PhaseName)
ComponentFileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="The component's YAML file.", show_default=False)
]
PhasesOption = Annotated[str, typer.Option(metavar="PHASE,...", help="Run only these phases.")]
ParameterOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="PARAMETER=VALUE", help="Set a parameter.")
]
JunitOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write JUnit XML: a test case for each step."),
]

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(help="YAML files.", show_default=False)],
    *,
    as_json: AsJson = False,
) -> None:
    """Show every fault of components."""
    from imagebuilder.cli.checking import check_documents

    check_documents(files, _checked, as_json=as_json)


@app.command(name="test")
def try_out(  # noqa: PLR0913 - one for each option that people may give
    file: ComponentFileArgument,
    *,
    on: Annotated[
        str,
        typer.Option(
            metavar="PARENT|RECIPE",
            help="debian:bookworm, image:NAME@REF, rootfs:FILE, or a recipe's file.",
        ),
    ],
    phases: PhasesOption = _ALL_PHASES,
    set_: ParameterOption = None,
    junit: JunitOption = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the root and say how to enter it.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run a component on a throw-away root: nothing is recorded, and no image is made."""
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application
        from imagebuilder.cli.component_trial import parameters_of, phases_of, show, write_junit
        from imagebuilder.cli.progress import display
        from imagebuilder.cli.stopping import stoppable
        from imagebuilder.services.pipelines.trying import TrialRequest

        request = TrialRequest(
            path=str(file),
            on=on,
            phases=phases_of(phases),
            parameters=parameters_of(set_),
            keep=keep,
        )
        shown = display(as_json=as_json, is_quiet=quiet, keeps_tails=True)
        with stoppable(), shown:
            trial = Application().trying.test(request, shown)
        if junit is not None:
            write_junit(junit, trial)
        show(trial, as_json=as_json)


def _checked(authoring: "Authoring", file: str) -> "Sound":
    from imagebuilder.cli.checking import Sound

    read = authoring.component(file)
    found = read.value
    steps = [f"{phase.name} {len(phase.steps)}" for phase in found.phases]
    return Sound(
        name=found.name,
        version=str(found.version),
        warnings=read.warnings,
        summary=f"component {found.name} {found.version} is sound: steps {', '.join(steps)}",
    )
