"""Killed while writing to the catalogue: what was being done is there or not, and all is whole."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from imagebuilder.bootstrap import Application
from imagebuilder.domain.audit import Act, AuditAction, AuditEntry
from imagebuilder.domain.channel import ChannelGate, ChannelMove, MoveKind
from imagebuilder.domain.errors import WrongState
from imagebuilder.domain.evidence import Stage
from imagebuilder.domain.ids import ChannelName, ImageName, RunId
from imagebuilder.domain.image import VersionDraft
from imagebuilder.domain.standing import Lifecycle
from imagebuilder.ports.channels import ChannelMoved
from imagebuilder.services.promoting import MoveOrder
from imagebuilder.services.revoking import RevocationOrder
from tests.build import a_draft, a_layer, a_package, a_parent, a_version, an_artifact
from tests.databases import DATABASES
from tests.killing import FORKED, Doing, Rows, Site, Sites, Write, faults_of, points, rows_of

pytestmark = [pytest.mark.crash, pytest.mark.timeout(300)]

WEB, STABLE, BETA = ImageName("web"), ChannelName("stable"), ChannelName("beta")
ROUNDS = 20
NOW = datetime.now(UTC) - timedelta(days=1)


@pytest.fixture(params=DATABASES)
def sites(request: pytest.FixtureRequest, tmp_path: Path) -> Sites:
    is_server = request.param == "postgresql"
    server = request.getfixturevalue("postgres") if is_server else None
    return Sites(request.param, tmp_path, server)


@pytest.fixture
def seeded(sites: Sites) -> Iterator[Site]:
    """Give a site with a base, two versions on it, channels, and one of all else."""
    site = sites.new("seeded")
    with site.opened(NOW) as application:
        _keep_files(application)
        base = application.cataloguing.record(_draft("base"))
        for name in ("old", "new"):
            more = {"packages": (a_package(name),), "parent": a_parent(base.id)}
            application.cataloguing.record(_draft("web", **more))
        application.promoting.set("web@1.2.0/1", BETA, MoveOrder())
        application.placing.add("web", "aws:1/eu", "ami-1")
        application.labelling.label("web", {"team": "web"})
        spare = application.cataloguing.record(_draft("spare"))
        application.standings.set_lifecycle(spare.id, Lifecycle.DEPRECATED, NOW)
        application.revoking.revoke("spare@1.2.0/1", RevocationOrder(message="a test"))
        application.caring.back_up(site.home / "all.backup", _unheard, replaces=False)
    yield site
    sites.drop(site)


def _unheard(*_: object) -> None:
    """Hear how far something came."""


def _draft(image: str, **more: Any) -> VersionDraft:
    return a_draft(image, artifacts=(an_artifact(size_bytes=len(b"disk")),), **more)


def _keep_files(application: Application) -> None:
    """Put there what the versions of `tests.build` speak of."""
    for content in (b"disk", b"junit"):
        application.blobs.put(content)
    for layer in (a_layer("root"), a_layer("nginx"), a_layer("php")):
        application._layer_files.tree_path(layer.content).mkdir(exist_ok=True)


def _told(application: Application, action: AuditAction, subject: str) -> Act:
    act = Act(actor="ada", at=application.clock.now(), why="a test")
    application.audit.add(AuditEntry(act=act, action=action, subject=subject))
    return act


def _retire(application: Application) -> None:
    with application._database.together():
        version = application.cataloguing.show("web@1.2.0/1")
        act = _told(application, AuditAction.LIFECYCLE_CHANGED, version.reference)
        application.standings.set_lifecycle(version.id, Lifecycle.DEPRECATED, act.at)


def _record(application: Application) -> None:
    base = application.cataloguing.show("base")
    layers = (a_layer("root"), a_layer("nginx"), a_layer("php"))
    packages = (a_package("php"), a_package("curl"))
    more = {"layers": layers, "packages": packages, "plan": {"steps": ["php"]}}
    # Of one run in every process: `a_draft` counts runs, each process for itself.
    more["run_id"] = RunId("run-killed")
    application.cataloguing.record(_draft("web", parent=a_parent(base.id), **more))


def _add(application: Application) -> None:
    more = {"artifacts": (an_artifact(size_bytes=len(b"disk")),), "packages": (a_package("php"),)}
    application.versions.add(a_version("other@1.0.0/1", **more))


def _put_back(application: Application) -> None:
    backup = application._home / "all.backup"
    application.caring.restore(backup, _unheard, replaces=True)


WRITES: dict[str, Write] = {
    "record": _record,
    "add": _add,
    "set": lambda a: a.promoting.set("web", STABLE, MoveOrder()),
    "unset": lambda a: a.promoting.unset("web@beta", MoveOrder()),
    "gate": lambda a: a.promoting.gate("web@beta", ChannelGate(stages=(Stage.BOOTED,))),
    "promote": lambda a: a.promoting.promote("web", "latest", BETA, MoveOrder()),
    "revoke": lambda a: a.revoking.revoke("web@1.2.0/1", RevocationOrder(message="a test")),
    "restore": lambda a: a.revoking.restore("spare@1.2.0/1", "a test"),
    "set_lifecycle": _retire,
    "reactivate": lambda a: a.retiring.reactivate(a.cataloguing.show("spare"), "a test"),
    "label": lambda a: a.labelling.label("web", {"team": "pages"}),
    "describe": lambda a: a.labelling.describe("web", "Serves the pages."),
    "place": lambda a: a.placing.add("web", "aws:1/us", "ami-2"),
    "launched": lambda a: a.placing.launched("aws:1/eu", "ami-1"),
    "withdraw": lambda a: a.placing.withdraw("aws:1/eu", "ami-1"),
    "copy": lambda a: a.copying.copy("base", "mine"),
    "catalogue restore": _put_back,
}


def _counts(rows: Rows) -> dict[str, int]:
    return {table: len(found) for table, found in rows.items()}


def _again(site: Site, write: Write) -> None:
    with site.opened() as application:
        write(application)


@pytest.mark.parametrize("name", WRITES)
def test_write_when_killed_anywhere_then_is_wholly_there_or_absent_and_can_be_done_again(
    sites: Sites, seeded: Site, name: str
) -> None:
    doing, before = Doing(WRITES[name], NOW + timedelta(hours=1)), seeded.rows()
    whole = sites.copy(seeded, "whole")
    moments = whole.told(doing)
    after, seen = whole.rows(), []
    assert after != before
    assert whole.faults() == []

    for moment in points(moments):
        site = sites.copy(seeded, f"killed-{moment}")
        site.kill(doing, moment)

        with site.opened() as application:
            assert faults_of(application) == []
            found = rows_of(application)
            assert found in (before, after), (moment, moments)
            seen.append(found == after)
            try:
                doing.write(application)
            except WrongState:
                assert found == after
            else:
                assert found == after or _counts(rows_of(application)) == _counts(after)
            assert faults_of(application) == []
        sites.drop(site)

    assert not seen[0]
    assert seen[-1]
    sites.drop(whole)


def test_making_when_killed_anywhere_then_the_next_makes_it(sites: Sites) -> None:
    model = sites.new("model")
    doing = Doing(_record_first, NOW, makes=True)
    moments = model.told(doing)

    for moment in points(moments):
        site = sites.new(f"killed-{moment}")
        site.kill(doing, moment)

        _again(site, _record_first)
        assert site.faults() == []
        assert len(site.rows()["versions"]) in (1, 2)
        sites.drop(site)
    sites.drop(model)


def _record_first(application: Application) -> None:
    _keep_files(application)
    application.cataloguing.record(_draft("base"))


def test_backup_when_killed_anywhere_then_is_whole_or_absent_and_leaves_nothing(
    sites: Sites, seeded: Site
) -> None:
    file, before = seeded.home / "backups/new.backup", seeded.rows()
    file.parent.mkdir()

    def back_up(application: Application) -> None:
        application.caring.back_up(file, _unheard, replaces=True)

    was_there = []
    for moment in points(seeded.told(Doing(back_up, NOW))):
        file.unlink(missing_ok=True)
        seeded.kill(Doing(back_up, NOW), moment)
        was_there.append(file.exists())
        with seeded.opened() as application:
            if file.exists():
                assert application.caring.inspect(file).rows == _counts(before)
            back_up(application)
            assert application.caring.inspect(file).rows == _counts(before)
        assert list(file.parent.iterdir()) == [file]

    assert set(was_there) == {False, True}
    assert seeded.rows() == before
    assert seeded.faults() == []


def test_copy_when_killed_anywhere_then_the_target_is_whole_or_empty(
    sites: Sites, seeded: Site
) -> None:
    before, filled = seeded.rows(), _counts(seeded.rows())
    filled["audit"] += 1
    model = sites.new("model")
    moments = seeded.told(Doing(_copying_to(model), NOW))
    assert _counts(model.rows()) == filled

    was_there = []
    for moment in points(moments):
        target = sites.new(f"killed-{moment}")
        seeded.kill(Doing(_copying_to(target), NOW), moment)

        found = _counts(target.rows())
        was_there.append(found == filled)
        if any(found.values()):
            assert found == filled
        else:
            _again(seeded, _copying_to(target))
            assert _counts(target.rows()) == filled
        sites.drop(target)

    assert not was_there[0]
    assert was_there[-1]
    assert seeded.rows() == before
    sites.drop(model)


def _copying_to(target: Site) -> Write:
    return lambda application: application.caring.copy_to(target.url, _unheard)


def test_two_writers_when_they_record_one_image_then_no_number_is_left_out(
    sites: Sites, seeded: Site
) -> None:
    def recorder(name: str) -> Write:
        def record(application: Application) -> None:
            for number in range(ROUNDS):
                run_id = RunId(f"run-{name}-{number}")
                application.cataloguing.record(_draft("many", run_id=run_id))

        return record

    _at_once(seeded, recorder("one"), recorder("other"))

    with seeded.opened() as application:
        found = application.cataloguing.list("many")
    assert sorted(each.version.build for each in found) == list(range(1, 2 * ROUNDS + 1))
    assert seeded.faults() == []


def test_two_writers_when_they_move_one_channel_then_each_time_one_wins(
    sites: Sites, seeded: Site
) -> None:
    # Both have seen the channel before either moves it.
    meeting, wins = FORKED.Barrier(2, timeout=60), FORKED.Value("i", 0)

    def mover(reference: str) -> Write:
        def move(application: Application) -> None:
            version = application.cataloguing.show(reference)
            for _ in range(ROUNDS):
                meeting.wait()
                act = Act(actor="ada", at=application.clock.now())
                seen = application.channels.channel(WEB, STABLE, act.at)
                meeting.wait()
                wanted = ChannelMove(
                    kind=MoveKind.SET, act=act, old=seen.version_id, new=version.id
                )
                try:
                    application.channels.add(seen, wanted)
                except ChannelMoved:
                    continue
                with wins.get_lock():
                    wins.value += 1

        return move

    _at_once(seeded, mover("web@1.2.0/1"), mover("web@1.2.0/2"))

    with seeded.opened() as application:
        moves = application.channels.moves(WEB, STABLE, application.clock.now())
    assert (wins.value, len(moves)) == (ROUNDS, ROUNDS)
    assert [each.old for each in moves[1:]] == [each.new for each in moves[:-1]]
    assert seeded.faults() == []


def _at_once(site: Site, *writes: Write) -> None:
    processes = [FORKED.Process(target=_again, args=(site, write)) for write in writes]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * len(writes)
