"""What a Packer can do, by what it tells of itself."""

import pytest

from imagebuilder.adapters.packer.fitness import check_plugins, version_in
from imagebuilder.ports.live_builds import BuilderUnfit
from tests.packers import a_file, a_source


@pytest.mark.parametrize(
    ("told", "expected"), [("1.6.6", (1, 6, 6)), ("1.11.2", (1, 11, 2)), ("1.7.0-dev", (1, 7, 0))]
)
def test_version_when_it_is_told_then_is_read(told: str, expected: tuple[int, ...]) -> None:
    assert version_in(f"1795970466,,version,{told}\n1795970466,,ui,say,Packer") == expected


@pytest.mark.parametrize("output", ["1795970466,,version,1.4.5\n", "no packer at all", ""])
def test_version_when_it_is_too_old_or_not_told_then_it_is_refused(output: str) -> None:
    with pytest.raises(BuilderUnfit):
        version_in(output)


def test_plugins_when_one_is_missing_then_says_how_to_get_it() -> None:
    sources = [a_file(), a_source("qemu", "box"), a_source("amazon-ebs", "web")]
    installed = "/root/.packer.d/plugins/github.com/hashicorp/qemu/packer-plugin-qemu_v1.1.0_x5.0"

    with pytest.raises(BuilderUnfit) as unfit:
        check_plugins(sources, installed)

    assert unfit.value.hint.endswith("packer plugins install github.com/hashicorp/amazon")
