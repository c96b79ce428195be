"""Recipe documents: nodes to the domain's Recipe, with what the schema cannot say checked here."""

from datetime import datetime

from imagebuilder.documents.ami_nodes import ami_of, check_ami
from imagebuilder.documents.compliance_nodes import check_compliance, compliance_of
from imagebuilder.documents.excerpt import quoted
from imagebuilder.documents.json_schema import DocumentKind
from imagebuilder.documents.nodes import MappingNode, Node, ScalarNode
from imagebuilder.documents.packer_nodes import check_packer, packer_of
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
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.ids import ComponentName, ImageName, is_channel_name
from imagebuilder.domain.origin import Origin
from imagebuilder.domain.packs import Pack, pack_name
from imagebuilder.domain.recipe import (
    LONGEST_TEST_SECONDS,
    ArtifactFormat,
    ComponentUse,
    DiskSpec,
    Firmware,
    ImageParent,
    PackerParent,
    Parent,
    Recipe,
    RecipeTest,
    Repository,
    RootfsParent,
    Suite,
    SuiteParent,
)
from imagebuilder.domain.spelling import did_you_mean
from imagebuilder.domain.units import duration_seconds, size_bytes
from imagebuilder.domain.versions import BuildVersion, RecipeVersion, Wildcard

_BELONGS_TO = {
    "mirror": "debian",
    "keyring": "debian",
    "snapshot": "debian",
    "sha256": "rootfs",
    "role": "ami",
    "external_id": "ami",
}
_LARGEST_SIZE_BYTES = 2**60


def recipe_of(text: str, document: str) -> tuple[Recipe, tuple[Problem, ...]]:
    """Give the recipe a text writes, and warnings. Raises: InvalidDocument: with all faults."""
    reading, root = opened(text, document, DocumentKind.RECIPE)
    _check_parent(reading, root)
    _check_components(reading, root)
    _check_tests(reading, root)
    _check_repositories(reading, root)
    _check_size(reading, root)
    check_compliance(reading, root)
    check_packer(reading, root, _parent_text(root))
    reading.problems.raise_faults()
    return _recipe(root, text), reading.problems.warnings


def parameter_problem(
    recipe: Recipe, use: ComponentUse, name: str | None, message: str, hint: str
) -> Problem:
    """Give a problem at a parameter of a component that a recipe uses.

    It stands at the use itself when name is None or not written there.
    """
    document = recipe.origin.document if recipe.origin else recipe.name
    reading, root = opened(recipe.text, document, DocumentKind.RECIPE)
    origin = use.origin or root.origin
    for item in list_at(root, "components"):
        parameters = mapping_at(item, "parameters") if isinstance(item, MappingNode) else None
        entry = parameters.entries.get(name) if parameters and name else None
        if item.origin == use.origin and entry is not None:
            origin = entry.key.origin
    return reading.source.problem(message, origin, hint)


def _check_parent(reading: OpenDocument, root: MappingNode) -> None:
    written = _parent_text(root)
    if written is None:
        return
    kind, _, rest = written.text.partition(":")
    if kind == "image" and "@" in rest:
        asked = rest.partition("@")[2]
        _check_reference(reading, asked, reading.origin_within(written, "@" + asked))
    check_ami(reading, root, written)
    options = mapping_at(root, "parent")
    if options is None:
        return
    for key, owner in _BELONGS_TO.items():
        if key in options.entries and kind != owner:
            message = f"The key {quoted(key)} does not go with {quoted(written.text)}."
            hint = f"It is for parents that begin with {owner}:."
            reading.fault(message, options.entries[key].key.origin, hint)
    _check_url(reading, text_at(options, "mirror"))
    _check_moment(reading, text_at(options, "snapshot"))


def _parent_text(root: MappingNode) -> ScalarNode | None:
    options = mapping_at(root, "parent")
    return text_at(root, "parent") if options is None else text_at(options, "from")


def _check_reference(reading: OpenDocument, asked: str, origin: Origin) -> None:
    if is_channel_name(asked):
        return
    try:
        _ = BuildVersion.parse(asked) if "/" in asked else Wildcard.parse(asked)
    except ValueError as reason:
        hint = "Write @1.x, @1.2.3, @1.2.3/4, or a channel as @stable; without @ it is the newest."
        reading.fault(f"{reason}.", origin, hint)


