"""Pipelines through the command line: what applies, what is refused and where, what is shown."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from imagebuilder.adapters.sql.database import open_database
from imagebuilder.adapters.sql.pipelines import SqlPipelineStore
from imagebuilder.domain.ids import PipelineName
from imagebuilder.domain.pipeline import Trigger
from imagebuilder.ports.catalogue import StoreUnavailable
from tests.build import SOME_DAY, a_kept_decision, a_run, an_order
from tests.examples import ROOT
from tests.functional.conftest import Cli

COMPONENT = """name: nginx
version: 1.0.0
schemaVersion: 1.0
parameters:
  - port: {type: string, default: "80"}
  - title: {type: string}
phases: [{name: build, steps: [{name: A, action: ExecuteBash, inputs: {commands: ['true']}}]}]
"""
WEB = """kind: Recipe
name: web
version: 1.0.x
parent: image:base@1.x
components: [{component: nginx@1.x, parameters: {title: Hello}}]
"""
BASE = "kind: Recipe\nname: base\nversion: 1.0.x\nparent: debian:bookworm\n"
NIGHTLY = """kind: Pipeline
name: nightly
recipe: web
schedule: {cron: "0 3 * * *", timezone: Europe/Berlin}
"""
WEEKLY = "kind: Pipeline\nname: weekly\nrecipe: base\nschedule: {rate: 7 days}\n"


@pytest.fixture
def nightly(cli: Cli) -> Path:
    cli.write("components/nginx.yaml", COMPONENT)
    cli.write("recipes/web.yaml", WEB)
    cli.write("recipes/base.yaml", BASE)
    return cli.write("recipes/nightly.yaml", NIGHTLY)


def changes(cli: Cli, *words: str | Path) -> dict[str, str]:
    return {each["pipeline"]: each["change"] for each in cli.json("pipeline", "apply", *words)}


def faults(cli: Cli, text: str, verb: str = "apply") -> list[tuple[int, int, str, str]]:
    """Give where and what a document's faults are: line, column, message, hint."""
    error = cli.error("pipeline", verb, cli.write("recipes/nightly.yaml", text))
    assert (error["code"], error["exit"]) == ("invalid-document", 2)
    return [(p["line"], p["column"], p["message"], p["hint"]) for p in error["problems"]]


def audited(cli: Cli) -> list[tuple[str, str, str]]:
    entries = cli.json("audit", "list")
    return [(each["action"], each["subject"], each["why"]) for each in reversed(entries)]


def test_pipeline_when_applied_again_is_unchanged_and_told_once(cli: Cli, nightly: Path) -> None:
    first = changes(cli, nightly, "--why", "new")
    before = cli.json("pipeline", "show", "nightly")

    second = changes(cli, nightly)

    assert (first, second) == ({"nightly": "added"}, {"nightly": "unchanged"})
    after = cli.json("pipeline", "show", "nightly")
    assert after == before
    assert audited(cli) == [("pipeline-applied", "nightly", "new")]


def test_pipeline_when_changed_says_what_and_keeps_since_when_it_is_there(
    cli: Cli, nightly: Path
) -> None:
    changes(cli, nightly)
    before = cli.json("pipeline", "show", "nightly")
    cli.write("recipes/nightly.yaml", NIGHTLY + "overlap: skip\nparameters: {nginx.port: 81}\n")

    (change,) = cli.json("pipeline", "apply", nightly)

    after = cli.json("pipeline", "show", "nightly")
    assert (change["change"], change["fields"]) == ("changed", ["parameters", "overlap"])
    assert after["first_applied_at"] == before["first_applied_at"]
    assert after["applied_at"] > before["applied_at"]
    assert after["seen_to_at"] == before["seen_to_at"]
    assert after["products"][0]["parameters"] == {"nginx.port": "81"}


