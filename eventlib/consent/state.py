"""State(t): the latest statement about a subject with time ≤ t, ties going to deny (S2.1)."""

from __future__ import annotations

from functools import reduce
from typing import Final

import narwhals as nw

from eventlib.engine import Engine, Frame
from eventlib.model import PURPOSES

__all__ = ["CONFLICT", "GRANTED", "NOTHING", "REFUSED", "SUPERSEDED", "add_states", "kind_of", "time_of"]

GRANTED: Final = 0
SUPERSEDED: Final = 1
CONFLICT: Final = 2
REFUSED: Final = 3
"""Kinds of statement; of several at one moment the highest holds."""

NOTHING: Final = -1
"""The state of a subject that has said nothing yet."""

_HIGHEST: Final = 9  # above every kind

_LAST: Final = 2**51 - 1
"""Microseconds up to the year 2041: four times as much is still exact where pandas runs a maximum, in float64."""


def _key(time: nw.Expr, kind: nw.Expr) -> nw.Expr:
    # nothing was consented to before 1970, and `//` of a negative number differs between engines
    positive = nw.when(time < 0).then(nw.lit(0, nw.Int64)).otherwise(time)
    exact = nw.when(positive > _LAST).then(nw.lit(_LAST, nw.Int64)).otherwise(positive)
    return exact * 4 + kind


