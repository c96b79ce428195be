"""Published files: what the files of a version are called where people fetch them."""

from collections import Counter
from collections.abc import Iterable, Sequence

from imagebuilder.domain.artifact import Artifact
from imagebuilder.domain.bill import UNKNOWN_RELEASE
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.objection import Objection
from imagebuilder.domain.recipe import ArtifactFormat

DISK_FORMATS = (
    ArtifactFormat.RAW,
    ArtifactFormat.QCOW2,
    ArtifactFormat.VHD,
    ArtifactFormat.VMDK,
)
"""The files that a raw disk can be had of."""

_FOR_ALL = "all"
_UNKNOWN = "unknown"


def file_name(version: ImageVersion, format_: ArtifactFormat) -> str:
    """Give a file's name, of which systemd-sysupdate reads the version: web_1.2.0-3.qcow2."""
    number = version.version
    return f"{version.image}_{number.version}-{number.build}.{format_}"


def artifact_in(version: ImageVersion, format_: ArtifactFormat) -> Artifact | None:
    """Give the artifact of a format, None when the version was not built in it."""
    return next((a for a in version.artifacts if a.format is format_), None)


def lacking(version: ImageVersion, formats: Iterable[ArtifactFormat]) -> Sequence[Objection]:
    """Give an objection for each format that a version cannot be had in; raw, of any disk."""
    made = {artifact.format for artifact in version.artifacts}
    has_disk = not made.isdisjoint(DISK_FORMATS)
    return [
        Objection(
            reason=f"{version.reference} has no {format_} artifact.",
            remedy=f"Add {format_} to artifacts in its recipe and build it again",
        )
        for format_ in formats
        if format_ not in made and not (format_ is ArtifactFormat.RAW and has_disk)
    ]


def native_architecture(version: ImageVersion) -> str:
    """Give the architecture that most packages of a version are for, as dpkg calls it."""
    counted = Counter(p.architecture for p in version.packages if p.architecture != _FOR_ALL)
    return min(counted, key=lambda name: (-counted[name], name), default=_UNKNOWN)


def release_of(version: ImageVersion) -> str:
    """Give which release of which distribution a version says it is: debian:bookworm."""
    return version.bill.release if version.bill else UNKNOWN_RELEASE
