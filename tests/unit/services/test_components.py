"""How components run, against a small model of AWSTOE's rules for statuses.

Source: AWS Task Orchestrator and Executor, component documents: onFailure, maxAttempts,
timeoutSeconds, exit codes that restart, and references between steps.
"""

import pytest

from imagebuilder.domain.component import ActionName, OnFailure, PhaseName
from imagebuilder.domain.package import Upgrade
from imagebuilder.ports.machine import MachineLost
from imagebuilder.services.provisioning.components import ComponentRunner
from imagebuilder.services.provisioning.failing import ComponentFailed
from tests.build import a_component, a_component_step, an_update, an_upgrade
from tests.fakes.machine import Answer, FakeMachine
from tests.means import bash, runner, saying, some_means, texts


def test_run_when_a_step_aborts_then_the_error_names_it_and_its_last_words() -> None:
    machine = saying(Answer(exit_status=3, stderr=b"no such thing"))
    component = a_component("web", build=[bash("Install", max_attempts=2), bash("Never")])
    with pytest.raises(ComponentFailed) as failure:
        runner(component, machine).run(PhaseName.BUILD)
    assert failure.value.message == (
        "Step Install (ExecuteBash) in phase build of component web ended with exit status 3"
        " after 0.0 s in the last of 2 attempts."
    )
    assert "no such thing" in failure.value.context
    assert len(machine.scripts) == 2


def test_run_when_several_steps_fail_then_the_first_is_told() -> None:
    component = a_component(
        build=[bash("First", on_failure=OnFailure.CONTINUE), bash("Second")],
    )
    with pytest.raises(ComponentFailed, match="Step First"):
        runner(component, saying(Answer(exit_status=1))).run(PhaseName.BUILD)


def test_run_when_a_step_ends_well_but_only_on_being_stopped_then_it_failed() -> None:
    component = a_component(build=[bash("Slow", timeout_seconds=5)])
    with pytest.raises(ComponentFailed, match="took longer than its limit of 5 s"):
        runner(component, saying(Answer(has_timed_out=True))).run(PhaseName.BUILD)


def test_run_when_a_step_is_retried_then_it_has_its_whole_time_again() -> None:
    machine = saying(Answer(exit_status=1, has_timed_out=True), Answer())
    component = a_component(build=[bash("Slow", timeout_seconds=5, max_attempts=2)])
    (outcome,) = runner(component, machine).run(PhaseName.BUILD)
    assert outcome.is_success
    assert [script.timeout_seconds for script in machine.scripts] == [5.0, 5.0]


def test_run_when_a_step_has_no_limit_then_its_script_has_none() -> None:
    machine = FakeMachine()
    component = a_component(build=[bash("Long", timeout_seconds=None)])
    runner(component, machine).run(PhaseName.BUILD)
    assert machine.scripts[0].timeout_seconds is None


def test_run_when_a_step_asks_for_a_restart_then_the_same_step_runs_again() -> None:
    machine = saying(Answer(exit_status=194), Answer(exit_status=194), Answer())
    (outcome,) = runner(a_component(), machine).run(PhaseName.BUILD)
    assert (outcome.is_success, outcome.attempts, len(machine.scripts)) == (True, 1, 3)


def test_run_when_a_step_asks_for_restarts_without_end_then_it_fails() -> None:
    machine = saying(Answer(exit_status=194))
    with pytest.raises(ComponentFailed, match="exit status 194"):
        runner(a_component(), machine).run(PhaseName.BUILD)
    assert len(machine.scripts) == 11


def test_run_when_the_machine_goes_away_then_that_is_what_is_told() -> None:
    component = a_component(build=[bash("Any", on_failure=OnFailure.IGNORE)])
    with pytest.raises(MachineLost):
        runner(component, FakeMachine(is_lost=True)).run(PhaseName.BUILD)


def test_run_when_a_step_has_nothing_to_do_then_it_succeeds_without_a_script() -> None:
    machine = FakeMachine()
    component = a_component(build=[a_component_step("Again", ActionName.REBOOT)])
    (outcome,) = runner(component, machine).run(PhaseName.BUILD)
    assert outcome.is_success
    assert machine.scripts == []


def test_run_when_the_phase_is_not_there_then_nothing_runs() -> None:
    assert runner(a_component(), FakeMachine()).run(PhaseName.TEST) == ()


def test_run_when_lines_come_then_they_are_passed_on_after_the_steps_name() -> None:
    lines: list[str] = []
    machine = saying(Answer(stdout=b"hello\n"))
    ComponentRunner(
        component=a_component(build=[bash("Greet")]),
        parameters={},
        machine=machine,
        means=some_means(),
        on_line=lines.append,
    ).run(PhaseName.BUILD)
    assert lines == ["--- build: Greet (ExecuteBash)", "hello"]


def test_run_when_inputs_name_parameters_and_constants_then_they_stand_in_the_script() -> None:
    machine = FakeMachine()
    component = a_component(
        build=[bash("Say", "echo {{ port }} {{ folder }} {{ unknown }} {{.Go}}")],
        constants={"folder": "/srv", "port": "unused"},
    )
    runner(component, machine, {"port": "80"}).run(PhaseName.BUILD)
    assert texts(machine) == ["echo 80 /srv {{ unknown }} {{.Go}}"]