def _check_moment(reading: OpenDocument, node: ScalarNode | None) -> None:
    if node is None:
        return
    try:
        datetime.fromisoformat(node.text)
    except ValueError:
        message = f"There is no moment {quoted(node.text)}."
        reading.fault(message, node.origin, "Write year, month, day, T, hour, minute, second, Z.")


def _check_url(reading: OpenDocument, node: ScalarNode | None) -> None:
    if node is not None and holds_credentials(node):
        reading.fault(
            "An address in a recipe may not hold credentials.",
            node.origin,
            "Write them into the IMAGEBUILDER_MIRROR setting; recipes are kept with every image.",
        )


def _check_components(reading: OpenDocument, root: MappingNode) -> None:
    for item in list_at(root, "components"):
        written = _use_text(item)
        if written is None or _is_path(written.text) or "@" not in written.text:
            continue
        asked = written.text.partition("@")[2]
        try:
            Wildcard.parse(asked)
        except ValueError as reason:
            hint = "Everything to the right of an x is open: write 1.x for the newest 1."
            reading.fault(f"{reason}.", reading.origin_within(written, "@" + asked), hint)


def _check_tests(reading: OpenDocument, root: MappingNode) -> None:
    seen: set[str] = set()
    for item in list_at(root, "tests"):
        written = _test_path(item)
        if written is None:
            continue
        if written.text in seen:
            message = f"The tests {quoted(written.text)} are listed twice."
            hint = "List them once; a list among the variables lets a test run for each of it."
            reading.fault(message, written.origin, hint)
        seen.add(written.text)
        pack, packs = pack_name(written.text), [pack.value for pack in Pack]
        if pack is not None and pack not in packs:
            hint = did_you_mean(pack, packs) or f"There are {', '.join(packs)}."
            reading.fault(f"There is no pack {quoted(pack)}.", written.origin, hint)
        _check_test_options(reading, item)


def _check_test_options(reading: OpenDocument, item: Node) -> None:
    timeout = text_at(item, "timeout") if isinstance(item, MappingNode) else None
    if timeout is None:
        return
    try:
        is_too_long = duration_seconds(timeout.text) > LONGEST_TEST_SECONDS
    except ValueError:
        # The schema's pattern has reported it.
        return
    if is_too_long:
        message = f"No test may take {timeout.text}."
        reading.fault(message, timeout.origin, f"Give it at most {LONGEST_TEST_SECONDS}s.")


def _is_path(written: str) -> bool:
    return "/" in written or written.endswith((".yaml", ".yml"))


def _test_path(item: Node) -> ScalarNode | None:
    if isinstance(item, MappingNode):
        return text_at(item, "path")
    return item if isinstance(item, ScalarNode) else None


def _use_text(item: Node) -> ScalarNode | None:
    if isinstance(item, MappingNode):
        return text_at(item, "component")
    return item if isinstance(item, ScalarNode) and isinstance(item.value, str) else None


def _check_repositories(reading: OpenDocument, root: MappingNode) -> None:
    for item in list_at(root, "repositories"):
        if isinstance(item, MappingNode):
            _check_url(reading, text_at(item, "url"))


def _check_size(reading: OpenDocument, root: MappingNode) -> None:
    disk = mapping_at(root, "disk")
    node = None if disk is None else text_at(disk, "size")
    if node is None:
        return
    try:
        is_too_large = size_bytes(node.text) > _LARGEST_SIZE_BYTES
    except ValueError:
        # The schema's pattern has reported it.
        return
    if is_too_large:
        reading.fault("No disk is that large.", node.origin, "Write a size such as 4GiB.")


