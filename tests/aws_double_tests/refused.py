"""A call that must be refused."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from botocore.exceptions import ClientError


@contextmanager
def refused(code: str, *, reason: str | None = None, says: str = "") -> Iterator[None]:
    """Hold the block to be refused with a code, and perhaps a reason and some words."""
    with pytest.raises(ClientError) as caught:
        yield
    error = caught.value.response
    assert (error["Error"]["Code"], error.get("Reason", reason)) == (code, reason)
    assert says in error["Error"]["Message"]
