"""What documents in a folder say is in force, and what changes there is built."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

import pytest

from imagebuilder.domain.ids import PipelineName
from imagebuilder.domain.pipeline import Pipeline
from imagebuilder.ports.catalogue import StoreUnavailable
from imagebuilder.ports.documents import DocumentUnreadable
from imagebuilder.ports.pipelines import (
    AppliedPipeline,
    Pause,
    PipelineNotFound,
    PipelinePaused,
)
from imagebuilder.services.mirroring import Mirror, Mirroring
from tests.build import SOME_DAY, a_pipeline
from tests.fakes.folders import FakeFolderSight

FOLDER = PurePath("/srv/images")
ACTOR = "watch /srv/images"
WEB = "/srv/images/pipelines/web.yaml"
DB = "/srv/images/pipelines/db.yaml"
NGINX = "/srv/images/components/nginx/component.yaml"
RECIPE = "/srv/images/recipes/web.yaml"


def a_document(name: str, more: str = "") -> str:
    return f"kind: Pipeline\nname: {name}\n{more}"


@dataclass(frozen=True)
class Change:
    pipeline: Pipeline


@dataclass
class Folder:
    """A folder, what is in force, and what was started and told."""

    sight: FakeFolderSight = field(default_factory=FakeFolderSight)
    in_force: dict[str, AppliedPipeline] = field(default_factory=dict)
    applied: list[str] = field(default_factory=list)
    started: list[tuple[str, str]] = field(default_factory=list)
    faults: list[tuple[str, str | None]] = field(default_factory=list)
    uses: dict[str, list[str]] = field(default_factory=dict)
    is_database_away: bool = False
    paused: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.mirroring = self.another()

    def another(self) -> Mirroring:
        """Give another process's."""
        mirror = Mirror(
            folder=FOLDER,
            actor=ACTOR,
            sight=self.sight,
            documents=self,  # type: ignore[arg-type]  # of documents only their text is asked for
            books=self,
            uses=self.used,
            start=self.start,
            on_fault=lambda error, name: self.faults.append((error.code, name)),
        )
        return Mirroring(mirror)

    def looks(self, count: int = 2) -> None:
        for _ in range(count):
            self.mirroring.look()

    def text(self, path: str) -> str:
        found = self.sight.kept.get(PurePath(path))
        if found is None:
            raise DocumentUnreadable(path, "There is no such file.")
        return found[0].decode()

    def apply(
        self, places: Sequence[str], *, why: str = "", is_dry: bool = False
    ) -> Sequence[Change]:
        if self.is_database_away:
            raise StoreUnavailable("/catalogue.db", "It is locked.", hint="Wait.")
        (path,) = places
        text = self.text(path)
        if "faulty" in text:
            raise DocumentUnreadable(path, text)
        name = text.splitlines()[1].removeprefix("name: ")
        pipeline = a_pipeline(name, path=path, recipe_path=RECIPE, text=text)
        before = self.in_force.get(name)
        if not is_dry and (before is None or before.pipeline != pipeline):
            self.applied.append(name)
            self.in_force[name] = self.applied_by(pipeline, ACTOR)
        return [Change(pipeline)]

    def applied_by(self, pipeline: Pipeline, actor: str) -> AppliedPipeline:
        return AppliedPipeline(
            pipeline=pipeline,
            first_applied_at=SOME_DAY,
            applied_at=SOME_DAY,
            applied_by=actor,
            cursor_at=SOME_DAY,
        )

    def remove(self, name: str, why: str = "", *, is_dry: bool = False) -> AppliedPipeline:
        if name not in self.in_force:
            raise PipelineNotFound(name, ())
        return self.in_force.pop(name)

    def list(self) -> Sequence[AppliedPipeline]:
        return [self.in_force[name] for name in sorted(self.in_force)]

    def used(self, recipe_path: str) -> Collection[PurePath]:
        if "faulty" in self.text(recipe_path):
            raise DocumentUnreadable(recipe_path, self.text(recipe_path))
        return [PurePath(path) for path in self.uses.get(recipe_path, [recipe_path])]

    def start(self, name: PipelineName, why: str) -> None:
        if name in self.paused:
            raise PipelinePaused(name, Pause(at=SOME_DAY, actor="eva"))
        self.started.append((name, why))


