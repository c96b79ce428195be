"""`imagebuilder image`."""

from typing import TYPE_CHECKING

import typer

from imagebuilder.cli import (
    image_attest,
    image_bill,
    image_boot,
    image_copy,
    image_diff,
    image_export,
    image_find,
    image_import,
    image_lifecycle,
    image_lineage,
    image_notes,
    image_rebuild,
    image_report,
    image_tests,
    image_whatis,
    revocation,
)
from imagebuilder.cli.options import (
    AsJson,
    ReferenceArgument,
)
from imagebuilder.cli.output import print_json, print_table, told_errors

if TYPE_CHECKING:
    from imagebuilder.bootstrap import Application
    from imagebuilder.cli.output import Json
    from imagebuilder.domain.image import ImageVersion
    from imagebuilder.services.cataloguing import Cataloguing

app = typer.Typer(help="Images: the versions that were built and kept.", no_args_is_help=True)
app.command()(image_export.export)
app.command()(image_bill.bill)
app.command()(image_report.report)
app.command("tests")(image_tests.list_tests)
app.command()(image_attest.attest)
app.command()(image_attest.attestations)
app.command()(image_boot.boot)
app.command()(image_rebuild.rebuild)
app.command()(image_lifecycle.reactivate)
app.command()(image_diff.diff)
app.command("list")(image_find.list_)
app.command()(image_find.find)
app.command()(image_whatis.whatis)
app.command()(image_lineage.lineage)
app.command()(image_copy.copy)
app.command("import")(image_import.import_)
app.command()(image_notes.label)
app.command()(image_notes.describe)
app.command()(revocation.revoke)
app.command()(revocation.restore)

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time


def _application() -> "Application":
    from imagebuilder.bootstrap import Application

    return Application()


def _cataloguing() -> "Cataloguing":
    return _application().cataloguing


@app.command()
def show(reference: ReferenceArgument, *, as_json: AsJson = False) -> None:
    """Show a version: where it comes from, its artifacts, layers, tests and how many packages."""
    with told_errors(as_json=as_json):
        from imagebuilder.cli.assurance import assurance_facts, assurance_json, assurance_of
        from imagebuilder.cli.image_shape import notes_json, version_json
        from imagebuilder.cli.image_text import notes_text, print_version

        application = _application()
        cataloguing = application.cataloguing
        version = cataloguing.show(reference)
        parent = _parent_reference(cataloguing, version)
        told = application.revoking.told_of(version.id)
        found = application.searching.known(version.id)
        placements = application.placements.of([version.id])
        assurance = assurance_of(application, version)
        if as_json:
            notes = notes_json(found, placements)
            attestations = [image_attest.attestation_json(each) for each in assurance.signed]
            shape = version_json(version, parent, told)
            more: dict[str, Json] = {
                "attestations": attestations,
                "assurance": assurance_json(assurance),
            }
            print_json({**shape, **notes, **more})
            return
        facts = [*assurance_facts(assurance), *notes_text(found, placements)]
        print_version(version, parent, told, facts)


@app.command()
def packages(reference: ReferenceArgument, *, as_json: AsJson = False) -> None:
    """List the packages of a version."""
    with told_errors(as_json=as_json):
        from imagebuilder.cli.image_shape import package_json

        found = _cataloguing().packages(reference)
        if as_json:
            print_json([package_json(package) for package in found])
            return
        print_table(
            ("PACKAGE", "VERSION", "ARCHITECTURE", "SOURCE", "SOURCE VERSION"),
            [(p.name, p.version, p.architecture, p.source, p.source_version) for p in found],
        )


def _parent_reference(cataloguing: "Cataloguing", version: "ImageVersion") -> str | None:
    parent = version.parent.version_id
    return None if parent is None else cataloguing.references([parent])[parent]
