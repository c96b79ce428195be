"""`imagebuilder image rebuild`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.cli.options import AsJson, ReferenceArgument
from imagebuilder.cli.output import name_text, print_json, print_lines, told_errors

if TYPE_CHECKING:
    from imagebuilder.cli.output import Json
    from imagebuilder.domain.rebuild import Rebuild
    from imagebuilder.services.pipelines.rebuilding import RebuildPlan

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time


def rebuild(  # noqa: PLR0913 - one for each option that people may give
    reference: ReferenceArgument,
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Build it, compare, and keep nothing of it.")
    ] = False,
    recipe: Annotated[
        Path | None,
        typer.Option("--recipe", metavar="FILE", help="Its recipe, if not recipes/NAME.yaml."),
    ] = None,
    files_only: Annotated[
        bool, typer.Option("--files-only", help="Compare its files; make no disk of them.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    as_json: AsJson = False,
) -> None:
    """Build a version again of the same plan, and say by file what comes out otherwise.

    Without --check it only says whether all that this takes can be had.
    """
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application
        from imagebuilder.cli.progress import display
        from imagebuilder.cli.stopping import stoppable
        from imagebuilder.domain.rebuild import RebuildDiffers
        from imagebuilder.services.pipelines.rebuilding import RebuildRequest

        request = RebuildRequest(
            reference=reference,
            recipe_path=None if recipe is None else str(recipe),
            is_of_files_only=files_only,
        )
        rebuilding = Application().rebuilding
        if not check:
            _show_plan(rebuilding.plan(request), as_json=as_json)
            return
        with stoppable(), display(as_json=as_json, is_quiet=quiet) as shown:
            found = rebuilding.check(request, shown)
        if as_json:
            print_json(_rebuild_json(found))
        else:
            _print(found)
        if not found.is_equal:
            raise RebuildDiffers.of(found)


def _show_plan(plan: "RebuildPlan", *, as_json: bool) -> None:
    prepared, pinned = plan.prepared, plan.pinned
    layers = [layer.name for layer in prepared.plan.layers if not layer.is_empty]
    follows = None if plan.predecessor is None else str(plan.predecessor.disk_digest)
    if as_json:
        print_json(
            {
                "version": plan.version.reference,
                "parent": prepared.plan.parent.asked,
                "layers": list(layers),
                "packages": len(pinned.versions),
                "packages_from_cache": sorted(f"{n}={v}" for n, v, _ in pinned.kept),
                "follows": follows,
                "artifacts": list(prepared.plan.artifacts),
            }
        )
        return
    cached = f", {len(pinned.kept)} of them from the cache" if pinned.kept else ""
    print_lines(
        f"{plan.version.reference} can be built again, on {prepared.plan.parent.asked}",
        f"  layers     {', '.join(layers)}",
        f"  packages   {len(pinned.versions)}, held at their versions{cached}",
        f"  artifacts  {', '.join(prepared.plan.artifacts)}",
        f"To do it and compare: imagebuilder image rebuild {plan.version.reference} --check",
    )


def _rebuild_json(found: "Rebuild") -> "Json":
    return {
        "version": found.reference,
        "is_equal": found.is_equal,
        "file_count": found.file_count,
        "files": [{"path": each.path, "what": list(each.what)} for each in found.files],
        "compared_artifacts": list(found.compared),
        "artifacts": [
            {
                "format": each.format,
                "recorded": str(each.recorded),
                "rebuilt": str(each.rebuilt),
            }
            for each in found.artifacts
        ],
    }


def _print(found: "Rebuild") -> None:
    if found.is_equal:
        formats = ", ".join(found.compared)
        whole = f" and {formats}" if formats else "; no disk was made"
        print_lines(f"{found.reference} comes out the same: {found.file_count} files{whole}")
        return
    for each in found.files:
        print_lines(f"  {'/'.join(each.what)}  {name_text(each.path)}")
    for artifact in found.artifacts:
        print_lines(f"  {artifact}")
