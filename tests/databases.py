"""The databases that a test of SQL runs on, one after the other."""

from collections.abc import Callable
from pathlib import Path

import pytest

DATABASES = ("sqlite", pytest.param("postgresql", marks=pytest.mark.postgres))
"""The kinds of database, as parameters of a test or fixture."""

FreshLocation = Callable[[str], str | Path]
"""Gives where a catalogue of a kind can be opened that nobody else has and that holds nothing.

That of the fixture `bare_location` gives where it has to be made first.
"""
