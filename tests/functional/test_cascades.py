"""What is published, however that comes about, lets what follows it run: on both databases."""

import pytest

from imagebuilder.domain.ids import PipelineName
from imagebuilder.domain.pipeline import Trigger
from imagebuilder.domain.run import RunQuery, RunState
from tests.build import a_draft, a_pipeline, an_applied
from tests.functional.conftest import Cli

FOLLOWS = {
    "by-wildcard": "image:base@1.x",
    "by-name": "image:base",
    "by-channel": "image:base@stable",
    "of-a-copy": "image:approved-base@1.x",
    "of-another": "image:other@1.x",
}


@pytest.fixture
def followed(stored: Cli) -> Cli:
    """Give the command line over pipelines that follow images which have no versions yet."""
    pipelines = stored.application().pipelines
    for name, parent in FOLLOWS.items():
        pipelines.put(an_applied(a_pipeline(name, parent=parent)))
    return stored


def queued(cli: Cli) -> dict[str, list[str]]:
    """Give why runs wait. Shape: pipeline -> the reasons, the oldest first."""
    found: dict[str, list[str]] = {}
    for run in reversed(cli.application().runs.find(RunQuery())):
        assert run.order is not None
        assert (run.state, run.order.trigger) == (RunState.QUEUED, Trigger.PARENT)
        found.setdefault(run.order.pipeline, []).append(run.order.why)
    return found


def test_version_when_recorded_then_what_follows_its_image_waits(followed: Cli) -> None:
    followed.application().cataloguing.record(a_draft("base", "1.2.x"))

    why = "base@1.2.0/1 was published; it is built on"
    assert queued(followed) == {
        "by-wildcard": [f"{why} image:base@1.x"],
        "by-name": [f"{why} image:base"],
    }


def test_version_when_a_run_records_it_again_then_what_follows_waits_once(followed: Cli) -> None:
    draft = a_draft("base", "1.2.x")

    for _ in range(2):
        followed.application().cataloguing.record(draft)

    assert len(queued(followed)["by-wildcard"]) == 1


def test_channel_when_moved_and_moved_back_then_what_follows_it_waits_for_each(
    followed: Cli,
) -> None:
    for _ in range(2):
        followed.application().cataloguing.record(a_draft("base", "1.2.x"))
    for words in (
        ("set", "base@1.2.0/1", "stable"),
        ("set", "base@1.2.0/1", "stable"),
        ("set", "base@1.2.0/2", "stable"),
        ("rollback", "base@stable"),
    ):
        assert followed("channel", *words).exit_code == 0

    assert queued(followed)["by-channel"] == [
        f"base@stable is base@1.2.0/{build} now" for build in (1, 2, 1)
    ]


def test_channel_when_unset_then_nothing_waits(followed: Cli) -> None:
    followed.application().cataloguing.record(a_draft("base", "1.2.x"))
    assert followed("channel", "set", "base@1.2.0/1", "stable").exit_code == 0
    assert followed("channel", "unset", "base@stable").exit_code == 0

    assert len(queued(followed)["by-channel"]) == 1


def test_copy_when_recorded_then_what_follows_its_image_waits(followed: Cli) -> None:
    followed.application().cataloguing.record(a_draft("base", "1.2.x"))
    assert followed("image", "copy", "base@1.2.0/1", "--as", "approved-base").exit_code == 0

    assert len(queued(followed)["of-a-copy"]) == 1


def test_version_when_its_follower_is_removed_then_nothing_of_it_waits(followed: Cli) -> None:
    followed.application().pipelines.remove(PipelineName("by-name"))
    followed.application().cataloguing.record(a_draft("base", "1.2.x"))

    assert list(queued(followed)) == ["by-wildcard"]


def test_version_when_revoked_then_what_stands_on_it_waits_to_be_built_on_the_one_before(
    followed: Cli,
) -> None:
    for _ in range(2):
        followed.application().cataloguing.record(a_draft("base", "1.2.x"))
    for build in (1, 2):
        assert followed("channel", "set", f"base@1.2.0/{build}", "stable").exit_code == 0
    before = {name: len(reasons) for name, reasons in queued(followed).items()}

    assert (
        followed("image", "revoke", "base@1.2.0/2", "--message", "broken", "--yes").exit_code == 0
    )

    after = queued(followed)
    assert {name: reasons[before[name] :] for name, reasons in after.items()} == {
        "by-channel": ["base@stable is base@1.2.0/1 now"],
        "by-name": ["base@latest is base@1.2.0/1 now"],
        "by-wildcard": ["base@latest is base@1.2.0/1 now"],
    }


def test_revocation_when_rehearsed_or_for_later_then_nothing_waits(followed: Cli) -> None:
    for _ in range(2):
        followed.application().cataloguing.record(a_draft("base", "1.2.x"))
    before = queued(followed)

    for more in (("--dry-run",), ("--at", "2999-01-01")):
        done = followed("image", "revoke", "base@1.2.0/2", "--message", "broken", *more)
        assert done.exit_code == 0, done.stderr

    assert queued(followed) == before
