"""What a document wants of packages, read from its inputs and found to be nothing but names.

References are filled in by now, so what the checker let through is looked at once more.
"""

import re
from dataclasses import dataclass

from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.updates import UpdateScope
from imagebuilder.services.provisioning.inputs import Item, items
from imagebuilder.services.provisioning.refusals import ActionRefusedError

DEFAULT_PRIORITY = 1001
"""The pinned version is taken even where a newer one is installed."""

_PRIORITY_LIMIT = 32767
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]*[A-Za-z0-9+](:[a-z0-9][a-z0-9-]*)?|[A-Za-z0-9]")
_PATTERN = re.compile(r"[A-Za-z0-9*?][A-Za-z0-9+._*?-]*")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+:~^_*-]*")
_RELEASE = re.compile(r"[A-Za-z0-9*][A-Za-z0-9 .,=*/+_~-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedPackage:
    """A package to install; `version` is empty for any, and may hold `*`."""

    name: str
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """Which version of a package is preferred from now on: by its number or by its archive."""

    package: str
    version: str = ""
    release: str = ""
    priority: int = DEFAULT_PRIORITY


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedPackages:
    """What InstallPackages is to do."""

    packages: tuple[WantedPackage, ...]
    recommends: bool = False
    is_refreshed: bool = False
    pins: tuple[Pin, ...] = ()


def wanted_packages(inputs: Canonical) -> WantedPackages:
    """Give what an InstallPackages step wants. Raises: ActionRefusedError."""
    given = _only(inputs)
    names = given.texts("packages")
    if not names:
        raise ActionRefusedError("The input packages names none.")
    return WantedPackages(
        packages=tuple(_package(text) for text in names),
        recommends=given.flag("recommends", default=False),
        is_refreshed=given.flag("update", default=False),
        pins=tuple(_pin(item) for item in items(given.given.get("pins"))),
    )


def wanted_update(inputs: Canonical) -> UpdateScope:
    """Give what an UpdateOS step wants. Raises: ActionRefusedError."""
    given = _only(inputs)
    return UpdateScope(
        include=_patterns(given, "include"),
        exclude=_patterns(given, "exclude"),
        is_security_only=given.flag("security", default=False),
    )


def _only(inputs: Canonical) -> Item:
    return next(iter(items(inputs)), Item())


def _package(text: str) -> WantedPackage:
    name, equals, version = text.partition("=")
    if _NAME.fullmatch(name) is None:
        raise ActionRefusedError(f"{name!r} is not the name of a package.")
    if equals and _VERSION.fullmatch(version) is None:
        raise ActionRefusedError(f"{version!r} is not a version of {name}.")
    return WantedPackage(name=name, version=version)


def _pin(given: Item) -> Pin:
    package = given.text("package")
    version, release = given.optional("version") or "", given.optional("release") or ""
    if _PATTERN.fullmatch(package) is None:
        raise ActionRefusedError(f"{package!r} is not a package to pin.")
    if bool(version) == bool(release):
        raise ActionRefusedError(f"The pin of {package} needs a version or a release, not both.")
    if version and _VERSION.fullmatch(version) is None:
        raise ActionRefusedError(f"{version!r} is not a version of {package}.")
    if release and _RELEASE.fullmatch(release) is None:
        raise ActionRefusedError(f"{release!r} is not a release such as bookworm-backports.")
    priority = given.optional("priority") or str(DEFAULT_PRIORITY)
    if re.fullmatch(r"-?[0-9]{1,5}", priority) is None or abs(int(priority)) > _PRIORITY_LIMIT:
        raise ActionRefusedError(f"{priority!r} is not a priority such as {DEFAULT_PRIORITY}.")
    return Pin(package=package, version=version, release=release, priority=int(priority))


def _patterns(given: Item, name: str) -> tuple[str, ...]:
    found = tuple(given.texts(name))
    for text in found:
        if _PATTERN.fullmatch(text) is None:
            raise ActionRefusedError(f"{text!r} in {name} is not the name of a package.")
    return found
