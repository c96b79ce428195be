"""What a recipe says of Packer: nodes to the sources that it starts."""

from collections.abc import Iterator, Mapping

from imagebuilder.documents.ami_nodes import is_ami, region_of
from imagebuilder.documents.excerpt import quoted
from imagebuilder.documents.nodes import ListNode, MappingNode, Node, ScalarNode
from imagebuilder.documents.reading import OpenDocument, mapping_at, text_at, texts_at
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.origin import Origin
from imagebuilder.domain.packer import (
    PackerSource,
    SettingPath,
    is_reference,
    is_secret_setting,
)
from imagebuilder.domain.recipe import AmiParent, Parent

BUILDER = "packer"
_WORDS = ("type", "name")
_OURS = ("output_directory", "vm_name")
_OF_LAYERS = ("repositories", "compliance")
_OF_READING = ("role", "external_id")
_STARTS = ("source_ami", "source_ami_filter")


def check_packer(reading: OpenDocument, root: MappingNode, parent: ScalarNode | None) -> None:
    """Report what the schema cannot say."""
    builder = text_at(root, "builder")
    is_packers = builder is not None and builder.text == BUILDER
    if builder is not None and is_packers and "packer" not in root.entries:
        hint = "Write packer: with the type of a builder of Packer's, and its settings."
        reading.fault("It is not said what Packer is to start.", builder.origin, hint)
    if "packer" in root.entries and not is_packers:
        message = "The key packer does not go without builder: packer."
        reading.fault(message, root.entries["packer"].key.origin, "Write both, or neither.")
    if parent is not None:
        _check_parent(reading, parent, is_packers=is_packers)
    if is_packers:
        _check_layers(reading, root)
    if is_packers and parent is not None and is_ami(parent):
        _check_ami(reading, root, parent)
    _check_sources(reading, root)


def packer_of(root: MappingNode, parent: Parent) -> tuple[PackerSource, ...]:
    """Give the sources of a document in which nothing is wrong; an AMI is what they start from."""
    starts: dict[str, Canonical] = {}
    if isinstance(parent, AmiParent):
        starts = {"source_ami": parent.ami, "region": parent.region}
    return tuple(_source(item, starts) for item in _sources(root))


def _check_parent(reading: OpenDocument, parent: ScalarNode, *, is_packers: bool) -> None:
    kind = parent.text.partition(":")[0]
    if is_packers and kind not in ("packer", "image", "ami"):
        message = f"Packer starts no machine from {quoted(parent.text)}."
        hint = "Write image:NAME, ami:REGION/ID, or packer: and a word for what the source says."
        reading.fault(message, parent.origin, hint)
    if not is_packers and kind == "packer":
        message = f"Only Packer starts from {quoted(parent.text)}."
        reading.fault(message, parent.origin, "Write builder: packer too.")


def _check_ami(reading: OpenDocument, root: MappingNode, parent: ScalarNode) -> None:
    """See that all sources can start from an AMI that is the parent, and from no other."""
    options = mapping_at(root, "parent")
    for key in _OF_READING if options else ():
        if options and key in options.entries:
            message = f"The key {quoted(key)} does not go with builder: packer."
            hint = "Packer enters the account by the source's own settings, such as assume_role."
            reading.fault(message, options.entries[key].key.origin, hint)
    for item in _sources(root):
        type_, region = text_at(item, "type"), item.get("region")
        if type_ is not None and not type_.text.startswith("amazon-"):
            message = f"A {type_.text} source starts no machine from an AMI."
            hint = "Take amazon-ebs, or another parent: image:NAME, or packer: and a word."
            reading.fault(message, type_.origin, hint)
            continue
        for key in _STARTS:
            if key in item.entries:
                message = f"The setting {quoted(key)} is not to be set: the parent says the AMI."
                hint = "Take it out, or write packer: and a word as the parent."
                reading.fault(message, item.entries[key].key.origin, hint)
        wanted = region_of(parent)
        if isinstance(region, ScalarNode) and wanted is not None and region.text != wanted:
            message = f"The source is in {quoted(region.text)}, and its parent in {wanted}."
            hint = "Leave the region out, or copy the AMI there and name the copy as the parent."
            reading.fault(message, region.origin, hint)


def _check_layers(reading: OpenDocument, root: MappingNode) -> None:
    disk = mapping_at(root, "disk")
    if disk is not None and "size" in disk.entries:
        message = "The size of the disk is the source's to say."
        hint = "Set disk_size in the source; disk says here only by which firmware it is booted."
        reading.fault(message, disk.entries["size"].key.origin, hint)
    for key in _OF_LAYERS:
        if key in root.entries:
            message = f"The key {quoted(key)} does not go with builder: packer."
            hint = "It is of images that are built of layers on this machine."
            reading.fault(message, root.entries[key].key.origin, hint)
    if "tar" in texts_at(root, "artifacts"):
        message = "Of a machine there is no tar file."
        hint = "Take it out: Packer's images are disks, or stay where they were made."
        reading.fault(message, root.entries["artifacts"].key.origin, hint)


def _check_sources(reading: OpenDocument, root: MappingNode) -> None:
    seen: set[str] = set()
    for item in _sources(root):
        name = _name(item)
        if name in seen:
            message = f"There are two sources {quoted(name)}."
            reading.fault(message, item.origin, "Give each a name: of its own.")
        seen.add(name)
        for key in _OURS:
            if key in item.entries:
                message = f"The setting {quoted(key)} is not to be set."
                hint = "Where the image is written to is chosen for each build."
                reading.fault(message, item.entries[key].key.origin, hint)
        for path, text, origin in _texts(item):
            if is_secret_setting(path) and text and not is_reference(text, is_secret=True):
                message = f"The setting {path[-1]} holds a secret, which may not stand in a recipe."
                reading.fault(
                    message, origin, "Write env:NAME or file:PATH: it is read from there."
                )


def _sources(root: MappingNode) -> Iterator[MappingNode]:
    value = root.get("packer")
    items: tuple[Node, ...] = value.items if isinstance(value, ListNode) else ()
    if isinstance(value, MappingNode):
        items = (value,)
    return (item for item in items if isinstance(item, MappingNode))


def _name(source: MappingNode) -> str:
    name = text_at(source, "name") or text_at(source, "type")
    return "" if name is None else name.text


def _texts(node: Node, path: SettingPath = ()) -> Iterator[tuple[SettingPath, str, Origin]]:
    """Give every text below a node, the path of its keys, and where it is written."""
    if isinstance(node, ScalarNode) and isinstance(node.value, str):
        yield path, node.text, node.origin
    elif isinstance(node, MappingNode):
        for key, entry in node.entries.items():
            yield from _texts(entry.value, (*path, key))
    elif isinstance(node, ListNode):
        for place, item in enumerate(node.items):
            yield from _texts(item, (*path, place))


def _source(item: MappingNode, starts: Mapping[str, Canonical]) -> PackerSource:
    type_ = text_at(item, "type")
    return PackerSource(
        type=type_.text if type_ else "",
        name=_name(item),
        settings={
            **starts,
            **{
                key: entry.value.plain() for key, entry in item.entries.items() if key not in _WORDS
            },
        },
        origin=item.origin,
    )
