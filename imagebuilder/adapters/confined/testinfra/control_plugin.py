"""The pytest plugin that lets a test say which control of a policy it looks at.

Of this package, it may import only what is copied into the confinement with it.
"""

import inspect
from collections.abc import Generator

import pytest

SEVERITIES = ("critical", "high", "medium", "low", "info")
_LONGEST = 255


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    form = "control(id, severity='high', title='...')"
    config.addinivalue_line("markers", f"{form}: is the word on a control of one's own")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse markers that say nothing, before any test runs."""
    for item in items:
        control_of(item)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the control into the report; what that has of its own is written into the log."""
    report = yield
    # A report keeps what it is given beside its own, though its type does not say so.
    report.control = control_of(item)  # type: ignore[attr-defined]  # pytest's report has no such name
    return report


def control_of(item: pytest.Item) -> dict[str, str] | None:
    """Give what a test is marked with, None when with no control."""
    marker = item.get_closest_marker("control")
    if marker is None:
        return None
    given = {"severity": "", "title": _described(item), **marker.kwargs}
    rule = marker.args[0] if len(marker.args) == 1 else None
    texts = [rule, *given.values()]
    if given.keys() != {"severity", "title"} or not all(isinstance(t, str) for t in texts):
        raise pytest.UsageError(
            f'{item.nodeid}: write control("ACME-SSH-01", severity="high", title="...")'
        )
    if not rule or rule.split() != [rule] or len(rule) > _LONGEST:
        raise pytest.UsageError(f"{item.nodeid}: {rule!r} is no id of a control, which is one word")
    if given["severity"] not in ("", *SEVERITIES):
        known = ", ".join(SEVERITIES)
        raise pytest.UsageError(f"{item.nodeid}: a severity is one of {known}")
    return {"rule": rule, **given}


def _described(item: pytest.Item) -> str:
    """Give the first line of a test's own description."""
    text = inspect.getdoc(getattr(item, "function", None)) or ""
    return text.partition("\n")[0]
