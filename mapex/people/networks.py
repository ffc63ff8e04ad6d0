"""The networks that addresses are in: what one household, firm or customer may have is one caller, and one place to its owner."""

from __future__ import annotations

import ipaddress

V4_BITS, V6_BITS = 24, 64
"""The network that one household, firm or machine may have."""

V6_SITE_BITS = 48
"""What one customer may have of IPv6: 65,536 networks."""


def around(address: str | None, *, v4: int = V4_BITS, v6: int = V6_BITS) -> str:
    """The network of so many bits around an address, or "" where it is none; all bits are the address itself. IPv4 in IPv6 is IPv4."""
    known = _known(address)
    if known is None:
        return ""
    bits = v4 if isinstance(known, ipaddress.IPv4Address) else v6
    return str(known) if bits == known.max_prefixlen else str(ipaddress.ip_network((known, bits), strict=False))


def coarse(address: str | None) -> str:
    """What is kept of where somebody was: the network of 24 bits, of IPv6 that of one customer; "" where it is no address."""
    return around(address, v6=V6_SITE_BITS)


def site_around(address: str) -> str:
    """Of IPv6 the network of one customer, else ""."""
    return around(address, v6=V6_SITE_BITS) if isinstance(_known(address), ipaddress.IPv6Address) else ""


def _known(address: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        known = ipaddress.ip_address(address or "")
    except ValueError:
        return None
    return known.ipv4_mapped or known if isinstance(known, ipaddress.IPv6Address) else known