def test_pipeline_when_only_words_change_is_changed_in_its_text(cli: Cli, nightly: Path) -> None:
    changes(cli, nightly)
    cli.write("recipes/nightly.yaml", f"# told\n{NIGHTLY}")

    (change,) = cli.json("pipeline", "apply", nightly)

    assert (change["change"], change["fields"]) == ("changed", ["text"])


def test_schedule_when_changed_makes_up_for_nothing_before(cli: Cli, nightly: Path) -> None:
    changes(cli, nightly)
    before = cli.json("pipeline", "show", "nightly")["seen_to_at"]
    cli.write("recipes/nightly.yaml", NIGHTLY.replace("0 3", "*/5 *"))

    changes(cli, nightly)

    after = cli.json("pipeline", "show", "nightly")
    assert after["seen_to_at"] > before
    assert after["seen_to_at"] == after["applied_at"]


def test_folder_when_applied_brings_its_pipelines_and_leaves_other_documents(
    cli: Cli, nightly: Path
) -> None:
    cli.write("recipes/weekly.yml", WEEKLY)

    applied = changes(cli, nightly.parent)

    assert applied == {"nightly": "added", "weekly": "added"}
    listed = cli.json("pipeline", "list")
    assert [each["name"] for each in listed] == ["nightly", "weekly"]
    assert [each["image"] for each in listed] == ["web", "base"]


def test_folder_with_a_document_of_no_kind_is_not_passed_over(cli: Cli, nightly: Path) -> None:
    cli.write("recipes/typo.yaml", NIGHTLY.replace("Pipeline", "Pipelin"))

    error = cli.error("pipeline", "apply", nightly.parent)

    assert [p["hint"] for p in error["problems"]] == ["Did you mean Pipeline?"]
    assert cli.json("pipeline", "list") == []


def test_folder_without_pipelines_is_refused(cli: Cli, nightly: Path) -> None:
    error = cli.error("pipeline", "apply", "components")
    assert (error["code"], error["exit"]) == ("document-unreadable", 2)
    assert error["context"] == "There is no pipeline in this folder."


def test_apply_when_one_document_is_faulty_applies_none(cli: Cli, nightly: Path) -> None:
    bad = cli.write("recipes/bad.yaml", WEEKLY.replace("7 days", "often"))

    error = cli.error("pipeline", "apply", nightly, bad)

    assert [p["line"] for p in error["problems"]] == [4]
    assert cli.json("pipeline", "list") == []
    assert audited(cli) == []


def test_apply_when_two_documents_have_one_name_is_refused_at_the_second(
    cli: Cli, nightly: Path
) -> None:
    cli.write("recipes/other.yaml", NIGHTLY)

    error = cli.error("pipeline", "apply", nightly.parent)

    (problem,) = error["problems"]
    assert (Path(problem["file"]).name, problem["line"], problem["column"]) == ("other.yaml", 2, 7)
    assert "nightly.yaml is a pipeline of that name too." in problem["message"]


def test_apply_and_remove_when_dry_change_nothing(cli: Cli, nightly: Path) -> None:
    assert changes(cli, nightly, "--dry-run") == {"nightly": "added"}
    assert cli.json("pipeline", "list") == []
    changes(cli, nightly)

    assert cli.json("pipeline", "remove", "nightly", "--dry-run")["name"] == "nightly"

    assert [each["name"] for each in cli.json("pipeline", "list")] == ["nightly"]
    assert [action for action, _, _ in audited(cli)] == ["pipeline-applied"]


def test_pipeline_when_removed_is_gone_and_its_decisions_stay(cli: Cli, nightly: Path) -> None:
    changes(cli, nightly)
    decided = a_kept_decision(pipeline=PipelineName("nightly"))
    cli.application().pipelines.add_decision(decided)

    cli.json("pipeline", "remove", "nightly", "--why", "not needed")

    assert cli.error("pipeline", "show", "nightly")["code"] == "pipeline-not-found"
    assert [each["run"] for each in cli.json("pipeline", "why", "nightly")] == ["run-1"]
    assert audited(cli)[-1] == ("pipeline-removed", "nightly", "not needed")


