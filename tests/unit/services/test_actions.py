"""What actions come to: scripts that are really run by this machine's shells, where harmless."""

import subprocess
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.domain.component import ActionName
from imagebuilder.domain.digest import Canonical
from imagebuilder.ports.actions import ActionCall
from imagebuilder.ports.machine import Script
from imagebuilder.services.provisioning.executing import bash_script
from imagebuilder.services.provisioning.scripts import Writing
from tests.fakes.machine import FakeMachine


def run(
    script: Script, folder: Path, tools: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [script.interpreter, "-c", script.text],
        input=script.stdin,
        capture_output=True,
        check=False,
        cwd=folder,
        env={"PATH": f"{tools}:/usr/bin:/bin" if tools else "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
    )


def scripts_for(writing: Writing, inputs: Canonical, **given: Any) -> list[Script]:
    """Give the scripts of an action for inputs."""
    call = ActionCall(
        action=ActionName.EXECUTE_BASH,
        phase="build",
        inputs=inputs,
        machine=FakeMachine(),
        timeout_seconds=None,
        **given,
    )
    return list(writing(call))


@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["C"])), min_size=1, max_size=4))
def test_execute_bash_when_commands_are_several_then_run_in_one_bash(words: list[str]) -> None:
    safe = [word.replace("'", "") for word in words]
    commands = ["shown=", *(f"shown+='{word}|'" for word in safe), 'printf %s "$shown"']
    (script,) = scripts_for(bash_script, {"commands": commands})
    assert script.interpreter == "/bin/bash"
    result = run(script, Path("/"))
    assert result.stdout.decode() == "".join(f"{word}|" for word in safe)


def test_execute_bash_when_commands_are_one_text_then_it_runs(tmp_path: Path) -> None:
    (script,) = scripts_for(bash_script, {"commands": "[[ -n x ]]"})
    assert run(script, tmp_path).returncode == 0
