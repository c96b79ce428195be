"""`imagebuilder component`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.cli.options import HERE, AsJson, ComponentArgument
from imagebuilder.cli.output import told_errors
from imagebuilder.domain.component import PhaseName

if TYPE_CHECKING:
    from imagebuilder.bootstrap import Application
    from imagebuilder.cli.checking import Sound

app = typer.Typer(help="Components: reusable pieces of build work.", no_args_is_help=True)

_ALL_PHASES = ",".join(PhaseName)
ComponentFileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="The component's YAML file.", show_default=False)
]
PhasesOption = Annotated[str, typer.Option(metavar="PHASE,...", help="Run only these phases.")]
ParameterOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="PARAMETER=VALUE", help="Set a parameter.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
JunitOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write JUnit XML: a test case for each step."),
]
DetailsOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write JSON of all that was done.")
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


@app.command(name="list")
def list_components(
    *,
    search: Annotated[
        str, typer.Option(metavar="TEXT", help="Only those with it in name, description or tags.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """List the components that recipes of this folder may name."""
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application
        from imagebuilder.cli.component_shelf import print_list

        print_list(Application().browsing.list(HERE, search), as_json=as_json)


@app.command()
def show(component: ComponentArgument, *, as_json: AsJson = False) -> None:
    """Show what a component does, what it takes, what it needs, and who uses it."""
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application
        from imagebuilder.cli.component_shelf import print_component

        print_component(Application().browsing.show(component, HERE), as_json=as_json)


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
    details: DetailsOption = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the root and say how to enter it.")
    ] = False,
    quiet: QuietOption = False,
    as_json: AsJson = False,
) -> None:
    """Run a component on a throw-away root: nothing is recorded, and no image is made."""
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application
        from imagebuilder.cli import component_trial as trials
        from imagebuilder.services.pipelines.trying import TrialRequest

        request = TrialRequest(
            path=str(file),
            on=on,
            phases=trials.phases_of(phases),
            parameters=trials.parameters_of(set_),
            keep=keep,
        )
        trials.follow(
            lambda shown: Application().trying.test(request, shown),
            trials.Wishes(junit=junit, details=details, is_quiet=quiet, as_json=as_json),
        )


@app.command()
def run(  # noqa: PLR0913 - one for each option that people may give
    file: ComponentFileArgument,
    *,
    host: Annotated[
        str, typer.Option(metavar="[USER@]ADDRESS", help="The machine; root unless named.")
    ],
    port: Annotated[int, typer.Option(help="The port of its SSH server.", min=1, max=65535)] = 22,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="The private key.")] = None,
    known_hosts: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where its host key is known.")
    ] = None,
    accept_new: Annotated[
        bool, typer.Option("--accept-new", help="Take the host key of a machine never seen.")
    ] = False,
    phases: PhasesOption = _ALL_PHASES,
    set_: ParameterOption = None,
    junit: JunitOption = None,
    details: DetailsOption = None,
    quiet: QuietOption = False,
    as_json: AsJson = False,
) -> None:
    """Run a component on a machine that runs already, which stays as it leaves it."""
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application
        from imagebuilder.cli import component_trial as trials
        from imagebuilder.services.pipelines.visiting import VisitRequest

        request = VisitRequest(
            path=str(file),
            login=trials.login_of(
                host, port=port, key=key, known_hosts=known_hosts, accepts_new=accept_new
            ),
            phases=trials.phases_of(phases),
            parameters=trials.parameters_of(set_),
        )
        trials.follow(
            lambda shown: Application().visiting.run(request, shown),
            trials.Wishes(junit=junit, details=details, is_quiet=quiet, as_json=as_json),
        )


def _checked(application: "Application", file: str) -> "Sound":
    from imagebuilder.cli.checking import Sound, as_problems
    from imagebuilder.documents.problems import InvalidDocument
    from imagebuilder.domain.origin import Origin

    read = application.authoring.component(file)
    found = read.value
    faults = application.authoring.document_faults(found, file)
    problems = [p for fault in faults for p in as_problems(fault, Origin(document=file))]
    if problems:
        raise InvalidDocument(problems)
    steps = [f"{phase.name} {len(phase.steps)}" for phase in found.phases]
    return Sound(
        name=found.name,
        version=str(found.version),
        warnings=read.warnings,
        summary=f"component {found.name} {found.version} is sound: steps {', '.join(steps)}",
    )
