"""A distribution is killed at every point; its retry ends as if it never was."""

import multiprocessing
import os
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

import pytest

from imagebuilder.bootstrap import Application
from imagebuilder.domain.audit import AuditAction, AuditQuery
from imagebuilder.domain.distribution import DeliveryState, DeliveryStep
from imagebuilder.services.distributing.distributing import Choice
from imagebuilder.settings import read_settings
from tests.build import a_draft, an_artifact
from tests.fakes.progress import FakeDeliveryProgress

_SPAWN = multiprocessing.get_context("spawn")
DISK = b"\0" * 3_000_000 + b"the end of a disk"
DOCUMENT = """kind: Distribution
name: mirrors
targets:
  - {{name: near, folder: {{path: {folder}/near}}}}
  - {{name: far, folder: {{path: {folder}/far}}}}
"""
POINTS = 7
"""Two targets begin and end; bytes come to each of them."""


def application(home: Path) -> Application:
    return Application(read_settings({"IMAGEBUILDER_HOME": str(home)}))


@dataclass
class Killing:
    """Kills its own process at a point."""

    point: int
    lock: Lock
    count: int = 0

    def changed(self, step: DeliveryStep) -> None:
        self._pass()

    def moved(self, target: str, size_bytes: int) -> None:
        self._pass()

    def troubled(self, target: str, why: str) -> None:
        """Nothing is troubled here."""

    def _pass(self) -> None:
        with self.lock:
            self.count += 1
            if self.count == self.point:
                os.kill(os.getpid(), signal.SIGKILL)


def killed_at(home: Path, document: Path, point: int) -> None:
    distributing = application(home).distributing
    distributing.distribute("web", str(document), Choice(), Killing(point, Lock()))


@pytest.mark.parametrize("point", range(1, POINTS + 1))
def test_distribute_when_killed_then_its_retry_does_the_rest_and_nothing_twice(
    tmp_path: Path, point: int
) -> None:
    home, document = tmp_path / "home", tmp_path / "mirrors.yaml"
    document.write_text(DOCUMENT.format(folder=tmp_path))
    for name in ("near", "far"):
        (tmp_path / name).mkdir()
    app = application(home)
    disk = replace(an_artifact(), digest=app.blobs.put(DISK), size_bytes=len(DISK))
    version = app.cataloguing.record(a_draft("web", artifacts=(disk,)))

    process = _SPAWN.Process(target=killed_at, args=(home, document, point))
    process.start()
    process.join()

    if process.exitcode == -signal.SIGKILL:
        (done,) = app.distributing.retry("web", Choice(), FakeDeliveryProgress())
        assert done.distribution.is_whole
    else:
        assert (process.exitcode, point > 4) == (0, True)
    (kept,) = app.distributions.of([version.id])
    assert {step.state for step in kept.steps} == {DeliveryState.DONE}
    placements = app.placements.of([version.id])
    assert sorted(p.target for p in placements) == [
        f"folder:{tmp_path}/far",
        f"folder:{tmp_path}/near",
    ]
    added = app.audit.entries(AuditQuery(action=AuditAction.PLACEMENT_ADDED))
    assert len(added) == 2
    assert list((home / "deliveries").iterdir()) == []
    for name in ("near", "far"):
        (file,) = (tmp_path / name).glob("*/*.qcow2")
        assert file.read_bytes() == DISK
        assert [p.name for p in file.parent.iterdir() if p.name.startswith(".")] == []
    assert all(not looked.drifts for looked in app.inspecting.check("web"))
