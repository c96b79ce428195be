"""No account has a password: one that is in an image is the same on every machine.

Variables: `allowed: [NAME]` lets accounts have one; none may be empty.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from testinfra.host import Host


@pytest.fixture(scope="module")
def accounts(host: Host) -> Sequence[Sequence[str]]:
    """Give the fields of each account."""
    return _rows(host, "/etc/passwd")


@pytest.fixture(scope="module")
def shadows(host: Host) -> Sequence[Sequence[str]]:
    """Give the fields of each account's password."""
    return _rows(host, "/etc/shadow")


def test_no_password_is_empty(
    accounts: Sequence[Sequence[str]], shadows: Sequence[Sequence[str]]
) -> None:
    """Nobody gets in by saying nothing."""
    assert [row[0] for row in (*accounts, *shadows) if len(row) > 1 and row[1] == ""] == []


def test_no_account_has_a_password(
    shadows: Sequence[Sequence[str]], variables: Mapping[str, Any]
) -> None:
    """Every account is locked for passwords."""
    allowed = variables.get("allowed", [])
    locked = ("!", "*")
    having = [row[0] for row in shadows if len(row) > 1 and row[1] and row[1][0] not in locked]
    assert [name for name in having if name not in allowed] == []


def test_passwords_are_where_only_root_reads_them(
    host: Host, accounts: Sequence[Sequence[str]]
) -> None:
    """They stand in /etc/shadow, which others cannot read."""
    assert [row[0] for row in accounts if len(row) > 1 and row[1] not in ("x", "*", "")] == []
    assert host.check_output("find /etc/shadow -perm /007") == ""


def test_only_root_is_root(accounts: Sequence[Sequence[str]]) -> None:
    """No other account has the number 0."""
    assert [row[0] for row in accounts if len(row) > 2 and row[2].strip("0") == ""] == ["root"]


def _rows(host: Host, path: str) -> Sequence[Sequence[str]]:
    rows = [line.split(":") for line in host.check_output("cat %s", path).splitlines() if line]
    assert rows, f"{path} is empty"
    return rows
