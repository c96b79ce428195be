"""SCAP source data streams: what a file of content tells of itself.

Source: NIST SP 800-126 revision 3 (SCAP 1.3), 3.1; NIST IR 7275 revision 4 (XCCDF 1.2).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from types import MappingProxyType

from imagebuilder.adapters.openscap.xml_stream import XmlRefused, elements, opened, text_of
from imagebuilder.domain.content import ContentPack, ContentProfile, ContentUnreadable
from imagebuilder.domain.digest import Digest
from imagebuilder.ports.content import LARGEST_CONTENT_BYTES

XCCDF = "{http://checklists.nist.gov/xccdf/1.2}"
SOURCE = "{http://scap.nist.gov/schema/scap/source/1.2}"
_ROOT = f"{SOURCE}data-stream-collection"
_WANTED = frozenset(
    (
        f"{SOURCE}component-ref",
        f"{XCCDF}Profile",
        f"{XCCDF}platform",
        f"{XCCDF}version",
    )
)
_PREFIX = re.compile(r"xccdf_[^_\s]+_(?:benchmark|profile|rule|value)_")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_FULL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,399}")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+~_-]{0,63}")
_CHECKLIST = re.compile(r"(?:scap_[^_]+_cref_)?(?P<name>.+?)(?:-xccdf)?(?:\.xml)?")
_PLATFORM = re.compile(
    r"cpe:(?:2\.3:|/)o:(?P<product>[a-z0-9_.-]+:[a-z0-9_.-]+):(?P<version>[0-9]+(?:\.[0-9]+)*)"
)
_PRODUCTS: Mapping[str, str] = MappingProxyType(
    {
        "debian:debian_linux": "debian",
        "canonical:ubuntu_linux": "ubuntu",
        "redhat:enterprise_linux": "rhel",
        "almalinux:almalinux": "almalinux",
        "rocky:rocky": "rocky",
        "fedoraproject:fedora": "fedora",
        "oracle:linux": "ol",
        "amazon:amazon_linux": "amzn",
    }
)
"""Shape: vendor and product of a CPE -> the ID of os-release."""
_CODENAMES: Mapping[str, str] = MappingProxyType(
    {
        "debian:11": "bullseye",
        "debian:12": "bookworm",
        "debian:13": "trixie",
        "debian:14": "forky",
        "ubuntu:20.04": "focal",
        "ubuntu:22.04": "jammy",
        "ubuntu:24.04": "noble",
        "ubuntu:26.04": "resolute",
    }
)
"""Images tell of their release by its name, where it has one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentNames:
    """The short names of what a tailoring may speak of. Shape: short name -> id."""

    rules: Mapping[str, str]
    values: Mapping[str, str]


@dataclass(slots=True)
class _Described:
    """What was read of a data stream so far."""

    name: str = ""
    benchmark: str = ""
    version: str = ""
    platforms: list[str] = field(default_factory=list)
    profiles: list[ContentProfile] = field(default_factory=list)


def described(file: PurePath, digest: Digest) -> ContentPack:
    """Give what a data stream tells of itself. Raises: ContentUnreadable."""
    try:
        return _pack(_read(file), digest)
    except XmlRefused as error:
        raise ContentUnreadable(file.name, str(error)) from error


def names_in(file: PurePath) -> ContentNames:
    """Give the rules and variables that a data stream has. Raises: ContentUnreadable."""
    wanted: dict[str, dict[str, str]] = {f"{XCCDF}Rule": {}, f"{XCCDF}Value": {}}
    try:
        with opened(file, LARGEST_CONTENT_BYTES) as stream:
            for _, element in elements(stream, _ROOT, wanted):
                id_ = element.get("id", "")
                wanted[element.tag][short_name(id_)] = id_
    except XmlRefused as error:
        raise ContentUnreadable(file.name, str(error)) from error
    return ContentNames(rules=wanted[f"{XCCDF}Rule"], values=wanted[f"{XCCDF}Value"])


def short_name(id_: str) -> str:
    """Give an id without what SCAP puts before it: cis_level1_server."""
    return _PREFIX.sub("", id_, count=1) if _PREFIX.match(id_) else id_


def _read(file: PurePath) -> _Described:
    found = _Described()
    with opened(file, LARGEST_CONTENT_BYTES) as stream:
        for above, element in elements(stream, _ROOT, _WANTED):
            holder = above[-1].tag
            if element.tag == f"{SOURCE}component-ref":
                if holder == f"{SOURCE}checklists":
                    found.name = found.name or element.get("id", "")
                continue
            if holder != f"{XCCDF}Benchmark":
                continue
            _note_benchmark(found, above[-1].get("id", ""))
            if element.tag == f"{XCCDF}platform":
                found.platforms.append(element.get("idref", ""))
            elif element.tag == f"{XCCDF}version":
                found.version = text_of(element)
            else:
                title = element.find(f"{XCCDF}title")
                found.profiles.append(
                    _profile(element.get("id", ""), "" if title is None else text_of(title))
                )
    return found


def _note_benchmark(found: _Described, id_: str) -> None:
    if found.benchmark and found.benchmark != id_:
        raise XmlRefused("It holds several benchmarks; one of them has to be its own file.")
    found.benchmark = id_


def _profile(id_: str, title: str) -> ContentProfile:
    if _FULL_ID.fullmatch(id_) is None:
        raise XmlRefused(f"A profile has the id {id_[:80]!r}, which is none.")
    return ContentProfile(name=short_name(id_), id=id_, title=title)


def _pack(found: _Described, digest: Digest) -> ContentPack:
    if not found.profiles:
        raise XmlRefused("It holds no benchmark with profiles.")
    checklist = _CHECKLIST.fullmatch(found.name)
    name = checklist["name"] if checklist else ""
    if _NAME.fullmatch(name) is None:
        raise XmlRefused(f"It gives its checklist the name {name[:80]!r}.")
    if _VERSION.fullmatch(found.version) is None:
        raise XmlRefused(f"It gives its version as {found.version[:80]!r}.")
    benchmark = short_name(found.benchmark)
    if _NAME.fullmatch(benchmark) is None:
        raise XmlRefused(f"It gives its benchmark the name {benchmark[:80]!r}.")
    releases = dict.fromkeys(r for r in map(_release, found.platforms) if r)
    return ContentPack(
        name=name,
        version=found.version,
        digest=digest,
        benchmark=f"{benchmark}@{found.version}",
        releases=tuple(releases),
        profiles=tuple(found.profiles),
    )


def _release(platform: str) -> str:
    """Give a release as bills name it, or nothing of a platform that is no system of ours."""
    match = _PLATFORM.match(platform)
    product = _PRODUCTS.get(match["product"]) if match else None
    if match is None or product is None:
        return ""
    release = f"{product}:{match['version']}"
    return f"{product}:{_CODENAMES[release]}" if release in _CODENAMES else release
