"""What is shown and kept of a trial."""

from pathlib import Path

import pytest

from imagebuilder.cli.component_trial import ResultUnwritable, Wishes, follow
from imagebuilder.documents.reader import read_component
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.ports.machine import MachineLost
from imagebuilder.services.pipelines.rehearsal import Trial
from tests.house import a_component_text

LOST = MachineLost("machine", "it burnt")


@pytest.mark.parametrize(("failure", "raised"), [(LOST, MachineLost), (None, ResultUnwritable)])
def test_follow_when_the_result_cannot_be_written_any_more_then_tells_all_the_same(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    failure: ImageBuilderError | None,
    raised: type[ImageBuilderError],
) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    component = read_component(a_component_text("page"), "page.yaml").value
    trial = Trial(component=component, on="here", steps=(), seconds=1.0, failure=failure)

    def work(_: object) -> Trial:
        folder.rmdir()
        return trial

    wishes = Wishes(junit=folder / "a.xml", details=None, is_quiet=True, as_json=False)
    with pytest.raises(raised):
        follow(work, wishes)

    told = capsys.readouterr()
    assert told.out.startswith("page ")
    assert ("result-unwritable" in told.err) is (failure is not None)
