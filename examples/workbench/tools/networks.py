"""Tools for IP addresses, subnets and MAC addresses. Nothing is sent to any network."""

import ipaddress
import itertools
import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Annotated, Literal

from pydantic import Field

Ip = Annotated[str, Field(min_length=2, max_length=60)]
Cidr = Annotated[str, Field(min_length=2, max_length=64)]
Cidrs = Annotated[list[Cidr], Field(min_length=1, max_length=100)]
Prefix = Annotated[int, Field(ge=0, le=128)]

_Network = IPv4Network | IPv6Network
_Address = IPv4Address | IPv6Address


@dataclass(frozen=True)
class AddressInfo:
    address: str
    version: int
    is_private: bool
    is_global: bool
    is_loopback: bool
    is_link_local: bool
    is_multicast: bool
    is_reserved: bool
    reverse_pointer: str


@dataclass(frozen=True)
class SubnetInfo:
    network: str
    version: int
    prefix_length: int
    netmask: str
    network_address: str
    last_address: str
    total_addresses: int
    usable_hosts: int
    is_private: bool


@dataclass(frozen=True)
class Overlap:
    first: str
    second: str


@dataclass(frozen=True)
class IpNumber:
    decimal: str
    hexadecimal: str


def _network(cidr: str) -> _Network:
    """Read a network; an address inside it stands for the network itself."""
    return ipaddress.ip_network(cidr, strict=False)


def _usable(network: _Network) -> int:
    """Count the addresses for hosts: IPv4 sets two aside, except for links (/31) and single hosts (/32)."""
    set_aside = 2 if isinstance(network, IPv4Network) and network.prefixlen < 31 else 0
    return network.num_addresses - set_aside


def _inside(inner: _Network, outer: _Network) -> bool:
    return (
        inner.version == outer.version
        and outer.network_address <= inner.network_address  # type: ignore[operator]
        and inner.broadcast_address <= outer.broadcast_address  # type: ignore[operator]
    )


def _order(address: _Address) -> tuple[int, int]:
    return address.version, int(address)


def ip_address_info(address: Ip) -> AddressInfo:
    """Describe an IP address: version, private or public, loopback, multicast, reverse name.

    Args:
        address: An IPv4 or IPv6 address.
    """
    ip = ipaddress.ip_address(address)
    return AddressInfo(
        str(ip), ip.version, ip.is_private, ip.is_global, ip.is_loopback, ip.is_link_local, ip.is_multicast,
        ip.is_reserved, ip.reverse_pointer,
    )  # fmt: skip


def ip_is_private(address: Ip) -> bool:
    """Check whether an IP address is private, that is, not reachable from the public internet.

    Args:
        address: An IPv4 or IPv6 address.
    """
    return ipaddress.ip_address(address).is_private


def subnet_info(network: Cidr) -> SubnetInfo:
    """Describe a subnet: netmask, first and last address, number of addresses and usable hosts.

    Args:
        network: A network such as `192.168.10.0/24`, or an address in it with the prefix length.
    """
    net = _network(network)
    return SubnetInfo(
        str(net), net.version, net.prefixlen, str(net.netmask), str(net.network_address),
        str(net.broadcast_address), net.num_addresses, _usable(net), net.is_private,
    )  # fmt: skip


def network_address(network: Cidr) -> str:
    """Get the network address, the first address, of the subnet an address belongs to.

    Args:
        network: An address with its prefix length, such as `10.1.2.3/20`.
    """
    return str(_network(network).network_address)


def broadcast_address(network: Cidr) -> str:
    """Get the broadcast address, the last address, of an IPv4 subnet.

    Args:
        network: A network such as `192.168.10.0/24`, or an address in it with the prefix length.
    """
    net = _network(network)
    if net.version == 6:
        raise ValueError(f"network must be IPv4, because IPv6 has no broadcast, got {network!r}")
    return str(net.broadcast_address)


def usable_host_count(network: Cidr) -> int:
    """Count the addresses of a subnet that hosts can use.

    Args:
        network: A network such as `192.168.10.0/26`.
    """
    return _usable(_network(network))


