"""What came of a build, where exit status, events and manifest say different things."""

import json
from pathlib import Path

import pytest

from imagebuilder.adapters.packer.events import Made, Told
from imagebuilder.adapters.packer.manifest import Listed, listed_in
from imagebuilder.adapters.packer.outcome import Ending, outcome_of
from imagebuilder.ports.live_builds import LiveBuildFailed, LivePlace

AMI = Made("web", "mitchellh.amazonebs", "eu-west-1:ami-1,us-east-1:ami-2", ())
LISTED = Listed("web", "eu-west-1:ami-1,us-east-1:ami-2", ())


def _ending(
    *made: Made,
    listed: tuple[Listed, ...] = (LISTED,),
    status: int = 0,
    errors: dict[str, str] | None = None,
    folder: Path = Path("/nowhere"),
) -> Ending:
    return Ending(
        exit_status=status,
        told=Told(made=made, errors=errors or {}),
        listed={each.build: each for each in listed},
        folder=folder,
        last_lines="the end",
    )


def test_outcome_when_images_were_made_elsewhere_then_names_each_with_its_region() -> None:
    outcome = outcome_of(["web"], _ending(AMI))

    assert outcome.products[0].places == (
        LivePlace(region="eu-west-1", id="ami-1"),
        LivePlace(region="us-east-1", id="ami-2"),
    )
    assert outcome.failures == {}


def test_outcome_when_packer_is_content_and_made_nothing_then_the_build_failed() -> None:
    with pytest.raises(LiveBuildFailed) as failed:
        outcome_of(["web"], _ending(listed=()))

    assert "without an artifact" in failed.value.message
    assert failed.value.context == "the end"


def test_outcome_when_the_manifest_tells_of_another_image_then_the_build_failed() -> None:
    with pytest.raises(LiveBuildFailed, match="its manifest of eu-west-1:ami-9"):
        outcome_of(["web"], _ending(AMI, listed=(Listed("web", "eu-west-1:ami-9", ()),)))


def test_outcome_when_a_file_is_missing_then_the_build_failed(tmp_path: Path) -> None:
    made, listed = Made("box", "", "VM", ("disk",)), Listed("box", "VM", ("disk",))

    with pytest.raises(LiveBuildFailed, match="disk is not there"):
        outcome_of(["box"], _ending(made, listed=(listed,), folder=tmp_path))


def test_outcome_when_one_half_failed_then_the_good_half_is_kept() -> None:
    ending = _ending(AMI, status=1, errors={"box": "Script exited with status 3."})

    outcome = outcome_of(["web", "box"], ending)

    assert [product.source for product in outcome.products] == ["web"]
    assert outcome.failures == {"box": "Script exited with status 3"}


def test_outcome_when_all_was_made_and_packer_is_not_content_then_the_build_failed() -> None:
    with pytest.raises(LiveBuildFailed, match="exit status 2"):
        outcome_of(["web"], _ending(AMI, status=2))


def test_manifest_when_it_was_added_to_then_only_the_newest_run_counts(tmp_path: Path) -> None:
    def build(name: str, run: str) -> dict[str, object]:
        return {"name": name, "artifact_id": name, "packer_run_uuid": run, "files": None}

    file = tmp_path / "manifest.json"
    content = {"builds": [build("old", "1"), build("new", "2")], "last_run_uuid": "2"}
    file.write_text(json.dumps(content))

    assert listed_in(file) == {"new": Listed("new", "new", ())}


def test_manifest_when_there_is_none_then_nothing_ended_well(tmp_path: Path) -> None:
    assert listed_in(tmp_path / "manifest.json") == {}


def test_manifest_when_it_is_something_else_then_says_so(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("[]")

    with pytest.raises(ValueError, match="no manifest"):
        listed_in(tmp_path / "manifest.json")