@pytest.mark.parametrize("verb", ["show", "next", "pause", "resume", "remove", "why"])
def test_pipeline_when_unknown_is_told_with_one_like_it(cli: Cli, nightly: Path, verb: str) -> None:
    changes(cli, nightly)

    error = cli.error("pipeline", verb, "nigthly")

    assert (error["code"], error["exit"]) == ("pipeline-not-found", 3)
    assert "Did you mean nightly?" in error["hint"]


def test_pipeline_when_paused_and_resumed_goes_on_from_now(cli: Cli, nightly: Path) -> None:
    changes(cli, nightly)
    before = cli.json("pipeline", "show", "nightly")["seen_to_at"]
    cli.application().pipelines.count_end(PipelineName("nightly"), is_failure=True)

    paused = cli.json("pipeline", "pause", "nightly", "--why", "freeze")
    again = cli("pipeline", "pause", "nightly", "--why", "another")
    unchanged = changes(cli, nightly)
    resumed = cli.json("pipeline", "resume", "nightly")
    late = cli("pipeline", "resume", "nightly")

    assert (paused["paused"]["why"], paused["failures"]) == ("freeze", 1)
    assert again.stdout.startswith("nightly is already paused since")
    assert again.stdout.endswith(": freeze\n")
    assert unchanged == {"nightly": "unchanged"}
    assert (resumed["paused"], resumed["failures"]) == (None, 0)
    assert resumed["seen_to_at"] > before
    assert late.stdout == "nightly was not paused\n"
    assert [(action, why) for action, _, why in audited(cli)] == [
        ("pipeline-applied", ""),
        ("pipeline-paused", "freeze"),
        ("pipeline-resumed", ""),
    ]


def test_pipeline_when_changed_while_paused_stays_paused(cli: Cli, nightly: Path) -> None:
    changes(cli, nightly)
    cli.json("pipeline", "pause", "nightly", "--why", "freeze")
    cli.write("recipes/nightly.yaml", NIGHTLY + "priority: 5\n")

    changes(cli, nightly)

    shown = cli("pipeline", "show", "nightly").stdout
    assert "freeze" in shown
    assert "priority     5\n" in shown


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        (NIGHTLY.replace("0 3", "61 3"), (4, 19), "The minute cannot be '61'"),
        (NIGHTLY.replace("Berlin", "Berln"), (4, 41), "no time zone 'Europe/Berln'"),
        (NIGHTLY.replace("recipe: web", "recipe: wep"), (3, 9), "no recipe 'wep'"),
        (NIGHTLY.replace("recipe: web", "recipe: ./wep.yaml"), (3, 9), "cannot be read"),
        (NIGHTLY + "parameters: {nginx.prot: 1}", (5, 14), "has no parameter 'prot'"),
        (NIGHTLY + "parameters: {ngnix.port: 1}", (5, 14), "no component 'ngnix'"),
        (NIGHTLY + "matrix: {nginx.prot: [1]}", (5, 10), "has no parameter 'prot'"),
        (NIGHTLY + "matrix: {include: [{nginx.prot: 1}]}", (5, 21), "has no parameter 'prot'"),
        (NIGHTLY + f"matrix: {{nginx.port: [{'x' * 124}]}}", (3, 9), "be called so"),
    ],
    ids=["cron", "zone", "name", "path", "parameter", "component", "axis", "include", "long"],
)
@pytest.mark.parametrize("verb", ["check", "apply"])
def test_pipeline_when_it_cannot_be_says_where(  # noqa: PLR0917 - a table of cases
    cli: Cli, nightly: Path, text: str, place: tuple[int, int], said: str, verb: str
) -> None:
    file = cli.write("recipes/nightly.yaml", text)

    result = cli("pipeline", verb, file, "--json")

    assert result.exit_code == 2
    told = json.loads(result.stdout or result.stderr.splitlines()[-1])
    (problem,) = told["problems"] if "problems" in told else told["error"]["problems"]
    assert (problem["line"], problem["column"]) == place
    assert said in problem["message"]


