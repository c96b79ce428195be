"""Spelling: which of the known words was meant by one that is not among them."""

from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Give the known word that was most likely meant, or None when nothing is like it."""
    import difflib  # noqa: PLC0415 - only a mistake needs it, and every build starts up

    by_folded = {candidate.casefold(): candidate for candidate in known}
    close = difflib.get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[close[0]] if close else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Give the question to ask after an unknown word; empty when nothing is like it."""
    near = nearest(word, known)
    return f"Did you mean {near}?" if near else ""
