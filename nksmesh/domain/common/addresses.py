"""Hosts as people and programs write them: names and IP addresses, with a port or without."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address


def split_port(text: str) -> tuple[str, str]:
    """Split host:port; an IPv6 address has its colons in brackets, or stands without a port."""
    if text.startswith("["):
        name, _, rest = text[1:].partition("]")
        return name, rest.removeprefix(":")
    if text.count(":") == 1:
        name, _, port = text.partition(":")
        return name, port
    return text, ""


def address_of(text: str) -> IPv4Address | IPv6Address | None:
    """Read an IP address; None for anything else."""
    try:
        return ip_address(text)
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """Tell whether a host, with a port or without, is this machine."""
    name, _ = split_port(host)
    address = address_of(name)
    return name == "localhost" or (address is not None and address.is_loopback)