def kind_of(state: nw.Expr) -> nw.Expr:
    """Return the kind of statement in a state; NOTHING where there is none."""
    return nw.when(state == NOTHING).then(nw.lit(NOTHING, nw.Int64)).otherwise(state - state // 4 * 4)


def time_of(state: nw.Expr) -> nw.Expr:
    """Return the time of the statement in a state, in microseconds."""
    return state // 4


def _statements(frame: Frame) -> Frame:
    """What each subject has said, one row per subject and moment; disagreement at one moment is a conflict."""
    said = reduce(lambda left, right: left | right, map(_spoken, PURPOSES))
    spoken = frame.filter(said & (nw.col("subject") > 0)).select(
        "subject",
        nw.col("said_at").alias("time"),
        *(_kind(purpose, absent=_HIGHEST).alias(f"low_{purpose}") for purpose in PURPOSES),
        *(_kind(purpose, absent=NOTHING).alias(f"high_{purpose}") for purpose in PURPOSES),
    )
    lows = [nw.col(f"low_{purpose}").min().alias(f"lowest_{purpose}") for purpose in PURPOSES]
    highs = [nw.col(f"high_{purpose}").max().alias(f"highest_{purpose}") for purpose in PURPOSES]
    grouped = spoken.group_by("subject", "time").agg(*lows, *highs)
    return grouped.select("subject", "time", *(_merged(purpose).alias(purpose) for purpose in PURPOSES))


def _opted_out(purpose: str) -> nw.Expr:
    """Whether the event carries an opt-out signal for the purpose: a refusal like any other (S2.2, S2.3)."""
    return nw.col(f"opted_out_{purpose}") == 1


def _spoken(purpose: str) -> nw.Expr:
    return ~nw.col(f"said_{purpose}").is_null() | _opted_out(purpose)


def _kind(purpose: str, *, absent: int) -> nw.Expr:
    said = nw.col(f"said_{purpose}")
    granted = (
        nw.when(nw.col("superseded") == 1)
        .then(nw.lit(SUPERSEDED, nw.Int64))
        .otherwise(nw.lit(GRANTED, nw.Int64))
    )
    return (
        nw.when((said == 0) | _opted_out(purpose))
        .then(nw.lit(REFUSED, nw.Int64))
        .when(said == 1)
        .then(granted)
        .otherwise(nw.lit(absent, nw.Int64))
    )


def _merged(purpose: str) -> nw.Expr:
    low, high = nw.col(f"lowest_{purpose}"), nw.col(f"highest_{purpose}")
    return nw.when((low == high) | (high <= SUPERSEDED)).then(high).otherwise(nw.lit(CONFLICT, nw.Int64))


def _spread(statements: Frame, members: Frame) -> Frame:
    """Refusals as they reach the other subjects of a component."""
    # a conflict holds a refusal; what contradicts it is a grant, and a grant is its own subject's alone
    refusing = reduce(lambda left, right: left | right, (nw.col(purpose) >= CONFLICT for purpose in PURPOSES))
    only = [
        nw.when(nw.col(purpose) >= CONFLICT)
        .then(nw.lit(REFUSED, nw.Int64))
        .otherwise(nw.lit(NOTHING, nw.Int64))
        .alias(purpose)
        for purpose in PURPOSES
    ]
    refused = (
        statements.filter(refusing)
        .join(members, on="subject", how="inner")
        .select("component", "time", nw.col("subject").alias("speaker"), *only)
    )
    reached = refused.join(members, on="component", how="inner").filter(
        nw.col("subject") != nw.col("speaker")
    )
    return reached.select("subject", "time", *PURPOSES)


def _as_keys(statements: Frame) -> Frame:
    def key(purpose: str) -> nw.Expr:
        absent = nw.col(purpose) == NOTHING
        return (
            nw.when(absent).then(nw.lit(NOTHING, nw.Int64)).otherwise(_key(nw.col("time"), nw.col(purpose)))
        )

    return statements.select(
        "subject", "time", *(key(purpose).alias(f"key_{purpose}") for purpose in PURPOSES)
    )


def add_states(engine: Engine, frame: Frame, members: Frame, *, as_of: int) -> Frame:
    """Add `then_<purpose>` = State(event time) and `now_<purpose>` = State(as_of); read them with `kind_of`, `time_of`.

    Parameters
    ----------
    engine
        Where the frames live.
    frame
        With `row, subject` (0: none), `event_time, said_at` (microseconds), `superseded, opted_out_<purpose>` (0 or 1), `said_<purpose>`
        (1, 0 or null).
    members
        `subject, component`, of components with more than one subject.
    as_of
        The moment from which the run looks back, in microseconds.
    """
    own = engine.checkpoint(_statements(frame))
    keys = engine.checkpoint(nw.concat([_as_keys(own), _as_keys(_spread(own, members))]))
    latest = keys.filter(nw.col("time") <= as_of).group_by("subject")
    now = engine.checkpoint(latest.agg(*(nw.col(f"key_{p}").max().alias(f"now_{p}") for p in PURPOSES)))
    known = frame.filter(nw.col("subject") > 0)
    nothing = [nw.lit(NOTHING, nw.Int64).alias(f"key_{purpose}") for purpose in PURPOSES]
    asked = known.select(
        "subject", nw.col("event_time").alias("time"), "row", *nothing, kind=nw.lit(1, nw.Int64)
    )
    spoken = keys.with_columns(row=nw.lit(-1, nw.Int64), kind=nw.lit(0, nw.Int64)).select(
        asked.collect_schema().names()
    )
    both = nw.concat([asked, spoken])
    running = both.with_columns(
        **{
            f"then_{p}": nw.col(f"key_{p}").cum_max().over("subject", order_by=["time", "kind", "row"])
            for p in PURPOSES
        }
    )
    thens, nows = ([f"{when}_{purpose}" for purpose in PURPOSES] for when in ("then", "now"))
    then = engine.checkpoint(running.filter(nw.col("kind") == 1).select("row", *thens))
    # the whole frame on the left: an engine that guesses how much a filter leaves may take the wide side for the small one
    stated = frame.join(then, on="row", how="left").join(now, on="subject", how="left")
    return stated.with_columns(**_states(as_of)).select([*frame.collect_schema().names(), *thens, *nows])


def _states(as_of: int) -> dict[str, nw.Expr]:
    """Return what fills the states: nothing where nothing was said; of an event whose subject is unknown, what it says itself."""
    made = {}
    nothing = nw.lit(NOTHING, nw.Int64)
    for purpose in PURPOSES:
        own = _key(nw.col("said_at"), _kind(purpose, absent=GRANTED))
        for name, limit in (("then", nw.col("event_time")), ("now", nw.lit(as_of, nw.Int64))):
            state = f"{name}_{purpose}"
            alone = nw.col("subject") == 0
            spoken = alone & _spoken(purpose) & (nw.col("said_at") <= limit)
            known = nw.when(alone | nw.col(state).is_null()).then(nothing).otherwise(nw.col(state))
            made[state] = nw.when(spoken).then(own).otherwise(known).cast(nw.Int64)
    return made
