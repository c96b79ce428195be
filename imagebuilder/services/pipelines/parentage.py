"""Parentage: what a recipe's parent turns out to be today."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath

from imagebuilder.domain.digest import Canonical, Digest, digest_of
from imagebuilder.domain.errors import InvalidInput, WrongState
from imagebuilder.domain.image import ImageVersion, Reference, VersionNotFound
from imagebuilder.domain.plan import FINISH_LAYER, INITRAMFS_LAYER, PlannedParent
from imagebuilder.domain.recipe import (
    AmiParent,
    ImageParent,
    PackerParent,
    Recipe,
    Repository,
    RootfsParent,
    Suite,
    SuiteParent,
    parent_text,
)
from imagebuilder.ports.building import PackageSources
from imagebuilder.ports.catalogue import VersionStore
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.documents import DocumentSource

AMI_LINE = "1.0.x"
"""The versions as which AMIs are recorded that recipes are built on; each has one at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenParent:
    """A parent, and the archives that what is built on it may fetch from."""

    planned: PlannedParent
    archives: tuple[Repository, ...]


class ParentHasNoLayers(WrongState):
    """An image is to be built in layers on one that has none."""

    code = "parent-has-no-layers"

    def __init__(self, asked: str) -> None:
        """Name the parent."""
        super().__init__(
            f"{asked} has no layers, so no layer can be put onto it.",
            context="It was made of a machine, by Packer.",
            hint="Let Packer build this image too, with builder: packer, or choose another parent.",
        )


class NotOfLayers(InvalidInput):
    """Something was asked that only an image of layers can do."""

    code = "not-of-layers"

    def __init__(self, image: str) -> None:
        """Name the image."""
        super().__init__(
            f"{image} has no layers: Packer makes it, of a machine.",
            context="So it cannot be made again byte by byte, nor can components be tried on it.",
            hint="Try components on its parent, or on a machine with: imagebuilder component run.",
        )


class Parentage:
    """Looks up parents in documents, catalogue and archives."""

    def __init__(
        self,
        documents: DocumentSource,
        versions: Callable[[], VersionStore],
        sources: PackageSources,
        clock: Clock,
    ) -> None:
        """Ask a catalogue that is opened when it is needed, for what is meant at clock's time."""
        self._documents = documents
        self._versions = versions
        self._sources = sources
        self._clock = clock

    def taken(self, recipe: Recipe, path: str) -> TakenParent:
        """Give what the parent of a recipe at `path` is now.

        Raises: DocumentUnreadable; VersionNotFound: the parent was never built, or fetched.
        """
        match recipe.parent:
            case SuiteParent() as suite:
                return self._suite(suite, path)
            case RootfsParent() as rootfs:
                return self._rootfs(rootfs, path)
            case ImageParent() as image:
                return self._image(image)
            case AmiParent() as ami if not recipe.sources:
                return self._ami(ami)
            case AmiParent() | PackerParent() as parent:
                # What a source starts from stands in its settings, which the plan holds.
                asked = parent_text(parent)
                return TakenParent(planned=PlannedParent(asked=asked, identity=asked), archives=())

    def recorded(self, recipe: Recipe, path: str, version: ImageVersion) -> TakenParent:
        """Give a parent as `taken`, but of an image of ours the version that another was built on.

        Raises: DocumentUnreadable; VersionNotFound: it is not recorded any more.
        """
        parent, known = recipe.parent, version.parent.version_id
        if isinstance(parent, ImageParent | AmiParent) and known is not None:
            return self._version(parent, self._versions().get(known))
        return self.taken(recipe, path)

    def _suite(self, parent: SuiteParent, path: str) -> TakenParent:
        keyring, content = None, b""
        if parent.keyring is not None:
            keyring = str(self._documents.locate(parent.keyring, path))
            content = self._documents.content(PurePath(keyring))
        if parent.mirror is not None:
            url = parent.mirror.replace("{snapshot}", parent.snapshot or "")
            archives: tuple[Repository, ...] = (
                Repository(
                    url=url,
                    suites=(parent.suite,),
                    allows_expired=parent.snapshot is not None,
                ),
            )
        else:
            archives = self._sources.repositories(parent.suite)
        archives = tuple(replace(archive, keyring=keyring) for archive in archives)
        asked = parent_text(parent)
        identity = digest_of([asked, parent.mirror, str(Digest.of_bytes(content)), parent.snapshot])
        return TakenParent(
            planned=PlannedParent(
                asked=asked, identity=str(identity), source=parent, suite=parent.suite
            ),
            archives=archives,
        )

    def _rootfs(self, parent: RootfsParent, path: str) -> TakenParent:
        file = self._documents.locate(parent.path, path)
        digest = self._documents.folder_digest(file)
        return TakenParent(
            planned=PlannedParent(
                asked=parent_text(parent),
                identity=str(digest),
                source=replace(parent, path=str(file)),
            ),
            archives=(),
        )

    def _image(self, parent: ImageParent) -> TakenParent:
        asked = Reference(name=parent.name, asked=parent.asked)
        return self._version(parent, self._versions().find(asked, self._clock.now()))

    def _ami(self, parent: AmiParent) -> TakenParent:
        try:
            found = self._versions().find(Reference(name=parent.image), self._clock.now())
        except VersionNotFound as missing:
            given = f"--ami {parent.ami} --region {parent.region}"
            missing.hint = (
                f"A build fetches it; so does: imagebuilder image import {given} "
                f"--name {parent.image} --version {AMI_LINE}"
            )
            raise
        return self._version(parent, found)

    def _version(self, parent: ImageParent | AmiParent, version: ImageVersion) -> TakenParent:
        contents = _contents_for_children(version)
        suite = text_of(version.plan, "suite")
        return TakenParent(
            planned=PlannedParent(
                asked=parent_text(parent),
                # One that Packer made has no layers, and is its disk.
                identity=str(
                    digest_of([str(content) for content in contents])
                    if contents
                    else version.disk_digest
                ),
                version_id=version.id,
                contents=contents,
                suite=suite,
            ),
            archives=self._sources.repositories(Suite(suite)) if suite else (),
        )


def _contents_for_children(version: ImageVersion) -> tuple[Digest, ...]:
    """Give what a child is built on: all but what a version has for itself, at its top.

    A component may be called as one of these is, and stays.
    """
    layers, own = list(version.layers), {FINISH_LAYER, INITRAMFS_LAYER}
    while layers and layers[-1].name in own and layers[-1].component_digest is None:
        own.remove(layers.pop().name)
    return tuple(layer.content for layer in layers)


def text_of(document: Canonical, name: str) -> str:
    """Give a text that a document has under a name; empty when it has none."""
    value = document.get(name) if isinstance(document, Mapping) else None
    return value if isinstance(value, str) else ""
