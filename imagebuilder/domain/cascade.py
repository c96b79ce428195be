"""Cascade: which pipelines run because what theirs is built on has a new version.

Only pipelines as they were applied are looked at, no documents and no versions. Whether one that
runs builds anything is decided by itself when it is its turn.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from imagebuilder.domain.ancestry import Movable, movable
from imagebuilder.domain.channel import LATEST
from imagebuilder.domain.errors import InvalidInput
from imagebuilder.domain.ids import ChannelName, ImageName, PipelineName
from imagebuilder.domain.pipeline import Pipeline
from imagebuilder.domain.versions import BuildVersion, Wildcard


@dataclass(frozen=True, slots=True, kw_only=True)
class Follower:
    """A variant of a pipeline that runs when what it follows moves.

    `asked` is what it follows as its recipe writes it; `channel` is what its versions enter.
    """

    pipeline: PipelineName
    variant: str
    image: ImageName
    asked: str
    follows: Movable
    channel: ChannelName | None = None

    @property
    def name(self) -> str:
        """How people tell it from other variants: nightly-web [arm64]."""
        return f"{self.pipeline} [{self.variant}]" if self.variant else self.pipeline


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """A version was recorded, or else came to be what a channel of its image means."""

    image: ImageName
    version: BuildVersion
    channel: ChannelName | None = None

    @property
    def reference(self) -> str:
        """How people name the version: web@1.2.0/3."""
        return f"{self.image}@{self.version}"

    @classmethod
    def of(cls, reference: str, channel: ChannelName) -> Self:
        """Give that a channel means the version that people name so."""
        image, _, version = reference.partition("@")
        return cls(image=ImageName(image), version=BuildVersion.parse(version), channel=channel)


@dataclass(frozen=True, slots=True, kw_only=True)
class CascadeStep:
    """A variant that runs, and why.

    `depth` is 1 for what follows the publication itself; that is due now, the deeper ones when
    those of `after` have published something. Shape: `after` names them by their place.
    """

    follower: Follower
    depth: int
    why: str
    after: tuple[int, ...] = ()


class CascadeCircular(InvalidInput):
    """Pipelines follow each other in a circle, so that one run would lead to the next for ever."""

    code = "cascade-circular"

    def __init__(self, circle: Sequence[Follower]) -> None:
        """Show the circle: each follows what the one before it makes, the first what the last."""
        told = [f"{each.name} makes {each.image} on {each.asked}" for each in circle]
        super().__init__(
            f"Pipeline {circle[0].pipeline} would start itself over and over.",
            context="; ".join([*told, f"which starts {circle[0].name} again"]),
            hint="Write follows_parent: false into one of them, or build it on something else.",
        )


def followers_of(pipelines: Iterable[Pipeline]) -> tuple[Follower, ...]:
    """Give the variants that follow what they are built on: an image of ours that may move.

    Who wrote follows_parent: false, or is built on one exact version, follows nothing.
    """
    return tuple(
        Follower(
            pipeline=pipeline.name,
            variant=product.variant,
            image=product.image,
            asked=pipeline.parent,
            follows=follows,
            channel=pipeline.channel,
        )
        for pipeline in pipelines
        if pipeline.follows_parent and (follows := movable(pipeline.parent)) is not None
        for product in pipeline.products
    )


def is_built_on(pipeline: Pipeline, image: ImageName) -> bool:
    """Whether a pipeline's recipe is built on an image of ours, of which another may be meant."""
    follows = movable(pipeline.parent)
    return follows is not None and follows.image == image


def cascade_of(followers: Iterable[Follower], publication: Publication) -> tuple[CascadeStep, ...]:
    """Give what a publication leads to: each variant once, those it stands on before it.

    What is more than one deep follows if those above it make a version that it asks for. A circle
    that came about all the same is cut where it closes.
    """
    by_image = _by_image(followers)
    due = [f for f in by_image.get(publication.image, ()) if _is_due(f, publication)]
    # Whom a walk leaves last stands on nobody that it left before.
    walked = _walked(reversed(due), lambda f: reversed(_children(f, by_image)), _cut)
    places: dict[Follower, int] = {}
    above: dict[Follower, list[int]] = {}
    steps: list[CascadeStep] = []
    for follower in reversed(walked):
        places[follower] = len(steps)
        steps.append(_step(follower, [(n, steps[n]) for n in above.get(follower, ())], publication))
        for child in _children(follower, by_image):
            above.setdefault(child, []).append(places[follower])
    return tuple(steps)


def refuse_circle(followers: Iterable[Follower]) -> None:
    """Do nothing when no pipeline leads back to itself. Raises: CascadeCircular: with the circle.

    Which version is asked for does not matter: it may be another one tomorrow.
    """
    by_image = _by_image(followers)
    starts = (follower for among in by_image.values() for follower in among)
    _walked(starts, lambda f: iter(by_image.get(f.image, ())), _refuse)


def _cut(_: Sequence[Follower]) -> None:
    """Let a circle end where it closes."""


def _refuse(circle: Sequence[Follower]) -> None:
    raise CascadeCircular(circle)


def _walked(
    starts: Iterable[Follower],
    children: Callable[[Follower], Iterator[Follower]],
    on_circle: Callable[[Sequence[Follower]], None],
) -> Sequence[Follower]:
    """Walk down from each start, and give all that was met once, in the order it was left."""
    left: dict[Follower, None] = {}
    for start in starts:
        # By hand: a chain of pipelines may be longer than Python nests calls.
        trail = {} if start in left else {start: children(start)}
        while trail:
            at, below = next(reversed(trail.items()))
            child = next(below, None)
            if child is None:
                del trail[at]
                left[at] = None
            elif child in trail:
                names = list(trail)
                on_circle(names[names.index(child) :])
            elif child not in left:
                trail[child] = children(child)
    return list(left)


def _by_image(followers: Iterable[Follower]) -> Mapping[ImageName, Sequence[Follower]]:
    """Give the followers of each image, in an order that does not depend on who asks."""
    by_image: dict[ImageName, list[Follower]] = {}
    for follower in sorted(followers, key=lambda f: (f.pipeline, f.variant)):
        by_image.setdefault(follower.follows.image, []).append(follower)
    return by_image


def _is_due(follower: Follower, publication: Publication) -> bool:
    asked = follower.follows.channel
    if publication.channel not in (None, LATEST):
        return asked == publication.channel
    if asked is not None:
        return asked == LATEST
    return Wildcard.parse(follower.follows.asked).matches(publication.version.version)


def _children(
    follower: Follower, by_image: Mapping[ImageName, Sequence[Follower]]
) -> Sequence[Follower]:
    """Give who follows what a follower will publish; which version that is no one knows yet."""
    moved = (None, LATEST, follower.channel)
    return [f for f in by_image.get(follower.image, ()) if f.follows.channel in moved]


def _step(
    follower: Follower, above: Sequence[tuple[int, CascadeStep]], publication: Publication
) -> CascadeStep:
    if above:
        names = " or ".join(step.follower.name for _, step in above)
        why = f"{names} may publish a new {follower.asked}"
    elif publication.channel is None:
        why = f"{publication.reference} was published; it is built on {follower.asked}"
    else:
        why = f"{publication.image}@{publication.channel} is {publication.reference} now"
    return CascadeStep(
        follower=follower,
        depth=1 + max((step.depth for _, step in above), default=0),
        why=why,
        after=tuple(place for place, _ in above),
    )