def subnet_hosts(network: Cidr, limit: Annotated[int, Field(ge=1, le=1_024)] = 256) -> list[str]:
    """List the host addresses of a subnet, from the first.

    Args:
        network: A network such as `192.168.10.0/28`.
        limit: The most addresses to return.
    """
    net = _network(network)
    first = int(net.network_address) + (_usable(net) < net.num_addresses)
    kind = type(net.network_address)
    return [str(kind(first + i)) for i in range(min(limit, _usable(net)))]


def subnet_split(network: Cidr, new_prefix: Prefix) -> list[str]:
    """Split a network into equal subnets of a longer prefix length, at most 1,024.

    Args:
        network: The network to split, such as `10.0.0.0/16`.
        new_prefix: The prefix length of the parts, such as 20.
    """
    net = _network(network)
    if not net.prefixlen <= new_prefix <= min(net.prefixlen + 10, net.max_prefixlen):
        high = min(net.prefixlen + 10, net.max_prefixlen)
        raise ValueError(f"new_prefix must be from {net.prefixlen} to {high} for {net}, got {new_prefix}")
    return [str(part) for part in net.subnets(new_prefix=new_prefix)]


def subnet_supernet(network: Cidr, new_prefix: Prefix) -> str:
    """Find the larger network with a shorter prefix length that a network lies in.

    Args:
        network: The network, such as `10.1.4.0/24`.
        new_prefix: The prefix length of the larger network, such as 16.
    """
    return str(_network(network).supernet(new_prefix=new_prefix))


def subnet_contains(network: Cidr, address: Cidr) -> bool:
    """Check whether an IP address, or a whole smaller network, lies inside a network.

    Args:
        network: The network, such as `10.0.0.0/8`.
        address: The address or network to look for.
    """
    return _inside(_network(address), _network(network))


def subnet_overlaps(networks: Cidrs) -> list[Overlap]:
    """Find which networks of a list overlap, that is, share addresses.

    Args:
        networks: The networks to check against each other, such as `10.0.0.0/16`.
    """
    nets = [_network(network) for network in networks]
    pairs = itertools.combinations(nets, 2)
    return [
        Overlap(str(one), str(other)) for one, other in pairs if _inside(one, other) or _inside(other, one)
    ]


def subnet_free_space(network: Cidr, used: Annotated[list[Cidr], Field(max_length=100)]) -> list[str]:
    """List the parts of a network that a set of used subnets leaves free, as the fewest subnets.

    Args:
        network: The whole network.
        used: The subnets that are taken.
    """
    free: list[_Network] = [_network(network)]
    for taken in map(_network, used):
        if any(_inside(whole, taken) for whole in free):
            free = [whole for whole in free if not _inside(whole, taken)]
        for whole in [whole for whole in free if _inside(taken, whole)]:
            free.remove(whole)
            free.extend(whole.address_exclude(taken))  # type: ignore[arg-type]
    return [str(part) for part in sorted(free, key=lambda part: _order(part.network_address))]


def next_free_subnet(
    network: Cidr, used: Annotated[list[Cidr], Field(max_length=100)], prefix_length: Prefix
) -> str:
    """Find the first subnet of a given size in a network that overlaps none of the used ones.

    Args:
        network: The network to allocate from, such as `10.0.0.0/16`.
        used: The subnets that are taken.
        prefix_length: The prefix length that the new subnet shall have.
    """
    for free in map(_network, subnet_free_space(network, used)):
        if free.prefixlen <= prefix_length <= free.max_prefixlen:
            return f"{free.network_address}/{prefix_length}"
    raise ValueError(f"no /{prefix_length} is free in {network}: choose a smaller subnet or another network")


def collapse_subnets(networks: Cidrs) -> list[str]:
    """Merge a list of networks into the fewest that cover the same addresses.

    Args:
        networks: The networks, such as `10.0.0.0/25` and `10.0.0.128/25`.
    """
    nets = [_network(network) for network in networks]
    four = ipaddress.collapse_addresses(net for net in nets if isinstance(net, IPv4Network))
    six = ipaddress.collapse_addresses(net for net in nets if isinstance(net, IPv6Network))
    return [str(net) for net in itertools.chain(four, six)]


