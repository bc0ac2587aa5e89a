"""The stages of the column world on one narrow frame, with their ledger (S0)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import narwhals as nw
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from eventlib.border import CONSENT_FLAGS
from eventlib.consent import RULES, Policy, Subjects, decide, subjects
from eventlib.engine import Engine, Frame
from eventlib.evidence import Link, linked, read_pairs, rows_naming
from eventlib.identifiers import Node
from eventlib.identity import Identities, merge_people
from eventlib.ledger import Entry, Ledger
from eventlib.manual_links import NO_STATEMENTS, Statements
from eventlib.model import PURPOSES
from eventlib.narrow import Narrow
from eventlib.nodes import Identifiers
from eventlib.ordering import correct_clock, remove_duplicates, remove_late
from eventlib.pseudonyms import Pseudonymiser, Written
from eventlib.sessions import number_sessions
from eventlib.timing import Timing

__all__ = ["Flow"]

_RESULT: Final = (
    "row", "event_time", "clock_offset", "stretch", "clock_method", "is_late", "renamed", "anonymous", "user", "device", "session",
    "source_key", "sequence", "event_key", "copy_key", "fingerprint_key", *(f"verdict_{purpose}" for purpose in PURPOSES),
)  # fmt: skip

_RULE_NAMES: Final = pa.array([f"C{number:02d}_{RULES[number]}" for number in sorted(RULES)])

_ONLY_CONSENT: Final = (
    "name_key", *CONSENT_FLAGS, "notice_key", "updated", "observed", *(f"said_{purpose}" for purpose in PURPOSES),
)  # fmt: skip
_ASKED_BY_CONSENT: Final = (
    *_ONLY_CONSENT, "row", "event_time", "received", "anonymous", "user", "source_key", "event_key", "fingerprint_key",
    "copies", "jurisdiction_key",
)  # fmt: skip


def _subjects(numbers: pa.ChunkedArray, nodes: Sequence[Node], pseudonym: Pseudonymiser) -> pa.Array:
    """Return what tells subjects apart from run to run: 60 bits of a keyed digest; 0 is nobody in particular."""
    every = pc.unique(numbers)
    digests = [
        number and int(pseudonym.keyed("subject", "\x1f".join(nodes[number - 1])).removeprefix("i-")[:15], 16)
        for number in every.to_pylist()
    ]
    return pa.array(digests, pa.int64()).take(pc.index_in(numbers, value_set=every))


class Flow:
    """One narrow frame on its way through the stages.

    Parameters
    ----------
    narrow
        The coded events.
    where
        The engine that runs the stages.
    policy
        What may be used for what.
    pseudonym
        How identifiers are written.
    entry
        The ledger's first entry.
    as_of
        The moment from which the run looks back, in microseconds; by default the latest arrival in the log, so that
        the same log gives the same dataset on any day.
    timing
        Policies and limits of clock, lateness and sessions.
    statements
        What was stated by hand of identifiers.

    Attributes
    ----------
    gone : list of pyarrow.Table
        `row, removed_by, subject, event_time` of the rows that each stage removed; `subject` is a keyed digest.
    """

    def __init__(
        self,
        narrow: Narrow,
        where: Engine,
        policy: Policy,
        pseudonym: Pseudonymiser,
        entry: Entry,
        as_of: int | None = None,
        timing: Timing | None = None,
        statements: Statements = NO_STATEMENTS,
    ) -> None:
        self.timing = timing or Timing()
        self.narrow, self.engine, self.policy = narrow, where, policy
        self.pseudonym = Written(pseudonym, narrow.plain)
        self.ledger = Ledger([entry])
        self.gone: list[pa.Table] = []
        self.nodes: Sequence[Node] = ()
        self.latest = self._latest()
        self.as_of = self.latest if as_of is None else as_of
        self.identifiers = Identifiers(narrow.identifiers)
        self.statements = statements
        self.manual = statements.in_force(self.as_of, narrow.tombstones)

    def _latest(self) -> int:
        last = self.engine.collect(self.narrow.events.select(nw.col("received").max()))
        return int(last["received"][0].as_py() or 0)

    def clock(self) -> Frame:
        """Correct the times."""
        return self._only(
            self.engine.checkpoint(correct_clock(self.engine, self.narrow.events, self.timing.clock))
        )

    def _only(self, frame: Frame) -> Frame:
        """Let go of what led to a stage's result: a log's worth of integers each time."""
        self.engine.forget(frame)
        return frame

    def _links(self, frame: Frame) -> list[Link]:
        """Explicit links of the events in a frame."""
        texts = dict(
            zip(self.narrow.links["row"].to_pylist(), self.narrow.links["links"].to_pylist(), strict=True)
        )
        if not texts:
            return []
        rows = self.engine.frame(self.narrow.links.select(["row"]))
        sent = frame.select("row", "event_time", "anonymous", "user").join(rows, on="row", how="inner")
        found = self.engine.collect(sent).to_pydict()
        node = self.identifiers.node
        return [
            Link(linked(map(Node._make, orjson.loads(texts[row])), node(device), node(user)), when)
            for row, when, device, user in zip(*found.values(), strict=True)
        ]

    def _enter(self, stage: str, removed: Mapping[str, int]) -> None:
        rows = self.ledger.rows_out
        self.ledger.add(Entry(stage, rows, rows - sum(removed.values()), removed))

    def consent(self, timed: Frame) -> Frame:
        """Decide, and withhold what no purpose allows; of what is withheld only a count remains (S2.4)."""
        tombstones = self.narrow.tombstones
        pairs, links = read_pairs(self.engine, timed), self._links(timed)
        found = subjects(pairs, self.identifiers, links, tombstones=tombstones, manual=self.manual)
        self.nodes = found.nodes
        # what the rules do not ask is not carried through their joins
        asking = timed.select(*_ASKED_BY_CONSENT)
        placed = asking.join(self.engine.frame(found.of_pair), on=["anonymous", "user"], how="left")
        placed = placed.with_columns(subject=nw.col("subject").fill_null(0))
        placed = self.engine.checkpoint(self._mark_erased(placed, found))
        judged = decide(
            self.engine,
            placed,
            self.engine.frame(found.members),
            policy=self.policy,
            as_of=self.as_of,
            names=self.narrow.names,
            sources=self.narrow.sources,
            jurisdictions=self.narrow.jurisdictions,
            notices=self.narrow.notices,
        )
        stays = [name for name in timed.collect_schema().names() if name not in _ONLY_CONSENT]
        decided = self.engine.checkpoint(timed.select(stays).join(judged, on="row", how="left"))
        some = nw.max_horizontal(*(nw.col(f"verdict_{purpose}") for purpose in PURPOSES)) >= 16
        withheld = self.engine.collect(
            decided.filter(~some).select("row", "verdict_analytics", "subject", "event_time")
        )
        removed_by = _RULE_NAMES.take(withheld["verdict_analytics"])
        # of who was erased nothing is told but how many events there were
        erased = pc.equal(withheld["verdict_analytics"], 1)
        told = pc.if_else(erased, pa.scalar(None, pa.int64()), withheld["subject"])
        self._remove("consent", withheld, removed_by, _subjects(told, found.nodes, self.pseudonym))
        kept = decided.filter(some).with_columns(
            allow_identity=nw.when(nw.col("verdict_identity") >= 16)
            .then(nw.lit(1, nw.Int64))
            .otherwise(nw.lit(0, nw.Int64))
        )
        self.engine.forget(decided)
        return kept

    def _mark_erased(self, placed: Frame, found: Subjects) -> Frame:
        """Add `erased`: 1 where the subject was, or the event itself (C01)."""
        subject = nw.col("subject")
        gone = subject.is_in(found.erased) if found.erased else nw.lit(value=False)
        none = nw.lit(0, nw.Int64)
        marked = placed.with_columns(erased=nw.when(gone).then(nw.lit(1, nw.Int64)).otherwise(none))
        alone = sorted({*self.narrow.erased["row"].to_pylist(), *self._naming_erased(found)})
        if not alone:
            return marked
        rows = pa.table({"row": pa.array(alone, pa.int64()), "one": pa.array([1] * len(alone), pa.int64())})
        joined = marked.join(self.engine.frame(rows), on="row", how="left")
        either = nw.max_horizontal("erased", nw.col("one").fill_null(0))
        return joined.with_columns(either=either).drop("erased", "one").rename({"either": "erased"})

    def _naming_erased(self, found: Subjects) -> list[int]:
        """Return the rows whose links name somebody who was erased, whoever sent them."""
        if not self.narrow.tombstones:
            return []
        gone = {found.nodes[number - 1] for number in found.erased}
        links = zip(self.narrow.links["row"].to_pylist(), self.narrow.links["links"].to_pylist(), strict=True)
        return rows_naming(links, lambda node: node in gone or self.narrow.tombstones.holds(*node))

    def _remove(
        self, stage: str, rows: pa.Table, removed_by: pa.ChunkedArray, subjects: pa.Array | None = None
    ) -> None:
        """Enter removed rows in the ledger, and note which they were."""
        counted = removed_by.value_counts().to_pylist()
        self._enter(stage, {each["values"]: each["counts"] for each in counted})
        self.gone.append(
            pa.table(
                {
                    "row": rows["row"],
                    "removed_by": pc.cast(removed_by, pa.string()),
                    "subject": pa.nulls(len(rows), pa.int64()) if subjects is None else subjects,
                    "event_time": rows["event_time"],
                }
            )
        )

    def order(self, consented: Frame) -> tuple[Frame, pa.Table]:
        """Set aside what is late, remove duplicates; the rows left are in the ledger."""
        limits = {"late": self.timing.late, "too_late": self.timing.too_late, "ahead": self.timing.ahead}
        on_time, late = remove_late(self.engine, consented, **limits)
        single, duplicates = remove_duplicates(self.engine, on_time)
        refused = self.engine.collect(late.select("row", "removed_by", "event_time"))
        self._remove("lateness", refused, refused["removed_by"])
        copies = self.engine.collect(duplicates.select("row", "event_time"))
        self._remove("duplicates", copies, pa.array(["duplicate"] * len(copies), pa.string()))
        return self._only(single), refused

    def sessions(self, kept: Frame) -> Frame:
        """Number the sessions."""
        self._enter("sessions", {})
        limits = {"gap": self.timing.session_gap, "age": self.timing.session_age}
        return self._only(self.engine.checkpoint(number_sessions(self.engine, kept, **limits)))

    def identify(self, numbered: Frame, registry: Mapping[str, str] | None = None) -> Identities:
        """Merge identifiers into people, from events that allow it."""
        links = self._links(numbered.filter(nw.col("allow_identity") == 1))
        self._enter("identity", {})
        return merge_people(
            self.engine, numbered, self.identifiers, links, self.pseudonym, registry=registry,
            tombstones=self.narrow.tombstones, taken=self._taken(registry), manual=self.manual,
        )  # fmt: skip

    def _taken(self, registry: Mapping[str, str] | None) -> frozenset[int]:
        """Return the numbers that nobody gets: a fresh run asks who is in its log, one with a registry passes over them all."""
        tombstones = self.narrow.tombstones
        return frozenset(n for n, _ in tombstones.persons) if registry else tombstones.taken(self.nodes)

    def collect(self, frame: Frame, *columns: str) -> pa.Table:
        """Bring some columns of a frame back."""
        return self.engine.collect(frame.select(*columns))

    def kept(self, numbered: Frame, people: Identities) -> Frame:
        """Return the narrow columns that writing needs, with each event's person; lazy."""
        return numbered.select(list(_RESULT)).join(people.of_row, on="row", how="left")

    def result(self, numbered: Frame, people: Identities) -> pa.Table:
        """Return `kept` as a table."""
        return self.engine.collect(self.kept(numbered, people))
