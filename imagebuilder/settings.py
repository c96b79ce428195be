"""Settings: every knob, read once, from IMAGEBUILDER_* and the file they name.

The file is $IMAGEBUILDER_HOME/settings.json or what IMAGEBUILDER_SETTINGS names; the environment
wins.
"""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from imagebuilder.domain.units import GIB, size_bytes
from imagebuilder.domain.waiver import DEFAULT_MAX_DAYS
from imagebuilder.setting_faults import (
    PREFIX,
    SecretMissing,
    SettingMalformed,
    SettingsUnreadable,
    SettingUnknown,
)

_KNOBS = (
    "home",
    "settings",
    "catalogue_url",
    "mirror",
    "security_mirror",
    "components",
    "download_hosts",
    "download_limit",
    "download_proxy",
    "s3_endpoint",
    "shared_store",
    "imds_endpoint",
    "notice_hosts",
    "smtp_host",
    "smtp_port",
    "smtp_from",
    "smtp_user",
    "smtp_password",
    "aws_endpoint",
    "hook_key",
    "signing_key",
    "signing_passphrase",
    "builder_id",
    "log_format",
    "log_level",
    "lease_seconds",
    "waiver_max_days",
    "syft",
    "test_postgres",
    "traceback",
    "actor",
)
_LARGEST_SECRET_BYTES = 64 * 1024
_SHORTEST_LEASE_SECONDS = 1.0
_LONGEST_LEASE_SECONDS = 3600.0
_MOST_DAYS = 3660
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
"""Source: Amazon S3 User Guide, General purpose bucket naming rules."""
_ONLY_FROM_ENVIRONMENT = frozenset(("settings", "traceback"))
"""What is wanted before the file is read, or when it cannot be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadSettings:
    """What components may fetch from outside, and through what.

    `hosts` may be fetched from though they are not public. `proxy` may hold a user and a password.
    """

    limit_bytes: int = 4 * GIB
    hosts: frozenset[str] = frozenset()
    proxy: str | None = field(default=None, repr=False)
    s3_endpoint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MailSettings:
    """The server that takes mail, and whose it is; `password` is a reference, as in `secret_of`."""

    host: str | None = None
    port: int = 25
    sender: str = ""
    user: str = ""
    password: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeSettings:
    """How people and programs are told, and who may tell us.

    `hosts` may be told though they are not public. `aws_endpoint` is asked instead of AWS itself.
    `hook_key` is a reference to what those who call our hook sign with.
    """

    hosts: frozenset[str] = frozenset()
    mail: MailSettings = field(default_factory=MailSettings)
    aws_endpoint: str | None = None
    hook_key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedStoreSettings:
    """Where machines give each other layers and files: a folder, or a bucket and a prefix in it."""

    folder: Path | None = None
    bucket: str = ""
    prefix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningSettings:
    """What versions are signed with, and as whose work.

    `key` is where the private key is (file:PATH, hsm:ID, awskms:ID), empty when nothing is signed;
    `passphrase` a reference to what opens it: a file's passphrase, or a token's PIN.
    """

    key: str = ""
    passphrase: str = ""
    builder_id: str = "urn:imagebuilder:builder"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """What processes that stay write of their work; `form` is json or console, or as it suits."""

    form: str = ""
    level: str = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How this machine's imagebuilder is set up.

    `has_own_catalogue` when it is that of the home, which no other machine has. `actor` is whose
    name the catalogue's audit shows.
    `environment` is what a process of our own is given that does a part of our work;
    `lease_seconds` is how long a process that does not show itself is taken to live;
    `waiver_max_days` for how long a finding may be accepted at most; `syft` is the program that
    tells what is installed besides packages, None when nobody is asked.
    Shape: `credentials` maps a host to user:password, taken out of the mirrors' addresses so that
    they are written nowhere.
    """

    home: Path
    actor: str
    catalogue_url: str = field(repr=False)
    has_own_catalogue: bool
    mirror: str | None
    security_mirror: str | None
    component_folders: tuple[Path, ...]
    imds_endpoint: str | None
    credentials: Mapping[str, str] = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)
    lease_seconds: float = 30.0
    waiver_max_days: int = DEFAULT_MAX_DAYS
    syft: Path | None = None
    downloads: DownloadSettings = field(default_factory=DownloadSettings)
    notices: NoticeSettings = field(default_factory=NoticeSettings)
    logs: LogSettings = field(default_factory=LogSettings)
    shared_store: SharedStoreSettings | None = None
    signing: SigningSettings = field(default_factory=SigningSettings)


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Give the settings in force.

    Raises: SettingUnknown; SettingMalformed; SettingsUnreadable.
    """
    given = os.environ if environment is None else environment
    from_environment = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in given.items()
        if name.startswith(PREFIX) and value
    }
    for name in from_environment:
        if name not in _KNOBS:
            known = [f"{PREFIX}{knob.upper()}" for knob in _KNOBS]
            raise SettingUnknown(f"{PREFIX}{name.upper()}", "The environment", known)
    usual_home = from_environment.get("home") or _default_home(given)
    path = Path(from_environment.get("settings", Path(usual_home) / "settings.json"))
    knobs = {**_from_file(path, must_exist="settings" in from_environment), **from_environment}
    home = Path(knobs.get("home") or usual_home).absolute()
    credentials: dict[str, str] = {}
    return Settings(
        home=home,
        actor=knobs.get("actor") or _user(given),
        has_own_catalogue="catalogue_url" not in knobs,
        catalogue_url=knobs.get("catalogue_url", f"sqlite:///{home}/catalogue.db"),
        mirror=_without_secret("mirror", knobs, credentials),
        security_mirror=_without_secret("security_mirror", knobs, credentials),
        imds_endpoint=_http("imds_endpoint", knobs),
        component_folders=tuple(map(Path, filter(None, knobs.get("components", "").split(":")))),
        credentials=credentials,
        environment=dict(given),
        lease_seconds=_seconds("lease_seconds", knobs, 30.0),
        waiver_max_days=_days("waiver_max_days", knobs, DEFAULT_MAX_DAYS),
        syft=_program("syft", knobs),
        downloads=_downloads(knobs),
        notices=_notices(knobs),
        logs=LogSettings(
            form=_one_of("log_format", knobs, "", ("json", "console")),
            level=_one_of("log_level", knobs, "info", ("debug", "info", "warning", "error")),
        ),
        shared_store=_shared_store(knobs),
        signing=_signing(knobs),
    )


def secret_of(reference: str) -> bytes:
    """Give the secret that env:NAME or file:PATH names, read anew each time, kept nowhere.

    The end of a file's last line is no part of it. Raises: SecretMissing.
    """
    kind, _, name = reference.partition(":")
    if kind == "env" and name:
        found = os.environ.get(name, "").encode()
        reason = "There is no such variable in the environment, or nothing in it."
    elif kind == "file" and name:
        try:
            with Path(name).open("rb") as file:
                found = file.read(_LARGEST_SECRET_BYTES).rstrip(b"\r\n")
            reason = "The file is empty."
        except OSError as error:
            raise SecretMissing(reference, str(error.strerror)) from error
    else:
        raise SecretMissing("the reference", "It is not of the form env:NAME or file:PATH.")
    if not found:
        raise SecretMissing(reference, reason)
    return found


def _seconds(name: str, knobs: Mapping[str, str], usual: float) -> float:
    try:
        seconds = float(knobs.get(name, usual))
    except ValueError:
        seconds = 0.0
    if not _SHORTEST_LEASE_SECONDS <= seconds <= _LONGEST_LEASE_SECONDS:
        raise SettingMalformed(name, "a number of seconds from 1 to 3600")
    return seconds


def _program(name: str, knobs: Mapping[str, str]) -> Path | None:
    path = Path(knobs[name]) if knobs.get(name) else None
    if path and not (path.is_absolute() and path.is_file() and os.access(path, os.X_OK)):
        raise SettingMalformed(name, "the absolute path of a program that is there")
    return path


def _days(name: str, knobs: Mapping[str, str], usual: int) -> int:
    text = knobs.get(name, str(usual))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= _MOST_DAYS:
        raise SettingMalformed(name, f"a whole number of days from 1 to {_MOST_DAYS}")
    return int(text)


def _user(environment: Mapping[str, str]) -> str:
    """Give who is at work: who became root, when that is known."""
    named = (environment.get(name) for name in ("SUDO_USER", "LOGNAME", "USER"))
    return next(filter(None, named), f"uid {os.getuid()}")


def wants_traceback() -> bool:
    """Whether a fault of our own is shown with its place; nothing can be wrong with the answer."""
    return os.environ.get(f"{PREFIX}TRACEBACK", "") not in ("", "0")


def _default_home(environment: Mapping[str, str]) -> Path:
    if os.geteuid() == 0:
        return Path("/var/lib/imagebuilder")
    data = environment.get("XDG_DATA_HOME") or Path(environment.get("HOME", "/")) / ".local/share"
    return Path(data) / "imagebuilder"


def _from_file(path: Path, *, must_exist: bool) -> dict[str, str]:
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        if must_exist:
            raise SettingsUnreadable(path, str(error)) from error
        return {}
    except (OSError, ValueError) as error:
        raise SettingsUnreadable(path, str(error)) from error
    if not isinstance(read, dict) or not all(isinstance(value, str) for value in read.values()):
        raise SettingsUnreadable(path, "It is not one JSON object of strings.")
    known = [knob for knob in _KNOBS if knob not in _ONLY_FROM_ENVIRONMENT]
    for name in read:
        if name not in known:
            raise SettingUnknown(name, str(path), known)
    return read


def _downloads(knobs: Mapping[str, str]) -> DownloadSettings:
    hosts = _hosts("download_hosts", knobs)
    try:
        limit_bytes = size_bytes(knobs.get("download_limit") or "4GiB")
    except ValueError as error:
        raise SettingMalformed("download_limit", "a size such as 4GiB") from error
    return DownloadSettings(
        limit_bytes=limit_bytes,
        hosts=hosts,
        proxy=_http("download_proxy", knobs),
        s3_endpoint=_http("s3_endpoint", knobs),
    )


def _notices(knobs: Mapping[str, str]) -> NoticeSettings:
    try:
        port = int(knobs.get("smtp_port") or "25")
    except ValueError as error:
        raise SettingMalformed("smtp_port", "the number of a port") from error
    for name in ("smtp_password", "hook_key"):
        _refuse_secret_itself(name, knobs)
    return NoticeSettings(
        hosts=_hosts("notice_hosts", knobs),
        mail=MailSettings(
            host=knobs.get("smtp_host") or None,
            port=port,
            sender=knobs.get("smtp_from", ""),
            user=knobs.get("smtp_user", ""),
            password=knobs.get("smtp_password", ""),
        ),
        aws_endpoint=_http("aws_endpoint", knobs),
        hook_key=knobs.get("hook_key", ""),
    )


def _refuse_secret_itself(name: str, knobs: Mapping[str, str]) -> None:
    if knobs.get(name) and not knobs[name].startswith(("env:", "file:")):
        raise SettingMalformed(name, "a reference such as env:NAME or file:PATH")


def _signing(knobs: Mapping[str, str]) -> SigningSettings:
    _refuse_secret_itself("signing_passphrase", knobs)
    key = knobs.get("signing_key", "")
    if key and not key.startswith(("file:", "hsm:", "awskms:")):
        raise SettingMalformed("signing_key", "of the form file:PATH, hsm:ID?label=X or awskms:ID")
    builder_id = knobs.get("builder_id") or SigningSettings().builder_id
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]{1,500}", builder_id):
        raise SettingMalformed("builder_id", "a URI such as https://images.example.org/builder")
    return SigningSettings(
        key=key, passphrase=knobs.get("signing_passphrase", ""), builder_id=builder_id
    )


def _one_of(name: str, knobs: Mapping[str, str], default: str, words: Sequence[str]) -> str:
    given = knobs.get(name) or default
    if given not in (default, *words):
        raise SettingMalformed(name, f"one of {', '.join(words)}")
    return given


def _hosts(name: str, knobs: Mapping[str, str]) -> frozenset[str]:
    return frozenset(knobs.get(name, "").replace(",", " ").lower().split())


def _shared_store(knobs: Mapping[str, str]) -> SharedStoreSettings | None:
    address = knobs.get("shared_store")
    if not address:
        return None
    wanted = "an address such as file:///srv/imagebuilder or s3://bucket/prefix"
    try:
        parts = urlsplit(address)
    except ValueError:
        raise SettingMalformed("shared_store", wanted) from None
    path = unquote(parts.path)
    is_plain = not (parts.query or parts.fragment)
    if parts.scheme == "file" and is_plain and not parts.netloc and path.startswith("/"):
        return SharedStoreSettings(folder=Path(path))
    if parts.scheme == "s3" and is_plain and _BUCKET.fullmatch(parts.netloc):
        return SharedStoreSettings(bucket=parts.netloc, prefix=path.strip("/"))
    raise SettingMalformed("shared_store", wanted)


def _http(name: str, knobs: Mapping[str, str]) -> str | None:
    """Give an address that has to be one of the web."""
    url = knobs.get(name)
    if url and not url.startswith(("http://", "https://")):
        raise SettingMalformed(name, "an address such as http://169.254.169.254")
    return url or None


def _without_secret(name: str, knobs: Mapping[str, str], credentials: dict[str, str]) -> str | None:
    """Give an address without its user and password, which go to credentials."""
    url = knobs.get(name)
    if not url:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        # What urlsplit says quotes the address, password and all.
        raise SettingMalformed(name, "an address such as https://deb.example.org") from None
    if parts.username is not None and parts.hostname is not None:
        credentials[parts.hostname] = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
