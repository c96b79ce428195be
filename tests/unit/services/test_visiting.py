"""A component run on a machine that is not ours."""

from pathlib import PurePosixPath

import pytest

from imagebuilder.domain.component import ComponentNotForLinux, ParameterUnknown
from imagebuilder.domain.run import StepState
from imagebuilder.ports.live import HostUnreachable, Login
from imagebuilder.services.authoring import Authoring
from imagebuilder.services.pipelines.rehearsal import PhaseUnknown, Trial
from imagebuilder.services.pipelines.visiting import Visiting, VisitRequest
from tests.fakes.clock import FakeClock
from tests.fakes.documents import FakeDocumentSource
from tests.fakes.live import FakeLiveMachines
from tests.fakes.machine import Answer, FakeMachine
from tests.fakes.progress import FakeProgress
from tests.means import some_means

PATH = "/w/web.yaml"
TEXT = """\
name: web
schemaVersion: 1.0
parameters:
  - word: {type: string, default: hello}
phases:
  - name: verify
    steps:
      - {name: Verify, action: ExecuteBash, inputs: {commands: [verify]}}
  - name: test
    steps:
      - {name: Test, action: ExecuteBash, inputs: {commands: [test]}}
  - name: build
    steps:
      - {name: Write, action: ExecuteBash, inputs: {commands: ["write {{ word }}"]}}
"""
LOGIN = Login(address="web.example.org", port=2222, key=PurePosixPath("/k"), accepts_new=True)


def visited(
    live: FakeLiveMachines, progress: FakeProgress | None = None, text: str = TEXT, **asked: object
) -> Trial:
    """Run the component; no connection stays open."""
    visiting = Visiting(
        Authoring(FakeDocumentSource({PATH: text})), live, some_means(), FakeClock()
    )
    request = VisitRequest(path=PATH, login=LOGIN, **asked)  # type: ignore[arg-type]
    try:
        return visiting.run(request, progress or FakeProgress())
    finally:
        assert live.open == []


def ran(live: FakeLiveMachines) -> list[str]:
    return [script.text.strip() for script in live.machine.scripts]


def test_run_then_the_usual_phases_run_in_their_order_over_one_login() -> None:
    live = FakeLiveMachines()

    trial = visited(live)

    assert trial.failure is None
    assert ran(live) == ["write hello", "test"]
    assert live.logins == [LOGIN]
    assert trial.on == "root@web.example.org:2222"
    assert [step.name for step in trial.steps] == [
        "log in to root@web.example.org:2222",
        "Write",
        "Test",
    ]


def test_run_when_another_phase_is_asked_for_by_name_then_it_runs() -> None:
    live = FakeLiveMachines()

    visited(live, phases=("verify", "build"))

    assert ran(live) == ["write hello", "verify"]


def test_run_when_a_phase_is_unknown_then_nobody_is_logged_in_to() -> None:
    live = FakeLiveMachines()

    with pytest.raises(PhaseUnknown, match="no phase 'biuld'"):
        visited(live, phases=("biuld",))

    assert live.logins == []


def test_run_when_a_step_fails_then_says_how_to_run_it_again() -> None:
    live = FakeLiveMachines(FakeMachine(lambda _script: Answer(exit_status=9)))

    trial = visited(live, parameters={"word": "bye"}, phases=("build",))

    assert trial.failure is not None
    assert trial.steps[-1].exit_status == 9
    assert trial.failure.hint.endswith(
        "imagebuilder component run /w/web.yaml --host root@web.example.org --port 2222 --key /k"
        " --accept-new --phases build --set word=bye"
    )


def test_run_when_the_machine_is_away_then_the_login_is_what_failed() -> None:
    progress = FakeProgress()

    with pytest.raises(HostUnreachable):
        visited(FakeLiveMachines(away={LOGIN.address}), progress)

    assert list(progress.states.values()) == [StepState.FAILED]


def test_run_when_a_parameter_is_unknown_then_nobody_is_logged_in_to() -> None:
    live = FakeLiveMachines()

    with pytest.raises(ParameterUnknown):
        visited(live, parameters={"other": ""})

    assert live.logins == []


def test_run_when_it_is_for_windows_then_nobody_is_logged_in_to() -> None:
    live = FakeLiveMachines()

    with pytest.raises(ComponentNotForLinux):
        visited(live, text=TEXT.replace("ExecuteBash", "ExecutePowerShell"))

    assert live.logins == []
