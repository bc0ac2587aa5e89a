"""Names that stay usable: `object_action` events, snake_case properties with units (S1.6)."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import pandas as pd

__all__ = ["Finding", "lint_event_names", "lint_property_names", "naming_frame"]

_ACTION_WORDS: Final = (
    "abandon accept activate add apply approve archive assign attach book browse buy call cancel change "
    "check checkout choose clear click close collapse comment complete confirm connect copy create "
    "decline delete deliver deny disable disconnect dismiss download drag drop edit enable engage enter "
    "error exit expand expire export fail fetch filter finish focus follow generate grant hide hover "
    "import install invite join land launch leave like link load login logout merge mount move open pause "
    "pay pin place play press print publish purchase rate read receive redeem refine refund refuse reject "
    "reload remove rename renew reply report request reset resize resolve restore resume retry return "
    "review save scan schedule scroll search select send share show sign skip sort start stop submit "
    "subscribe swipe switch sync tap throw toggle track transfer trigger type undo uninstall unlike "
    "unsubscribe update upgrade upload use validate verify view visit vote watch withdraw zoom "
    "begin bid block build capture draw favorite flag go invoke lose lock mark notify pick pull push record reorder "
    "reply reserve rotate run see sell set skip spend take test touch unlock unmute mute wait win wrap write"
)
ACTIONS: Final = frozenset(_ACTION_WORDS.split())
"""Actions in their base form, the last word of an event's name."""

_IRREGULAR_PAIRS: Final = (
    "began:begin begun:begin bought:buy built:build chosen:choose chose:choose drawn:draw drew:draw gone:go went:go "
    "gave:give given:give hid:hide hidden:hide left:leave lost:lose paid:pay ran:run rewritten:write saw:see seen:see "
    "sent:send shown:show sold:sell spent:spend taken:take took:take thrown:throw threw:throw withdrawn:withdraw "
    "withdrew:withdraw won:win written:write wrote:write undone:undo undid:undo"
)
_IRREGULAR: Final = dict(pair.split(":") for pair in _IRREGULAR_PAIRS.split())

UNITS: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        (
            "duration",
            "delay",
            "latency",
            "elapsed",
            "timeout",
            "dwell",
            "age",
            "interval",
            "period",
            "ttl",
            "lifetime",
        ),
        "_ms, _s or _days",
    ),
    **dict.fromkeys(("size", "length", "weight", "memory"), "_bytes, _chars or _kg"),
    **dict.fromkeys(("width", "height", "distance", "depth", "offset"), "_px, _m or _pct"),
    **dict.fromkeys(("speed", "bandwidth", "throughput"), "_kbps or _m_per_s"),
    **dict.fromkeys(("scroll", "progress", "ratio", "rate"), "_pct or _share"),
}
"""Words that measure something without saying in what, and the endings that would."""

_SNAKE: Final = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_TOTALS: Final = frozenset({"avg", "average", "max", "mean", "median", "min", "sum", "total"})
_DYNAMIC: Final = re.compile(
    r"\d{2,}|(?:^|[_\W])\d+(?:$|[_\W])|(?:^|[_\W])[0-9a-f]{8,}(?:$|[_\W])|@", re.IGNORECASE
)
_ID_WORD: Final = re.compile(r"[0-9a-f]*[0-9][0-9a-f]*|.*[0-9].*[0-9].*|[0-9a-f]{8,}")


@dataclass(frozen=True, slots=True)
class Finding:
    """One name that breaks one rule, and what to call it instead."""

    name: str
    rule: str
    finding: str
    suggestion: str = ""