def _recipe(root: MappingNode, text: str) -> Recipe:
    """Make the recipe of a document in which nothing is wrong."""
    parent_node = root.entries["parent"].value
    parent = _parent(parent_node)
    artifacts = tuple(ArtifactFormat(name) for name in texts_at(root, "artifacts"))
    max_age = text_at(root, "max_age")
    description = text_at(root, "description")
    return Recipe(
        name=ImageName(_written(root, "name")),
        version=RecipeVersion.parse(_written(root, "version")),
        parent=parent,
        components=tuple(_use(item) for item in list_at(root, "components")),
        description=description.text if description else "",
        tests=tuple(_test(item) for item in list_at(root, "tests")),
        artifacts=artifacts or (ArtifactFormat.QCOW2,),
        disk=_disk(mapping_at(root, "disk")),
        repositories=tuple(
            _repository(item)
            for item in list_at(root, "repositories")
            if isinstance(item, MappingNode)
        ),
        compliance=compliance_of(root),
        sources=packer_of(root, parent),
        max_age_seconds=duration_seconds(max_age.text) if max_age else None,
        text=text,
        origin=root.origin,
        parent_origin=parent_node.origin,
    )


def _written(node: MappingNode, key: str) -> str:
    value = node.entries[key].value
    return value.text if isinstance(value, ScalarNode) else ""


def _optional(node: MappingNode | None, key: str) -> str | None:
    value = None if node is None else scalar_at(node, key)
    return None if value is None else value.text


def _parent(node: Node) -> Parent:
    options = node if isinstance(node, MappingNode) else None
    written = _written(options, "from") if options else getattr(node, "text", "")
    kind, _, rest = written.partition(":")
    if kind == "debian":
        return SuiteParent(
            suite=Suite(rest),
            mirror=_optional(options, "mirror"),
            keyring=_optional(options, "keyring"),
            snapshot=_optional(options, "snapshot"),
        )
    if kind == "rootfs":
        sha256 = _optional(options, "sha256")
        return RootfsParent(path=rest, sha256=Digest.parse(sha256) if sha256 else None)
    if kind == "ami":
        return ami_of(node, written)
    if kind == "packer":
        return PackerParent(what=rest)
    name, _, asked = rest.partition("@")
    return ImageParent(name=ImageName(name), asked=asked)


def _test(item: Node) -> RecipeTest:
    if not isinstance(item, MappingNode):
        return RecipeTest(path=getattr(item, "text", ""), origin=item.origin)
    variables = mapping_at(item, "variables")
    retries, timeout = scalar_at(item, "retries"), text_at(item, "timeout")
    return RecipeTest(
        path=_written(item, "path"),
        variables={k: e.value.plain() for k, e in variables.entries.items()} if variables else {},
        retries=int(retries.value or 0) if retries else 0,
        timeout_seconds=duration_seconds(timeout.text) if timeout else None,
        origin=item.origin,
    )


def _use(item: Node) -> ComponentUse:
    options = item if isinstance(item, MappingNode) else None
    given = mapping_at(options, "parameters") if options else None
    parameters = {
        key: entry.value.text
        for key, entry in (given.entries if given else {}).items()
        if isinstance(entry.value, ScalarNode)
    }
    written = _written(options, "component") if options else getattr(item, "text", "")
    if _is_path(written):
        return ComponentUse(path=written, parameters=parameters, origin=item.origin)
    name, _, asked = written.partition("@")
    return ComponentUse(
        name=ComponentName(name),
        wildcard=Wildcard.parse(asked) if asked else Wildcard(()),
        parameters=parameters,
        origin=item.origin,
    )


def component_use(written: str, origin: Origin | None) -> ComponentUse | None:
    """Give the component that a text outside of a recipe asks for; None when it asks for none."""
    if _is_path(written):
        return ComponentUse(path=written, origin=origin)
    name, _, asked = written.partition("@")
    try:
        wildcard = Wildcard.parse(asked) if asked else Wildcard(())
    except ValueError:
        return None
    return ComponentUse(name=ComponentName(name), wildcard=wildcard, origin=origin)


def _disk(node: MappingNode | None) -> DiskSpec:
    default = DiskSpec()
    if node is None:
        return default
    size = text_at(node, "size")
    firmware = tuple(Firmware(name) for name in texts_at(node, "firmware"))
    return DiskSpec(
        size_bytes=size_bytes(size.text) if size else default.size_bytes,
        firmware=firmware or default.firmware,
    )


def _repository(node: MappingNode) -> Repository:
    return Repository(
        url=_written(node, "url"),
        suites=texts_at(node, "suites"),
        components=texts_at(node, "components") or ("main",),
        keyring=_optional(node, "keyring"),
    )
