"""An encoder for tests: strings from the standards' field tables, written apart from the decoders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
Groups = Sequence[tuple[int, int]]


def text_of(bits: str, multiple: int = 24) -> str:
    """Encode bits, padded to a multiple of 6, 8 (then 6) or 24."""
    for unit in (multiple, 6):
        bits += "0" * (-len(bits) % unit)
    return "".join(ALPHABET[int(bits[at : at + 6], 2)] for at in range(0, len(bits), 6))


def bits_of(text: str) -> str:
    return "".join(f"{ALPHABET.index(letter):06b}" for letter in text)


def flipped(text: str, at: int) -> str:
    """Flip one bit of base64url text."""
    place, bit = divmod(at, 6)
    letter = ALPHABET[ALPHABET.index(text[place]) ^ (32 >> bit)]
    return text[:place] + letter + text[place + 1 :]


def number(value: int, width: int) -> str:
    return f"{value:0{width}b}"


def field_of(ids: Iterable[int], width: int) -> str:
    held = set(ids)
    return "".join("1" if at in held else "0" for at in range(1, width + 1))


def letters(code: str) -> str:
    return "".join(number(ord(letter) - 65, 6) for letter in code)


def int_range(groups: Groups) -> str:
    made = number(len(groups), 12)
    for first, last in groups:
        made += "0" + number(first, 16) if first == last else "1" + number(first, 16) + number(last, 16)
    return made


def fibonacci(value: int) -> str:
    numbers = [1, 2]
    while numbers[-1] <= value:
        numbers.append(numbers[-1] + numbers[-2])
    digits = ""
    for base in reversed(numbers):
        digits = ("1" if base <= value else "0") + digits
        value -= base if base <= value else 0
    return digits.rstrip("0") + "1"


def fibonacci_range(groups: Groups) -> str:
    made, seen = number(len(groups), 12), 0
    for first, last in groups:
        made += ("0" if first == last else "1") + fibonacci(first - seen)
        made += fibonacci(last - first) if last > first else ""
        seen = last
    return made


def members(groups: Groups) -> set[int]:
    return {at for first, last in groups for at in range(first, last + 1)}


def vendors(groups: Groups, maximum: int, *, ranged: bool) -> str:
    tail = int_range(groups) if ranged else field_of(members(groups), maximum)
    return number(maximum, 16) + ("1" if ranged else "0") + tail


@dataclass
class Tc:
    """The fields of a TC string; `bits` writes its core."""

    version: int = 2
    created: int = 17_000_000_000  # tenths of a second: 14 November 2023
    updated: int = 17_000_000_000
    cmp_id: int = 31
    cmp_version: int = 2
    screen: int = 1
    language: str = "EN"
    list_version: int = 126
    policy: int = 4
    service: bool = True
    texts: bool = False
    features: Iterable[int] = (1,)
    consents: Iterable[int] = (1, 3, 8)
    interests: Iterable[int] = (2, 9)
    one: bool = False
    country: str = "DE"
    vendor_consents: str = field(default_factory=lambda: vendors([(2, 5), (9, 9)], 12, ranged=False))
    vendor_interests: str = field(default_factory=lambda: vendors([(3, 700)], 800, ranged=True))
    restrictions: Sequence[tuple[int, int, Groups]] = ((2, 0, ((7, 7), (12, 90))),)

    def bits(self) -> str:
        made = number(self.version, 6) + number(self.created, 36) + number(self.updated, 36)
        made += number(self.cmp_id, 12) + number(self.cmp_version, 12) + number(self.screen, 6)
        made += letters(self.language) + number(self.list_version, 12) + number(self.policy, 6)
        made += f"{self.service:d}{self.texts:d}" + field_of(self.features, 12)
        made += (
            field_of(self.consents, 24)
            + field_of(self.interests, 24)
            + f"{self.one:d}"
            + letters(self.country)
        )
        made += self.vendor_consents + self.vendor_interests + number(len(self.restrictions), 12)
        for purpose, kind, groups in self.restrictions:
            made += number(purpose, 6) + number(kind, 2) + int_range(groups)
        return made

    def text(self, multiple: int = 24) -> str:
        return text_of(self.bits(), multiple)


def publisher(
    consents: Iterable[int], interests: Iterable[int], custom: int = 0, own: Iterable[int] = ()
) -> str:
    made = number(3, 3) + field_of(consents, 24) + field_of(interests, 24) + number(custom, 6)
    return text_of(made + field_of(own, custom) * 2)


def header(ids: Sequence[int]) -> str:
    groups: list[tuple[int, int]] = []
    for at in ids:
        if groups and groups[-1][1] == at - 1:
            groups[-1] = (groups[-1][0], at)
        else:
            groups.append((at, at))
    return text_of(number(3, 6) + number(1, 6) + fibonacci_range(groups), 8)


def gpp(sections: dict[int, str]) -> str:
    return "~".join([header(sorted(sections)), *(sections[at] for at in sorted(sections))])


def us(version: int, values: Iterable[int], multiple: int = 8) -> str:
    return text_of(number(version, 6) + "".join(number(value, 2) for value in values), multiple)


def random_groups(random: Random, largest: int) -> list[tuple[int, int]]:
    """Return disjoint ascending runs of ids."""
    edges = sorted(random.sample(range(1, largest + 1), min(largest, 2 * random.choice([0, 1, 1, 2, 9]))))
    return [
        (first, random.choice([first, last])) for first, last in zip(edges[::2], edges[1::2], strict=False)
    ]


def random_tc(random: Random) -> tuple[Tc, dict[str, Any]]:
    """Return the fields of a TC string and what it must be read as."""
    largest = random.choice([12, 90, 700, 2_000, 65_535])
    said, objected = random_groups(random, largest), random_groups(random, largest)
    kinds = random.sample(
        [(purpose, kind) for purpose in range(1, 25) for kind in range(3)], random.choice([0, 1, 3])
    )
    tc = Tc(
        created=random.randrange(2**35),
        updated=random.randrange(2**35, 2**36),
        cmp_id=random.randrange(4096),
        language=random.choice(ALPHABET[:26]) + random.choice(ALPHABET[:26]),
        policy=random.choice([2, 3]),
        features=set(random.sample(range(1, 13), random.randrange(4))),
        consents=set(random.sample(range(1, 25), random.randrange(25))),
        interests=set(random.sample(range(1, 25), random.randrange(25))),
        vendor_consents=vendors(said, largest, ranged=random.random() < 0.6),
        vendor_interests=vendors(objected, largest, ranged=random.random() < 0.6),
        restrictions=[(purpose, kind, random_groups(random, 300)) for purpose, kind in kinds],
    )
    return tc, {"vendor_consents": members(said), "vendor_legitimate_interests": members(objected)}
