"""Whether an agent fetches from where its operator says that it does (S6: a claimed agent is not a verified one).

Operators publish files of the address ranges from which their agents fetch:

    {"creationTime": "2026-10-01T00:00:00", "prefixes": [{"ipv4Prefix": "192.0.2.0/24"}, {"ipv6Prefix": "2001:db8::/32"}]}

They are taken as they are published, told apart by their names (`tables/agents.json`). The address is looked at while
a line is read, and then left out: the dataset holds what was decided, never an address.
"""

from __future__ import annotations

import hashlib
import ipaddress
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import orjson

from eventlib.errors import BadCallError
from eventlib.geo.traffic import agent_operators, classify_agent, range_files

__all__ = [
    "ADDRESS",
    "NO_RANGES",
    "VERIFICATION",
    "AgentRanges",
    "Intervals",
    "Verification",
    "decided",
    "read_ranges",
    "told_of",
    "verify_agent",
    "without_address",
]

Verification: TypeAlias = Literal["verified", "claimed", "spoofed"]

ADDRESS: Final = "ip_address"
"""The property of `agent_fetch` that is looked at and left out."""

VERIFICATION: Final = "verification"
"""The property that says what was decided."""

_MAPPED: Final = 0xFFFF << 32  # ::ffff:0:0/96: IPv4 addresses among those of IPv6
_WIDEST: Final[Mapping[int, int]] = {4: 8, 6: 16}
_FAMILIES: Final[Mapping[str, int]] = {"ipv4Prefix": 4, "ipv6Prefix": 6}
_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class Intervals(NamedTuple):
    """Sorted ranges of addresses that neither touch nor overlap, as integers; IPv4 stands among IPv6 as ::ffff:0:0/96."""

    starts: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()

    @classmethod
    def of(cls, ranges: Iterable[tuple[int, int]]) -> Intervals:
        """Merge ranges (first and last address).

        >>> Intervals.of([(5, 9), (1, 3), (2, 4), (20, 20)])
        Intervals(starts=(1, 20), ends=(9, 20))
        """
        starts: list[int] = []
        ends: list[int] = []
        for start, end in sorted(ranges):
            if ends and start <= ends[-1] + 1:
                ends[-1] = max(ends[-1], end)
            else:
                starts.append(start)
                ends.append(end)
        return cls(tuple(starts), tuple(ends))

    def holds(self, address: int) -> bool:
        """Tell whether an address lies in one of the ranges."""
        place = bisect_right(self.starts, address) - 1
        return place >= 0 and address <= self.ends[place]


def _range(network: _Network) -> tuple[int, int]:
    base = _MAPPED if network.version == 4 else 0
    return base + int(network.network_address), base + int(network.broadcast_address)


_INTERNAL: Final = Intervals.of(
    _range(ipaddress.ip_network(text))
    for text in ("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
                 "192.168.0.0/16", "::/127", "fc00::/7", "fe80::/10")
)  # fmt: skip
"""Addresses inside a network: a site's own proxies, never who fetched from outside."""


@dataclass(frozen=True, slots=True)
class AgentRanges:
    """From where operators say that their agents fetch.

    Attributes
    ----------
    operators : dict of str to Intervals
        Ranges by operator.
    covered : frozenset of str
        Agents whose own file is here and not empty: only these can be found spoofed.
    files : tuple of dict
        Per file: `file, operator, prefixes, created`.
    path : str or None
        What the caller named.
    digest : str or None
        SHA-256 over the files' names and contents.
    """

    operators: Mapping[str, Intervals] = field(default_factory=dict)
    covered: frozenset[str] = frozenset()
    files: tuple[Mapping[str, Any], ...] = ()
    path: str | None = None
    digest: str | None = None

    def stamp(self) -> dict[str, Any] | None:
        """Return what `run.json` says of them; None where none were given."""
        if self.digest is None:
            return None
        return {"sha256": self.digest, "files": [dict(each) for each in self.files]}


