"""`imagebuilder pack`."""

from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.cli.options import AsJson
from imagebuilder.cli.output import Json, print_json, print_lines, print_table, told_errors
from imagebuilder.domain.packs import PACK_PREFIX, Pack, pack_of

if TYPE_CHECKING:
    from imagebuilder.documents.pack_files import PackText

app = typer.Typer(help="Packs: tests that are ready for recipes.", no_args_is_help=True)


@app.command("list")
def list_packs(*, as_json: AsJson = False) -> None:
    """Show the packs there are; a recipe names one as pack:NAME among its tests."""
    with told_errors(as_json=as_json):
        found = [(pack, _text(pack)) for pack in Pack]
        if as_json:
            print_json({"packs": [_json(pack, text) for pack, text in found]})
            return
        rows = [(pack.value, " ".join(text.stages), text.says) for pack, text in found]
        print_table(("PACK", "STAGES", "WHERE IT PASSES"), rows)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Such as ssh.", show_default=False)],
    *,
    as_json: AsJson = False,
) -> None:
    """Show what a pack tests."""
    with told_errors(as_json=as_json):
        pack = pack_of(name.removeprefix(PACK_PREFIX))
        text = _text(pack)
        if as_json:
            print_json(_json(pack, text))
            return
        print_lines(f"{PACK_PREFIX}{pack}: {text.says}", *text.more.splitlines(), "")
        rows = [(test.name, " ".join(test.stages), test.says) for test in text.tests]
        print_table(("TEST", "STAGES", "WHERE IT PASSES"), rows)


def _text(pack: Pack) -> "PackText":
    from imagebuilder.bootstrap import Application  # noqa: PLC0415 - start-up
    from imagebuilder.documents.pack_files import pack_text  # noqa: PLC0415 - start-up

    return pack_text(Application().authoring.pack_text(pack))


def _json(pack: Pack, text: "PackText") -> Json:
    return {
        "name": pack.value,
        "entry": f"{PACK_PREFIX}{pack}",
        "says": text.says,
        "more": text.more,
        "stages": list(text.stages),
        "tests": [
            {"name": test.name, "stages": list(test.stages), "says": test.says}
            for test in text.tests
        ],
    }
