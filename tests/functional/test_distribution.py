"""`imagebuilder distribution check`, through the real bootstrap."""

from tests.examples import ROOT
from tests.functional.conftest import Cli


def test_distribution_check_when_sound_then_says_where_it_goes(cli: Cli) -> None:
    result = cli("distribution", "check", str(ROOT / "distributions/everywhere.yaml"))

    assert result.exit_code == 0, result.stderr
    assert "everywhere is sound: it goes to mirror (folder), production (aws)" in result.stdout


def test_distribution_check_when_an_account_is_not_quoted_then_shows_where_and_how(
    cli: Cli,
) -> None:
    text = (
        (ROOT / "distributions/everywhere.yaml")
        .read_text()
        .replace('"111111111111"', "111111111111")
    )

    result = cli("distribution", "check", cli.write("bad.yaml", text))

    assert result.exit_code == 2
    assert "bad.yaml:10:23: 'account' should be the number of an account" in result.stderr
    assert 'Quote it: "111111111111".' in result.stderr