NO_RANGES: Final = AgentRanges()
"""No file was given: every agent stays claimed."""


def _hop(text: str) -> int | None:
    """Read one address, with or without a port; None where it is none."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return int(address) + (_MAPPED if address.version == 4 else 0)


def _hops(address: object) -> list[int] | None:
    """Read an address or a forwarded list of them; None where one of them cannot be read."""
    texts = [part for part in address.split(",") if part.strip()] if isinstance(address, str) else []
    hops = [hop for hop in map(_hop, texts) if hop is not None]
    return hops if len(hops) == len(texts) and hops else None


def verify_agent(agent: str, address: object, ranges: AgentRanges) -> Verification:
    """Tell whether an agent that a user agent claims fetched from its operator's ranges.

    In a forwarded list the last address that is not a site's own proxy is usually who fetched, but how many proxies
    stand between is not known, and the first ones can be written by anybody. So a list verifies only where each address lies in
    the ranges, and shows a false claim only where none does. Addresses inside a network are passed over.

    Parameters
    ----------
    agent
        Its name, as `classify_agent` gives it.
    address
        As logged: IPv4 or IPv6, with or without a port, or a list such as `"192.0.2.7, 10.0.0.1"`.
    ranges
        As the operators publish them.

    Returns
    -------
    str
        `verified`; `spoofed` where the agent's own files are known and hold no address of these; else `claimed`.

    Examples
    --------
    >>> ranges = AgentRanges({"openai": Intervals.of([_range(ipaddress.ip_network("192.0.2.0/24"))])}, frozenset({"GPTBot"}))
    >>> [verify_agent("GPTBot", address, ranges) for address in ("192.0.2.7", "::ffff:192.0.2.7", "198.51.100.1", "unknown")]
    ['verified', 'verified', 'spoofed', 'claimed']
    """
    known = ranges.operators.get(agent_operators().get(agent, ""), Intervals())
    hops = _hops(address)
    if not known.starts or hops is None:
        return "claimed"
    inside = [known.holds(hop) for hop in hops if known.holds(hop) or not _INTERNAL.holds(hop)]
    if not inside or (any(inside) and not all(inside)):
        return "claimed"
    if inside[0]:
        return "verified"
    return "spoofed" if agent in ranges.covered else "claimed"


def without_address(properties: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return properties without the address, the same object where they have none.

    >>> without_address({"ip_address": "192.0.2.7", "content_id": "c-1"})
    {'content_id': 'c-1'}
    """
    if ADDRESS not in properties:
        return properties
    return {name: value for name, value in properties.items() if name != ADDRESS}


def decided(
    event_name: str, sent: Mapping[str, Any], user_agent: str | None, ranges: AgentRanges
) -> Mapping[str, Any]:
    """Return an event's properties as they are kept: no address, but what it told of a fetch.

    What the producer found by itself stands wherever the address tells no more than the claim.
    """
    kept = without_address(sent)
    if kept is sent or event_name != "agent_fetch":
        return kept
    agent = classify_agent(user_agent)[0]
    if agent is None:
        return kept
    found = verify_agent(agent, sent[ADDRESS], ranges)
    return {**kept, VERIFICATION: kept.get(VERIFICATION, found) if found == "claimed" else found}


def told_of(address: object) -> str:
    """Say what became of an address, for the count of repairs; never the address."""
    return "left out once read" if _hops(address) else "left out, cannot be read as an address"


def _prefix(entry: object, where: str) -> _Network:
    """Read one entry of a file."""
    named = [name for name in _FAMILIES if isinstance(entry, dict) and name in entry]
    if len(named) != 1:
        raise BadCallError(f"{where} holds no range: it needs one of ipv4Prefix and ipv6Prefix")
    text = entry[named[0]]  # type: ignore[index]  # a dict, since it has a name
    try:
        network = ipaddress.ip_network(str(text).strip())  # of a number it would make an address
    except ValueError as error:
        raise BadCallError(
            f"{where}: {named[0]} takes a range such as 192.0.2.0/24, not {str(text)[:60]!r}"
        ) from error
    if network.version != _FAMILIES[named[0]]:
        raise BadCallError(f"{where}: {named[0]} holds a range of IPv{network.version}, {str(text)[:60]!r}")
    _refuse_wide(network, where)
    return network


