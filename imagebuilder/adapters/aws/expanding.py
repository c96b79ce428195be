"""Expanding: the targets that an entry of a distribution stands for."""

from collections.abc import Iterator

from imagebuilder.adapters.aws.accounts import Entrance
from imagebuilder.adapters.aws.advice import told
from imagebuilder.adapters.aws.calls import Calls
from imagebuilder.adapters.aws.images.permissions import is_account
from imagebuilder.domain.target import AwsPlaces, Delivery, Target, TargetSpec
from imagebuilder.ports.targets import TargetRefused

HOME, COPY, SHARE = "home", "copy", "share"
"""What a target's `kind` says: made of our disk, copied there, or let use what is elsewhere."""
_ACTIVE = "ACTIVE"


class Expanding:
    """Knows accounts by what they are members of."""

    def __init__(self, calls: Calls) -> None:
        """Ask the organization by calls."""
        self._calls = calls

    def targets(self, spec: TargetSpec, places: AwsPlaces) -> list[Target]:
        """Give the home, then what is copied, then who it is shared with.

        Raises: TargetRefused; TargetUnavailable.
        """
        home = Entrance(
            account=places.home.account, region=places.home.region, access=places.home.access
        )
        with told(home.key):
            match places.delivery:
                case Delivery.COPY:
                    copies = [
                        (who, r) for who in self._accounts(home, places) for r in places.regions
                    ]
                    shares: list[tuple[str, str]] = []
                case Delivery.SHARE:
                    copies = [(home.account, region) for region in places.regions]
                    shares = [
                        (who, r) for who in self._principals(home, places) for r in places.regions
                    ]
        asked = set(copies if places.delivery is Delivery.COPY else shares)
        first = (home.account, home.region)
        found = [_target(spec, HOME, first, None, is_implied=first not in asked)]
        found += [
            _target(spec, COPY, place, home.key, is_implied=place not in asked)
            for place in copies
            if place != first
        ]
        found += [
            _target(spec, SHARE, (who, region), f"aws:{home.account}/{region}")
            for who, region in shares
            if who != home.account
        ]
        return found

    def _accounts(self, home: Entrance, places: AwsPlaces) -> list[str]:
        found = dict.fromkeys(places.audience.accounts)
        for named in places.audience.organizations:
            self._organization(home, named)
            found |= dict.fromkeys(self._all(home))
        for named in places.audience.organizational_units:
            found |= dict.fromkeys(self._below(home, _last(self._unit(home, named))))
        return list(found)

    def _principals(self, home: Entrance, places: AwsPlaces) -> list[str]:
        audience = places.audience
        return [
            *dict.fromkeys(audience.accounts),
            *(self._unit(home, named) for named in audience.organizational_units),
            *(self._organization(home, named) for named in audience.organizations),
        ]

    def _organization(self, home: Entrance, named: str) -> str:
        own = self._calls.call(home, "organizations:DescribeOrganization")["Organization"]
        if _last(named) != own["Id"]:
            raise TargetRefused(
                home.key,
                "organizations:DescribeOrganization",
                f"Account {home.account} is of organization {own['Id']}, not of {_last(named)}.",
                f"Name {own['Id']}, or take a home account of {_last(named)}.",
            )
        return str(own["Arn"])

    def _unit(self, home: Entrance, named: str) -> str:
        unit = self._calls.call(
            home,
            "organizations:DescribeOrganizationalUnit",
            OrganizationalUnitId=_last(named),
        )["OrganizationalUnit"]
        return str(unit["Arn"])

    def _all(self, home: Entrance) -> Iterator[str]:
        for page in self._calls.pages(home, "organizations:ListAccounts"):
            yield from _active(page["Accounts"])

    def _below(self, home: Entrance, parent: str) -> Iterator[str]:
        for page in self._calls.pages(home, "organizations:ListAccountsForParent", ParentId=parent):
            yield from _active(page["Accounts"])
        for page in self._calls.pages(
            home, "organizations:ListOrganizationalUnitsForParent", ParentId=parent
        ):
            for unit in page["OrganizationalUnits"]:
                yield from self._below(home, unit["Id"])


def _active(accounts: list[dict[str, str]]) -> Iterator[str]:
    return (
        account["Id"]
        for account in accounts
        if account.get("State", account.get("Status")) == _ACTIVE
    )


def _last(named: str) -> str:
    return named.rpartition("/")[2]


def _target(
    spec: TargetSpec,
    kind: str,
    place: tuple[str, str],
    after: str | None,
    *,
    is_implied: bool = False,
) -> Target:
    who, region = place
    return Target(
        key=f"aws:{who if is_account(who) else _last(who)}/{region}",
        spec=spec,
        after=after,
        where={"kind": kind, "account": who, "region": region},
        is_implied=is_implied,
    )