@pytest.fixture
def folder() -> Folder:
    made = Folder()
    made.sight.write(RECIPE, "kind: Recipe\n")
    made.sight.write(NGINX, "schemaVersion: 1.0\n")
    made.uses[RECIPE] = [RECIPE, str(PurePath(NGINX).parent)]
    return made


def test_document_when_it_is_there_at_two_looks_then_is_applied(folder: Folder) -> None:
    folder.sight.write(WEB, a_document("web"))

    folder.looks(1)
    assert folder.applied == []
    folder.looks(5)

    assert folder.applied == ["web"]
    assert (folder.started, folder.faults) == ([], [])


def test_document_when_it_changes_then_is_applied_once_it_is_settled(folder: Folder) -> None:
    folder.sight.write(WEB, a_document("web"))
    folder.looks()

    for count in range(3):
        folder.sight.write(WEB, a_document("web", f"# {count}"))
        folder.looks(1)
    assert folder.applied == ["web"]
    folder.looks(2)

    assert folder.applied == ["web", "web"]
    assert folder.in_force["web"].pipeline.text.endswith("# 2")


def test_document_when_only_its_time_changes_then_nothing_happens(folder: Folder) -> None:
    folder.sight.write(WEB, a_document("web"))
    folder.looks()
    folder.sight.write(WEB, a_document("web"))
    folder.sight.write(NGINX, "schemaVersion: 1.0\n")

    folder.looks(4)

    assert (folder.applied, folder.started) == (["web"], [])


def test_document_when_it_is_gone_at_two_looks_then_so_is_its_pipeline(folder: Folder) -> None:
    folder.sight.write(WEB, a_document("web"))
    folder.sight.write(DB, a_document("db"))
    folder.looks()

    kept = folder.sight.kept.pop(PurePath(WEB))
    folder.looks(1)
    assert "web" in folder.in_force
    folder.sight.kept[PurePath(WEB)] = kept
    folder.looks(2)
    assert "web" in folder.in_force
    del folder.sight.kept[PurePath(WEB)]
    folder.looks(2)

    assert list(folder.in_force) == ["db"]


def test_pipeline_when_a_person_applied_it_then_is_not_removed(folder: Folder) -> None:
    own = a_pipeline("own", path=f"{FOLDER}/own.yaml")
    elsewhere = a_pipeline("elsewhere", path="/home/x.yaml")
    folder.in_force["own"] = folder.applied_by(own, "eva")
    folder.in_force["elsewhere"] = folder.applied_by(elsewhere, ACTOR)

    folder.looks(4)

    assert sorted(folder.in_force) == ["elsewhere", "own"]


def test_pipeline_when_its_document_went_while_nobody_looked_then_is_removed(
    folder: Folder,
) -> None:
    folder.sight.write(WEB, a_document("web"))
    folder.sight.write(DB, a_document("db"))
    folder.looks()
    del folder.sight.kept[PurePath(WEB)]
    folder.mirroring = folder.another()

    folder.looks()

    assert list(folder.in_force) == ["db"]
    assert folder.applied == ["db", "web"]


@pytest.mark.parametrize("is_away", [True, False], ids=["away", "empty"])
def test_folder_when_all_of_it_goes_then_nothing_is_removed(
    folder: Folder, *, is_away: bool
) -> None:
    folder.sight.write(WEB, a_document("web"))
    folder.looks()
    kept = dict(folder.sight.kept)
    folder.sight.kept.clear()
    folder.sight.is_away = is_away

    folder.looks(5)

    assert list(folder.in_force) == ["web"]
    assert folder.faults[-1] == ("document-unreadable" if is_away else "folder-emptied", None)
    folder.sight.is_away = False
    folder.sight.kept.update(kept)
    folder.looks(3)
    assert list(folder.in_force) == ["web"]
    assert folder.applied == ["web"]


