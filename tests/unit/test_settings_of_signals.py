"""Settings of what goes out and comes in; secrets are read by reference, each time anew."""

from pathlib import Path

import pytest

from imagebuilder.setting_faults import SecretMissing, SettingMalformed
from imagebuilder.settings import (
    LogSettings,
    MailSettings,
    NoticeSettings,
    read_settings,
    secret_of,
)


def test_notices_when_nothing_is_set_then_nobody_may_call_and_nothing_is_mailed(
    tmp_path: Path,
) -> None:
    settings = read_settings({"IMAGEBUILDER_HOME": str(tmp_path)})

    assert settings.notices == NoticeSettings()
    assert (settings.notices.hook_key, settings.notices.mail.host) == ("", None)
    assert settings.logs == LogSettings(form="", level="info")


def test_notices_when_set_then_are_read(tmp_path: Path) -> None:
    knobs = {
        "home": str(tmp_path),
        "notice_hosts": "Chat.example.org, 10.0.0.7",
        "smtp_host": "mail.example.org",
        "smtp_port": "587",
        "smtp_from": "builder@example.org",
        "smtp_user": "builder",
        "smtp_password": "file:/etc/imagebuilder/mail",
        "aws_endpoint": "http://127.0.0.1:5000",
        "hook_key": "file:/etc/imagebuilder/hooks/{pipeline}",
        "log_format": "json",
        "log_level": "debug",
    }

    settings = read_settings({f"IMAGEBUILDER_{k.upper()}": value for k, value in knobs.items()})

    assert settings.notices == NoticeSettings(
        hosts=frozenset({"chat.example.org", "10.0.0.7"}),
        mail=MailSettings(
            host="mail.example.org",
            port=587,
            sender="builder@example.org",
            user="builder",
            password="file:/etc/imagebuilder/mail",
        ),
        aws_endpoint="http://127.0.0.1:5000",
        hook_key="file:/etc/imagebuilder/hooks/{pipeline}",
    )
    assert settings.logs == LogSettings(form="json", level="debug")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SMTP_PORT", "many"),
        ("SMTP_PASSWORD", "hush"),
        ("HOOK_KEY", "hush"),
        ("AWS_ENDPOINT", "hush"),
        ("LOG_FORMAT", "hush"),
        ("LOG_LEVEL", "hush"),
    ],
)
def test_setting_when_it_is_not_what_it_must_be_then_its_value_is_not_shown(
    tmp_path: Path, name: str, value: str
) -> None:
    given = {"IMAGEBUILDER_HOME": str(tmp_path), f"IMAGEBUILDER_{name}": value}

    with pytest.raises(SettingMalformed) as caught:
        read_settings(given)

    error = caught.value
    assert name.lower() in error.message
    assert value not in f"{error.message} {error.context} {error.hint}"


def test_secret_of_a_variable_then_is_what_it_holds_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", "s3cret")
    assert secret_of("env:A_KEY") == b"s3cret"
    monkeypatch.setenv("A_KEY", "another")
    assert secret_of("env:A_KEY") == b"another"


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_secret_of_a_file_then_is_without_the_end_of_its_line(tmp_path: Path, end: str) -> None:
    (tmp_path / "key").write_bytes(f" zu groß {end}".encode())

    assert secret_of(f"file:{tmp_path / 'key'}") == " zu groß ".encode()


@pytest.mark.parametrize(
    "reference", ["env:NOT_THERE", "file:/not/there", "env:", "file:", "file:/"]
)
def test_secret_of_when_there_is_none_then_says_where_it_was_looked_for(reference: str) -> None:
    with pytest.raises(SecretMissing) as caught:
        secret_of(reference)

    assert caught.value.context


def test_secret_of_when_it_is_no_reference_then_is_not_shown() -> None:
    with pytest.raises(SecretMissing) as caught:
        secret_of("s3cret")

    error = caught.value
    assert "s3cret" not in f"{error.message} {error.context} {error.hint}"


def test_secret_of_an_empty_file_then_is_missing(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\n")

    with pytest.raises(SecretMissing, match="key"):
        secret_of(f"file:{tmp_path / 'key'}")
