"""The decision per event and purpose: the first rule of S2's table that applies to the purpose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Final

import narwhals as nw

from eventlib.consent.policy import Policy
from eventlib.consent.state import (
    CONFLICT,
    GRANTED,
    NOTHING,
    REFUSED,
    SUPERSEDED,
    add_states,
    kind_of,
    time_of,
)
from eventlib.engine import Engine, Frame
from eventlib.model import PURPOSES
from eventlib.units import DAY

__all__ = ["RULES", "decide"]

RULES: Final[Mapping[int, str]] = {
    0: "impersonal",
    1: "erased",
    2: "retention",
    3: "child",
    4: "invalid_signal",
    5: "opt_out_signal",
    6: "denied_then",
    7: "withdrawn_since",
    8: "stale",
    9: "conflict",
    10: "granted",
    11: "other_basis",
    12: "no_opt_out",
    13: "no_signal",
    14: "default",
}
"""Rule numbers and names."""

_SAME: Final = ("source_key", "event_key", "fingerprint_key")
"""What copies of an event agree in."""

_ALLOW: Final = 16  # a verdict is rule + 16 if it allows: the smallest of several is the most restrictive


@dataclass(frozen=True, slots=True)
class _Codes:
    """The policy in the codes of one log."""

    sources: Mapping[int, str]
    jurisdictions: Mapping[int, str]


def _any_of(column: str, codes: list[int]) -> nw.Expr:
    return nw.col(column).is_in(codes) if codes else nw.lit(value=False)


def _rules(purpose: str, policy: Policy, codes: _Codes, as_of: int) -> Iterator[tuple[nw.Expr, int, bool]]:
    """Yield (when, rule, allow) in the order of the table."""
    then, now = nw.col(f"then_kind_{purpose}"), nw.col(f"now_kind_{purpose}")
    opt_out = nw.col("opt_out") == 1
    # in an opt-out state an object that only names the state is how C12 and C13 are reached
    speaks = (nw.col("has_purposes") == 1) | ((nw.col("has_consent") == 1) & ~opt_out)
    missing = speaks & nw.col(f"said_{purpose}").is_null()
    impersonal = nw.col("impersonal") == 1
    yield impersonal & nw.lit(value=purpose in ("analytics", "training")), 0, True
    yield impersonal, 14, False
    yield nw.col("erased") == 1, 1, False
    if policy.retention_days is not None:
        yield nw.col("event_time") < as_of - policy.retention_days * DAY, 2, False
    child = nw.col("known_child") == 1
    yield (child & ~opt_out if purpose == "analytics" else child), 3, False
    damaged = nw.col("undecoded_signal") == 1
    yield (damaged & ~opt_out if purpose in ("analytics", "identity") else damaged), 4, False
    yield nw.col(f"opted_out_{purpose}") == 1, 5, False
    yield then == REFUSED, 6, False
    yield now == REFUSED, 7, False
    yield (then == SUPERSEDED) & ~opt_out, 8, False
    if policy.grant_max_age_days is not None:
        age = nw.col("event_time") - time_of(nw.col(f"then_{purpose}"))
        yield (then == GRANTED) & (age > policy.grant_max_age_days * DAY) & ~opt_out, 8, False
    yield (then == CONFLICT) | (now == CONFLICT), 9, False
    granted = ((then == GRANTED) | (then == SUPERSEDED)) & ((now == GRANTED) | (now == SUPERSEDED))
    yield granted & ~missing, 10, True
    yield _other_basis(purpose, policy, codes, as_of), 11, True
    yield missing, 14, False
    nothing = then == NOTHING
    noticed = (nw.col("notice_key") > 0) | (nw.col("us_notice") == 1)
    yield opt_out & noticed & nothing, 12, True
    if purpose == "analytics":
        yield opt_out & nothing, 13, True
    yield nothing, 13, False


def _other_basis(purpose: str, policy: Policy, codes: _Codes, as_of: int) -> nw.Expr:
    """C11: never advertising, and only until it expires."""
    conditions: list[nw.Expr] = []
    for basis in policy.bases:
        if purpose == "advertising" or purpose not in basis.purposes or as_of > basis.expires:
            continue
        holds: nw.Expr = nw.lit(value=True)
        if basis.sources is not None:
            holds = holds & _any_of(
                "source_key", [code for code, name in codes.sources.items() if name in basis.sources]
            )
        if basis.jurisdictions is not None:
            holds = holds & _any_of(
                "jurisdiction_key",
                [code for code, name in codes.jurisdictions.items() if name in basis.jurisdictions],
            )
        conditions.append(holds)
    return reduce(lambda left, right: left | right, conditions) if conditions else nw.lit(value=False)


def _verdict(purpose: str, policy: Policy, codes: _Codes, as_of: int) -> nw.Expr:
    default = nw.lit(14, nw.Int64)
    chain = None
    for when, rule, allow in _rules(purpose, policy, codes, as_of):
        value = nw.lit(rule + (_ALLOW if allow else 0), nw.Int64)
        chain = nw.when(when).then(value) if chain is None else chain.when(when).then(value)
    assert chain is not None
    return chain.otherwise(default)


def decide(
    engine: Engine,
    frame: Frame,
    members: Frame,
    *,
    policy: Policy,
    as_of: int,
    names: Mapping[int, str],
    sources: Mapping[int, str],
    jurisdictions: Mapping[int, str],
    notices: Mapping[int, str],
) -> Frame:
    """Decide each event and purpose.

    Parameters
    ----------
    engine
        Where the frames live.
    frame
        The narrow frame after the clock, with `subject`, and `erased` (0 or 1).
    members
        `subject, component`, of components with more than one subject.
    policy
        What to decide by.
    as_of
        The moment from which the run looks back, in microseconds.
    names, sources, jurisdictions, notices
        What the codes stand for.

    Returns
    -------
    Frame
        Lazy: `row, subject, verdict_<purpose>`: the rule's number, plus 16 if it allows. All copies of an event have the
        most restrictive verdict of any (S3.4).
    """
    codes = _Codes(sources, jurisdictions)
    marked = _mark(frame, policy, names, codes, notices)
    stated = add_states(engine, marked, members, as_of=as_of)
    kinds = [
        kind_of(nw.col(f"{when}_{purpose}")).alias(f"{when}_kind_{purpose}")
        for when in ("then", "now")
        for purpose in PURPOSES
    ]
    judged = stated.with_columns(*kinds).select(
        "row",
        "subject",
        "copies",
        *_SAME,
        **{f"verdict_{p}": _verdict(p, policy, codes, as_of) for p in PURPOSES},
    )
    return _strictest(engine.checkpoint(judged))


def _strictest(judged: Frame) -> Frame:
    """Give all copies of an event the most restrictive verdict of any."""
    verdicts = [f"verdict_{purpose}" for purpose in PURPOSES]
    lowest = (nw.col(name).min().over(*_SAME) for name in verdicts)
    copied = judged.filter(nw.col("copies") > 1).with_columns(*lowest)
    return nw.concat([judged.filter(nw.col("copies") <= 1), copied]).select("row", "subject", *verdicts)


def _flag(condition: nw.Expr) -> nw.Expr:
    return nw.when(condition).then(nw.lit(1, nw.Int64)).otherwise(nw.lit(0, nw.Int64))


def _opted_out(purpose: str, us_opt_out: frozenset[str], opt_out: nw.Expr) -> nw.Expr:
    """C05: by the Global Privacy Control, or under a US law what the policy says that this refuses."""
    told = nw.lit(value=False)
    if purpose == "advertising":
        told = nw.col("gpc") == 1
    elif purpose == "personalization":
        told = (nw.col("gpc") == 1) & ~opt_out
    return told | (nw.col("us_opt_out") == 1) if purpose in us_opt_out else told


def _valid(purpose: str, opt_out: nw.Expr) -> nw.Expr:
    """What is said, but for a child's own grant: without a valid opt-in it opens no other event either."""
    said = nw.col(f"said_{purpose}")
    void = (nw.col("known_child") == 1) & (said == 1)
    void = void & ~opt_out if purpose == "analytics" else void
    return nw.when(~void | said.is_null()).then(said)


