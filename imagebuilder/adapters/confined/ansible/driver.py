"""Runs a playbook by ansible-runner, inside the confinement, and tells us each event as a line.

Our order is the JSON on standard input; the arguments are the descriptors of the relay's channel
and of the reports. It may import only what is copied into the confinement with it.
"""

import functools
import json
import re
import shlex
import socket
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import ansible_runner

from imagebuilder.adapters.confined.frames import frame_from

_JOB = Path("/tmp/job")  # noqa: S108 - the confinement's own
_SOCKET = _JOB / "relay"
_CONNECTIONS = Path(__file__).with_name("connection")
_LONGEST_TEXT = 16 * 1024
_TERMINAL_CODES = re.compile(r"\x1b\[[0-9;]*m")
_TOLD = {
    "playbook_on_play_start",
    "runner_on_ok",
    "runner_on_failed",
    "runner_on_skipped",
    "runner_on_unreachable",
    "runner_item_on_failed",
    "playbook_on_stats",
    "verbose",
    "warning",
    "error",
}


def main() -> int:
    """Carry out the order and give ansible-playbook's exit status."""
    channel, reports = (int(argument) for argument in sys.argv[1:])
    order = json.load(sys.stdin)
    _write_job(order)
    _serve_connections(socket.socket(fileno=channel))
    with open(reports, "w", encoding="utf-8", buffering=1) as report:  # noqa: PTH123 - a number
        status = 0
        for number in range(1, int(order["runs"]) + 1):
            status = status or _run(order, number, report)
        _tell(report, {"event": "end", "status": status})
    return status


def _write_job(order: Mapping[str, Any]) -> None:
    (_JOB / "home").mkdir(parents=True)
    (_JOB / "ansible.cfg").touch()
    # The one that pip made names its interpreter by a path that need not be there inside.
    program = _JOB / "bin/ansible-playbook"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m ansible playbook "$@"\n')
    program.chmod(0o755)
    image = {
        "ansible_connection": "relay",
        "ansible_host": str(_SOCKET),
        "ansible_user": "root",
        "ansible_python_interpreter": order["python"],
    }
    inventory = {"all": {"hosts": {"image": image}}}
    (_JOB / "inventory.json").write_text(json.dumps(inventory))
    if order["role"]:
        play = {"name": Path(order["role"]).name, "hosts": "all", "roles": [order["role"]]}
        (_JOB / "role.json").write_text(json.dumps([play]))


def _run(order: Mapping[str, Any], number: int, report: IO[str]) -> int:
    playbook = order["playbook"] or str(_JOB / "role.json")
    ran = ansible_runner.run(
        private_data_dir=str(_JOB),
        project_dir=str(Path(playbook).parent),
        playbook=playbook,
        inventory=str(_JOB / "inventory.json"),
        # A new one for each run: events of one identity would be counted together.
        ident=f"run-{number}",
        extravars=order["variables"],
        envvars=_environment(order),
        tags=",".join(order["tags"]) or None,
        quiet=True,
        event_handler=functools.partial(_tell_event, report, number),
    )
    return int(ran.rc)


def _environment(order: Mapping[str, Any]) -> dict[str, str]:
    """What ansible-playbook goes by: nothing of the building machine, nor of the component."""
    home = _JOB / "home"
    return {
        "PATH": f"{_JOB / 'bin'}:/usr/bin:/bin",
        "HOME": str(home),
        "ANSIBLE_CONFIG": str(_JOB / "ansible.cfg"),
        "ANSIBLE_HOME": str(home),
        "ANSIBLE_LOCAL_TEMP": str(home / "scratch"),
        "ANSIBLE_REMOTE_TMP": order["remote_folder"],
        "ANSIBLE_SYSTEM_TMPDIRS": order["shared_folder"],
        "ANSIBLE_CONNECTION_PLUGINS": str(_CONNECTIONS),
        "ANSIBLE_COLLECTIONS_PATH": str(home / "collections"),
        "ANSIBLE_ROLES_PATH": str(home / "roles"),
        "ANSIBLE_PIPELINING": "True",
        "ANSIBLE_FORKS": "1",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_RETRY_FILES_ENABLED": "False",
        "ANSIBLE_LOCALHOST_WARNING": "False",
        "ANSIBLE_DEPRECATION_WARNINGS": "False",
    }


def _serve_connections(channel: socket.socket) -> None:
    """Pass on what connections ask, one at a time: they inherit no channel of ours."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(_SOCKET))
    listener.listen()
    turn = threading.Lock()

    def serve() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=pass_on, args=(connection,), daemon=True).start()

    def pass_on(connection: socket.socket) -> None:
        with connection:
            question = frame_from(connection)
            with turn:
                channel.sendall(question)
                answer = frame_from(channel)
            connection.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()


def _tell_event(report: IO[str], number: int, event: Mapping[str, Any]) -> bool:
    """Tell what matters of an event; False, as it need not be kept here."""
    if event.get("event") in _TOLD:
        given = event.get("event_data") or {}
        result = given.get("res") or {}
        line = {
            "event": event["event"],
            "run": number,
            "play": given.get("play", ""),
            "task": given.get("task", ""),
            "is_ignored": bool(given.get("ignore_errors")),
            "is_changed": result.get("changed") is True,
            "counts": _counts(given),
        }
        texts = {name: result.get(name) for name in ("item", "msg", "stderr", "stdout", "censored")}
        if event["event"] in {"verbose", "warning", "error"}:
            texts = {"stdout": event.get("stdout")}
        line |= {name: _text(value) for name, value in texts.items() if value}
        _tell(report, line)
    return False


def _counts(given: Mapping[str, Any]) -> dict[str, int]:
    """How many tasks ended how, when a playbook's end says so."""
    names = ("ok", "changed", "failures", "dark", "skipped", "ignored", "rescued")
    return {name: sum(given[name].values()) for name in names if isinstance(given.get(name), dict)}


def _text(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return _TERMINAL_CODES.sub("", text)[:_LONGEST_TEXT]


def _tell(report: IO[str], line: Mapping[str, object]) -> None:
    report.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    sys.exit(main())
