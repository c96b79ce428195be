"""`imagebuilder image lineage` in every format."""

import json

import pytest

from imagebuilder.domain.audit import Act
from imagebuilder.domain.channel import Channel, ChannelMove, MoveKind
from imagebuilder.domain.ids import ChannelName, VersionId
from imagebuilder.domain.standing import Revocation
from tests.build import SOME_DAY, a_draft, a_parent
from tests.functional.conftest import Catalogue, Cli


def test_lineage_then_draws_up_and_down_with_the_focus_marked(
    cli: Cli, catalogue: Catalogue
) -> None:
    assert cli("image", "lineage", "debian-base").stdout.splitlines() == [
        "debian:bookworm",
        "└── debian-base@1.0.0/1 [latest] <--",
        "    ├── debian-web@1.2.1/1 [latest] (asked for @1.x)",
        "    └── debian-web@1.2.0/1 (asked for @1.x)",
    ]


def test_lineage_when_only_up_then_leaves_out_what_was_built_on_it(
    cli: Cli, catalogue: Catalogue
) -> None:
    assert cli("image", "lineage", "debian-base", "--up").stdout.splitlines() == [
        "debian:bookworm",
        "└── debian-base@1.0.0/1 [latest] <--",
    ]


def test_lineage_when_only_down_then_leaves_out_its_relatives_above(
    cli: Cli, catalogue: Catalogue
) -> None:
    labels = {n["label"] for n in cli.json("image", "lineage", "debian-web", "--down")["nodes"]}

    assert "debian-base@1.0.0/1" not in labels
    base = cli("image", "lineage", "debian-base", "--down").stdout.splitlines()
    assert base[0] == "debian-base@1.0.0/1 [latest] <--"
    assert "debian-web@1.2.1/1" in labels


def test_lineage_as_json_then_has_states_inputs_and_each_kind_of_edge(
    cli: Cli, catalogue: Catalogue
) -> None:
    lineage = cli.json("image", "lineage", "debian-web")

    assert (lineage["focus"], lineage["left_out"]) == (catalogue.new.id, 0)
    by_kind = {edge["kind"]: edge for edge in lineage["edges"] if edge["child"] == catalogue.new.id}
    assert by_kind["parent"] == {
        "parent": catalogue.base.id,
        "child": catalogue.new.id,
        "kind": "parent",
        "asked": "image:debian-base@1.x",
        "ancestry": "up-to-date",
        "now": {"id": catalogue.base.id, "reference": "debian-base@1.0.0/1"},
    }
    kinds = {edge["kind"] for edge in lineage["edges"]}
    assert kinds == {"suite", "parent", "component", "index", "plan", "artifact"}
    (web,) = (n for n in lineage["nodes"] if n["id"] == catalogue.new.id)
    assert (web["state"], web["is_stale"], web["channels"]) == ("active", False, ["latest"])
    ids = {node["id"] for node in lineage["nodes"]}
    assert all({e["parent"], e["child"]} <= ids for e in lineage["edges"])


def test_lineage_when_the_parent_moved_on_then_tells_it_of_every_child(
    cli: Cli, catalogue: Catalogue
) -> None:
    record = cli.application().cataloguing.record
    newer = record(a_draft("debian-base", "1.0.x"))

    told = cli("image", "lineage", "debian-web@1.2.0").stdout

    assert f"debian-web@1.2.0/1 out of date: @1.x is {newer.reference} now <--" in told
    stale = cli("image", "lineage", "debian-base@1.0.0/1", "--stale").stdout.splitlines()
    assert [line.strip("├└─ │").split()[0] for line in stale] == [
        "debian:bookworm",
        "debian-base@1.0.0/1",
        "debian-web@1.2.1/1",
    ]
    assert (
        "debian-web@1.2.0"
        in cli("image", "lineage", "debian-base@1.0.0/1", "--stale", "--all").stdout
    )