def test_pipeline_with_many_faults_of_settings_tells_all_with_what_may_be_meant(
    cli: Cli, nightly: Path
) -> None:
    text = NIGHTLY + "parameters: {nginx.prot: 1, ngnix.port: 1}\nmatrix: {nginx.tilte: [1, 2]}\n"

    found = faults(cli, text)

    assert [(line, column, hint) for line, column, _, hint in found] == [
        (5, 14, "Did you mean port?"),
        (5, 29, "Did you mean nginx?"),
        (6, 10, "Did you mean title?"),
    ]


def test_parameter_that_nobody_gives_is_asked_for_unless_the_pipeline_does(
    cli: Cli, nightly: Path
) -> None:
    cli.write(
        "recipes/web.yaml",
        WEB.replace("[{component: nginx@1.x, parameters: {title: Hello}}]", "[nginx]"),
    )
    half = "matrix: {nginx.port: [1], include: [{nginx.title: Hi}]}\n"

    without = faults(cli, NIGHTLY)
    in_some = faults(cli, NIGHTLY + half)
    with_it = changes(
        cli, cli.write("recipes/nightly.yaml", NIGHTLY + "parameters: {nginx.title: Hi}")
    )

    assert without[0][:3] == (3, 9, "Component nginx needs 'title': nobody gives it.")
    assert "in variant 1:" in in_some[0][2]
    assert with_it == {"nightly": "added"}


def test_secret_in_clear_is_refused_and_repeated_nowhere(cli: Cli, nightly: Path) -> None:
    text = NIGHTLY + 'notify: [{webhook: "https://h.example.org", secret: hunter2, on: [faild]}]\n'
    file = cli.write("recipes/nightly.yaml", text)

    results = [cli("pipeline", verb, file) for verb in ("check", "apply")]
    results += [cli("pipeline", verb, file, "--json") for verb in ("check", "apply")]

    assert [result.exit_code for result in results] == [2] * 4
    for result in results:
        assert "hunter2" not in result.stdout + result.stderr
        assert "A secret may not be written into a document." in result.stdout + result.stderr
    assert b"hunter2" not in b"".join(p.read_bytes() for p in cli.home.rglob("*") if p.is_file())


def test_key_that_does_not_exist_yet_is_refused(cli: Cli, nightly: Path) -> None:
    ((line, _, message, _),) = faults(cli, f"{NIGHTLY}retention: []\n", "apply")
    assert (line, message) == (5, "The key 'retention' is not supported yet.")


def test_recipe_when_faulty_is_told_in_its_own_document(cli: Cli, nightly: Path) -> None:
    cli.write("recipes/web.yaml", WEB + "disk: {size: 4GB}\n")

    error = cli.error("pipeline", "apply", nightly)

    assert [Path(problem["file"]).name for problem in error["problems"]] == ["web.yaml"]


def test_recipe_when_two_make_it_is_refused(cli: Cli, nightly: Path) -> None:
    cli.write("recipes/twin.yaml", WEB)
    ((line, column, message, _),) = faults(cli, NIGHTLY)
    assert (line, column) == (3, 9)
    assert message.startswith("2 recipes make image web.")


def test_recipe_is_found_one_folder_above_and_by_its_path(cli: Cli, nightly: Path) -> None:
    cli.write("recipes/pipelines/above.yaml", NIGHTLY.replace("nightly", "above"))
    cli.write("elsewhere/path.yaml", WEEKLY.replace("recipe: base", "recipe: ../recipes/base.yaml"))

    applied = changes(cli, "recipes/pipelines", "elsewhere")

    assert applied == {"above": "added", "weekly": "added"}
    shown = cli.json("pipeline", "show", "above")
    assert shown["recipe_path"] == str(cli.folder / "recipes/web.yaml")
    assert shown["path"] == str(cli.folder / "recipes/pipelines/above.yaml")