def _refuse_wide(network: _Network, where: str) -> None:
    """Refuse what would verify anybody: no operator has that much of the address space."""
    start, end = _range(network)
    in_mapped = start <= _MAPPED + (1 << 32) - 1 and end >= _MAPPED
    length = network.prefixlen - 96 if in_mapped and network.version == 6 else network.prefixlen
    if length < _WIDEST[4 if in_mapped else 6]:
        raise BadCallError(f"{where}: {network} is too wide to be one operator's, and would verify anybody")


def _prefixes(file: Path, raw: bytes) -> tuple[list[tuple[int, int]], str | None]:
    """Return a file's ranges and when it says that it was made."""
    try:
        content = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadCallError(f"{file} is no JSON: {error}") from error
    entries = content.get("prefixes") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise BadCallError(
            f'{file} holds no list "prefixes", as the operators\' files do: give the file as it is published'
        )
    found = [
        _range(_prefix(entry, f"{file}, entry {place} of prefixes")) for place, entry in enumerate(entries)
    ]
    created = content.get("creationTime")
    return found, created[:40] if isinstance(created, str) else None


@cache
def _owners() -> Mapping[str, tuple[str, frozenset[str]]]:
    """Return, by a file's name, the operator and the agents that it is about."""
    agents: dict[str, set[str]] = {}
    for agent, operator in agent_operators().items():
        agents.setdefault(operator, set()).add(agent)
    whole = {operator: (operator, frozenset(theirs)) for operator, theirs in agents.items()}
    return {**range_files(), **whole}


def _files(path: Path) -> list[Path]:
    """Return the files of ranges: one, or all JSON files of a folder."""
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.iterdir() if file.suffix.lower() == ".json" and file.is_file())
    if not found:
        raise BadCallError(f"{path} holds no JSON files of agents' ranges")
    return found


def _named(file: Path) -> tuple[str, frozenset[str]]:
    name = file.name.casefold().removesuffix(".json").replace("_", "-")
    if name not in _owners():
        raise BadCallError(
            f"{file}: whose ranges these are is not known by the file's name. "
            f"{BadCallError.unknown('file of ranges', name, _owners())} "
            "A file by the operator's name is about all its agents."
        )
    return _owners()[name]


def _contents(path: Path) -> Iterator[tuple[Path, bytes]]:
    try:
        for file in _files(path):
            yield file, file.read_bytes()
    except OSError as error:
        raise BadCallError(f"cannot read {error.filename or path}: {error.strerror}") from error


def _digest(contents: Sequence[tuple[Path, bytes]]) -> str:
    parts = [f"{file.name}:{hashlib.sha256(raw).hexdigest()}" for file, raw in contents]
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


def read_ranges(path: Path | None) -> AgentRanges:
    """Read operators' files of ranges.

    Parameters
    ----------
    path
        One file, or a folder of them; other files than `*.json` are passed over. None gives no ranges.

    Raises
    ------
    BadCallError
        If a file cannot be read, is of no known operator, or holds an entry that is no range; naming file and entry.
    """
    if path is None:
        return NO_RANGES
    contents = list(_contents(path))
    ranges: dict[str, list[tuple[int, int]]] = {}
    covered: set[str] = set()
    files: list[Mapping[str, Any]] = []
    for file, raw in contents:
        operator, agents = _named(file)
        found, created = _prefixes(file, raw)
        ranges.setdefault(operator, []).extend(found)
        covered |= agents if found else set()
        files.append({"file": file.name, "operator": operator, "prefixes": len(found), "created": created})
    merged = {operator: Intervals.of(each) for operator, each in ranges.items()}
    return AgentRanges(merged, frozenset(covered), tuple(files), str(path), _digest(contents))