def test_run_when_a_value_looks_like_a_reference_then_it_is_not_looked_at_again() -> None:
    machine = FakeMachine()
    component = a_component(build=[bash("Say", "echo {{ title }}")], constants={"secret": "x"})
    runner(component, machine, {"title": "{{ secret }}"}).run(PhaseName.BUILD)
    assert texts(machine) == ["echo {{ secret }}"]


def test_run_when_a_step_names_outputs_and_inputs_of_earlier_ones_then_has_them() -> None:
    machine = saying(Answer(stdout=b"first\nsecond\n"), Answer(), Answer())
    files = [{"path": "/a", "content": ""}, {"path": "/b", "content": ""}]
    component = a_component(
        build=[
            bash("Ask"),
            a_component_step("Files", ActionName.CREATE_FILE, inputs=files),
            bash("Use", "echo '{{ build.Ask.outputs.stdout }}' {{ build.Files.inputs[1].path }}"),
        ],
    )
    runner(component, machine).run(PhaseName.BUILD)
    assert texts(machine)[-1] == "echo 'first\nsecond' /b"


@pytest.mark.parametrize(
    "reference",
    ["build.Later.outputs.stdout", "build.Files.inputs[7].path", "build.Files.inputs[0].nothing"],
)
def test_run_when_a_reference_leads_nowhere_then_it_stays_as_written(reference: str) -> None:
    machine = FakeMachine()
    files = [{"path": "/a", "content": ""}]
    component = a_component(
        build=[
            a_component_step("Files", ActionName.CREATE_FILE, inputs=files),
            bash("Use", f"echo {{{{ {reference} }}}}"),
            bash("Later"),
        ]
    )
    runner(component, machine).run(PhaseName.BUILD)
    assert texts(machine)[1] == f"echo {{{{ {reference} }}}}"


def test_validate_sees_what_build_printed() -> None:
    machine = saying(Answer(stdout=b"42\r\n"))
    component = a_component(
        build=[bash("Ask")], validate=[bash("Check", "test {{ build.Ask.outputs.stdout }} = 42")]
    )
    both = runner(component, machine)
    both.run(PhaseName.BUILD)
    both.run(PhaseName.VALIDATE)
    assert texts(machine)[-1] == "test 42 = 42"


def test_run_when_a_failed_step_is_ignored_then_its_output_is_there_all_the_same() -> None:
    machine = saying(Answer(exit_status=1, stdout=b"partly"), Answer())
    component = a_component(
        build=[
            bash("Ask", on_failure=OnFailure.IGNORE),
            bash("Use", "echo {{ build.Ask.outputs.stdout }}"),
        ]
    )
    first, second = runner(component, machine).run(PhaseName.BUILD)
    assert (first.is_success, second.is_success) == (False, True)
    assert texts(machine)[-1] == "echo partly"


UPDATE = a_component_step("Upgrade", ActionName.UPDATE_OS)


def an_answer_with(*upgrades: Upgrade) -> Answer:
    listed = "".join(
        f"Inst {u.name} [{u.old_version}] ({u.new_version} Debian:12/stable [{u.architecture}])\n"
        for u in upgrades
    )
    return Answer(stdout=listed.encode())


def test_update_when_upgrades_are_given_then_exactly_these_are_asked_for() -> None:
    machine = FakeMachine()
    ComponentRunner(
        component=a_component(build=[UPDATE]),
        parameters={},
        machine=machine,
        means=some_means(),
        upgrades={
            "Upgrade": an_update(an_upgrade("bash", new="5.2-2"), an_upgrade("tzdata", arch="all"))
        },
    ).run(PhaseName.BUILD)
    assert "bash:amd64=5.2-2 tzdata=3.0.16-1" in machine.scripts[0].text


def test_update_when_there_is_nothing_to_upgrade_then_no_script_is_run() -> None:
    machine = FakeMachine()
    given_all = runner(a_component(build=[UPDATE]), machine)
    given_all.upgrades = {"Upgrade": an_update()}
    given_all.run(PhaseName.BUILD)
    assert machine.scripts == []


def test_pending_upgrades_when_two_steps_would_take_the_same_then_the_first_has_it() -> None:
    bash_upgrade, curl = an_upgrade("bash"), an_upgrade("curl")
    second = a_component_step("Again", ActionName.UPDATE_OS)
    machine = saying(an_answer_with(bash_upgrade), an_answer_with(bash_upgrade, curl))
    pending = runner(a_component(build=[UPDATE, bash("Other"), second]), machine).pending_upgrades()
    assert pending == {"Upgrade": an_update(bash_upgrade), "Again": an_update(curl)}


@pytest.mark.parametrize("answer", [Answer(exit_status=100), Answer(has_timed_out=True)])
def test_pending_upgrades_when_apt_cannot_say_then_fails(answer: Answer) -> None:
    with pytest.raises(ComponentFailed, match="Step Upgrade"):
        runner(a_component(build=[UPDATE]), saying(answer)).pending_upgrades()