def test_recipe_when_deleted_or_another_under_a_pipeline_is_told(cli: Cli, nightly: Path) -> None:
    changes(cli, nightly)
    assert cli.json("pipeline", "show", "nightly")["drift"] is None

    def drift_with(text: str) -> Any:
        cli.write("recipes/web.yaml", text)
        return cli.json("pipeline", "show", "nightly")["drift"]

    renamed = drift_with(WEB.replace("name: web", "name: shop"))
    moved = drift_with(WEB.replace("image:base@1.x", "debian:sid"))
    (cli.folder / "recipes/web.yaml").unlink()
    gone = cli("pipeline", "show", "nightly")

    assert renamed == "Its recipe makes shop now."
    assert moved == "Its recipe is built on debian:sid now."
    assert "web.yaml cannot be read." in gone.stderr
    assert (gone.exit_code, "nightly" in gone.stdout) == (0, True)
    assert cli.error("pipeline", "apply", nightly)["problems"][0]["line"] == 3


def test_parents_that_lead_back_are_refused_with_the_whole_circle(cli: Cli, nightly: Path) -> None:
    cli.write("recipes/base.yaml", BASE.replace("debian:bookworm", "image:web@stable"))
    ((line, _, message, _),) = faults(cli, NIGHTLY)
    assert line == 3
    assert "web is built on base is built on web" in message


def test_pipelines_that_start_each_other_are_refused_with_the_whole_circle(
    cli: Cli, nightly: Path
) -> None:
    cli.write("other/base.yaml", BASE.replace("debian:bookworm", "image:web-80@1.x"))
    cli.write("other/weekly.yaml", WEEKLY)
    cli.write("recipes/nightly.yaml", NIGHTLY + "matrix: {nginx.port: [80, 81]}\n")
    changes(cli, nightly)

    error = cli.error("pipeline", "apply", "other")

    assert (error["code"], error["exit"]) == ("cascade-circular", 2)
    assert error["context"] == (
        "nightly [80] makes web-80 on image:base@1.x; weekly makes base on image:web-80@1.x; "
        "which starts nightly [80] again"
    )
    assert [each["name"] for each in cli.json("pipeline", "list")] == ["nightly"]
    cli.write("other/weekly.yaml", WEEKLY + "follows_parent: false\n")
    assert changes(cli, "other") == {"weekly": "added"}


def test_image_that_another_pipeline_makes_too_is_told(cli: Cli, nightly: Path) -> None:
    changes(cli, nightly)
    twin = cli.write("recipes/twin.yaml", NIGHTLY.replace("nightly", "twin"))

    result = cli("pipeline", "apply", twin)

    assert result.stdout == "added twin\n"
    assert "warning: twin makes an image that nightly makes too" in result.stderr


def test_next_shows_slots_as_the_clocks_of_the_zone_do(cli: Cli, nightly: Path) -> None:
    changes(cli, nightly)

    found = cli.json("pipeline", "next", "nightly", "--count", "400")

    assert len(found) == 400
    assert all("T03:00:00+0" in run["local_at"] for run in found)
    assert {run["local_at"][-6:] for run in found} == {"+01:00", "+02:00"}
    assert all(run["slot_at"] == run["starts_at"] for run in found)


def test_next_of_a_rate_counts_from_the_first_apply_and_spread_delays_the_start(
    cli: Cli, nightly: Path
) -> None:
    file = cli.write("recipes/weekly.yaml", WEEKLY.replace("7 days}", "rate(6 hours), spread: 1h}"))
    changes(cli, file)
    applied_at = cli.json("pipeline", "show", "weekly")["first_applied_at"]

    first, second = cli.json("pipeline", "next", "weekly", "-n", "2")

    assert first["slot_at"] > applied_at
    assert first["slot_at"][13:] == applied_at[13:] == second["slot_at"][13:]
    assert first["slot_at"] < first["starts_at"] < second["slot_at"]


