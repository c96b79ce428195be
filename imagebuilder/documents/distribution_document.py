"""Distribution documents: nodes to the domain's DistributionSpec."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from imagebuilder.documents.excerpt import quoted
from imagebuilder.documents.json_schema import DocumentKind
from imagebuilder.documents.nodes import MappingNode, Node, ScalarNode
from imagebuilder.documents.problems import Problem
from imagebuilder.documents.reading import (
    OpenDocument,
    holds_credentials,
    list_at,
    mapping_at,
    opened,
    scalar_at,
    text_at,
    texts_at,
)
from imagebuilder.documents.secret_references import conceal_secrets
from imagebuilder.domain.errors import InvalidInput
from imagebuilder.domain.ids import DistributionName
from imagebuilder.domain.recipe import ArtifactFormat
from imagebuilder.domain.spelling import did_you_mean
from imagebuilder.domain.target import (
    TEMPLATE_WORDS,
    Access,
    Audience,
    AwsHome,
    AwsPlaces,
    Delivery,
    DistributionSpec,
    FolderPlace,
    GlancePlace,
    LibvirtPlace,
    OciPlace,
    Place,
    S3Place,
    TargetKind,
    TargetSpec,
    filled,
)
from imagebuilder.domain.units import duration_seconds

_LONGEST_SECONDS = 36500 * 86400
_SECRETS = ("external_id", "credentials", "token")
_TEMPLATES = ("ami_name", "parameter", "tag", "volume", "name")


def distribution_of(text: str, document: str) -> tuple[DistributionSpec, tuple[Problem, ...]]:
    """Give the distribution a text writes, and warnings.

    Raises: InvalidDocument: with all faults.
    """
    reading, root = opened(text, document, DocumentKind.DISTRIBUTION)
    entries = [item for item in list_at(root, "targets") if isinstance(item, MappingNode)]
    _check_names(reading, entries)
    for entry in entries:
        _check_kind(reading, entry)
        for kind in TargetKind:
            place = mapping_at(entry, kind)
            if place is not None:
                _check_place(reading, place)
    conceal_secrets(reading, _secrets(entries))
    reading.problems.raise_faults()
    name, description = text_at(root, "name"), text_at(root, "description")
    tolerated = scalar_at(root, "tolerated_failures")
    spec = DistributionSpec(
        name=DistributionName(name.text if name else ""),
        targets=tuple(map(_target, entries)),
        description=description.text if description else "",
        tolerated_failures=None if tolerated is None else int(float(str(tolerated.value))),
        path=document,
        text=text,
    )
    return spec, reading.problems.warnings


def _check_names(reading: OpenDocument, entries: list[MappingNode]) -> None:
    names = [name for entry in entries if (name := text_at(entry, "name")) is not None]
    seen: Counter[str] = Counter()
    for name in names:
        seen[name.text] += 1
        if seen[name.text] == 2:  # noqa: PLR2004 - the second one is the one too many
            reading.fault(f"Two targets are called {quoted(name.text)}.", name.origin, "Rename it.")


def _check_kind(reading: OpenDocument, entry: MappingNode) -> None:
    kinds = [kind for kind in TargetKind if kind in entry.entries]
    if not kinds:
        hint = f"Add one of {', '.join(TargetKind)}."
        reading.fault("It is not said where that is.", entry.origin, hint)
    for kind in kinds[1:]:
        message = f"One entry is one kind of place: {kinds[0]}, or {kind}."
        reading.fault(message, entry.entries[kind].key.origin, "Make an entry of its own for it.")


def _check_place(reading: OpenDocument, place: MappingNode) -> None:
    """Keep what is wrong within a place though each of its values could be right."""
    for template in _templates(place):
        try:
            filled(template.text, dict.fromkeys(TEMPLATE_WORDS, "x"))
        except InvalidInput as refused:
            reading.fault(refused.message, template.origin, f"{refused.context} {refused.hint}")
    endpoint = text_at(place, "endpoint")
    if endpoint is not None and holds_credentials(endpoint):
        message = "An address may not hold credentials: documents are kept."
        reading.fault(message, endpoint.origin, "Write where they lie, such as token: env:NAME.")
    after = text_at(place, "deprecate_after")
    if after is not None and (_seconds(after) or 0) > _LONGEST_SECONDS:
        reading.fault("Nothing waits that long.", after.origin, "Write at most 36500d.")
    home, keys = mapping_at(place, "home"), mapping_at(place, "keys")
    at_home = text_at(home, "region") if home else None
    # What is only copied elsewhere lies at home too, where all that is new may need a key.
    regions = [*texts_at(place, "regions"), *([at_home.text] if at_home else [])]
    for region, entry in keys.entries.items() if keys else ():
        if region not in regions:
            hint = did_you_mean(region, regions) or "List the region, or leave its key out."
            message = f"Nothing goes to {quoted(region)}, so that it needs no key."
            reading.fault(message, entry.key.origin, hint)


def _templates(place: MappingNode) -> Iterator[ScalarNode]:
    for key in _TEMPLATES:
        written = text_at(place, key)
        if written is not None:
            yield written
    tags = mapping_at(place, "tags")
    for entry in tags.entries.values() if tags else ():
        if isinstance(entry.value, ScalarNode):
            yield entry.value


def _secrets(entries: list[MappingNode]) -> Iterator[Node]:
    for entry in entries:
        for kind in TargetKind:
            place = mapping_at(entry, kind)
            home = mapping_at(place, "home") if place else None
            for node in filter(None, (place, home)):
                yield from filter(None, map(node.get, _SECRETS))


def _seconds(node: ScalarNode) -> int | None:
    try:
        return duration_seconds(node.text)
    except ValueError:
        # The schema's pattern has reported it.
        return None


def _target(entry: MappingNode) -> TargetSpec:
    kind = next(kind for kind in TargetKind if kind in entry.entries)
    name, place = text_at(entry, "name"), mapping_at(entry, kind)
    made = _PLACES[kind](place or entry)
    return TargetSpec(name=name.text if name else "", place=made)


def _aws(node: MappingNode) -> AwsPlaces:
    home = mapping_at(node, "home") or node
    after, delivery = text_at(node, "deprecate_after"), text_at(node, "delivery")
    return AwsPlaces(
        home=AwsHome(access=_access(home), **_texts(home, "account", "region")),
        audience=Audience(
            accounts=texts_at(node, "accounts"),
            organizational_units=texts_at(node, "organizational_units"),
            organizations=texts_at(node, "organizations"),
        ),
        regions=texts_at(node, "regions"),
        delivery=Delivery(delivery.text) if delivery else Delivery.COPY,
        access=_access(node),
        keys=_pairs(node, "keys"),
        tags=_pairs(node, "tags"),
        deprecate_after_seconds=_seconds(after) if after else None,
        **_texts(node, "ami_name", "parameter", "launch_template", "export_bucket"),
    )


def _folder(node: MappingNode) -> FolderPlace:
    return FolderPlace(**_texts(node, "path"), **_formats(node))


def _s3(node: MappingNode) -> S3Place:
    return S3Place(**_texts(node, "bucket", "prefix", "region", "endpoint"), **_formats(node))


def _oci(node: MappingNode) -> OciPlace:
    is_plain = scalar_at(node, "plain_http")
    return OciPlace(
        is_plain_http=is_plain is not None and is_plain.value is True,
        **_texts(node, "repository", "tag", "credentials"),
        **_formats(node),
    )


def _libvirt(node: MappingNode) -> LibvirtPlace:
    return LibvirtPlace(**_texts(node, "uri", "pool", "volume"))


def _glance(node: MappingNode) -> GlancePlace:
    members = texts_at(node, "members")
    return GlancePlace(members=members, **_texts(node, "endpoint", "name", "token"))


_PLACES: Mapping[TargetKind, Callable[[MappingNode], Place]] = {
    TargetKind.AWS: _aws,
    TargetKind.FOLDER: _folder,
    TargetKind.S3: _s3,
    TargetKind.OCI: _oci,
    TargetKind.LIBVIRT: _libvirt,
    TargetKind.GLANCE: _glance,
}


def _texts(node: MappingNode, *keys: str) -> dict[str, Any]:
    """Give what is written under some keys; what is not written is what the domain says."""
    written = {key: text_at(node, key) for key in keys}
    return {key: value.text for key, value in written.items() if value is not None}


def _formats(node: MappingNode) -> dict[str, Any]:
    formats = tuple(map(ArtifactFormat, texts_at(node, "formats")))
    return {"formats": formats} if formats else {}


def _access(node: MappingNode) -> Access:
    return Access(**_texts(node, "role", "external_id"))


def _pairs(node: MappingNode, key: str) -> dict[str, str]:
    pairs = mapping_at(node, key)
    entries = pairs.entries.items() if pairs else ()
    return {k: e.value.text for k, e in entries if isinstance(e.value, ScalarNode)}
