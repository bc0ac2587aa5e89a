"""What is known of each format, in words: which member of a record becomes what, which events mean what, and known traps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from eventlib.sources import ADAPTERS, Adapter, known_adapter
from eventlib.sources.reading import Route
from eventlib.sources.tracker import TrackerAdapter

__all__ = ["Mapped", "as_markdown", "describe", "list_sources"]


@dataclass(frozen=True, slots=True)
class Mapped:
    """One row of a format's table: what a record has, what it becomes, and what to know of it."""

    record: str
    canonical: str
    note: str = ""


def list_sources() -> list[tuple[str, str, str]]:
    """Return name, title and the versions seen of each format."""
    return [(name, known_adapter(name).about.title, known_adapter(name).about.seen) for name in ADAPTERS]


def describe(name: str) -> tuple[Adapter, list[Mapped]]:
    """Return a format and its table.

    Raises
    ------
    BadCallError
        If there is no such format, or its mapping file cannot be used.
    """
    kind = known_adapter(name)
    if isinstance(kind, TrackerAdapter):
        return kind, [*_fields(kind), *_events(kind)]
    return kind, [Mapped(*row) for row in kind.about.rows]


def _told(alternatives: Iterable[Route]) -> str:
    return ", else ".join(f"`{'.'.join(route)}`" for route in alternatives)


def _fields(kind: TrackerAdapter) -> Iterator[Mapped]:
    table = kind.table
    for field in table.fields:
        how = "" if field.how in {"text", "any", "time", "channel"} else field.how
        yield Mapped(
            _told(field.alternatives), f"`{field.target}`", "; ".join(filter(None, (how, field.note)))
        )
    for routes, canonical, note in (
        (table.event_name, "`event_name`", "by the vocabulary below, else as it is"),
        (table.page_view_id, "`properties.page_view_id`", "else the event's own id, of page views"),
        (table.content_id, "`properties.content_id`", "else host and path of the page's address"),
    ):
        if routes or note.startswith("else host"):
            yield Mapped(
                _told(routes) or "the page's address", canonical, note if routes else "host and path"
            )
    if table.properties:
        yield Mapped(
            _told(table.properties),
            "`properties`",
            "each under its own name; so is all that is not named here",
        )
    for routes, note in (
        (table.implied, "said by other members already"),
        (table.personal, "who or where somebody is"),
    ):
        if routes:
            yield Mapped(
                ", ".join(f"`{'.'.join(route)}`" for route in routes), "nothing", f"not kept: {note}"
            )


def _events(kind: TrackerAdapter) -> Iterator[Mapped]:
    for name, meaning in kind.table.events.items():
        taken = [f"{target} ← {_told(routes)}" for target, routes in meaning.properties.items()]
        taken += [f"{target} = {value}" for target, value in meaning.literals.items()]
        yield Mapped(f"event `{name}`", f"`{meaning.event_name}`", "; ".join(taken))


def as_markdown(names: Iterable[str] = tuple(ADAPTERS)) -> str:
    """Return the tables of formats as one Markdown text."""
    return "\n".join(line for name in names for line in _section(name)).rstrip("\n") + "\n"


def _section(name: str) -> Iterator[str]:
    kind, rows = describe(name)
    about = kind.about
    yield from (f"## {about.title} (`{name}`)", "")
    if about.seen:
        yield from (f"Seen: {about.seen}.", "")
    if rows:
        yield from ("| in the record | becomes | note |", "|---|---|---|")
        yield from (f"| {row.record} | {row.canonical} | {_cell(row.note)} |" for row in rows)
        yield ""
    if about.traps:
        yield from ("Traps:", "", *(f"- {trap}" for trap in about.traps), "")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
