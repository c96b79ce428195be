"""`imagebuilder build`."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.bootstrap import Application
from imagebuilder.cli.output import Json, print_json, told_errors
from imagebuilder.cli.progress import display
from imagebuilder.cli.stopping import stoppable
from imagebuilder.domain.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagebuilder.domain.recipe import AmiParent
    from imagebuilder.services.pipelines.desk import BuildResult
    from imagebuilder.services.pipelines.planning import BuildRequest


class SettingMalformed(InvalidInput):
    """A --set that sets nothing."""

    code = "set-malformed"

    def __init__(self, text: str) -> None:
        """Quote it and show the form."""
        super().__init__(
            f"--set {text!r} sets nothing.", hint="Write --set component.parameter=value."
        )


def build(  # noqa: PLR0913 - one for each option that people may give
    recipe: Annotated[Path, typer.Argument(help="The recipe's YAML file.", show_default=False)],
    *,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="COMPONENT.PARAMETER=VALUE", help="Set a parameter."),
    ] = None,
    refresh: Annotated[
        bool,
        typer.Option("--refresh", "--no-cache", help="Use no cached layer: all packages anew."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan and what is cached; make nothing.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the root file system of a step that fails.")
    ] = False,
    until: Annotated[
        str,
        typer.Option(help="record, or artifact: stop at the files, untested and unrecorded."),
    ] = "record",
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="SOURCE", help="Build just this source of Packer's."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Build a recipe, boot it, test it and record it; its missing parent image first."""
    with told_errors(as_json=as_json):
        from imagebuilder.services.pipelines.planning import BuildRequest  # noqa: PLC0415 - start-up

        if until not in ("record", "artifact"):
            raise UntilUnknown(until)
        request = BuildRequest(
            recipe_path=str(recipe),
            overrides=dict(setting_of(text) for text in set_ or ()),
            refresh=refresh,
            keep=keep,
            until_artifact=until == "artifact",
            only=tuple(only or ()),
        )
        application = Application()
        if dry_run:
            _show_plan(application, request, as_json=as_json)
            return
        with stoppable(), display(as_json=as_json, is_quiet=quiet) as shown:
            result = application.building.build(request, shown)
        _show_result(result, as_json=as_json, is_quiet=quiet)


class UntilUnknown(InvalidInput):
    """There is no such place to stop."""

    code = "until-unknown"

    def __init__(self, asked: str) -> None:
        """Quote it and name the places there are."""
        super().__init__(
            f"A build cannot stop at {asked!r}.", hint="Write --until artifact or --until record."
        )


def setting_of(text: str) -> tuple[str, str]:
    """Give the name and the value of a --set. Raises: SettingMalformed."""
    name, equals, value = text.partition("=")
    if not equals or "." not in name:
        raise SettingMalformed(text)
    return name, value


def _show_plan(application: Application, request: "BuildRequest", *, as_json: bool) -> None:
    """Show what would be built first; a child of a missing parent can only be planned after it."""
    from imagebuilder.services.building.stacking import StackRequest  # noqa: PLC0415 - start-up

    missing = application.building.missing_parents(request.recipe_path)
    first, *later = *missing, request.recipe_path
    if not isinstance(first, str):
        _show_fetch(first, later, as_json=as_json)
        return
    if later:
        request = replace(request, recipe_path=first, overrides={})
    prepared = application.building.plan(request)
    oldest = application.clock.now() if request.refresh else None
    layers = application.stacking.preview(
        StackRequest(ingredients=prepared.ingredients, rebuild_before=oldest)
    )
    plan = prepared.plan
    if as_json:
        rows: list[Json] = [
            {"name": row.name, "key": row.key, "is_cached": row.is_cached, "why": row.why}
            for row in layers
        ]
        print_json(
            {
                "image": plan.image,
                "is_unchanged": prepared.is_unchanged,
                "reason": prepared.reason,
                "reasons": [{"kind": r.kind, "text": r.text} for r in prepared.reasons],
                "plan": plan.document(),
                "layers": rows,
                "fetch": None,
                "then": list(map(str, later)),
            }
        )
        return
    typer.echo(f"{plan.image} {plan.recipe_version} on {plan.parent.asked}")
    for row in layers:
        state = "cached" if row.is_cached else "build "
        why = f"  ({row.why})" if row.why else ""
        typer.echo(f"  {state}  {row.key[:12] or '-':12}  {row.name}{why}")
    typer.echo(f"  artifacts: {', '.join(plan.artifacts)}")
    typer.echo(
        f"unchanged: {prepared.before.reference} is what would be built"
        if prepared.is_unchanged and prepared.before
        else f"to build: {prepared.reason}"
    )
    _show_later(later)


def _show_fetch(ami: "AmiParent", later: "Sequence[object]", *, as_json: bool) -> None:
    """Show that nothing can be planned before an AMI is fetched."""
    from imagebuilder.domain.recipe import parent_text  # noqa: PLC0415 - start-up

    text = parent_text(ami)
    if as_json:
        print_json(
            {
                "image": ami.image,
                "is_unchanged": False,
                "reason": f"{text} is not at hand",
                "reasons": [],
                "plan": None,
                "layers": [],
                "fetch": text,
                "then": list(map(str, later)),
            }
        )
        return
    typer.echo(f"fetch: {text}, and record it as {ami.image}")
    _show_later(later)


def _show_later(paths: "Sequence[object]") -> None:
    for path in paths:
        typer.echo(f"then: {path}, which can be planned when its parent is built")


def _show_result(result: "BuildResult", *, as_json: bool, is_quiet: bool) -> None:
    version = result.version
    if as_json:
        print_json(
            {
                "version": version.reference if version else None,
                "id": version.id if version else None,
                "run": result.run_id,
                "is_unchanged": result.is_unchanged,
                "reason": result.reason,
                "built_layers": list(result.built),
                "files": {str(format_): str(path) for format_, path in result.files},
                "warnings": list(result.warnings),
            }
        )
        return
    for warning in () if is_quiet else result.warnings:
        typer.echo(f"warning: {warning}", err=True)
    if version is not None:
        typer.echo(f"{version.reference} unchanged" if result.is_unchanged else version.reference)
    for _, path in result.files:
        typer.echo(str(path))
