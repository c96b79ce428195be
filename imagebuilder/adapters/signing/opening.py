"""The key that the settings name, opened by how its URI begins."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from imagebuilder.ports.signing import KeyUnusable, Signer


class NamedKey:
    """A KeyOpener of one URI."""

    def __init__(
        self, uri: str, passphrase: Callable[[], bytes | None], kms_client: Callable[[], Any]
    ) -> None:
        """Open `uri`, empty for none; passphrase is asked when it is needed and kept nowhere."""
        self._uri = uri
        self._passphrase = passphrase
        self._kms_client = kms_client
        self._opened: Signer | None = None

    def signer(self) -> Signer | None:
        """Give the signer, None when no key is named.

        Raises: KeyUnusable; KeyExposed; SignerUnavailable; SecretMissing.
        """
        if self._opened is None and self._uri:
            self._opened = self._open()
        return self._opened

    def _open(self) -> Signer:
        # What each kind needs is loaded for that kind alone.
        match self._uri.partition(":"):
            case ("file", _, path) if path:
                from imagebuilder.adapters.signing.key_files import (  # noqa: PLC0415 - start-up
                    opened_key_file,
                )

                return opened_key_file(Path(path), self._passphrase)
            case ("hsm", _, _):
                from imagebuilder.adapters.signing.held_keys import (  # noqa: PLC0415 - start-up
                    opened_token,
                )

                return opened_token(self._uri, self._passphrase)
            case ("awskms", _, _):
                from imagebuilder.adapters.signing.held_keys import (  # noqa: PLC0415 - start-up
                    opened_kms,
                )

                return opened_kms(self._uri, self._kms_client)
            case _:
                hint = "Set signing_key to file:PATH, hsm:ID?label=LABEL or awskms:ID."
                raise KeyUnusable(self._uri[:80], "Nothing opens such a key.", hint)