def test_lineage_when_asked_by_a_channel_then_compares_with_what_it_means_now(
    cli: Cli, catalogue: Catalogue
) -> None:
    application = cli.application()
    stable = ChannelName("stable")
    act = Act(actor="eva", at=SOME_DAY)
    old = catalogue.base
    channel = Channel(image=old.image, name=stable, version_id=None)
    application.channels.add(channel, ChannelMove(kind=MoveKind.SET, act=act, old=None, new=old.id))
    parent = a_parent(old.id, asked="image:debian-base@stable")
    application.cataloguing.record(a_draft("shop", parent=parent))
    assert "[latest] (asked for @stable)" in cli("image", "lineage", "shop").stdout
    newer = application.cataloguing.record(a_draft("debian-base", "1.0.x"))
    seen = application.channels.channel(old.image, stable, application.clock.now())

    application.channels.add(
        seen, ChannelMove(kind=MoveKind.SET, act=act, old=old.id, new=newer.id)
    )

    assert (
        f"out of date: @stable is {newer.reference} now" in cli("image", "lineage", "shop").stdout
    )


def test_lineage_when_the_base_is_revoked_then_says_what_inherits_it(
    cli: Cli, catalogue: Catalogue
) -> None:
    cli.application().standings.revoke(
        Revocation(
            id="r-1",
            version_id=VersionId(catalogue.base.id),
            in_force_at=SOME_DAY,
            act=Act(actor="eva", at=SOME_DAY, why="a key leaked"),
        )
    )

    told = cli("image", "lineage", "debian-base").stdout

    assert "debian-base@1.0.0/1 revoked" in told
    assert "debian-web@1.2.1/1 revoked (inherited from debian-base@1.0.0/1)" in told


def test_lineage_when_there_are_more_than_the_limit_then_says_how_many(
    cli: Cli, catalogue: Catalogue
) -> None:
    limited = cli("image", "lineage", "debian-base", "--limit", "2")

    assert limited.stderr == "and 1 more; --limit 0 shows all\n"
    assert cli("image", "lineage", "debian-base", "--limit", "0").stderr == ""
    assert (
        json.loads(cli("image", "lineage", "debian-base", "--limit", "2", "--json").stdout)[
            "left_out"
        ]
        == 1
    )


def test_lineage_when_nothing_is_stale_then_says_so(cli: Cli, catalogue: Catalogue) -> None:
    result = cli("image", "lineage", "debian-web", "--stale")

    told = "nothing here is stale and meant by a channel; --all looks at all versions\n"
    assert (result.exit_code, result.stderr) == (0, told)
    everything = cli("image", "lineage", "debian-web", "--stale", "--all")
    assert (everything.exit_code, everything.stderr) == (0, "nothing here is stale\n")


def test_lineage_with_inputs_then_lists_them_under_each_version(
    cli: Cli, catalogue: Catalogue
) -> None:
    told = cli("image", "lineage", "debian-web", "--inputs").stdout

    assert "· component nginx 1.0.1 " in told
    assert "· index http://deb.example.org/debian bookworm " in told
    assert "· artifact qcow2 " in told


@pytest.mark.parametrize(("name", "begins"), [("dot", "digraph"), ("mermaid", "flowchart")])
def test_lineage_in_a_graph_language_then_draws_each_version(
    cli: Cli, catalogue: Catalogue, name: str, begins: str
) -> None:
    told = cli("image", "lineage", "debian-base", "--format", name).stdout

    assert told.startswith(begins)
    assert "plan" not in told
    with_inputs = cli("image", "lineage", "debian-base", "--format", name, "--inputs").stdout
    assert "plan" in with_inputs
    for reference in ("debian-base@1.0.0/1", "debian-web@1.2.0/1", "debian-web@1.2.1/1"):
        assert reference in told


def test_lineage_in_a_pipe_then_no_line_is_cut_at_the_width_of_a_terminal(
    cli: Cli, catalogue: Catalogue
) -> None:
    image = "image-" + "with-a-long-name-" * 6 + "x"
    record = cli.application().cataloguing.record
    record(
        a_draft(image, "1.0.x", parent=a_parent(catalogue.base.id, asked="image:debian-base@1.x"))
    )
    newer = record(a_draft("debian-base", "1.0.x"))

    told = cli("image", "lineage", image).stdout.splitlines()

    assert told[-1].strip("└─ ") == (
        f"{image}@1.0.0/1 [latest] out of date: @1.x is {newer.reference} now <--"
    )


@pytest.mark.parametrize("option", [("--depth", "0"), ("--limit", "-1"), ("--format", "svg")])
def test_lineage_when_an_option_cannot_be_then_exits_with_2(
    cli: Cli, catalogue: Catalogue, option: tuple[str, str]
) -> None:
    assert cli("image", "lineage", "debian-base", *option).exit_code == 2