def test_next_when_there_is_no_schedule_says_so(cli: Cli, nightly: Path) -> None:
    changes(cli, cli.write("recipes/nightly.yaml", "kind: Pipeline\nname: nightly\nrecipe: web\n"))

    result = cli("pipeline", "next", "nightly")

    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "nightly is never due by itself.\n"


def test_why_shows_the_reasons_of_each_decision_the_newest_first(cli: Cli, nightly: Path) -> None:
    changes(cli, nightly)
    name = PipelineName("nightly")
    update = {"kind": "security-updates", "text": "1 security update: openssl", "moves": []}
    skipped = {"verdict": "skip", "version": "web@1.0.0/1", "reasons": [], "passed_over": []}
    empty = cli("pipeline", "why", "nightly")
    for number, (verdict, document) in enumerate(
        [
            ("build", {**skipped, "reasons": [update, {**update, "text": "its parent changed"}]}),
            ("skip", skipped),
            ("skip", {**skipped, "passed_over": [{**update, "text": "2 updates: x"}]}),
            ("skip", {**skipped, "version": "", "passed_over": [{"text": "run-1 is not over"}]}),
            ("skip", None),
        ]
    ):
        cli.application().pipelines.add_decision(
            a_kept_decision(f"run-{number}", pipeline=name, verdict=verdict, document=document)
        )

    order = an_order("nightly", why="due by its schedule", trigger=Trigger.SCHEDULE)
    cli.application().runs.save(a_run("run-3", order=order))

    found = cli.json("pipeline", "why", "nightly")
    shown = cli("pipeline", "why", "nightly", "--limit", "4").stdout

    assert empty.stderr == "Nothing was decided for nightly yet.\n"
    assert [each["reasons"] for each in found] == [
        [],
        ["run-1 is not over"],
        ["nothing changed since web@1.0.0/1 that counts: 2 updates: x"],
        ["nothing changed since web@1.0.0/1"],
        ["1 security update: openssl", "its parent changed"],
    ]
    assert [each["verdict"] for each in found] == ["skip"] * 4 + ["build"]
    assert [line.split("\t")[-1] for line in shown.splitlines()] == [
        f"run-{n}" for n in (4, 3, 2, 1)
    ]
    assert [line.split("\t")[3] for line in shown.splitlines()] == ["-", "due by its schedule"] + (
        ["-"] * 2
    )
    assert [(each["trigger"], each["due_because"]) for each in found[:2]] == [
        (None, None),
        ("schedule", "due by its schedule"),
    ]
    assert found[0]["slot_at"] == SOME_DAY.isoformat()


def test_show_tells_all_that_the_document_says(cli: Cli, nightly: Path) -> None:
    more = (
        "description: Our web servers.\nmax_age: 30d\nmatrix: {nginx.port: [80, 443]}\n"
        "channel: candidate\napproval: required\ntimeout: 2h\npause_after: 3\n"
        "notify: [{email: ops@example.org, on: [failed]}]\n"
    )
    changes(cli, cli.write("recipes/nightly.yaml", NIGHTLY + more))

    shown = cli("pipeline", "show", "nightly").stdout

    for line in (
        "about        Our web servers.",
        "state        active",
        "built on     image:base@1.x",
        "schedule     0 3 * * * Europe/Berlin",
        "max age      30d",
        "channel      candidate after approval",
        "timeout      2h",
        "pause after  3 failures",
        "tells        email ops@example.org of failed",
        "443\tweb-443\tbuild.amd64\tnginx.port=443",
    ):
        assert line in shown.splitlines()


