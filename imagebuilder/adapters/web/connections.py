"""Connections to the web: to public addresses only, and to those that were judged.

The address that was judged is the one that is spoken to, whatever the name says a moment later.
"""

import threading
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from socket import SOCK_STREAM, gaierror, getaddrinfo
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit

from imagebuilder.domain.addresses import is_public

# ruff: noqa: PLC0415 - a tenth of a second that builds without downloads need not wait
if TYPE_CHECKING:
    from urllib3 import HTTPConnectionPool, ProxyManager, Timeout

PORTS = {"http": 80, "https": 443}
_SPARE_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """Where connections may lead: to hosts that are public, and these, also when they are not.

    `proxy` is the address of a proxy that everything goes through; its own hosts it judges itself.
    """

    hosts: frozenset[str] = frozenset()
    proxy: str | None = field(default=None, repr=False)


class HostUnknownError(Exception):
    """A host has no address now."""


class HostNotPublicError(Exception):
    """A host is in a network of this machine's own, and no setting names it."""


def judged_address(parts: SplitResult, ways: Ways) -> str:
    """Give an address of a host, if all it has are public or the settings name it.

    Raises: HostUnknownError; HostNotPublicError.
    """
    host, port = str(parts.hostname), parts.port or PORTS[parts.scheme]
    try:
        found = getaddrinfo(host, port, type=SOCK_STREAM)
    except (gaierror, UnicodeError) as error:
        if ways.proxy is not None:
            return host
        raise HostUnknownError(f"{host} has no address: {error}.") from error
    addresses = sorted({str(info[4][0]) for info in found})
    if host not in ways.hosts and not all(map(is_public, addresses)):
        raise HostNotPublicError(f"{host} is not a public address.")
    return addresses[0]


def connections(
    parts: SplitResult, ways: Ways, timeout: "Timeout", *, ignores_certificate: bool = False
) -> "HTTPConnectionPool | ProxyManager":
    """Give connections to the address that a host has now, or to the proxy.

    Raises: HostUnknownError; HostNotPublicError.
    """
    from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, ProxyManager, disable_warnings

    if ignores_certificate:
        disable_warnings()
    trust = "CERT_NONE" if ignores_certificate else "CERT_REQUIRED"
    host, port = str(parts.hostname), parts.port or PORTS[parts.scheme]
    address = judged_address(parts, ways)
    if ways.proxy is not None:
        proxy = urlsplit(ways.proxy)
        return ProxyManager(
            without_user(proxy),
            timeout=timeout,
            cert_reqs=trust,
            proxy_headers=authorization(proxy, "Proxy-Authorization"),
        )
    if parts.scheme == "http":
        return HTTPConnectionPool(address, port, timeout=timeout)
    return HTTPSConnectionPool(
        address,
        port,
        timeout=timeout,
        cert_reqs=trust,
        server_hostname=host,
        assert_hostname=False if ignores_certificate else host,
    )


def target(parts: SplitResult, ways: Ways) -> str:
    """Give what is asked for in a request: a path, or a whole address of a proxy."""
    if ways.proxy is not None:
        return without_user(parts)
    return parts._replace(scheme="", netloc="", fragment="").geturl() or "/"


def authorization(parts: SplitResult, header: str = "Authorization") -> dict[str, str]:
    """Give the header for the user and password of an address, if it has any."""
    if parts.username is None:
        return {}
    secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {header: f"Basic {b64encode(secret.encode()).decode()}"}


def without_user(parts: SplitResult) -> str:
    """Give an address as it is asked for."""
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl()


def without_secret(url: str) -> str:
    """Give an address as it may be shown: without a user, and without what stands behind a ?."""
    shown, query, _ = url.partition("?")
    before, slashes, rest = shown.partition("//")
    authority, slash, path = rest.partition("/")
    return f"{before}{slashes}{authority.rpartition('@')[2]}{slash}{path}{query and '?...'}"


def is_done_within(seconds: float, act: Callable[[], None]) -> bool:
    """Do something; False when it is not done in time, and goes on where nobody waits for it.

    A server that sends its headers a byte at a time is never late for the library.
    What it raises in time is raised.
    """
    failures: list[BaseException] = []

    def noted() -> None:
        try:
            act()
        except BaseException as failure:  # noqa: BLE001 - raised again where it is waited for
            failures.append(failure)

    thread = threading.Thread(target=noted, daemon=True)
    thread.start()
    thread.join(seconds + _SPARE_SECONDS)
    if thread.is_alive():
        return False
    if failures:
        raise failures[0]
    return True
