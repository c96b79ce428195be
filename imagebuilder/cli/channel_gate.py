"""Gates as people type them: what channels ask for, and what is asked of findings."""

import re
from dataclasses import dataclass

from imagebuilder.domain.channel import ChannelGate, checked_channel_name
from imagebuilder.domain.errors import InvalidInput
from imagebuilder.domain.evidence import Stage
from imagebuilder.domain.gate import AssuranceGate
from imagebuilder.domain.severity import Severity
from imagebuilder.domain.units import duration_seconds

_WORD = r"[A-Za-z0-9][A-Za-z0-9._-]{0,126}"
_TEST = r"[^\s\x00-\x1f]{1,512}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenAssurance:
    """What was typed of what must hold of findings; None and false where nothing was."""

    fail_on: str | None = None
    is_only_fixable: bool = False
    stops_known_exploited: bool = False
    profile: str | None = None
    min_coverage: str | None = None
    max_data_age: str | None = None
    tests: tuple[str, ...] = ()

    def parsed(self) -> AssuranceGate | None:
        """Give the gate that is written, or None when none is. Raises: GateMalformed."""
        if self == WrittenAssurance():
            return None
        if self.is_only_fixable and self.fail_on is None:
            raise GateMalformed("--only-fixable is of what --fail-on stops; say how bad that is.")
        if self.profile is not None and re.fullmatch(_WORD, self.profile) is None:
            raise GateMalformed(f"{self.profile[:80]!r} is no profile.")
        for test in self.tests:
            if re.fullmatch(_TEST, test) is None:
                raise GateMalformed(f"{test[:80]!r} is no test, and no stage, pack or file of any.")
        return AssuranceGate(
            fail_on=None if self.fail_on is None else _severity(self.fail_on),
            is_only_fixable=self.is_only_fixable,
            stops_known_exploited=self.stops_known_exploited,
            profile=self.profile,
            min_coverage=None if self.min_coverage is None else _share(self.min_coverage),
            max_data_age_seconds=None if self.max_data_age is None else _age(self.max_data_age),
            tests=tuple(dict.fromkeys(self.tests)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenGate:
    """What was typed of a channel's gate."""

    after: str | None = None
    soak: str | None = None
    tests: str | None = None
    assurance: WrittenAssurance = WrittenAssurance()

    def parsed(self, *, clear: bool) -> ChannelGate | None:
        """Give the gate that is written, or None when none is.

        Raises: GateMalformed; ChannelMalformed.
        """
        if self == WrittenGate():
            return None
        if clear:
            raise GateMalformed("A gate cannot be set and cleared at once.")
        if self.soak is not None and self.after is None:
            raise GateMalformed("--soak says for how long on a channel, and --after which it is.")
        names = () if self.tests is None else tuple(n.strip() for n in self.tests.split(","))
        try:
            return ChannelGate(
                after=None if self.after is None else checked_channel_name(self.after),
                soak_seconds=0 if self.soak is None else duration_seconds(self.soak),
                stages=tuple(dict.fromkeys(map(Stage, names))),
                assurance=self.assurance.parsed(),
            )
        except ValueError as error:
            raise GateMalformed(f"{error}.") from error


def _severity(text: str) -> Severity:
    known = [each for each in Severity if each is not Severity.UNKNOWN]
    if text not in known:
        raise GateMalformed(f"--fail-on is one of {', '.join(known)}, not {text[:80]!r}.")
    return Severity(text)


def _share(text: str) -> float:
    number = text.removesuffix("%")
    try:
        share = float(number) / (100 if number != text else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise GateMalformed(f"--min-coverage is 0.6 or 60%, from 0 to 1, not {text[:80]!r}.")
    return share


def _age(text: str) -> int:
    try:
        return duration_seconds(text)
    except ValueError as error:
        raise GateMalformed(f"{error}.") from error


class GateMalformed(InvalidInput):
    """What was typed is no gate of a channel."""

    code = "gate-malformed"

    def __init__(self, reason: str) -> None:
        """Say why, and show the form."""
        super().__init__(
            "The options do not make a gate.",
            context=reason,
            hint="Write for example --after candidate --soak 24h --tests offline,booted,machine "
            "--fail-on high --only-fixable --profile cis_level1_server --min-coverage 0.6.",
        )
