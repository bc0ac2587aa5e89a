"""Names that stay usable: `object_action` events, snake_case properties with units (S1.6)."""

from __future__ import annotations

import re
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
)
ACTIONS: Final = frozenset(_ACTION_WORDS.split())
"""Actions in their base form, the last word of an event's name."""

UNITS: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("duration", "delay", "latency", "elapsed", "timeout", "dwell", "age"), "_ms, _s or _days"
    ),
    **dict.fromkeys(("size", "length", "weight"), "_bytes, _chars or _kg"),
    **dict.fromkeys(("width", "height", "distance"), "_px or _m"),
    **dict.fromkeys(("scroll", "progress", "ratio", "rate"), "_pct or _share"),
}
"""Words that measure something without saying in what, and the endings that would."""

_SNAKE: Final = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_DYNAMIC: Final = re.compile(r"\d{2,}|(?:^|[_\W])\d+(?:$|[_\W])|[0-9a-f]{8}-")


@dataclass(frozen=True, slots=True)
class Finding:
    """One name that breaks one rule, and what to call it instead."""

    name: str
    rule: str
    finding: str
    suggestion: str = ""


def _words(name: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return [word for word in re.split(r"[^a-z0-9]+", spaced.lower()) if word]


def _base(word: str) -> str | None:
    """Return the base form of an inflected action: viewed → view, submitted → submit, copies → copy."""
    if word in ACTIONS:
        return word
    stems = [word[: -len(end)] for end in ("ed", "ing", "es", "s", "d") if word.endswith(end)]
    stems += [stem[:-1] for stem in stems if len(stem) > 2 and stem[-1] == stem[-2]]
    stems += [f"{stem}e" for stem in stems] + [f"{stem[:-1]}y" for stem in stems if stem.endswith("i")]
    return next((stem for stem in stems if stem in ACTIONS), None)


def _suggest(name: str) -> str:
    words = [word for word in _words(name) if not word.isdigit()]
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
    words = [word for word in _words(name) if not word.isdigit()]
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


def _unit_in_name(name: str) -> Iterator[Finding]:
    last = _words(name)[-1:] or [""]
    if last[0] in UNITS:
        yield Finding(name, "unit", f"measures in an unknown unit; end it with {UNITS[last[0]]}")


def _variants(names: Iterable[str]) -> Iterator[Finding]:
    """Names that differ by case, separator or the action's form only."""
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
    rules = (_snake_case, _object_action, _no_dynamic_names)
    findings = [finding for name in distinct for rule in rules for finding in rule(name)]
    return findings + list(_variants(distinct))


def lint_property_names(names: Iterable[str]) -> list[Finding]:
    """Return what is wrong with property names.

    Examples
    --------
    >>> [(f.name, f.rule) for f in lint_property_names(["active_ms", "loadDuration"])]
    [('loadDuration', 'snake_case'), ('loadDuration', 'unit')]
    """
    rules = (_snake_case, _no_dynamic_names, _unit_in_name)
    return [finding for name in sorted(set(names)) for rule in rules for finding in rule(name)]


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
