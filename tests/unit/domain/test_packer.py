"""Sources of Packer: what in them is a secret, and where."""

import pytest

from imagebuilder.domain.packer import PackerSource, is_reference, is_secret_setting


@pytest.mark.parametrize(
    "name", ["secret_key", "token", "ssh_password", "access_key", "ssh_private_key", "user_token"]
)
def test_setting_when_it_is_a_secret_then_says_so(name: str) -> None:
    assert is_secret_setting((name,))


@pytest.mark.parametrize("name", ["region", "ssh_private_key_file", "kms_key_id", "ami_name"])
def test_setting_when_it_is_none_then_says_so(name: str) -> None:
    assert not is_secret_setting((name,))


@pytest.mark.parametrize(
    ("text", "of_what"),
    [
        ("env:AWS_KEY", {"secret", "other"}),
        ("file:/run/key", {"secret"}),
        ("file:///srv/debian.iso", {"secret"}),
        ("hunter2", set()),
        ("env:two words", set()),
    ],
)
def test_reference_when_it_names_where_a_value_is_kept_then_is_one(
    text: str, of_what: set[str]
) -> None:
    found = {w for w in ("secret", "other") if is_reference(text, is_secret=w == "secret")}

    assert found == of_what


def test_references_of_a_source_then_gives_each_with_where_it_stands() -> None:
    source = PackerSource(
        type="amazon-ebs",
        name="web",
        settings={
            "region": "eu-central-1",
            "iso_url": "file:///srv/debian.iso",
            "secret_key": "file:/run/key",
            "vault": [{"token": "env:TOKEN"}, "env:PLAIN"],
        },
    )

    assert source.references == {
        ("secret_key",): "file:/run/key",
        ("vault", 0, "token"): "env:TOKEN",
        ("vault", 1): "env:PLAIN",
    }
