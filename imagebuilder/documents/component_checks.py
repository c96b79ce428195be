"""What a schema cannot see in the steps of a component: names, and inputs that need each other."""

import re
from collections.abc import Iterator

from imagebuilder.documents.component_conditions import check_assertion, check_guard
from imagebuilder.documents.component_steps import OCTAL, number_of
from imagebuilder.documents.excerpt import quoted
from imagebuilder.documents.nodes import ListNode, MappingNode, Node, ScalarNode
from imagebuilder.documents.reading import OpenDocument, list_at, mapping_at, scalar_at, text_at
from imagebuilder.domain.component import ActionName, PhaseName
from imagebuilder.domain.loops import counting_fault
from imagebuilder.domain.spelling import did_you_mean

_EITHER = {
    ActionName.EXECUTE_POWERSHELL: ("commands", "file"),
    ActionName.RUN_ANSIBLE: ("playbook", "role"),
}
_PATHS_OF_OTHER_KINDS = frozenset(
    {ActionName.EXECUTE_BINARY, ActionName.SET_REGISTRY, ActionName.COPY_TREE}
    | {ActionName.INSTALL_MSI, ActionName.UNINSTALL_MSI, ActionName.CREATE_SYMLINK}
)
_ABSOLUTE = re.compile(r"/|\{\{|[A-Za-z][A-Za-z0-9]*:|\\\\|[%$]")
_BUCKET = re.compile(r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$|\{\{")
_DIGEST_LENGTHS = {"md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}


def check_phases(document: OpenDocument, root: MappingNode) -> None:
    """Keep what is wrong with the phases of a component and their steps, beyond the schema."""
    phases = [node for node in list_at(root, "phases") if isinstance(node, MappingNode)]
    _check_unique(document, phases, "phase")
    for phase in phases:
        _warn_of_phase(document, phase)
        steps = [node for node in list_at(phase, "steps") if isinstance(node, MappingNode)]
        _check_unique(document, steps, "step of this phase")
        loops = [loop for step in steps if (loop := mapping_at(step, "loop")) is not None]
        _check_unique(document, loops, "loop of this phase")
        for step in steps:
            _check_step(document, phase, step)


def _warn_of_phase(document: OpenDocument, phase: MappingNode) -> None:
    name = text_at(phase, "name")
    if name is not None and name.text not in frozenset(PhaseName):
        message = f"Phase {quoted(name.text)} runs only when it is asked for by name."
        document.warn(message, name.origin, did_you_mean(name.text, PhaseName))


def _check_unique(document: OpenDocument, nodes: list[MappingNode], what: str) -> None:
    seen: dict[str, ScalarNode] = {}
    for node in nodes:
        name = text_at(node, "name")
        if name is None or not name.text:
            continue
        if name.text in seen:
            first = seen[name.text].origin.line
            message = f"Another {what} is called {quoted(name.text)} too."
            document.fault(message, name.origin, f"It stands in line {first}; each needs its own.")
        seen.setdefault(name.text, name)


def _check_step(document: OpenDocument, phase: MappingNode, step: MappingNode) -> None:
    guard, loop = step.get("if"), mapping_at(step, "loop")
    if guard is not None:
        check_guard(document, guard)
    if loop is not None:
        _check_loop(document, loop)
    name, written = text_at(phase, "name"), text_at(step, "action")
    if written is None or written.text not in frozenset(ActionName):
        return
    action = ActionName(written.text)
    inputs = step.get("inputs")
    if action is ActionName.ASSERT and inputs is not None:
        check_assertion(document, inputs)
    if action is ActionName.EXECUTE_DOCUMENT:
        _check_limits(document, step)
    if action is ActionName.RUN_TESTINFRA and name and name.text == PhaseName.BUILD:
        hint = "Put it into validate, or into test for the booted image."
        document.fault("Tests do not belong into the build phase.", written.origin, hint)
    for item in _items(inputs):
        _check_item(document, action, item)


def _items(inputs: Node | None) -> Iterator[MappingNode]:
    for item in inputs.items if isinstance(inputs, ListNode) else (inputs,):
        if isinstance(item, MappingNode):
            yield item


def _check_item(document: OpenDocument, action: ActionName, item: MappingNode) -> None:
    if action in _EITHER:
        _check_either(document, item, *_EITHER[action])
    if action is ActionName.WEB_DOWNLOAD:
        _check_checksum(document, item)
    if action in (ActionName.S3_DOWNLOAD, ActionName.S3_UPLOAD):
        _warn_of_bucket(document, item)
    for pin in list_at(item, "pins") if action is ActionName.INSTALL_PACKAGES else ():
        if isinstance(pin, MappingNode):
            _check_either(document, pin, "version", "release")
    if action not in _PATHS_OF_OTHER_KINDS:
        _warn_of_relative_paths(document, item)
    _check_permissions(document, item)


def _warn_of_relative_paths(document: OpenDocument, item: MappingNode) -> None:
    for key in ("path", "source", "destination", "target"):
        node = text_at(item, key)
        if node is not None and not _ABSOLUTE.match(node.text):
            message = f"{quoted(node.text)} does not begin with a slash and is taken from /."
            document.warn(message, node.origin, "Write the whole path.")


def _warn_of_bucket(document: OpenDocument, item: MappingNode) -> None:
    """Warn of what stands where a bucket should: people leave a place for it to be filled in."""
    for node in (text_at(item, "source"), text_at(item, "destination")):
        bucket = node.text.removeprefix("s3://").partition("/")[0] if node else ""
        if node and node.text.startswith("s3://") and not _BUCKET.search(bucket):
            message = f"No bucket can be called {quoted(bucket)}."
            document.warn(message, node.origin, "Write the name of yours, or use a parameter.")


def _check_either(document: OpenDocument, item: MappingNode, one: str, other: str) -> None:
    """Keep a fault unless exactly one of two keys is there."""
    if one in item.entries and other in item.entries:
        message = f"{quoted(one)} and {quoted(other)} exclude each other."
        document.fault(message, item.entries[other].key.origin, "Leave one of them out.")
    if one not in item.entries and other not in item.entries:
        message = f"Either {quoted(one)} or {quoted(other)} has to be there."
        document.fault(message, item.origin, "Add one of them.")


def _check_checksum(document: OpenDocument, item: MappingNode) -> None:
    checksum, algorithm = scalar_at(item, "checksum"), scalar_at(item, "algorithm")
    if checksum and algorithm:
        length = _DIGEST_LENGTHS.get(algorithm.text.lower())
        if length and "{{" not in checksum.text and len(checksum.text) != length:
            message = f"A digest by {algorithm.text} has {length} digits, not {len(checksum.text)}."
            document.fault(message, checksum.origin)
    elif checksum:
        hint = "Add algorithm: MD5, SHA1, SHA256 or SHA512."
        document.fault("A checksum needs its algorithm.", checksum.origin, hint)
    elif algorithm:
        message = "An algorithm needs the checksum that it is for."
        document.fault(message, algorithm.origin, "Add checksum, or leave both out.")
    else:
        document.warn(
            "Nothing says what this download has to be, and no layer's key depends on it.",
            item.origin,
            "Add checksum and algorithm: what the far side changes is then a failure.",
        )


def _check_permissions(document: OpenDocument, item: MappingNode) -> None:
    node = scalar_at(item, "permissions")
    if node is None or isinstance(node.value, str | bool):
        return
    if not OCTAL.fullmatch(node.text):
        message = f"Permissions are three or four octal digits, not {quoted(node.text)}."
        document.fault(message, node.origin, 'Write them as "0644".')


def _check_limits(document: OpenDocument, step: MappingNode) -> None:
    for key, fixed in (("timeoutSeconds", -1), ("maxAttempts", 1)):
        node = scalar_at(step, key)
        if node is not None and node.value != fixed:
            message = f"{key} of ExecuteDocument is always {fixed}."
            hint = "Leave it out; the steps of the document have limits of their own."
            document.fault(message, node.origin, hint)


def _check_loop(document: OpenDocument, loop: MappingNode) -> None:
    _check_either(document, loop, "for", "forEach")
    counting = mapping_at(loop, "for")
    if counting is None:
        return
    nodes = [scalar_at(counting, key) for key in ("start", "end", "updateBy")]
    numbers = [number for node in nodes if node and isinstance(number := number_of(node), int)]
    fault = counting_fault(*numbers) if len(numbers) == len(nodes) else None
    if fault is not None:
        document.fault(f"This loop {fault}.", counting.origin, "Correct start, end or updateBy.")
