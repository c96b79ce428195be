"""What a component is tried on, what runs there, and what is said of it."""

from pathlib import Path, PurePosixPath

import pytest

from imagebuilder.domain.component import Network, ParameterMissing, ParameterUnknown
from imagebuilder.domain.ids import ImageName
from imagebuilder.domain.image import VersionNotFound
from imagebuilder.domain.run import StepState
from imagebuilder.ports.machine import MachineLost
from imagebuilder.services.authoring import Authoring
from imagebuilder.services.pipelines.rehearsal import PhaseUnknown, Trial
from imagebuilder.services.pipelines.trying import TrialRequest, Trying, Workbench
from tests.build import an_upgrade
from tests.fakes.machine import Answer
from tests.house import BASE, NGINX, PATCHES, WEB, House, a_component_text, a_recipe_text
from tests.means import some_means

DRAFT = "/w/draft.yaml"
INIT = "test -x /usr/lib/systemd/systemd || test -x /lib/systemd/systemd || test -x /sbin/init"
STEPS = """\
name: draft
schemaVersion: 1.0
network: full
parameters:
  - word: {type: string, default: hello}
phases:
  - name: test
    steps:
      - {name: Served, action: ExecuteBash, inputs: {commands: [served]}}
  - name: build
    steps:
      - {name: Write, action: ExecuteBash, inputs: {commands: ["write {{ word }}"]}}
      - {name: More, action: ExecuteBash, onFailure: Ignore, inputs: {commands: [more]}}
  - name: validate
    steps:
      - {name: Check, action: ExecuteBash, maxAttempts: 2, inputs: {commands: [check]}}
"""


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.documents.documents[DRAFT] = STEPS
    return house


def trying(house: House) -> Trying:
    bench = Workbench(
        stacking=house.stacking,
        workshop=house.workshop,
        booter=house.booter,
        means=some_means(),
        clock=house.clock,
        ids=house.ids,
        locks=house.locks,
        kept=PurePosixPath("/kept"),
    )
    return Trying(Authoring(house.documents), house.planning, bench)


def tried(house: House, path: str = DRAFT, on: str = "debian:bookworm", **asked: object) -> Trial:
    """Try a component; nothing stays open or running."""
    request = TrialRequest(path=path, on=on, **asked)  # type: ignore[arg-type]
    try:
        return trying(house).test(request, house.progress)
    finally:
        assert house.roots.open == set()
        assert house.booter.booted == house.booter.ended


def ran(house: House) -> list[str]:
    scripts = [*house.roots.scripts, *house.booter.in_container.scripts]
    return [s.text.strip() for s in scripts if not s.text.startswith(("test -x", "dpkg-query"))]


def test_trial_then_phases_run_in_their_order_and_the_last_is_booted(house: House) -> None:
    trial = tried(house)

    assert trial.failure is None
    assert [(s.phase, s.name, s.state) for s in trial.steps] == [
        ("build", "Write", StepState.SUCCEEDED),
        ("build", "More", StepState.SUCCEEDED),
        ("validate", "Check", StepState.SUCCEEDED),
        ("", "boot in a container", StepState.SUCCEEDED),
        ("test", "Served", StepState.SUCCEEDED),
    ]
    assert [s.text.strip() for s in house.booter.in_container.scripts] == ["served"]
    assert ran(house)[:3] == ["write hello", "more", "check"]


def test_trial_then_the_parent_is_kept_for_builds_and_nothing_else_is(house: House) -> None:
    tried(house)

    assert house.roots.sealed == ["debian:bookworm"]
    assert house.versions.newest(ImageName("draft")) is None
    house.roots.sealed.clear()
    tried(house)
    assert house.roots.sealed == []


def test_trial_then_only_the_build_phase_changes_what_the_others_see(house: House) -> None:
    tried(house)

    scripts = [[s.text.strip() for s in root.scripts] for root in house.roots.made]
    assert ["write hello", "more", INIT] in scripts
    assert ["check"] in scripts


def test_trial_when_validation_fails_then_its_own_root_is_kept(house: House) -> None:
    house.fails["check"] = Answer(exit_status=1)

    tried(house, keep=True)

    (kept,) = house.roots.kept_roots
    assert [script.text.strip() for script in kept.scripts] == ["check", "check"]


