"""Differences as release notes in Markdown, as Git's hosts show it.

What comes from an image (names, versions, parameters) stands as code: nothing in it is a link, a
mention, markup or the end of a table's cell.

Source: GitHub Flavored Markdown 0.29, 4.10 (tables) and 6.3 (code spans).
"""

from collections.abc import Iterable, Iterator, Sequence

from imagebuilder.cli.image_diff_text import files_text
from imagebuilder.cli.image_shape import total_bytes
from imagebuilder.cli.output import printable
from imagebuilder.domain.artifact import Artifact
from imagebuilder.domain.comparison import Change, VersionDiff
from imagebuilder.domain.evidence import Outcome
from imagebuilder.domain.image import ImageVersion, ParentEdge, RecordedLayer
from imagebuilder.domain.package import PackageChange, PackageMove
from imagebuilder.domain.units import size_text

_MOVES = (
    PackageMove.UPGRADED,
    PackageMove.DOWNGRADED,
    PackageMove.REWRITTEN,
    PackageMove.ADDED,
    PackageMove.REMOVED,
)
_NONE = "–"  # noqa: RUF001 - a dash in an empty cell


def release_notes(diff: VersionDiff, *, with_files: bool) -> Iterator[str]:
    """Give the lines of the notes; a section is there only where something changed."""
    yield f"# {code(diff.old.reference)} to {code(diff.new.reference)}"
    yield ""
    yield _summary(diff)
    yield from _security(diff)
    yield from _packages(diff)
    yield from _components(diff)
    yield from _tests(diff)
    yield from _files(diff, with_files=with_files)
    yield from _sizes(diff)


def code(text: str) -> str:
    """Give foreign text as code, whatever is in it."""
    clean = " ".join(printable(text).split()) or " "
    if not set(clean) & set("`|\\"):
        return f"`{clean}`"
    # In a table these cannot stand within backticks on every host; as numbers they are letters.
    return f"<code>{''.join(c if c.isalnum() else f'&#{ord(c)};' for c in clean)}</code>"


def _summary(diff: VersionDiff) -> str:
    dates = [f"{version.created_at:%Y-%m-%d}" for version in (diff.old, diff.new)]
    facts = [
        *(f"{_count(len(diff.moved(m)), 'package')} {m}" for m in _MOVES if diff.moved(m)),
        *([_security_count(diff)] if diff.security else []),
        *([f"{_count(len(diff.components), 'component')} changed"] if diff.components else []),
        _file_count(diff),
        _test_count(diff.new),
        f"layers of {_change_of_size(total_bytes(diff.old), total_bytes(diff.new))}",
    ]
    order = " The first of them was recorded after the second." if diff.is_backwards else ""
    images = " They are versions of different images." if diff.is_across_images else ""
    return (
        f"From {code(diff.old.reference)} of {dates[0]} to {code(diff.new.reference)} of "
        f"{dates[1]}: {', '.join(facts)}.{order}{images}"
    )


def _security_count(diff: VersionDiff) -> str:
    count = _count(len(diff.security), "security update")
    cves = {cve for update in diff.security for cve in update.cves or ()}
    return f"{count} that {_ends(len(diff.security))} {_count(len(cves), 'CVE')}" if cves else count


def _ends(count: int) -> str:
    return "ends" if count == 1 else "end"


def _file_count(diff: VersionDiff) -> str:
    if diff.files is None:
        return f"files not known any more of {' and '.join(map(code, diff.without_files))}"
    return f"files: {files_text(diff.files)}"


def _test_count(version: ImageVersion) -> str:
    results = [result for report in version.reports for result in report.results]
    passed = sum(result.outcome is Outcome.PASSED for result in results)
    return f"{passed} of {_count(len(results), 'test')} passed"


def _security(diff: VersionDiff) -> Iterator[str]:
    yield from _table(
        "## Security updates",
        ("Package", "From", "To", "CVEs"),
        [(*_package_cells(u.change), _cve_text(u.cves)) for u in diff.security],
    )


def _cve_text(cves: Sequence[str] | None) -> str:
    if cves is None:
        return "not known"
    return ", ".join(map(code, cves)) or _NONE


