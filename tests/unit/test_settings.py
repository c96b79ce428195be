"""Every knob: where it may stand, what wins, and what is written nowhere."""

import json
from pathlib import Path

import pytest

from imagebuilder.setting_faults import SettingMalformed, SettingsUnreadable, SettingUnknown
from imagebuilder.settings import SharedStoreSettings, read_settings


def written(folder: Path, **knobs: object) -> dict[str, str]:
    """Write a settings file and give an environment whose home has it."""
    (folder / "settings.json").write_text(json.dumps(knobs))
    return {"IMAGEBUILDER_HOME": str(folder)}


def test_settings_when_nothing_is_set_then_the_machines_own_hold(tmp_path: Path) -> None:
    settings = read_settings({"IMAGEBUILDER_HOME": str(tmp_path)})
    assert settings.home == tmp_path
    assert settings.catalogue_url == f"sqlite:///{tmp_path}/catalogue.db"
    assert (settings.mirror, settings.security_mirror) == (None, None)
    assert settings.component_folders == ()


def test_settings_when_both_speak_then_the_environment_wins(tmp_path: Path) -> None:
    environment = written(tmp_path, mirror="http://file.example.org", components="/a:/b")
    settings = read_settings(environment | {"IMAGEBUILDER_MIRROR": "http://env.example.org"})
    assert settings.mirror == "http://env.example.org"
    assert settings.component_folders == (Path("/a"), Path("/b"))


def test_settings_when_a_variable_is_empty_then_the_file_holds(tmp_path: Path) -> None:
    environment = written(tmp_path, mirror="http://file.example.org")
    assert read_settings(environment | {"IMAGEBUILDER_MIRROR": ""}).mirror == (
        "http://file.example.org"
    )


def test_settings_when_the_file_names_the_home_then_it_is_there(tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({"home": "/data/images"}))
    settings = read_settings({"IMAGEBUILDER_SETTINGS": str(file)})
    assert settings.home == Path("/data/images")
    assert settings.catalogue_url == "sqlite:////data/images/catalogue.db"


def test_settings_when_other_programs_have_variables_then_they_are_not_looked_at(
    tmp_path: Path,
) -> None:
    environment = {"IMAGEBUILDER_HOME": str(tmp_path), "MIRROR": "x", "IMAGEBUILDERX": "y"}
    assert read_settings(environment).mirror is None


def test_settings_when_a_variable_is_misspelt_then_says_which_may_be_meant(tmp_path: Path) -> None:
    with pytest.raises(SettingUnknown) as failure:
        read_settings({"IMAGEBUILDER_HOME": str(tmp_path), "IMAGEBUILDER_MIROR": "x"})
    assert failure.value.message == (
        "The environment sets IMAGEBUILDER_MIROR, which is no setting."
    )
    assert failure.value.hint == "Did you mean IMAGEBUILDER_MIRROR?"


def test_settings_when_the_file_has_a_misspelt_name_then_says_which_may_be_meant(
    tmp_path: Path,
) -> None:
    with pytest.raises(SettingUnknown) as failure:
        read_settings(written(tmp_path, catalog_url="x"))
    assert str(tmp_path / "settings.json") in failure.value.message
    assert failure.value.hint == "Did you mean catalogue_url?"


def test_settings_when_a_name_is_like_none_then_says_which_there_are(tmp_path: Path) -> None:
    with pytest.raises(SettingUnknown) as failure:
        read_settings(written(tmp_path, zzz="x"))
    assert "mirror, security_mirror" in failure.value.hint


@pytest.mark.parametrize("name", ["settings", "traceback"])
def test_settings_when_the_file_sets_what_only_the_environment_can_then_is_refused(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(SettingUnknown):
        read_settings(written(tmp_path, **{name: "x"}))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"mirror": 1}', '"mirror"', "\udcff"])
def test_settings_when_the_file_is_not_an_object_of_strings_then_is_refused(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / "settings.json").write_text(text, errors="surrogateescape")
    with pytest.raises(SettingsUnreadable):
        read_settings({"IMAGEBUILDER_HOME": str(tmp_path)})


def test_settings_when_a_named_file_is_missing_then_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsUnreadable):
        read_settings({"IMAGEBUILDER_SETTINGS": str(tmp_path / "none.json")})


def test_settings_when_the_file_is_a_folder_then_is_refused(tmp_path: Path) -> None:
    (tmp_path / "settings.json").mkdir()
    with pytest.raises(SettingsUnreadable):
        read_settings({"IMAGEBUILDER_HOME": str(tmp_path)})


