"""What may be wrong with the settings, and with the secrets that they name."""

from collections.abc import Sequence
from pathlib import Path

from imagebuilder.domain.errors import InvalidInput

PREFIX = "IMAGEBUILDER_"
"""What the names of all our variables in the environment begin with."""


class SettingUnknown(InvalidInput):
    """A setting nobody reads."""

    code = "setting-unknown"

    def __init__(self, name: str, where: str, known: Sequence[str]) -> None:
        """Name it as it was written, where it stands and what may be meant."""
        from difflib import get_close_matches  # noqa: PLC0415 - only a mistake needs it

        near = get_close_matches(name, known, n=1)
        super().__init__(
            f"{where} sets {name}, which is no setting.",
            hint=f"Did you mean {near[0]}?" if near else f"The settings are {', '.join(known)}.",
        )


class SettingsUnreadable(InvalidInput):
    """The settings file cannot be used."""

    code = "settings-unreadable"

    def __init__(self, path: Path, reason: str) -> None:
        """Name the file and the reason."""
        super().__init__(
            f"The settings file {path} cannot be used.",
            context=reason,
            hint='Write one JSON object of strings, such as {"mirror": "https://..."}.',
        )


class SettingMalformed(InvalidInput):
    """A setting is not what it must be."""

    code = "setting-malformed"

    def __init__(self, name: str, wanted: str) -> None:
        """Name it and say what it must be; its value is not shown, for it may hold a secret."""
        super().__init__(
            f"The setting {name} is not {wanted}.",
            hint=f"Correct {name} in the settings file, or {PREFIX}{name.upper()}.",
        )


class SecretMissing(InvalidInput):
    """A reference to a secret names nothing that can be read."""

    code = "secret-missing"

    def __init__(self, reference: str, reason: str) -> None:
        """Name the reference; what it should have been, if it may be the secret itself, is not."""
        super().__init__(
            f"The secret behind {reference} cannot be had.",
            context=reason,
            hint="Write env:NAME or file:PATH, and put the secret there for this process.",
        )
