"""What the run stamp counts of consent, withheld events included: never of fewer than ten subjects (S2.7, S7.10).

Withheld events reach no file, so whatever a report may say of them is counted while they are still there, from what the
state keeps anyway (`eventlib.narrow.state_facts`). One query serves DuckDB and Spark.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final

import duckdb

from eventlib.consent import Policy
from eventlib.model import PURPOSES
from eventlib.small_cells import Cells, fold, protect
from eventlib.tombstones import ERASED
from eventlib.units import DAY

__all__ = ["Facts", "count_consent", "embedded_facts"]

EARLIER: Final = "earlier"
"""What was said before the first week in which anything arrived."""

_WEEK: Final = (
    "CAST(floor(({time} + 259200000000) / 604800000000e0) AS BIGINT)"  # from a Monday, in microseconds
)
_FIRST_MONDAY: Final = date(1969, 12, 29)
_KINDS: Final = (
    "damaged signal",
    "opt-out signal",
    "refuses something",
    "grants",
    "names no purpose",
    "nothing",
)
"""What an event says; the first that is true of it."""

_SAID: Final = tuple(f"said_{purpose}" for purpose in PURPOSES)


@dataclass(frozen=True)
class Facts:
    """Where the facts of all events are, and how to ask for them.

    Attributes
    ----------
    rows : callable
        Runs a query; `{fact}`, `{withheld}` and the names of kept tables stand for relations.
    keep : callable
        Keeps a query's result under a name.
    columns : mapping of str to str
        SQL of `jurisdiction, source, notice, nobody, opt_out` over `{fact}`.
    names : mapping of str to mapping
        What the codes of the first three stand for; none where they are texts.
    """

    rows: Callable[[str], Iterable[Sequence[Any]]]
    keep: Callable[[str, str], None]
    columns: Mapping[str, str]
    names: Mapping[str, Mapping[int, str]] = field(default_factory=dict)

    def name(self, column: str, value: Any) -> str:
        """Return a segment in words."""
        if column == "week":
            return (_FIRST_MONDAY + timedelta(weeks=value)).isoformat()
        return str(self.names[column].get(value, "unknown") if column in self.names else value or "unknown")


def _texts(values: Collection[str]) -> str:
    quoted = ", ".join("'" + value.replace("'", "''") + "'" for value in sorted(values))
    return f"({quoted or 'NULL'})".replace("{", "{{").replace("}", "}}")


def embedded_facts(
    connection: duckdb.DuckDBPyConnection, policy: Policy, facts: str = "fact", fate: str = "fate"
) -> Facts:
    """Return the facts that lie in DuckDB.

    Parameters
    ----------
    connection
        Holds both relations.
    policy
        Names the events about nobody, and the opt-out states.
    facts
        The relation of `eventlib.narrow.state_facts`.
    fate
        `row, removed_by, subject`; the subject of withheld events only.
    """
    # of somebody erased nothing is told, though a log that is read again shows them still
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE counted_erased AS SELECT row FROM {fate} WHERE removed_by = '{ERASED}'"
    )
    some = connection.sql("FROM counted_erased").limit(1).fetchall()
    there = f"(SELECT * FROM {facts} ANTI JOIN counted_erased USING (row))" if some else facts
    relations = {"fact": there, "withheld": f"(SELECT * FROM {fate} WHERE subject IS NOT NULL)"}
    assumed = {s for s, place in policy.source_jurisdictions.items() if place in policy.opt_out}

    def rows(query: str) -> list[tuple[Any, ...]]:
        return connection.execute(query.format(**relations)).fetchall()

    def keep(name: str, query: str) -> None:
        relations[name] = f"counted_{name}"
        connection.execute(f"CREATE OR REPLACE TEMP TABLE counted_{name} AS {query.format(**relations)}")

    columns = {
        "jurisdiction": "jurisdiction",
        "source": "source",
        "notice": "notice_version",
        "nobody": f"""anonymous = 0 AND user = 0 AND coalesce(event_name IN {_texts(policy.impersonal_always)}
                      OR (event_name IN {_texts(policy.impersonal_unless_owned)} AND observed IN (2, 3)), false)""",
        "opt_out": f"""coalesce(jurisdiction IN {_texts(policy.opt_out)}, false)
                       OR (jurisdiction IS NULL AND coalesce(source IN {_texts(assumed)}, false))""",
    }
    return Facts(rows, keep, columns)


def _keep_events(facts: Facts) -> None:
    """Count events by subject, segment and what they say; all that follows is asked of this."""
    any_said = " OR ".join(f"{name} = {{value}}" for name in _SAID)
    columns = facts.columns
    facts.keep(
        "event",
        f"""SELECT who, jurisdiction, source, week, nobody, said, count(*) AS events FROM (
              SELECT CASE WHEN user > 0 THEN -user ELSE anonymous END AS who, {columns["jurisdiction"]} AS jurisdiction,
                     {columns["source"]} AS source, {_WEEK.format(time="received")} AS week, {columns["nobody"]} AS nobody,
                     CASE WHEN CAST(undecoded_signal AS INT) = 1 THEN 0
                          WHEN CAST(gpc AS INT) = 1 OR CAST(us_opt_out AS INT) = 1 THEN 1
                          WHEN {any_said.format(value=0)} THEN 2
                          WHEN {any_said.format(value=1)} THEN 3
                          WHEN CAST(has_consent AS INT) = 1 THEN 4
                          ELSE 5 END AS said
              FROM {{fact}}) AS spoken GROUP BY who, jurisdiction, source, week, nobody, said""",
    )


def _kind(kind: int | str) -> str:
    return _KINDS[kind] if isinstance(kind, int) else kind


def _table(facts: Facts, source: str, by: str) -> tuple[Cells, list[dict[str, int]]]:
    """Return events and subjects by segment and kind, and the subjects of each segment and of each kind."""
    rows = facts.rows(
        f"SELECT {by}, kind, CAST(sum(events) AS BIGINT), count(DISTINCT subject) FROM {{{source}}} GROUP BY 1, 2"
    )
    cells = {(facts.name(by, value), _kind(kind)): (events, people) for value, kind, events, people in rows}
    margins = [
        list(facts.rows(f"SELECT {name}, count(DISTINCT subject) FROM {{{source}}} GROUP BY 1"))
        for name in (by, "kind")
    ]
    return cells, [
        {facts.name(by, value): people for value, people in margins[0]},
        {_kind(kind): people for kind, people in margins[1]},
    ]


def _keep_removed(facts: Facts) -> None:
    columns = facts.columns
    facts.keep(
        "removed",
        f"""SELECT {columns["jurisdiction"]} AS jurisdiction, {columns["source"]} AS source,
                   {_WEEK.format(time="received")} AS week, removed_by AS kind, subject, 1 AS events
            FROM {{withheld}} AS gone JOIN {{fact}} AS every USING (row)""",
    )


def _by_segment(facts: Facts) -> tuple[list[dict[str, Any]], dict[str, list[dict[str, Any]]]]:
    """Return the withheld events, and all events about somebody, by jurisdiction, source and week of arrival."""
    withheld: list[dict[str, Any]] = []
    asked: list[dict[str, Any]] = []
    said: list[dict[str, Any]] = []
    for by in ("jurisdiction", "source", "week"):
        removed, gone = _table(facts, "removed", by)
        spoken, there = _table(facts, "spoken", by)
        every: dict[str, tuple[int, int]] = dict.fromkeys(there[0], (0, 0))
        for (segment, _), (events, _) in spoken.items():
            every[segment] = every[segment][0] + events, there[0][segment]
        folded = fold(every, gone[0])
        for cells, people, kind, into in (
            (removed, gone, "rule", withheld),
            (spoken, there, "said", said),
        ):
            shown = protect(folded.cells(cells), people=(folded.people(people[0]), people[1]))
            into += [{"by": by, "segment": s, kind: k, "events": n} for (s, k), n in sorted(shown.items())]
        totals = sorted(folded.totals(every).items())
        asked += [{"by": by, "segment": name, "events": count} for name, (count, _) in totals]
    return withheld, {"asked": asked, "said": said}


def _keep_statements(facts: Facts, as_of: int) -> None:
    """Keep what each subject has itself said, a row per moment; the strictest of one moment holds."""
    least = ", ".join(f"CAST(min({name}) AS BIGINT) AS {name}" for name in _SAID)
    spoken = " OR ".join(f"{name} IS NOT NULL" for name in _SAID)
    facts.keep(
        "statement",
        f"""SELECT who, time, max(CASE WHEN opt_out THEN 1 ELSE 0 END) AS opt_out, {least} FROM (
              SELECT CASE WHEN user > 0 THEN -user ELSE anonymous END AS who,
                     greatest(least(coalesce(updated, received), received), 0) AS time,
                     {facts.columns["opt_out"]} AS opt_out, {", ".join(_SAID)} FROM {{fact}}
              WHERE (anonymous > 0 OR user > 0) AND ({spoken})) AS each_said
            WHERE time <= {as_of} GROUP BY who, time""",
    )


_CHANGE: Final = """
SELECT week, change, count(*), count(DISTINCT who) FROM (
  SELECT who, CASE WHEN {week} < {first} THEN {first} - 1 ELSE {week} END AS week,
         CASE WHEN before IS NULL AND {said} = 1 THEN 'granted' WHEN before IS NULL THEN 'refused'
              WHEN before % 2 = 0 AND {said} = 0 THEN 'withdrawn' WHEN before % 2 = 1 AND {said} = 1 THEN 'granted again' END AS change
  FROM (SELECT who, time, {said}, max(time * 2 + 1 - {said}) OVER (
          PARTITION BY who ORDER BY time ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
        FROM {{statement}} WHERE {said} IS NOT NULL) AS said) AS changed
WHERE change IS NOT NULL GROUP BY 1, 2
"""
"""A key is twice the time, plus one for a refusal: the highest before a statement is what it changes."""


def _changes(facts: Facts, first: int) -> list[dict[str, Any]]:
    """Return grants, refusals and withdrawals by purpose and week."""
    found = []
    for purpose in PURPOSES:
        query = _CHANGE.format(week=_WEEK.format(time="time"), first=first, said=f"said_{purpose}")
        cells: Cells = {
            (change, EARLIER if week < first else facts.name("week", week)): (number, people)
            for week, change, number, people in facts.rows(query)
        }
        # what weeks hide of a change adds up to its total; a week has no total that anybody is told
        shown = protect(cells, axes=(0,), whole=False)
        found += [
            {"purpose": purpose, "change": change, "week": week, "changes": number}
            for (change, week), number in sorted(shown.items())
        ]
    return found


def _grants(facts: Facts, as_of: int, max_age_days: int | None) -> list[dict[str, Any]]:
    """Return subjects by what they last said of each purpose, and by how long a grant still holds."""
    found = []
    for purpose in PURPOSES:
        states = ["WHEN last % 2 = 1 THEN 'refused'"]
        if max_age_days is not None:
            states.append("WHEN opt_out = 1 THEN 'granted, opt-out state'")
            for days, words in ((0, "run out"), (30, "runs out in 30 days"), (90, "runs out in 90 days")):
                limit = as_of - (max_age_days - days) * DAY
                states.append(f"WHEN last < 2 * CAST({limit} AS BIGINT) THEN '{words}'")
        rows = facts.rows(
            f"""SELECT CASE {" ".join(states)} ELSE 'holds' END AS state, count(*) FROM (
                  SELECT who, max(time * 2 + 1 - said_{purpose}) AS last, max(opt_out) AS opt_out
                  FROM {{statement}} WHERE said_{purpose} IS NOT NULL GROUP BY who) AS lasting GROUP BY 1"""
        )
        shown = protect(
            {(purpose, state): (people, people) for state, people in rows}, axes=(0,), whole=False
        )
        found += [
            {"purpose": purpose, "state": state, "subjects": people}
            for (_, state), people in sorted(shown.items())
        ]
    return found


def _notices(facts: Facts) -> list[dict[str, Any]]:
    """Return events by the version of the notice that they name."""
    rows = facts.rows(
        f"""SELECT {facts.columns["notice"]} AS notice, count(*), count(DISTINCT CASE WHEN user > 0 THEN -user ELSE anonymous END)
            FROM {{fact}} WHERE CAST(has_consent AS INT) = 1 GROUP BY 1"""
    )
    cells: Cells = {
        ("", facts.name("notice", value) if value else "none named"): (n, people) for value, n, people in rows
    }
    return [
        {"notice": notice, "events": n}
        for (_, notice), n in sorted(protect(cells, axes=(0,), whole=False).items())
    ]


def count_consent(facts: Facts, policy: Policy, as_of: int) -> dict[str, Any]:
    """Count consent for `run.json`.

    Parameters
    ----------
    facts
        All events that consent was asked of.
    policy
        How long a grant holds.
    as_of
        The moment from which the run looks back, in microseconds.

    Returns
    -------
    dict
        `withheld`: `by` (jurisdiction, source, week), `segment`, `rule`, `events`; each kind adds up to the ledger's sum.
        `consent`: `nobody` (events about nobody), `asked` (events about somebody by segment), `said` (what these say),
        `changes`, `grants`, `notices`. Cells of too few subjects are told as one.
    """
    _keep_events(facts)
    facts.keep(
        "spoken",
        "SELECT jurisdiction, source, week, said AS kind, nullif(who, 0) AS subject, events FROM {event} WHERE NOT nobody",
    )
    _keep_removed(facts)
    withheld, counted = _by_segment(facts)
    _keep_statements(facts, as_of)
    first, nobody = next(
        iter(
            facts.rows(
                "SELECT coalesce(min(week), 0), coalesce(sum(CASE WHEN nobody THEN events ELSE 0 END), 0) FROM {event}"
            )
        )
    )
    return {
        "withheld": withheld,
        "consent": {
            "nobody": int(nobody),
            **counted,
            "changes": _changes(facts, int(first)),
            "grants": _grants(facts, as_of, policy.grant_max_age_days),
            "notices": _notices(facts),
        },
    }
