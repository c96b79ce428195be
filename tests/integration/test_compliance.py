"""From a recipe that asks for scans to a version that was scanned, by the real engine."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.roots import Workbench, left_behind, traces
from tests.scap import data_stream

pytestmark = [
    pytest.mark.root,
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("oscap") is None, reason="there is no oscap"),
]

CIS = {"profile": "cis_words", "content": "tests"}
OWN = '''
import pytest

@pytest.mark.control("ACME-1", severity="high")
def test_word(host):
    """The word is written down."""
    assert host.run("cat /etc/word").stdout == "word=open\\n"

@pytest.mark.control("ACME-2", severity="low")
def test_escape(host):
    host.run("echo ruined > /etc/word; rm -f /etc/other")
'''


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    bench = Workbench(tmp_path)
    bench.component("words", "echo word=open > /etc/word; echo word=shut > /etc/other")
    (tmp_path / "ssg-tests-ds.xml").write_text(data_stream(platforms=()))
    (tmp_path / "recipes/own").mkdir(parents=True)
    (tmp_path / "recipes/own/test_acme.py").write_text(OWN)
    (added,) = told(bench, "content", "add", tmp_path / "ssg-tests-ds.xml")
    CIS["content"] = added["name"]
    return bench


def told(bench: Workbench, *arguments: object) -> Any:
    done = bench.run(*arguments, "--json")
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)


def outcomes(scan: dict[str, Any]) -> dict[str, str]:
    return {rule["rule"]: rule["outcome"] for rule in scan["rules"]}


def test_build_when_it_is_scanned_then_each_rule_is_recorded_and_no_scan_saw_what_another_did(
    bench: Workbench,
) -> None:
    recipe = bench.recipe("words", compliance=[{"controls": "own", "profile": "acme"}, CIS])

    bench.build(recipe)

    own, cis = told(bench, "compliance", "show", "tiny")["scans"]
    assert outcomes(own) == {"ACME-1": "pass", "ACME-2": "pass"}
    assert outcomes(cis) == {"has_word": "pass", "has_other": "fail"}
    assert (cis["coverage"], cis["engine"].split()[0]) == (1.0, "openscap")
    assert bench.build(recipe).answer["is_unchanged"] is True
    page = bench.folder / "page.html"
    told(bench, "compliance", "report", "tiny", "--profile", "cis_words", "--html", page)
    assert b"Rule has_other" in page.read_bytes()
    assert (traces(str(bench.home)), left_behind(bench.home)) == ([], [])


def test_build_when_a_rule_is_too_bad_then_ends_until_it_is_waived_and_again_after(
    bench: Workbench,
) -> None:
    recipe = bench.recipe("words", compliance={**CIS, "fail_on": "high"})

    refused = bench.refused(recipe)

    assert (refused.status, refused.code) == (5, "assessment-failed")
    assert "has_other: did not pass (high)" in refused.context
    benchmark = refused.hint.partition("--benchmark ")[2].split()[0]
    waiver = told(
        bench, "waiver", "add", "has_other", "--benchmark", benchmark, "--image", "tiny",
        "--expires", "30d", "--reason", "known", "--ticket", "SEC-1", "--owner", "ann",
        "--approver", "bob",
    )  # fmt: skip
    assert bench.build(recipe).answer["version"] == "tiny@1.0.0/1"
    (scan,) = told(bench, "compliance", "show", "tiny", "--failed")["scans"]
    assert [rule["waiver"] for rule in scan["rules"]] == [waiver[0]["id"]]
    told(bench, "waiver", "revoke", waiver[0]["id"])
    assert bench.refused(recipe, "--refresh").code == "assessment-failed"


def test_build_when_its_recipe_tailors_a_profile_then_that_is_what_counts(bench: Workbench) -> None:
    asked = {**CIS, "unselect": ["has_other"], "variables": {"word": "shut"}}

    bench.build(bench.recipe("words", compliance=asked))

    (scan,) = told(bench, "compliance", "show", "tiny")["scans"]
    assert outcomes(scan) == {"has_word": "fail"}
    assert scan["tailoring"]
    unknown = bench.recipe("words", compliance={**CIS, "unselect": ["has_wrod"]})
    refused = bench.refused(unknown)
    assert (refused.code, refused.hint) == ("rule-unknown", "Did you mean has_word?")