def _mark(
    frame: Frame, policy: Policy, names: Mapping[int, str], codes: _Codes, notices: Mapping[int, str]
) -> Frame:
    """Add what the rules ask of an event: its regime, whether it is impersonal, when it spoke."""
    us_opt_out = policy.signals.us_opt_out
    by_name = {name: code for code, name in names.items()}
    always = [by_name[name] for name in policy.impersonal_always if name in by_name]
    unless_owned = [by_name[name] for name in policy.impersonal_unless_owned if name in by_name]
    anonymous = (nw.col("anonymous") == 0) & (nw.col("user") == 0)
    observed = _any_of("observed", [2, 3])
    assumed = {
        code
        for code, name in codes.sources.items()
        if policy.source_jurisdictions.get(name) in policy.opt_out
    }
    opt_out = _any_of(
        "jurisdiction_key", [code for code, name in codes.jurisdictions.items() if name in policy.opt_out]
    )
    opt_out = opt_out | ((nw.col("jurisdiction_key") == 0) & _any_of("source_key", sorted(assumed)))
    superseded = _any_of(
        "notice_key", [code for code, name in notices.items() if name in policy.superseded_notices]
    )
    said = reduce(
        lambda left, right: left | right, (~nw.col(f"said_{purpose}").is_null() for purpose in PURPOSES)
    )
    said_when = nw.when(~nw.col("updated").is_null()).then(nw.col("updated")).otherwise(nw.col("event_time"))
    marked = frame.with_columns(
        impersonal=_flag(
            anonymous & (_any_of("name_key", always) | (_any_of("name_key", unless_owned) & observed))
        ),
        opt_out=_flag(opt_out),
        superseded=_flag(superseded),
        has_purposes=_flag(said),
        stated_at=said_when,
        **{f"opted_out_{p}": _flag(_opted_out(p, us_opt_out, opt_out)) for p in PURPOSES},
        **{f"said_{p}": _valid(p, opt_out) for p in PURPOSES},
    )
    return marked.with_columns(
        said_at=nw.when(nw.col("stated_at") < nw.col("received"))
        .then(nw.col("stated_at"))
        .otherwise(nw.col("received"))
    )
