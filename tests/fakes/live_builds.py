"""Images made of machines that nobody started."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePath

from imagebuilder.domain.ids import RunId
from imagebuilder.domain.packer import PackerSource
from imagebuilder.ports.live import Login
from imagebuilder.ports.live_builds import (
    LiveBuildFailed,
    LiveMachine,
    LiveOrder,
    LiveOutcome,
    LivePlace,
    LiveProduct,
    PlaceNotFound,
    PlacesUnavailable,
    Work,
)
from imagebuilder.ports.process import OnLine


@dataclass(slots=True)
class FakeLiveBuilder:
    """Makes of every source what is in `products`, or a disk; those of `failing` fail.

    `withdrawn` are the sources whose products were taken away, as an error ended the block.
    """

    disk: PurePath
    products: dict[str, LiveProduct] = field(default_factory=dict)
    failing: dict[str, str] = field(default_factory=dict)
    orders: list[LiveOrder] = field(default_factory=list)
    looks: list[LiveOrder] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)

    @contextmanager
    def built(self, order: LiveOrder, work: Work, on_line: OnLine) -> Iterator[LiveOutcome]:
        self.orders.append(order)
        made = []
        wanted = [s for s in order.sources if not order.only or s.name in order.only]
        for number, source in enumerate(wanted):
            on_line(f"==> {source.name}")
            work(
                LiveMachine(
                    source=source.name, login=Login(address="127.0.0.1", port=2200 + number)
                )
            )
            if source.name not in self.failing:
                usual = LiveProduct(source=source.name, files=(self.disk,))
                made.append(self.products.get(source.name, usual))
        if not made:
            name, reason = next(iter(self.failing.items()))
            raise LiveBuildFailed(name, reason)
        try:
            yield LiveOutcome(products=tuple(made), failures=self.failing)
        except BaseException:
            self.withdrawn += [product.source for product in made]
            raise

    def looked_at(self, order: LiveOrder, work: Work, on_line: OnLine) -> None:
        self.looks.append(order)
        for source in order.sources:
            on_line(f"==> {source.name}")
            work(LiveMachine(source=source.name, login=Login(address="127.0.0.1", port=2300)))


@dataclass(slots=True)
class FakeLiveRemains:
    """Remains that are taken away once."""

    lines: list[str] = field(default_factory=list)

    def take_away(self) -> Sequence[str]:
        taken, self.lines = self.lines, []
        return taken


@dataclass(slots=True)
class FakeSourcePlaces:
    """Places where everything is that was told, but for what is in `absent`.

    From those that are away nothing can be taken.
    """

    absent: set[str] = field(default_factory=set)
    is_away: bool = False
    cleared: list[str] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)

    def target_of(self, source: PackerSource, place: LivePlace) -> str:
        if place.id in self.absent:
            raise PlaceNotFound(source.name, place)
        return f"aws:123456789012/{place.region}"

    def withdraw(self, source: PackerSource, place: LivePlace) -> Sequence[str]:
        if self.is_away:
            raise PlacesUnavailable(source.name, "no route")
        self.withdrawn.append(place.id)
        return [f"image {place.id} was deregistered"]

    def clear(
        self, source: PackerSource, run_id: RunId, named: Sequence[str], *, is_recorded: bool
    ) -> Sequence[str]:
        self.cleared.append(f"{source.name} but images" if is_recorded else source.name)
        return [f"{source.name} of {run_id} was taken away"]
