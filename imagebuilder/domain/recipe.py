"""Recipe: what one image is made of.

When it is built, tested and distributed is not here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from imagebuilder.domain.compliance import Compliance
from imagebuilder.domain.digest import Canonical, Digest
from imagebuilder.domain.errors import InvalidInput
from imagebuilder.domain.ids import ComponentName, ImageName
from imagebuilder.domain.origin import Origin
from imagebuilder.domain.packer import PackerSource
from imagebuilder.domain.units import GIB
from imagebuilder.domain.versions import RecipeVersion, Wildcard


class Suite(StrEnum):
    """The Debian suites a recipe may start from."""

    BOOKWORM = "bookworm"
    TRIXIE = "trixie"
    SID = "sid"


class Firmware(StrEnum):
    """How a machine finds the boot loader."""

    BIOS = "bios"
    UEFI = "uefi"


class ArtifactFormat(StrEnum):
    """The forms in which an image can leave the building."""

    RAW = "raw"
    QCOW2 = "qcow2"
    TAR = "tar"
    VMDK = "vmdk"
    VHD = "vhd"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A package archive that apt may use.

    `allows_expired` takes a signed index whose time has run out, as a snapshot's has.
    Invariant: `url` carries no credentials.
    """

    url: str
    suites: tuple[str, ...]
    components: tuple[str, ...] = ("main",)
    keyring: str | None = None
    allows_expired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteParent:
    """A Debian suite, bootstrapped from its archive; what is None is the machine's own setting."""

    suite: Suite
    mirror: str | None = None
    keyring: str | None = None
    snapshot: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RootfsParent:
    """A root file system in a tar file beside the recipe."""

    path: str
    sha256: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageParent:
    """An image of our own: `asked` is what follows the @, the newest version when empty."""

    name: ImageName
    asked: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackerParent:
    """What Packer starts a machine from by a source's own settings; `what` is a word for people."""

    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AmiParent:
    """An AMI in a region, and the role by which the account is entered that may read it.

    `role` is an ARN, empty for whoever runs us; `external_id` refers to the secret it asks for.
    """

    ami: str
    region: str
    role: str = ""
    external_id: str = ""
    origin: Origin | None = None

    @property
    def image(self) -> ImageName:
        """The image of ours that it is recorded as; an AMI never changes, so its name is enough."""
        return ImageName(f"{self.ami}.{self.region}")


Parent = SuiteParent | RootfsParent | ImageParent | AmiParent | PackerParent


def parent_text(parent: Parent) -> str:
    """Give a parent as recipes write it: debian:bookworm, image:base@1.x, ami:REGION/ID."""
    match parent:
        case SuiteParent(suite=suite):
            return f"debian:{suite}"
        case RootfsParent(path=path):
            return f"rootfs:{path}"
        case ImageParent(name=name, asked=asked):
            return f"image:{name}@{asked}" if asked else f"image:{name}"
        case AmiParent(ami=ami, region=region):
            return f"ami:{region}/{ami}"
        case PackerParent(what=what):
            return f"packer:{what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentUse:
    """A component as a recipe asks for it: by name and wildcard, or by a path beside the recipe."""

    name: ComponentName | None = None
    wildcard: Wildcard = Wildcard(())  # noqa: RUF009 - frozen, so one instance may be shared
    path: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    origin: Origin | None = None


MOST_RETRIES = 5
LONGEST_TEST_SECONDS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeTest:
    """Tests as a recipe asks for them: a file or folder beside it, and how they run.

    A test that does not pass is tried `retries` times more; `timeout_seconds` is for each try of
    each test, None for as long as any test has. Shape: `variables` are what its tests may ask for.
    """

    path: str
    variables: Mapping[str, Canonical] = field(default_factory=dict)
    retries: int = 0
    timeout_seconds: int | None = None
    origin: Origin | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskSpec:
    """The disk a recipe asks for; a machine of any listed firmware must be able to boot it."""

    size_bytes: int = 4 * GIB
    firmware: tuple[Firmware, ...] = (Firmware.BIOS, Firmware.UEFI)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A recipe document, read and found sound.

    `repositories` are what the image itself will use; empty means those it was built from.
    Invariant: with `sources` Packer builds it, of an image, an AMI or a PackerParent.
    """

    name: ImageName
    version: RecipeVersion
    parent: Parent
    components: tuple[ComponentUse, ...] = ()
    description: str = ""
    tests: tuple[RecipeTest, ...] = ()
    artifacts: tuple[ArtifactFormat, ...] = (ArtifactFormat.QCOW2,)
    disk: DiskSpec = DiskSpec()
    repositories: tuple[Repository, ...] = ()
    compliance: tuple[Compliance, ...] = ()
    sources: tuple[PackerSource, ...] = ()
    max_age_seconds: int | None = None
    text: str = ""
    origin: Origin | None = None
    parent_origin: Origin | None = None

    @property
    def path(self) -> str:
        """Where its document lies; empty when it was made of nothing written."""
        return self.origin.document if self.origin else ""


class CircularParents(InvalidInput):
    """An image is, over its parents, built on itself."""

    code = "circular-parents"

    def __init__(self, chain: Sequence[str], *, origin: Origin | None = None) -> None:
        """Show the circle: every name is built on the one after it, and the last is the first."""
        super().__init__(
            f"The parents of {chain[0]} lead back to itself.",
            context=" is built on ".join(chain),
            hint="Give one of these recipes a parent outside the circle, such as debian:bookworm.",
            origin=origin,
        )


class RecipeAmbiguous(InvalidInput):
    """Two recipes make an image of the same name."""

    code = "recipe-ambiguous"

    def __init__(self, image: str, paths: Sequence[str]) -> None:
        """Name the image and the recipes."""
        super().__init__(
            f"{len(paths)} recipes make image {image}.",
            context=", ".join(paths),
            hint="Give one of them another name.",
        )


class OverrideUnknown(InvalidInput):
    """A parameter was set for a component that the recipe does not use."""

    code = "override-unknown"

    def __init__(self, asked: str, names: Iterable[str]) -> None:
        """Quote it and name the components there are."""
        super().__init__(
            f"{asked} cannot be set: it does not start with a component of the recipe.",
            context=f"The recipe uses {', '.join(sorted(names)) or 'no components by name'}.",
            hint="Write --set component.parameter=value.",
        )


def overridden(recipe: Recipe, overrides: Mapping[str, str]) -> Recipe:
    """Give the recipe with parameters set from outside. Shape: component.parameter -> value.

    Raises: OverrideUnknown: the recipe uses no component of that name.
    """
    names = {use.name for use in recipe.components if use.name is not None}
    for asked in overrides:
        if asked.partition(".")[0] not in names:
            raise OverrideUnknown(asked, names)
    if not overrides:
        return recipe
    return replace(
        recipe,
        components=tuple(
            replace(use, parameters={**use.parameters, **_for_component(use.name, overrides)})
            for use in recipe.components
        ),
    )


def _for_component(name: str | None, overrides: Mapping[str, str]) -> dict[str, str]:
    prefix = f"{name}."
    return {
        asked.removeprefix(prefix): value
        for asked, value in overrides.items()
        if asked.startswith(prefix)
    }