def _packages(diff: VersionDiff) -> Iterator[str]:
    if diff.packages:
        yield from ("", "## Packages")
    for move in _MOVES:
        rows = [_package_cells(change) for change in diff.moved(move)]
        match move:
            case PackageMove.ADDED:
                cells = [(name, new) for name, _, new in rows]
                yield from _table("### Added", ("Package", "Version"), cells)
            case PackageMove.REMOVED:
                cells = [(name, old) for name, old, _ in rows]
                yield from _table("### Removed", ("Package", "Version"), cells)
            case PackageMove.UPGRADED | PackageMove.DOWNGRADED | PackageMove.REWRITTEN:
                yield from _table(f"### {move.capitalize()}", ("Package", "From", "To"), rows)


def _package_cells(change: PackageChange) -> tuple[str, str, str]:
    name = f"{change.name}:{change.architecture}"
    return code(name), _version(change.old_version), _version(change.new_version)


def _version(version: str | None) -> str:
    return _NONE if version is None else code(version)


def _components(diff: VersionDiff) -> Iterator[str]:
    parent = [] if diff.parent is None else [(diff.parent.old, diff.parent.new)]
    yield from _table(
        "## Components and parameters",
        ("Component", "From", "To"),
        [
            *(("parent", _parent(diff, old, new), _parent(diff, new, old)) for old, new in parent),
            *(
                (code(c.name), _component_text(c.old, c.new), _component_text(c.new, c.old))
                for c in diff.components
            ),
        ],
    )


def _parent(diff: VersionDiff, side: ParentEdge | None, other: ParentEdge | None) -> str:
    return _NONE if side is None else code(diff.parent_text(side, other))


def _component_text(side: RecordedLayer | None, other: RecordedLayer | None) -> str:
    """Write a component's version, and what of its parameters the other side has not."""
    if side is None:
        return _NONE
    theirs = {} if other is None else other.parameters
    own = [f"{k}={v}" for k, v in side.parameters.items() if k not in theirs or theirs[k] != v]
    parts = [code(side.component_version or "-"), *map(code, own)]
    if other is not None and side.component_digest != other.component_digest:
        is_silent = side.component_version == other.component_version
        parts += (
            [f"document {code((side.component_digest or side.key).short)}"] if is_silent else []
        )
    return ", ".join(parts)


def _tests(diff: VersionDiff) -> Iterator[str]:
    yield from _table(
        "## Tests",
        ("Test", "From", "To"),
        [
            (
                code(change.name),
                _NONE if change.old is None else change.old.outcome,
                _NONE if change.new is None else change.new.outcome,
            )
            for change in diff.tests
        ],
    )


def _files(diff: VersionDiff, *, with_files: bool) -> Iterator[str]:
    if diff.files is None:
        return
    yield from _table(
        "## Files",
        ("Folder", "Added", "Removed", "Changed"),
        [
            (code(count.folder), str(count.added), str(count.removed), str(count.changed))
            for count in diff.files.by_folder
        ],
    )
    if with_files and not diff.files.is_empty:
        yield ""
        for change in diff.files.by_path:
            aspects = f" ({', '.join(change.aspects)})" if change.aspects else ""
            yield f"- {change.kind} {code(change.path)}{aspects}"


def _sizes(diff: VersionDiff) -> Iterator[str]:
    rows = [*_size_rows(diff.artifacts), *_size_rows(diff.layers)]
    yield from _table("## Size", ("Artifact or layer", "From", "To"), rows)


def _size_rows(
    changes: Sequence[Change[Artifact]] | Sequence[Change[RecordedLayer]],
) -> Iterator[tuple[str, str, str]]:
    for change in changes:
        old, new = _size(change.old), _size(change.new)
        if old != new:
            yield code(change.name), old, new


def _size(side: Artifact | RecordedLayer | None) -> str:
    return _NONE if side is None else size_text(side.size_bytes)


def _change_of_size(old: int, new: int) -> str:
    sign = "+" if new >= old else "-"
    return size_text(new) if old == new else f"{size_text(new)} ({sign}{size_text(abs(new - old))})"


def _table(heading: str, names: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Give a section with a table, nothing when it would be empty."""
    listed = list(rows)
    if not listed:
        return
    yield from ("", heading, "")
    for row in (names, ["---"] * len(names), *listed):
        yield f"| {' | '.join(row)} |"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
