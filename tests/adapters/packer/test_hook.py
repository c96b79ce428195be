"""The hook: what a machine that waits says, and what it is told."""

import subprocess
from pathlib import Path

import pytest

from imagebuilder.adapters.packer.hook import Hooks, hook_lines
from imagebuilder.ports.live_builds import LiveBuildFailed


def _waiting(folder: Path, *, key: str, port: str = "2201") -> Hooks:
    hooks = Hooks(folder, {})
    hooks.prepare(["web"])
    (folder / "web/key").write_text(key)
    (folder / "web/said").write_text(f"127.0.0.1\n{port}\nadmin\ni-1\n")
    return hooks


def test_waiting_when_nobody_does_then_there_is_none(tmp_path: Path) -> None:
    hooks = Hooks(tmp_path / "machines", {})
    hooks.prepare(["web"])

    assert hooks.waiting() is None


def test_waiting_when_a_machine_does_then_says_how_to_log_in(tmp_path: Path) -> None:
    machine = _waiting(tmp_path, key="-----BEGIN RSA PRIVATE KEY-----\n").waiting()

    assert machine is not None
    assert (machine.source, str(machine.login), machine.id) == (
        "web",
        "admin@127.0.0.1:2201",
        "i-1",
    )
    assert machine.login.key == tmp_path / "web/key"


@pytest.mark.parametrize(("key", "port"), [("\n", "2201"), ("PRIVATE KEY", "")])
def test_waiting_when_nobody_can_log_in_with_a_key_then_says_so(
    tmp_path: Path, key: str, port: str
) -> None:
    with pytest.raises(LiveBuildFailed, match="takes an SSH key"):
        _waiting(tmp_path, key=key, port=port).waiting()


def test_waiting_when_a_machine_was_decided_on_then_it_waits_no_more(tmp_path: Path) -> None:
    hooks = _waiting(tmp_path, key="PRIVATE KEY")
    hooks.decide("web", is_good=True)

    assert hooks.waiting() is None


@pytest.mark.parametrize(
    ("address", "user"), [("-oProxyCommand=id", "admin"), ("127.0.0.1", "-Fx"), ("a b", "admin")]
)
def test_waiting_when_a_login_reads_as_an_option_then_nobody_logs_in(
    tmp_path: Path, address: str, user: str
) -> None:
    hooks = _waiting(tmp_path, key="PRIVATE KEY")
    (tmp_path / "web/said").write_text(f"{address}\n22\n{user}\ni-1\n")

    with pytest.raises(LiveBuildFailed, match="nobody logs in as"):
        hooks.waiting()


def test_hook_when_a_host_looks_like_the_end_of_the_words_then_none_of_it_is_run(
    tmp_path: Path,
) -> None:
    hooks = Hooks(tmp_path, {})
    hooks.prepare(["web"])
    hooks.decide("web", is_good=True)
    lines = hook_lines(tmp_path, 1)
    ends = {line for line in hook_lines(tmp_path, 1) if line.startswith("END_")}
    host = "\n".join([*ends, "END_OF_WORDS", "END_OF_KEY", f"touch {tmp_path}/run"])

    subprocess.run(
        ["sh", "-u", "-c", "\n".join(lines).replace("{{build `Host`}}", host)],
        check=False,
        env={"PACKER_BUILD_NAME": "web", "PATH": "/usr/bin:/bin"},
    )

    assert ends
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("status", [0, 1])
def test_hook_when_a_verdict_is_there_then_ends_as_it_says(tmp_path: Path, status: int) -> None:
    hooks = Hooks(tmp_path, {})
    hooks.prepare(["web"])
    hooks.decide("web", is_good=status == 0)
    script = "\n".join(hook_lines(tmp_path, 1))

    ended = subprocess.run(
        ["sh", "-eu", "-c", script],
        check=False,
        env={"PACKER_BUILD_NAME": "web", "PATH": "/usr/bin:/bin"},
    )

    assert ended.returncode == status
    assert (tmp_path / "web/key").stat().st_mode & 0o077 == 0


def test_hook_when_we_are_no_more_then_gives_up(tmp_path: Path) -> None:
    Hooks(tmp_path, {}).prepare(["web"])
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    script = "\n".join(hook_lines(tmp_path, gone.pid))

    ended = subprocess.run(
        ["sh", "-eu", "-c", script],
        check=False,
        env={"PACKER_BUILD_NAME": "web", "PATH": "/usr/bin:/bin"},
        stderr=subprocess.DEVNULL,
        timeout=20,
    )

    assert ended.returncode != 0