def test_document_when_it_is_faulty_then_the_former_stays_and_it_is_told_once(
    folder: Folder,
) -> None:
    folder.sight.write(WEB, a_document("web"))
    folder.looks()
    folder.sight.write(WEB, a_document("web", "faulty"))
    folder.sight.write(DB, a_document("db", "faulty"))
    folder.looks(4)

    assert folder.faults == [("document-unreadable", None), ("document-unreadable", "web")]
    assert list(folder.in_force) == ["web"]
    folder.sight.write(NGINX, "schemaVersion: 1.0 # a change\n")
    folder.looks(4)
    assert len(folder.faults) == 2
    folder.sight.write(WEB, a_document("web", "# again"))
    folder.looks()
    assert folder.in_force["web"].pipeline.text.endswith("# again")


def test_document_when_it_says_nothing_any_more_then_is_a_faulty_one(folder: Folder) -> None:
    folder.sight.write(WEB, a_document("web"))
    folder.looks()
    folder.sight.write(WEB, "faulty")

    folder.looks()

    assert folder.faults == [("document-unreadable", "web")]
    assert list(folder.in_force) == ["web"]


def test_document_when_it_gets_another_name_then_the_former_is_removed(folder: Folder) -> None:
    folder.sight.write(WEB, a_document("web"))
    folder.looks()
    folder.sight.write(WEB, a_document("site"))

    folder.looks()

    assert list(folder.in_force) == ["site"]


def test_document_when_it_is_moved_then_its_pipeline_stays(folder: Folder) -> None:
    folder.sight.write(WEB, a_document("web"))
    folder.looks()
    del folder.sight.kept[PurePath(WEB)]
    folder.sight.write(DB, a_document("web"))

    folder.looks(4)

    assert folder.in_force["web"].pipeline.path == DB
    assert folder.faults == []


def test_document_when_another_has_its_name_then_the_first_stays(folder: Folder) -> None:
    folder.sight.write(WEB, a_document("web"))
    folder.looks()
    folder.sight.write(DB, a_document("web", "# other"))

    folder.looks(4)

    assert folder.faults == [("name-taken", None)]
    assert folder.in_force["web"].pipeline.path == WEB
    del folder.sight.kept[PurePath(WEB)]
    folder.looks()
    assert folder.in_force["web"].pipeline.path == DB


def test_component_when_it_changes_then_pipelines_that_use_it_run(folder: Folder) -> None:
    folder.sight.write(WEB, a_document("web"))
    other = a_pipeline("other", recipe_path="/elsewhere/recipe.yaml")
    folder.sight.write("/elsewhere/recipe.yaml", "kind: Recipe\n")
    folder.in_force["other"] = folder.applied_by(other, "eva")
    folder.looks()
    folder.sight.write(NGINX, "schemaVersion: 1.0 # new\n")
    folder.sight.write(f"{FOLDER}/components/nginx/files/page.html", "hello")
    folder.sight.write(f"{FOLDER}/README.md", "nothing of it")

    folder.looks(4)

    assert folder.started == [("web", f"{NGINX} and 1 more changed")]


def test_component_when_the_pipeline_is_paused_then_nothing_is_said(folder: Folder) -> None:
    folder.sight.write(WEB, a_document("web"))
    folder.looks()
    folder.paused.add("web")
    folder.sight.write(NGINX, "schemaVersion: 1.0 # new\n")

    folder.looks()

    assert (folder.started, folder.faults) == ([], [])


def test_recipe_when_it_is_faulty_then_is_told_once_and_built_when_it_is_not(
    folder: Folder,
) -> None:
    folder.sight.write(WEB, a_document("web"))
    folder.looks()
    folder.sight.write(RECIPE, "kind: Recipe\nfaulty")
    folder.looks(4)
    assert folder.faults == [("document-unreadable", "web")]
    assert folder.started == []

    folder.sight.write(RECIPE, "kind: Recipe\n# good\n")
    folder.looks()

    assert folder.started == [("web", f"{RECIPE} changed")]


def test_look_when_the_database_is_away_then_is_done_at_the_next(folder: Folder) -> None:
    folder.sight.write(WEB, a_document("web"))
    folder.looks(1)
    folder.is_database_away = True
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            folder.mirroring.look()
    folder.is_database_away = False

    folder.looks(1)

    assert folder.applied == ["web"]
    assert folder.faults == []
