"""The nightly story: real images over a package archive of the test's own, and a real `serve`."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from imagebuilder.domain.need import ReasonKind, decision_of
from imagebuilder.domain.run import Run, RunStage, RunState
from tests.mirrors import mirror
from tests.nights import Nights
from tests.package_archives import Deb
from tests.roots import Workbench
from tests.signed_archives import SignedArchive, signing_key

pytestmark = [pytest.mark.root, pytest.mark.network, pytest.mark.timeout(1500)]

DEMO = "nightly-demo"
MOST_SECONDS_TO_DECIDE = 1.5
INSTALLED = {"name": "Install", "action": "InstallPackages", "inputs": {"packages": [DEMO]}}
UPGRADED = {"name": "Upgrade", "action": "UpdateOS"}
AT_REST = f'def test_demo(host):\n    assert host.package("{DEMO}").is_installed\n'
CHANGELOG = f"""\
{DEMO} (1.1) nightly-security; urgency=high

  * Fix CVE-2026-1234.

 -- A <a@example.org>  Thu, 01 Jan 2026 00:00:00 +0000
"""


@dataclass
class Story:
    """What happened in each night. Shape: a night, from 1, maps to the runs that ended in it."""

    nights: Nights
    ended: dict[int, list[Run]] = field(default_factory=dict)

    def night(self, number: int, *pipelines: str) -> None:
        """Let a night come and pass."""
        before = {run.id for run in self.nights.runs()}
        self.nights.fall(number, *pipelines)
        self.nights.settle()
        after = reversed(self.nights.runs())
        self.ended[number] = [run for run in after if run.id not in before]

    def of(self, night: int, image: str) -> list[Run]:
        """Give the runs of a pipeline that ended in a night, the first first."""
        return [run for run in self.ended[night] if run.image == image]

    def why(self, run: Run) -> Any:
        """Give what `pipeline why` tells of a run."""
        told = self.nights.json("pipeline", "why", run.image, "--limit", "50")
        return next(each for each in told if each["run"] == run.id)

    def made(self, run: Run) -> Mapping[str, str]:
        """Give what a run did with each layer and artifact, by name."""
        shown = self.nights.json("run", "show", run.id)
        return {step["name"]: step["state"] for step in shown["steps"]}

    def layers(self, reference: str) -> dict[str, tuple[str, str]]:
        """Give name -> key and contents of each layer of a version."""
        shown = self.nights.json("image", "show", reference)
        return {layer["name"]: (layer["key"], layer["content"]) for layer in shown["layers"]}


@pytest.fixture(scope="module", name="story")
def _story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("nightly")
    bench = Workbench(folder)
    with signing_key() as key, mirror() as served:
        main = SignedArchive(key, served, "nightly", "Example")
        security = SignedArchive(key, served, "nightly-security", "Example-Security")
        main.hold(Deb(name=DEMO, version="1.0"), folder)
        for archive in (main, security):
            archive.head = {"Architectures": "amd64"}
            archive.publish()
        _write_documents(bench, main.url)
        (folder / "recipes/own.gpg").write_bytes(key.public)
        nights = Nights(bench)
        nights.pipeline("base")
        nights.pipeline("web")
        story = Story(nights)
        with nights.served():
            story.night(1, "base")
            story.night(2, "base", "web")
            security.hold(Deb(name=DEMO, version="1.1", changelog=CHANGELOG), folder)
            security.publish()
            story.night(3, "base", "web")
            bench.component("late", "echo later > /etc/late")
            story.night(4, "base")
        yield story


def _write_documents(bench: Workbench, url: str) -> None:
    """Write a base that has a layer for patches, and an image on it."""
    bench.component("early", "echo early > /etc/early")
    for name, step in (("demo", INSTALLED), ("patches", UPGRADED)):
        bench.component(name, phases=[{"name": "build", "steps": [step]}])
    bench.component("late", f"dpkg-query -W -f '${{Version}}' {DEMO} > /etc/late")
    suites = ["nightly", "nightly-security"]
    recipe = bench.recipe(
        *("early", "demo", "patches", "late"),
        name="base",
        parent="debian:bookworm",
        repositories=[{"url": url, "suites": suites, "keyring": "own.gpg"}],
        tests=["test_base.py"],
    )
    recipe.with_name("test_base.py").write_text(AT_REST)
    bench.component("page", "echo page > /etc/page")
    bench.recipe("page", name="web", parent="image:base@1.x")


def test_first_night_builds_and_what_is_built_on_it_follows_in_the_same_night(
    story: Story,
) -> None:
    [base] = story.of(1, "base")
    [web] = story.of(1, "web")

    assert (base.state, web.state) == (RunState.SUCCEEDED, RunState.SUCCEEDED)
    assert story.why(base)["reasons"] == ["it was never built"]
    assert story.why(web)["trigger"] == "parent"
    assert story.why(web)["due_because"].startswith("base@1.0.0/1 was published")


def test_second_night_when_nothing_changed_then_nothing_is_built_within_seconds(
    story: Story,
) -> None:
    [base] = story.of(2, "base")
    [web] = story.of(2, "web")

    for run in (base, web):
        stages = story.nights.stages(run.id)
        resolved = stages[RunStage.RESOLVE]
        assert run.state is RunState.UNCHANGED
        assert story.why(run)["reasons"] == [f"nothing changed since {run.image}@1.0.0/1"]
        assert set(stages) == {RunStage.RESOLVE}
        assert story.made(run) == {}
        assert resolved.ended_at is not None
        took = (resolved.ended_at - resolved.started_at).total_seconds()
        sys.stdout.write(f"{run.image}: {took:.2f} s to decide, {_seconds(run):.2f} s in all\n")
        assert took <= MOST_SECONDS_TO_DECIDE


def _seconds(run: Run) -> float:
    assert run.ended_at is not None
    return (run.ended_at - run.started_at).total_seconds()


def test_third_night_when_there_is_a_security_update_then_patches_and_what_is_above_are_made(
    story: Story,
) -> None:
    [base] = story.of(3, "base")
    before, after = story.layers("base@1.0.0/1"), story.layers("base@1.0.0/2")
    made = story.made(base)

    assert story.why(base)["reasons"] == [f"1 security update: {DEMO} 1.0 to 1.1"]
    kept = ("debian:bookworm", "early", "demo")
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert {made[name] for name in kept} == {"cached"}
    assert "patches" not in before
    assert {made[name] for name in ("patches", "late", "finish")} == {"succeeded"}
    assert all(after[name][0] != before[name][0] for name in ("late", "finish"))


def test_third_night_then_the_notes_name_the_package_and_what_it_mends(story: Story) -> None:
    versions = {"base": "base@1.0.0/2", "web": "web@1.0.0/2"}

    for image, version in versions.items():
        notes = story.nights.said(
            *("image", "diff", f"{image}@1.0.0/1", version, "--format", "markdown")
        )
        assert "## Security updates" in notes
        assert f"| `{DEMO}:all` | `1.0` | `1.1` | `CVE-2026-1234` |" in notes.splitlines()


def test_third_night_then_what_is_built_on_the_base_follows_once_and_says_why(
    story: Story,
) -> None:
    # Its own slot came while the base was not built yet.
    by_slot, by_parent = story.of(3, "web")

    assert by_slot.state is RunState.UNCHANGED
    assert by_parent.state is RunState.SUCCEEDED
    told = story.why(by_parent)
    assert told["due_because"].startswith("base@1.0.0/2 was published")
    assert told["reasons"] == ["its parent image:base@1.x was base@1.0.0/1 and is base@1.0.0/2"]
    assert story.made(by_parent)["page"] == "succeeded"


def test_fourth_night_when_the_base_is_another_version_then_the_cascade_says_so(
    story: Story,
) -> None:
    [base] = story.of(4, "base")
    [web] = story.of(4, "web")
    decision = decision_of(story.why(web)["decision"])
    table = story.nights.said("pipeline", "why", "web", "--limit", "1")

    assert story.why(base)["reasons"] == ["component changed: late 1.0.0 does not do the same"]
    assert [reason.kind for reason in decision.reasons] == [ReasonKind.PARENT_CHANGED]
    assert decision.reasons[0].moves[0].now == "base@1.0.1/1"
    assert "base@1.0.1/1 was published; it is built on image:base@1.x" in table
    assert story.made(base)["patches"] == "cached"
    lineage = story.nights.json("image", "lineage", "web")
    assert "base@1.0.1/1" in {node["label"] for node in lineage["nodes"]}
