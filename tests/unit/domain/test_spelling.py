import pytest

from imagebuilder.domain.spelling import did_you_mean, nearest


@pytest.mark.parametrize(
    ("word", "near"),
    [("packges", "packages"), ("Packages", "packages"), ("zzz", None), ("versoin", "Version")],
)
def test_nearest_when_word_is_misspelt_gives_what_was_meant(word: str, near: str | None) -> None:
    assert nearest(word, ["packages", "Version", "name"]) == near


def test_did_you_mean_when_nothing_is_near_asks_nothing() -> None:
    assert did_you_mean("zzz", ["name"]) == ""
    assert did_you_mean("nmae", ["name"]) == "Did you mean name?"