def test_trial_when_the_root_has_no_init_then_the_test_phase_runs_at_rest(house: House) -> None:
    house.fails["test -x"] = Answer(exit_status=1)

    trial = tried(house)

    boot = next(step for step in trial.steps if step.name.startswith("boot"))
    assert boot.state is StepState.SKIPPED
    assert "no init" in boot.detail
    assert house.booter.booted == []
    assert house.roots.networks[-1] is Network.FULL
    assert ran(house)[-1] == "served"


def test_trial_when_the_test_phase_fails_at_rest_then_the_hint_says_where_it_is_booted(
    house: House,
) -> None:
    house.fails["test -x"] = Answer(exit_status=1)
    house.fails["served"] = Answer(exit_status=1)

    trial = tried(house)

    assert trial.failure is not None
    assert trial.failure.hint.endswith("lets the test phase run booted.")


def test_trial_when_some_phases_are_asked_then_only_they_run(house: House) -> None:
    trial = tried(house, phases=("validate",))

    assert [step.name for step in trial.steps] == ["Check"]


def test_trial_when_no_step_ran_then_it_has_not_passed(house: House) -> None:
    house.documents.documents[DRAFT] = STEPS.replace(
        "action: ExecuteBash,",
        "action: ExecuteBash, if: {stringIsEmpty: '{{ word }}'},",
    )

    trial = tried(house)

    assert {step.state for step in trial.steps if step.phase} == {StepState.SKIPPED}
    assert trial.failure is None
    assert not trial.has_passed


def test_trial_when_it_has_none_of_the_usual_phases_then_names_those_there_are(
    house: House,
) -> None:
    house.documents.documents["/w/other.yaml"] = (
        "name: other\nschemaVersion: 1.0\nphases:\n  - name: verify\n    steps:\n"
        "      - {name: Look, action: ExecuteBash, inputs: {commands: [look]}}\n"
    )

    with pytest.raises(PhaseUnknown) as refused:
        tried(house, "/w/other.yaml")

    assert refused.value.context == "It has verify."


def test_trial_when_a_step_fails_then_says_so_and_how_to_try_again(house: House) -> None:
    house.fails["check"] = Answer(exit_status=7, stderr=b"what it said")

    trial = tried(house, parameters={"word": "two words"}, phases=("build", "validate"))

    assert trial.failure is not None
    assert "Step Check (ExecuteBash) in phase validate" in trial.failure.message
    assert trial.failure.hint.endswith(
        "imagebuilder component test /w/draft.yaml --on debian:bookworm"
        " --phases build,validate --set 'word=two words'"
    )
    last = trial.steps[-1]
    assert (last.name, last.state, last.exit_status) == ("Check", StepState.FAILED, 7)
    assert (last.attempts, last.is_ignored) == (2, False)
    assert last.detail == "exit status 7, 2 attempts"


def test_trial_when_a_failure_is_ignored_then_it_goes_on(house: House) -> None:
    house.fails["more"] = Answer(exit_status=3)

    trial = tried(house)

    assert trial.failure is None
    more = trial.steps[1]
    assert (more.state, more.is_ignored) == (StepState.FAILED, True)
    assert more.detail == "exit status 3, ignored"


def test_trial_when_the_machine_is_lost_then_the_open_step_has_failed(house: House) -> None:
    house.fails["write"] = MachineLost("machine", "it burnt")

    trial = tried(house)

    assert isinstance(trial.failure, MachineLost)
    assert [(s.name, s.state) for s in trial.steps] == [("Write", StepState.FAILED)]
    assert "went away" in trial.steps[0].detail


def test_trial_when_it_is_interrupted_then_the_open_step_is_ended(house: House) -> None:
    house.fails["write"] = KeyboardInterrupt()

    with pytest.raises(KeyboardInterrupt):
        tried(house)

    assert house.progress.states["build: Write (ExecuteBash)"] == "failed"


def test_trial_when_the_boot_fails_then_that_is_the_failure(house: House) -> None:
    house.booter.fails.add("container")

    trial = trying(house).test(TrialRequest(path=DRAFT, on="debian:bookworm"), house.progress)

    assert trial.failure is not None
    assert trial.failure.code == "boot-failed"
    assert trial.steps[-1].state is StepState.FAILED


@pytest.mark.parametrize("status", [0, 1])
def test_trial_when_the_root_is_kept_then_says_where(house: House, status: int) -> None:
    house.fails["write"] = Answer(exit_status=status)

    trial = tried(house, keep=True)

    assert trial.kept is not None
    assert house.roots.kept == [trial.kept]
    assert trial.kept.parent == PurePosixPath("/kept")
    assert str(trial.kept) in trial.enter


