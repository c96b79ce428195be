"""Where an account stands in the tree of its organization."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from moto.organizations.models import FakeAccount, organizations_backends


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The organization of an account, and the units above it."""

    id: str
    arn: str
    units: tuple[str, ...]


def _trees() -> Iterator[Any]:
    for partitions in list(organizations_backends.values()):
        for backend in list(partitions.values()):
            if backend.org is not None:
                yield backend


def standing(account: str) -> Standing | None:
    """Give where an account stands; None if it is in no organization."""
    for tree in _trees():
        for member in tree.accounts:
            if member.id == account:
                units = tuple(_units_above(tree, member.parent_id))
                return Standing(id=tree.org.id, arn=tree.org.arn, units=units)
    return None


def _units_above(tree: Any, parent: str) -> Iterator[str]:
    for unit in tree.ou:
        if unit.id == parent:
            if unit.type == "ORGANIZATIONAL_UNIT":
                yield str(unit.arn)
                yield from _units_above(tree, unit.parent_id)
            return


def is_within(account: str, arn: str) -> bool:
    """Tell whether an account is in an organization or below a unit of one."""
    found = standing(account)
    return found is not None and arn in {found.arn, *found.units}


def join(management: str, account: str, parent: str | None = None) -> None:
    """Let an account be a member of an organization, below a unit or its root.

    AWS lets an account join by an invitation, which moto does not know.
    """
    tree = organizations_backends[management]["aws"]
    if tree.org is None:
        raise LookupError(f"{management} manages no organization")
    member = FakeAccount(tree.org, AccountName=f"a{account}", Email=f"{account}@example.org")
    member.id = account
    if parent:
        member.parent_id = parent
    tree.accounts.append(member)
    organizations_backends.master_accounts[account] = (management, "aws")