def test_graph_is_drawn_in_every_format(cli: Cli, nightly: Path) -> None:
    assert cli("pipeline", "graph").stderr == "There are no pipelines.\n"
    cli.write("recipes/weekly.yaml", WEEKLY)
    cli.write("recipes/nightly.yaml", NIGHTLY + "matrix: {nginx.port: [80, 443]}\n")
    lone = cli.write(
        "recipes/shop.yaml", WEB.replace("name: web", "name: shop").replace("base", "gone")
    )
    cli.write(
        "recipes/lone.yaml", f"kind: Pipeline\nname: lone\nrecipe: {lone}\nfollows_parent: false\n"
    )
    changes(cli, nightly.parent)

    drawn = {f: cli("pipeline", "graph", "--format", f).stdout for f in ("tree", "dot", "mermaid")}
    graph = cli.json("pipeline", "graph")

    assert drawn["tree"] == (
        "image:gone@1.x\n└── lone: shop  (not followed)\n"
        "debian:bookworm\n└── weekly: base\n"
        "    └── nightly: web-80 and 1 more  (image:base@1.x)\n"
    )
    assert '  p2 -> p1 [label="image:base@1.x"];' in drawn["dot"].splitlines()
    assert '  g0 -> p0 [label="image:gone@1.x", style=dashed];' in drawn["dot"].splitlines()
    assert '  p2 -->|"image:base@1.x"| p1' in drawn["mermaid"].splitlines()
    assert '  g0 -.->|"image:gone@1.x"| p0' in drawn["mermaid"].splitlines()
    assert {
        "parent": "weekly",
        "child": "nightly",
        "asked": "image:base@1.x",
        "is_followed": True,
    } in (graph["edges"])
    assert graph["nodes"][-2]["images"] == ["web-80", "web-443"]


def test_apply_when_the_database_is_full_applies_none(cli: Cli, nightly: Path) -> None:
    changes(cli, nightly)
    file = cli.home / "catalogue.db"
    many = [
        cli.write(
            f"many/p{n}.yaml", f"{WEEKLY}description: {'x' * 4000}\n".replace("weekly", f"p{n}")
        )
        for n in range(30)
    ]
    cli.write("many/base.yaml", BASE)
    application = cli.application()
    with open_database(file) as database:
        with database.reading() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        # The limit is the connection's own, so it is the service's that gets it.
        application.__dict__["_database"] = database
        with pytest.raises(StoreUnavailable) as caught:
            application.applying.apply([str(path) for path in many])

        assert "full" in caught.value.context
        names = [each.pipeline.name for each in SqlPipelineStore(database).all()]
    assert names == ["nightly"]


def test_pipeline_when_its_row_is_damaged_is_told_as_damage(cli: Cli, nightly: Path) -> None:
    changes(cli, nightly)
    with sqlite3.connect(cli.home / "catalogue.db") as connection:
        connection.execute("UPDATE pipelines SET definition = '{}'")
    connection.close()

    error = cli.error("pipeline", "list")

    assert (error["code"], error["exit"]) == ("catalogue-damaged", 70)


def test_check_says_what_a_sound_document_comes_to_and_warns(cli: Cli, nightly: Path) -> None:
    text = NIGHTLY + "matrix: {nginx.port: [80, 443]}\nnotify: [{webhook: https://h.example.org}]\n"

    result = cli("pipeline", "check", cli.write("recipes/nightly.yaml", text))

    assert result.exit_code == 0
    summary = "pipeline nightly is sound: web-80 and 1 more, 0 3 * * * Europe/Berlin"
    assert result.stdout == f"{cli.folder}/recipes/nightly.yaml: {summary}\n"
    assert "they are not signed" in result.stderr


def test_examples_when_applied_are_in_force_and_follow_each_other(cli: Cli) -> None:
    examples = ROOT / "recipes/pipelines"
    names = {path.stem for path in examples.glob("*.yaml")}

    checked = cli("pipeline", "check", *sorted(examples.glob("*.yaml")))
    applied = changes(cli, examples)

    assert (checked.exit_code, checked.stderr) == (0, "")
    assert set(applied) == names
    edges = cli.json("pipeline", "graph")["edges"]
    assert ("base-weekly", "web-nightly") in {(edge["parent"], edge["child"]) for edge in edges}
