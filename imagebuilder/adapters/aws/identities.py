"""Identities: whose credentials sign the requests of a thread.

A client of botocore takes two megabytes and twenty milliseconds, and belongs to the credentials it
was made with. Ours are made with `CurrentIdentity`, so that one client of a region serves all
accounts: what signs is what the calling thread set, and nothing when it set nothing.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from imagebuilder.adapters.aws.clients import Boto


class CurrentIdentity:
    """Gives botocore the credentials of whom the thread calls for."""

    method = "imagebuilder"

    def __init__(self) -> None:
        """Speak for nobody."""
        self._own = threading.local()

    @contextmanager
    def of(self, credentials: Boto) -> Iterator[None]:
        """Speak for the holder of credentials within, in this thread alone."""
        self._own.credentials = credentials
        try:
            yield
        finally:
            del self._own.credentials

    def load_credentials(self) -> "CurrentIdentity":
        """Give itself: to a session it is what finds credentials, and they."""
        return self

    def get_frozen_credentials(self) -> Boto:
        """Give what a request is signed with. Raises: AttributeError: nobody is spoken for."""
        return self._own.credentials.get_frozen_credentials()

    def get_deferred_property(self, name: str) -> Callable[[], None]:
        """Give what gives nothing: no address we call depends on who calls."""
        del name
        return lambda: None
