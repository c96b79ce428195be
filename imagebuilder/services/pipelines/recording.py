"""Recording: the last stage of a build, once for each run."""

from dataclasses import replace

from imagebuilder.domain.evidence import TestReport
from imagebuilder.domain.image import ImageVersion, VersionDraft
from imagebuilder.domain.run import StepState
from imagebuilder.ports.progress import Progress
from imagebuilder.services.pipelines.desk import Desk


def recorded(
    desk: Desk, draft: VersionDraft, reports: tuple[TestReport, ...], progress: Progress
) -> ImageVersion:
    """Record what was built and passed, and give the version; the one there is of its run.

    Raises: ParentUnusable: its parent was revoked since the build began; VersionNotFound: it is
    gone.
    """
    known = desk.cataloguing.of_run(draft.run_id)
    if known is not None:
        return known
    progress.step_started("record")
    desk.usability.refuse_parent(draft.image, draft.parent.version_id)
    version = desk.cataloguing.record(replace(draft, reports=reports))
    progress.step_ended(StepState.SUCCEEDED, version.reference)
    return version