def _words(name: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", plain)
    return [word for word in re.split(r"[^a-z0-9]+", spaced.lower()) if word]


def _spoken(name: str) -> list[str]:
    """Return the words of a name without ids, and without the digits in the others."""
    words = [re.sub("[0-9]", "", word) for word in _words(name) if not _ID_WORD.fullmatch(word)]
    return [word for word in words if word]


def _base(word: str) -> str | None:
    """Return the base form of an inflected action: viewed → view, submitted → submit, copies → copy, sent → send."""
    if word in ACTIONS:
        return word
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    stems = [word[: -len(end)] for end in ("ed", "ing", "es", "s", "d") if word.endswith(end)]
    stems += [stem[:-1] for stem in stems if len(stem) > 2 and stem[-1] == stem[-2]]
    stems += [f"{stem}e" for stem in stems] + [f"{stem[:-1]}y" for stem in stems if stem.endswith("i")]
    return next((stem for stem in stems if stem in ACTIONS), None)


def _suggest(name: str) -> str:
    words = _spoken(name)
    if not words:
        return ""
    base = _base(words[-1])
    if base is None and (first := _base(words[0])) and len(words) > 1:
        words, base = [*words[1:], first], first  # click_button → button_click
    return "_".join([*words[:-1], base] if base else words)


def _snake_case(name: str) -> Iterator[Finding]:
    if not _SNAKE.fullmatch(name):
        yield Finding(name, "snake_case", "is not in snake_case", _suggest(name))


def _object_action(name: str) -> Iterator[Finding]:
    words = _spoken(name)
    if len(words) < 2:
        yield Finding(name, "object_action", "does not say what was done to what")
    elif words[-1] not in ACTIONS:
        base = _base(words[-1])
        said = f"{words[-1]!r} is not the base form" if base else f"{words[-1]!r} is no known action"
        suggestion = _suggest(name)
        yield Finding(name, "object_action", said, suggestion if suggestion != name else "")


def _no_dynamic_names(name: str) -> Iterator[Finding]:
    if _DYNAMIC.search(name):
        yield Finding(name, "dynamic_name", "holds a number or an id; send it as a property", _suggest(name))


def _no_digits(name: str) -> Iterator[Finding]:
    if not _DYNAMIC.search(name) and any(char.isdigit() for char in name):
        yield Finding(name, "dynamic_name", "holds a digit; say in words what differs", _suggest(name))


def _unit_in_name(name: str) -> Iterator[Finding]:
    words = _words(name)
    while words and words[-1] in _TOTALS:
        words.pop()
    if words and words[-1] in UNITS:
        yield Finding(name, "unit", f"measures in an unknown unit; end it with {UNITS[words[-1]]}")


def _twins(names: Iterable[str]) -> Iterator[Finding]:
    """Find names that differ by case or separator only."""
    seen: dict[str, str] = {}
    for name in sorted(names, key=lambda item: (not _SNAKE.fullmatch(item), item)):
        key = "".join(_words(name))
        if key and key in seen:
            yield Finding(name, "variant", f"is another spelling of {seen[key]!r}", seen[key])
        seen.setdefault(key, name)


def _variants(names: Iterable[str]) -> Iterator[Finding]:
    """Find names that differ by case, separator or the action's form only."""
    seen: dict[str, str] = {}
    for name in sorted(names, key=lambda item: (not _SNAKE.fullmatch(item), item)):
        key = _suggest(name).replace("_", "")
        if key and key in seen and not _DYNAMIC.search(name):
            yield Finding(name, "variant", f"is another spelling of {seen[key]!r}", seen[key])
        seen.setdefault(key, name)


def lint_event_names(names: Iterable[str]) -> list[Finding]:
    """Return what is wrong with event names, one finding per name and rule.

    Parameters
    ----------
    names
        Distinct event names, as sent.

    Examples
    --------
    >>> [(f.name, f.rule, f.suggestion) for f in lint_event_names(["page_view", "Page Viewed"])]
    [('Page Viewed', 'snake_case', 'page_view'), ('Page Viewed', 'object_action', 'page_view'), \
('Page Viewed', 'variant', 'page_view')]
    >>> lint_event_names(["citation_click"])
    []
    """
    distinct = sorted(set(names))
    rules = (_snake_case, _object_action, _no_dynamic_names, _no_digits)
    findings = [finding for name in distinct for rule in rules for finding in rule(name)]
    return findings + list(_variants(distinct))


def lint_property_names(names: Iterable[str]) -> list[Finding]:
    """Return what is wrong with property names: case, ids, missing units, two spellings of one.

    Examples
    --------
    >>> [(f.name, f.rule) for f in lint_property_names(["active_ms", "loadDuration"])]
    [('loadDuration', 'snake_case'), ('loadDuration', 'unit')]
    """
    rules = (_snake_case, _no_dynamic_names, _unit_in_name)
    distinct = sorted(set(names))
    found = [finding for name in distinct for rule in rules for finding in rule(name)]
    return found + list(_twins(distinct))


def _volumes(events: pd.DataFrame, quarantine: pd.DataFrame) -> dict[str, int]:
    counts = events["event_name"].value_counts().add(quarantine["event_name"].value_counts(), fill_value=0)
    return {str(name): int(count) for name, count in counts.items()}


def naming_frame(
    events: pd.DataFrame, quarantine: pd.DataFrame, property_names: Iterable[str] = ()
) -> pd.DataFrame:
    """Return the naming findings of a dataset with the volume behind each, largest first.

    Parameters
    ----------
    events, quarantine
        Tables of a prepared dataset; a name that no schema knows is in quarantine.
    property_names
        Names to lint too, such as the `property` column of `payload_frame`.

    Returns
    -------
    pandas.DataFrame
        `kind` (event, property), `name`, `rule`, `finding`, `suggestion`, `events` (null for properties).
    """
    import pandas as pd  # noqa: PLC0415 - the schema package itself needs no frames

    volumes = _volumes(events, quarantine)
    found: list[tuple[str, Finding, int | None]] = [
        ("event", f, volumes[f.name]) for f in lint_event_names(volumes)
    ]
    found += [("property", f, None) for f in lint_property_names(property_names)]
    rows = [(kind, f.name, f.rule, f.finding, f.suggestion, volume) for kind, f, volume in found]
    frame = pd.DataFrame(rows, columns=["kind", "name", "rule", "finding", "suggestion", "events"])
    frame["events"] = frame["events"].astype("Int64")
    return frame.sort_values(["events", "name", "rule"], ascending=[False, True, True], ignore_index=True)
