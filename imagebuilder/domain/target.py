"""Target: a place where versions can be put, and what is asked of it; where to is a distribution's.

What was put there, and how far a distribution came, is `distribution`'s.
"""

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from imagebuilder.domain.errors import InvalidInput, Unavailable
from imagebuilder.domain.ids import DistributionName
from imagebuilder.domain.recipe import ArtifactFormat

TEMPLATE_WORDS = ("image", "version", "build", "region", "account")
"""What templates may ask for; region and account are empty where a place has none."""


class TargetKind(StrEnum):
    """The kinds of places there are."""

    AWS = "aws"
    FOLDER = "folder"
    S3 = "s3"
    OCI = "oci"
    LIBVIRT = "libvirt"
    GLANCE = "glance"


class Delivery(StrEnum):
    """Whether an account gets a copy of its own, or leave to launch what another one has."""

    COPY = "copy"
    SHARE = "share"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How an account is entered: by a role, or as whoever runs us when no role is named.

    `role` is an ARN in which {account} stands for the account's number, or a role's bare name;
    `external_id` a reference to a secret such as env:EXTERNAL_ID.
    """

    role: str = ""
    external_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """Who gets a version: accounts, and those of units and of whole organizations.

    Shape: accounts by their number; units and organizations by their ARN or id.
    """

    accounts: tuple[str, ...] = ()
    organizational_units: tuple[str, ...] = ()
    organizations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsHome:
    """The account and region where an AMI is made of an artifact, before it goes elsewhere."""

    account: str
    region: str
    access: Access = field(default_factory=Access)


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsPlaces:
    """An AMI in regions of accounts.

    Shape: `keys` maps a region to the KMS key its copy is encrypted with; `tags` are set on the
    image and its snapshots. `ami_name`, `parameter` and the values of tags are templates.
    Units: `deprecate_after_seconds` since it was placed.
    """

    home: AwsHome
    audience: Audience
    regions: tuple[str, ...]
    delivery: Delivery = Delivery.COPY
    access: Access = field(default_factory=Access)
    ami_name: str = "{image}-{version}-{build}"
    keys: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    parameter: str = ""
    launch_template: str = ""
    deprecate_after_seconds: int | None = None
    export_bucket: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderPlace:
    """A folder that a web server or a mount hands on, with sums, signature and index."""

    path: str
    formats: tuple[ArtifactFormat, ...] = (ArtifactFormat.QCOW2,)


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Place:
    """A prefix of a bucket, laid out as a folder is; `endpoint` where it is not Amazon's own."""

    bucket: str
    prefix: str = ""
    region: str = ""
    endpoint: str = ""
    formats: tuple[ArtifactFormat, ...] = (ArtifactFormat.QCOW2,)


@dataclass(frozen=True, slots=True, kw_only=True)
class OciPlace:
    """A repository of a registry: host/name. `credentials` refers to a secret, user:password."""

    repository: str
    tag: str = "{version}-{build}"
    credentials: str = ""
    is_plain_http: bool = False
    formats: tuple[ArtifactFormat, ...] = (ArtifactFormat.QCOW2,)


@dataclass(frozen=True, slots=True, kw_only=True)
class LibvirtPlace:
    """A storage pool of a libvirt daemon."""

    uri: str
    pool: str
    volume: str = "{image}-{version}-{build}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GlancePlace:
    """An image service of OpenStack; `members` are the projects it is shared with.

    `token` refers to a secret; without one what the address answers to is asked plainly.
    """

    endpoint: str
    name: str = "{image}-{version}-{build}"
    members: tuple[str, ...] = ()
    token: str = ""


Place: TypeAlias = AwsPlaces | FolderPlace | S3Place | OciPlace | LibvirtPlace | GlancePlace


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSpec:
    """One entry of a distribution: what its people call it, and where that is."""

    name: str
    place: Place

    @property
    def kind(self) -> TargetKind:
        """Which kind of place it is."""
        match self.place:
            case AwsPlaces():
                return TargetKind.AWS
            case FolderPlace():
                return TargetKind.FOLDER
            case S3Place():
                return TargetKind.S3
            case OciPlace():
                return TargetKind.OCI
            case LibvirtPlace():
                return TargetKind.LIBVIRT
            case GlancePlace():
                return TargetKind.GLANCE


@dataclass(frozen=True, slots=True, kw_only=True)
class DistributionSpec:
    """A distribution document: where versions go. `path` and `text` are the document's.

    Units: `tolerated_failures` is how many targets may fail until no further one is begun.
    """

    name: DistributionName
    targets: tuple[TargetSpec, ...]
    description: str = ""
    tolerated_failures: int | None = None
    path: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One place of an entry, which may stand for many: an account's region, a folder.

    `key` names it in all books, such as aws:123456789012/eu-central-1. `after` is the key of the
    target that has to hold the version before, None when this one takes it from our files. It is
    implied when nobody asks for the version there, and only others come after it.
    Shape: `where` maps what the carrier of its kind tells places apart by to values.
    """

    key: str
    spec: TargetSpec
    after: str | None = None
    where: Mapping[str, str] = field(default_factory=dict)
    is_implied: bool = False

    def gives_way_to(self, other: "Target") -> bool:
        """Whether another entry's target of the same key does for those that come after it."""
        return self.is_implied and self.after == other.after


def filled(template: str, words: Mapping[str, str]) -> str:
    """Give a template's text. Raises: TemplateMalformed: it asks for a word there is not."""
    try:
        parsed = list(string.Formatter().parse(template))
    except ValueError as error:
        raise TemplateMalformed(template, tuple(words)) from error
    text = ""
    for literal, word, form, conversion in parsed:
        if word is not None and (word not in words or form or conversion):
            raise TemplateMalformed(template, tuple(words))
        text += literal + ("" if word is None else words[word])
    return text


class TemplateMalformed(InvalidInput):
    """A template asks for what nobody can fill in."""

    code = "template-malformed"

    def __init__(self, template: str, words: Sequence[str]) -> None:
        """Quote it and list the words there are."""
        super().__init__(
            f"{template!r} is no template that can be filled in.",
            context=f"The words there are: {', '.join(f'{{{word}}}' for word in words)}.",
            hint="Write such as {image}-{version}-{build}; a brace itself is written twice.",
        )


class TargetUnknown(InvalidInput):
    """Something names a target that a distribution does not have."""

    code = "target-unknown"

    def __init__(self, asked: str, known: Sequence[str]) -> None:
        """List the targets there are."""
        super().__init__(
            f"There is no target {asked}.",
            context=f"The distribution has {', '.join(known) or 'none'}.",
            hint="Name one of them, or all by leaving it out.",
        )


class TargetKindUnsupported(InvalidInput):
    """Nothing here brings versions to places of a kind."""

    code = "target-kind-unsupported"

    def __init__(self, kind: TargetKind, known: Sequence[TargetKind]) -> None:
        """Name the kinds there are."""
        super().__init__(
            f"Nothing brings versions to places of the kind {kind} yet.",
            context=f"Supported are {', '.join(known) or 'none'}.",
            hint="Leave the entry out of the document, or its targets with --without.",
        )


class TargetUnavailable(Unavailable):
    """A target does not answer."""

    code = "target-unavailable"

    def __init__(self, target: str, call: str, reason: str, hint: str = "") -> None:
        """Name the target, what was asked of it and what was seen."""
        super().__init__(
            f"{target} does not answer {call}.",
            context=reason,
            hint=hint
            or "What was placed is on record: try again with imagebuilder distribute "
            "--retry, which does what is missing.",
        )
