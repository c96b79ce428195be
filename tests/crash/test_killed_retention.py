"""Applying a retention plan is killed at every point; applying again ends as if it never was."""

import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from imagebuilder.bootstrap import Application
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.retirement import RetentionPlan
from imagebuilder.services.retiring import Applied, PlanRequest
from imagebuilder.settings import read_settings
from tests.build import a_digest, a_draft, an_artifact

_SPAWN = multiprocessing.get_context("spawn")
RULE = """kind: Retention
name: web
select: {images: ["web"]}
keep: {last: 1}
then: {deprecate_after: 0d, disable_after: 0d, delete_after: 0d}
"""
POINTS = 5
"""Two versions are deleted, two are freed; then it ends."""


def application(home: Path) -> Application:
    return Application(read_settings({"IMAGEBUILDER_HOME": str(home)}))


def killed_at(home: Path, plan_id: str, point: int) -> None:
    retiring = application(home).retiring
    told: list[str] = []

    def tell(what: str) -> None:
        told.append(what)
        if len(told) == point:
            os.kill(os.getpid(), signal.SIGKILL)

    retiring.apply(retiring.applicable(plan_id), tell)


def recorded(app: Application, content: bytes) -> ImageVersion:
    disk = replace(an_artifact(), digest=app.blobs.put(content), size_bytes=len(content))
    definition = a_digest(content.decode())
    return app.cataloguing.record(a_draft("web", artifacts=(disk,), definition_digest=definition))


def planned(app: Application, rule: Path) -> RetentionPlan:
    return app.retiring.plan(PlanRequest(paths=[str(rule)]))


def applied(app: Application, plan: RetentionPlan) -> Applied:
    return app.retiring.apply(app.retiring.applicable(plan.id), lambda _: None)


@pytest.mark.parametrize("point", range(1, POINTS + 1))
def test_apply_when_killed_is_finished_by_applying_again(tmp_path: Path, point: int) -> None:
    home, rule = tmp_path / "home", tmp_path / "web.yaml"
    rule.write_text(RULE)
    app = application(home)
    old = [recorded(app, b"one"), recorded(app, b"two")]
    newest = recorded(app, b"newest")
    for _ in range(2):
        applied(app, planned(app, rule))
    plan = planned(app, rule)

    process = _SPAWN.Process(target=killed_at, args=(home, plan.id, point))
    process.start()
    process.join()
    if point < POINTS:
        assert process.exitcode == -signal.SIGKILL
        ended = applied(app, plan)
        done = {decision.reference for decision in (*ended.before, *ended.done)}
        assert done == {version.reference for version in old}
        assert ended.skipped == ()

    assert [app.blobs.has(v.artifacts[0].digest) for v in (*old, newest)] == [False, False, True]
    assert app.retention.unfreed() == []
    assert [subject.id for subject in app.retention.subjects()] == [newest.id]
    assert app.retention.plan(plan.id).applied_at is not None