def ip_range_to_subnets(first: Ip, last: Ip) -> list[str]:
    """Express a range of IP addresses as the fewest subnets.

    Args:
        first: The first address of the range.
        last: The last address of the range.
    """
    start, end = ipaddress.ip_address(first), ipaddress.ip_address(last)
    if start.version != end.version or int(start) > int(end):
        raise ValueError(f"last must not come before first and be of the same version, got {first} to {last}")
    return [str(net) for net in ipaddress.summarize_address_range(start, end)]


def ip_to_integer(address: Ip) -> IpNumber:
    """Convert an IP address to the number it stands for, in decimal and hexadecimal.

    Args:
        address: An IPv4 or IPv6 address.
    """
    ip = ipaddress.ip_address(address)
    return IpNumber(str(int(ip)), f"{int(ip):0{ip.max_prefixlen // 4}x}")


def integer_to_ip(
    number: Annotated[str, Field(pattern="^(0[xX][0-9a-fA-F]{1,32}|[0-9]{1,39})$")],
    version: Literal[4, 6] = 4,
) -> str:
    """Convert a number to the IP address it stands for.

    Args:
        number: The number in decimal, or in hexadecimal with `0x` in front.
        version: Whether to make an IPv4 or an IPv6 address.
    """
    value = int(number, 16) if number[:2] in {"0x", "0X"} else int(number)
    return str(IPv4Address(value) if version == 4 else IPv6Address(value))


def netmask_to_prefix(netmask: Ip) -> int:
    """Convert a netmask such as `255.255.240.0` to its prefix length.

    Args:
        netmask: An IPv4 netmask.
    """
    bits = f"{int(IPv4Address(netmask)):032b}"
    if "01" in bits:
        raise ValueError(
            f"netmask must be ones followed by zeros, got {netmask!r}: it may be a wildcard mask"
        )
    return bits.count("1")


def prefix_to_netmask(prefix_length: Annotated[int, Field(ge=0, le=32)]) -> str:
    """Convert an IPv4 prefix length such as 20 to its netmask.

    Args:
        prefix_length: The number of ones in the netmask.
    """
    return str(IPv4Network(f"0.0.0.0/{prefix_length}").netmask)


def wildcard_mask(network: Cidr) -> str:
    """Get the wildcard (inverse) mask of a subnet, as access lists of routers use it.

    Args:
        network: A network such as `192.168.10.0/24`.
    """
    return str(_network(network).hostmask)


def ip_reverse_pointer(address: Ip) -> str:
    """Get the reverse DNS name (PTR) of an IP address, under in-addr.arpa or ip6.arpa.

    Args:
        address: An IPv4 or IPv6 address.
    """
    return ipaddress.ip_address(address).reverse_pointer


def sort_ip_addresses(
    addresses: Annotated[list[Ip], Field(max_length=1_000)], *, unique: bool = False
) -> list[str]:
    """Sort IP addresses by number, IPv4 before IPv6.

    Args:
        addresses: The addresses.
        unique: Whether to drop repeated addresses.
    """
    ordered = sorted((ipaddress.ip_address(address) for address in addresses), key=_order)
    return [str(ip) for ip in (dict.fromkeys(ordered) if unique else ordered)]


def ipv6_compress(address: Ip) -> str:
    """Write an IPv6 address in its shortest form.

    Args:
        address: An IPv6 address in any form.
    """
    return IPv6Address(address).compressed


def ipv6_expand(address: Ip) -> str:
    """Write an IPv6 address in full, with all its zeros.

    Args:
        address: An IPv6 address in any form.
    """
    return IPv6Address(address).exploded


def mac_normalize(
    address: Annotated[str, Field(min_length=12, max_length=30)],
    style: Literal["colon", "hyphen", "dot", "plain"] = "colon",
) -> str:
    """Normalise a MAC address to one style, such as `00:1a:2b:3c:4d:5e`.

    Args:
        address: Twelve hexadecimal digits with any of `:`, `-` and `.` between them.
        style: How to write it; `dot` gives `001a.2b3c.4d5e`.
    """
    digits = re.sub("[:.-]", "", address.strip()).lower()
    if not re.fullmatch("[0-9a-f]{12}", digits):
        raise ValueError(f"address must hold twelve hexadecimal digits, got {address!r}")
    size = {"dot": 4, "plain": 12}.get(style, 2)
    separator = {"colon": ":", "hyphen": "-", "dot": "."}.get(style, "")
    return separator.join(digits[i : i + size] for i in range(0, 12, size))