@pytest.mark.parametrize("name", ["mirror", "security_mirror"])
def test_settings_when_a_mirror_has_a_password_then_it_is_taken_out_and_never_shown(
    tmp_path: Path, name: str
) -> None:
    environment = written(tmp_path, **{name: "https://ann:s%40cret@Deb.example.org:8443/debian?x"})
    settings = read_settings(environment)
    assert getattr(settings, name) == "https://Deb.example.org:8443/debian?x"
    assert settings.credentials == {"deb.example.org": "ann:s@cret"}
    for shown in (repr(settings), str(settings), f"{settings}"):
        assert "cret" not in shown
        assert "ann" not in shown


def test_settings_when_the_catalogue_has_a_password_then_it_is_not_shown(tmp_path: Path) -> None:
    url = "postgresql://ann:secret@db.example.org/catalogue"
    settings = read_settings(written(tmp_path, catalogue_url=url))
    assert settings.catalogue_url == url
    assert "secret" not in repr(settings)


def test_settings_when_a_mirror_is_no_address_then_its_password_is_not_shown(
    tmp_path: Path,
) -> None:
    with pytest.raises(SettingMalformed) as failure:
        read_settings(written(tmp_path, mirror="https://ann:secret@[deb.example.org/"))
    error = failure.value
    assert error.message == "The setting mirror is not an address such as https://deb.example.org."
    assert "secret" not in f"{error.message} {error.context} {error.hint} {error.__cause__!r}"


def test_settings_when_the_home_is_relative_then_it_is_made_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_settings({"IMAGEBUILDER_HOME": "here"}).home == tmp_path / "here"


def test_settings_when_nothing_is_said_of_downloads_then_only_public_hosts_and_4_gib(
    tmp_path: Path,
) -> None:
    downloads = read_settings({"IMAGEBUILDER_HOME": str(tmp_path)}).downloads
    assert (downloads.limit_bytes, downloads.hosts) == (4 << 30, frozenset())
    assert (downloads.proxy, downloads.s3_endpoint) == (None, None)


def test_settings_of_downloads_then_are_read_and_a_password_is_not_shown(tmp_path: Path) -> None:
    settings = read_settings(
        written(
            tmp_path,
            download_limit="10MiB",
            download_hosts="Files.example.org, 10.0.0.7",
            download_proxy="http://ann:secret@proxy.example.org:3128",
            s3_endpoint="https://objects.example.org",
        )
    )
    downloads = settings.downloads
    assert downloads.limit_bytes == 10 << 20
    assert downloads.hosts == {"files.example.org", "10.0.0.7"}
    assert downloads.proxy == "http://ann:secret@proxy.example.org:3128"
    assert downloads.s3_endpoint == "https://objects.example.org"
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(
    "wrong",
    [{"download_limit": "lots"}, {"download_proxy": "ann:secret@proxy"}, {"s3_endpoint": "s3"}],
)
def test_settings_of_downloads_when_one_is_malformed_then_is_named(
    tmp_path: Path, wrong: dict[str, str]
) -> None:
    with pytest.raises(SettingMalformed) as failure:
        read_settings(written(tmp_path, **wrong))
    assert next(iter(wrong)) in failure.value.message
    assert "secret" not in f"{failure.value.message} {failure.value.hint}"


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("file:///srv/shared", SharedStoreSettings(folder=Path("/srv/shared"))),
        ("file:///srv/two%20words", SharedStoreSettings(folder=Path("/srv/two words"))),
        ("s3://images", SharedStoreSettings(bucket="images")),
        ("s3://images/a/b/", SharedStoreSettings(bucket="images", prefix="a/b")),
    ],
)
def test_settings_when_a_shared_store_is_named_then_it_is_a_folder_or_a_bucket(
    tmp_path: Path, address: str, place: SharedStoreSettings
) -> None:
    settings = read_settings(written(tmp_path, shared_store=address))

    assert settings.shared_store == place


@pytest.mark.parametrize(
    "address",
    [
        "/srv/shared",
        "file://srv/shared",
        "file:shared",
        "s3://",
        "s3:///prefix",
        "s3://UPPER",
        "s3://user:secret@images/a",
        "s3://images?x=y",
        "https://images.example.org",
        "http://[",
    ],
)
def test_settings_when_a_shared_store_is_no_place_then_says_what_one_is(
    tmp_path: Path, address: str
) -> None:
    with pytest.raises(SettingMalformed) as failure:
        read_settings(written(tmp_path, shared_store=address))

    assert "file:///srv/imagebuilder or s3://bucket/prefix" in failure.value.message
    assert "secret" not in failure.value.message


def test_settings_when_the_catalogue_is_that_of_the_home_then_no_other_has_it(
    tmp_path: Path,
) -> None:
    assert read_settings(written(tmp_path)).has_own_catalogue
    assert not read_settings(written(tmp_path, catalogue_url="sqlite:////x.db")).has_own_catalogue
