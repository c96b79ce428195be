"""Artifact: a finished file in a stated format."""

from dataclasses import dataclass

from imagebuilder.domain.digest import Digest
from imagebuilder.domain.recipe import ArtifactFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file that came out of a build.

    Units: `virtual_size_bytes` is what a machine sees; `size_bytes` what the file takes.
    """

    format: ArtifactFormat
    digest: Digest
    size_bytes: int
    virtual_size_bytes: int
