"""Recording: the last stage of a build, once for each run."""

from dataclasses import replace

from imagebuilder.domain.built import Seen
from imagebuilder.domain.errors import Unavailable, WrongState
from imagebuilder.domain.image import ImageVersion, VersionDraft
from imagebuilder.domain.run import StepState
from imagebuilder.ports.progress import Progress
from imagebuilder.services.pipelines.desk import Desk


def recorded(desk: Desk, draft: VersionDraft, seen: Seen, progress: Progress) -> ImageVersion:
    """Record what was built and passed, and give the version; the one there is of its run.

    Raises: ParentUnusable: its parent was revoked since the build began; VersionNotFound: it is
    gone.
    """
    known = desk.cataloguing.of_run(draft.run_id)
    if known is not None:
        matched(desk, known, progress)
        signed(desk, known, progress)
        return known
    desk.attesting.refuse_unusable_key()
    progress.step_started("record")
    desk.usability.refuse_parent(draft.image, draft.parent.version_id)
    version = desk.cataloguing.record(
        replace(draft, reports=seen.reports, assessments=seen.assessments)
    )
    progress.step_ended(StepState.SUCCEEDED, version.reference)
    matched(desk, version, progress)
    signed(desk, version, progress)
    return version


def matched(desk: Desk, version: ImageVersion, progress: Progress) -> None:
    """Look at what advisories say of a recorded version, if there are any.

    What keeps it from that is told as a step that was left out: a rescan does it later.
    """
    try:
        desk.matching.match_version(version.id)
    except (WrongState, Unavailable) as error:
        progress.step_started("match")
        progress.line(f"{error.message} {error.context}".strip())
        progress.step_ended(StepState.SKIPPED, error.message)


def signed(desk: Desk, version: ImageVersion, progress: Progress) -> None:
    """Sign what is known of a recorded version, if there is a key and nobody did yet.

    What keeps it from that is told as a step that was left out: it can be done later.
    """
    complaint = desk.attesting.sign_recorded(version)
    if complaint:
        progress.step_started("sign")
        progress.line(complaint)
        progress.step_ended(StepState.SKIPPED, complaint)
