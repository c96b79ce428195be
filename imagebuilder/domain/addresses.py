"""Addresses: which of them are out in the open, where a component of any kind may go."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

_TRANSLATED = IPv6Network("64:ff9b::/96")
"""Where translators put the old addresses in. Source: RFC 6052."""


def is_public(address: str) -> bool:
    """Whether an address is for everybody: no private network, no loopback, no metadata service.

    An old address that is carried inside of a new one is looked at too.
    """
    parsed = ip_address(address)
    if isinstance(parsed, IPv4Address):
        return parsed.is_global and not parsed.is_multicast
    return (
        parsed.is_global
        and not parsed.is_multicast
        and all(inner.is_global for inner in _carried(parsed))
    )


def _carried(address: IPv6Address) -> list[IPv4Address]:
    carried = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _TRANSLATED:
        carried.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [inner for inner in carried if inner is not None]
