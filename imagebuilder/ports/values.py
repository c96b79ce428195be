"""ValueSource: what components may ask of a cloud account: parameters, secrets and metadata.

Every adapter must keep: a value that is a secret there is marked as one here; nothing is kept on a
disk; what cannot be had is an error, never an empty text.
"""

from dataclasses import dataclass
from typing import Protocol

from imagebuilder.domain.errors import InvalidInput, Refused, Unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideValue:
    """A text from outside of all documents. `version` tells it from what the name gave before."""

    text: str
    version: str = ""
    is_secret: bool = False


class ValueSource(Protocol):
    """Gives values by their names."""

    def parameter(self, path: str) -> OutsideValue:
        """Give a parameter, or a secret by /aws/reference/secretsmanager/NAME.

        Raises: ValueNotFound; ValuesRefused; ValuesUnavailable.
        """
        ...

    def metadata(self, path: str) -> OutsideValue:
        """Give what an instance is told of itself. Raises: ValueNotFound; ValuesRefused."""
        ...

    def account(self) -> str:
        """Give the account's number. Raises: ValuesRefused; ValuesUnavailable."""
        ...

    def region(self) -> str:
        """Give the region that names are looked up in. Raises: ValuesRefused."""
        ...


class ValueNotFound(InvalidInput):
    """A reference names a value that is not there."""

    code = "value-not-found"

    def __init__(self, reference: str, where: str) -> None:
        """Name the reference and where it was looked for."""
        super().__init__(
            f"There is no value for {{{{ {reference} }}}}.",
            context=f"It was looked for in {where}.",
            hint="Correct the name, or make the value there.",
        )


class ValuesRefused(Refused):
    """A value may not be had, or cannot be had here."""

    code = "value-refused"

    def __init__(self, reference: str, reason: str, hint: str) -> None:
        """Name the reference and say why."""
        super().__init__(f"{{{{ {reference} }}}} is not given here.", context=reason, hint=hint)


class ValuesUnavailable(Unavailable):
    """What gives values does not answer."""

    code = "values-unavailable"

    def __init__(self, reference: str, reason: str) -> None:
        """Name the reference and what was seen."""
        super().__init__(
            f"{{{{ {reference} }}}} could not be asked for.",
            context=reason,
            hint="Check the network and the credentials of the account, then try again.",
        )