def test_trial_when_a_parameter_is_given_then_it_is_used(house: House) -> None:
    tried(house, parameters={"word": "bye"})

    assert ran(house)[0] == "write bye"


def test_trial_when_a_parameter_is_unknown_then_says_what_may_be_meant(house: House) -> None:
    with pytest.raises(ParameterUnknown) as refused:
        tried(house, parameters={"wrod": "bye"})

    assert refused.value.hint == "Did you mean word?"
    assert ran(house) == []


def test_trial_when_a_parameter_is_missing_then_says_so_before_anything_runs(house: House) -> None:
    house.documents.documents[DRAFT] = STEPS.replace(", default: hello", "")

    with pytest.raises(ParameterMissing, match="needs word"):
        tried(house)

    assert ran(house) == []


def test_trial_when_the_parent_image_was_never_built_then_says_so(house: House) -> None:
    with pytest.raises(VersionNotFound):
        tried(house, on="image:base")


def test_trial_on_an_image_then_its_layers_are_used(house: House) -> None:
    house.built(BASE)
    house.roots.sealed.clear()

    tried(house, on="image:base@1.x")

    assert house.roots.sealed == []
    assert len(house.roots.made[-1].stack) == len(house.layers.keys) - 2  # no initramfs, no finish


def test_trial_on_a_recipe_then_what_it_was_built_of_is_used(house: House) -> None:
    house.built(WEB)
    house.roots.sealed.clear()
    house.sources.asked = 0

    tried(house, on=WEB)

    assert house.roots.sealed == []
    assert house.roots.made[-1].stack[-1].name == "nginx"
    assert house.sources.asked == 0


def test_trial_on_a_recipe_with_upgrades_then_those_of_its_newest_version_are_used(
    house: House,
) -> None:
    house.pending = (an_upgrade(),)
    house.built(BASE)
    house.roots.sealed.clear()
    house.sources.day = "tuesday"

    tried(house, on=BASE)

    assert house.roots.sealed == []
    assert house.roots.made[-1].stack[-1].name == "patches"


def test_trial_on_a_recipe_that_uses_it_then_the_layers_below_and_its_parameters_are_meant(
    house: House,
) -> None:
    house.documents.documents["/w/components/draft.yaml"] = STEPS
    uses = "[nginx, {component: draft, parameters: {word: ours}}, patches]"
    house.documents.documents[WEB] = a_recipe_text("web", "debian:bookworm", uses)

    tried(house, on=WEB)

    assert house.roots.sealed == ["debian:bookworm", "nginx"]
    assert "write ours" in ran(house)


def test_trial_of_upgrades_then_exactly_what_was_asked_for_is_applied(house: House) -> None:
    house.pending = (an_upgrade(),)

    trial = tried(house, PATCHES)

    assert trial.failure is None
    asked, applied = [text for text in ran(house) if "apt-get" in text]
    assert "apt-get -s" in asked
    assert f"{house.pending[0].name}:" in applied


def test_trial_of_a_component_by_a_path_then_no_other_document_matters(house: House) -> None:
    house.documents.documents[NGINX] = "no component"
    house.documents.documents["/w/other.yaml"] = a_component_text("other")

    assert tried(house, "/w/other.yaml").failure is None


def test_trial_when_a_step_takes_too_long_then_its_limit_is_told(house: House) -> None:
    house.fails["more"] = Answer(exit_status=-9, has_timed_out=True)
    house.documents.documents[DRAFT] = STEPS.replace("Ignore,", "Ignore, timeoutSeconds: 7,")

    more = tried(house).steps[1]

    assert more.detail == "timed out after 7 s, ignored"


@pytest.mark.parametrize(
    ("operand", "why"),
    [("a", "its condition holds (then: Skip)"), ("b", "its condition does not hold")],
)
def test_trial_when_a_step_is_skipped_then_what_its_condition_came_to_is_told(
    house: House, operand: str, why: str
) -> None:
    guard = f"{{stringEquals: {operand}, value: a, then: Skip}}"
    house.documents.documents[DRAFT] = STEPS.replace("Ignore,", f"Ignore, if: {guard},")

    more = tried(house).steps[1]

    assert (more.state, more.detail) == (StepState.SKIPPED, why)
