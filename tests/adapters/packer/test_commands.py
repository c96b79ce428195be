"""Packer's commands as packer-py puts them together, without what it gets wrong."""

import pytest

from imagebuilder.adapters.packer.commands import Option, PackerCommands


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"only": ("one", "two")}, ["-only=one,two"]),
        ({"only": ()}, []),
        ({"only": None}, []),
        ({"force": False}, []),
        ({"force": True}, ["-force"]),
        ({"var_file": ("a", "b")}, ["-var-file=a", "-var-file=b"]),
        ({"on_error": "cleanup", "only": "one"}, ["-on-error=cleanup", "-only=one"]),
    ],
)
def test_build_when_options_are_given_then_each_is_as_packer_reads_it(
    options: dict[str, Option], expected: list[str]
) -> None:
    argv = PackerCommands("packer").build("web.json", **options)

    assert argv == ["packer", "build", "-machine-readable", *expected, "web.json"]


def test_version_then_names_no_template() -> None:
    assert PackerCommands("packer").version() == ["packer", "version", "-machine-readable"]
