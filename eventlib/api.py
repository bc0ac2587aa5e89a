"""What the façade does with whole logs: read, prepare, explain."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from eventlib.arguments import AnyPath, as_logs, as_path, check_types
from eventlib.consent import load_policy
from eventlib.erasure import Erasure, erase_from
from eventlib.errors import BadCallError
from eventlib.geo.verification import read_ranges
from eventlib.identifiers import OURS, Node, normalise
from eventlib.identity.as_of import AsOf, merge_as_of
from eventlib.identity.explain import Explanation, explain_pair
from eventlib.identity.proposals import propose as proposed
from eventlib.ledger import Ledger
from eventlib.manual_links import KINDS
from eventlib.options import UNPLANNED, Options, microseconds
from eventlib.prepared import Prepared
from eventlib.preparing import prepare_log, prepare_to
from eventlib.pseudonyms import Pseudonymiser, load_key, load_keys
from eventlib.publish import workplace
from eventlib.replaying import replay_to
from eventlib.rows import Log, read_rows
from eventlib.timing import Duration
from eventlib.tombstones import read_tombstones

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ReadLog", "erase", "explain", "people_as_of", "prepare", "read", "replay"]

Paths = AnyPath | Sequence[AnyPath]


def _path_of(argument: str, value: AnyPath | None) -> Path | None:
    return None if value is None else as_path(argument, value)


@dataclass
class ReadLog:
    """A log that was read and validated, not yet prepared.

    Attributes
    ----------
    events : pandas.DataFrame
        The canonical frame: one row per valid event, before consent was asked.
    quarantine : pandas.DataFrame
        One row per refused line.
    ledger : Ledger
        Lines in, events out, removed by reason.
    repairs : list of dict
        What was repaired, how often, on which evidence.
    """

    log: Log
    source: str

    @property
    def ledger(self) -> Ledger:
        """Return the accounting of reading."""
        return Ledger([self.log.entry])

    @property
    def repairs(self) -> list[dict[str, object]]:
        """Return every kind of repair with its rows."""
        return self.log.repairs

    def _frame(self, table: pa.Table) -> pd.DataFrame:
        import pandas as pd  # noqa: PLC0415  # only those who look at frames come here

        frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
        return frame

    @cached_property
    def events(self) -> pd.DataFrame:
        """Return the canonical frame."""
        return self._frame(self.log.events())

    @cached_property
    def quarantine(self) -> pd.DataFrame:
        """Return the refused lines."""
        return self._frame(self.log.quarantine)


def read(
    logs: Paths,
    *,
    source: str = "auto",
    schemas: AnyPath | None = None,
    key: AnyPath | None = None,
    policy: AnyPath = "default",
    agent_ranges: AnyPath | None = None,
    unplanned: str = "auto",
) -> ReadLog:
    """Read and validate logs (S1).

    Parameters
    ----------
    logs
        Paths, folders or patterns.
    source
        Name of the format, or a mapping file of your own; `auto` tells it from each file's first records.
    schemas
        Folder of schemas; the shipped ones by default.
    key
        File with the key of digests and pseudonyms.
    policy
        Consent policy, which says what consent strings mean in our purposes.
    agent_ranges
        File or folder of the address ranges that agents' operators publish; see `eventlib.geo.verification`.
    unplanned
        What becomes of event names without a schema: allow, quarantine, or auto: quarantine in native logs alone.

    Raises
    ------
    BadCallError
        If a path names nothing, or the format is unknown.
    """
    check_types({"source": (source, str), "unplanned": (unplanned, str)})
    if unplanned not in UNPLANNED:
        raise BadCallError.unknown("policy for unplanned event names", unplanned, UNPLANNED)
    keys = load_keys(_path_of("key", key))
    schemas_folder = _path_of("schemas", schemas)
    signals = load_policy(policy).signals
    ranges = read_ranges(_path_of("agent_ranges", agent_ranges))
    folder = tempfile.mkdtemp(prefix="eventlib-")
    try:
        made = ReadLog(
            read_rows(
                as_logs(logs),
                source=source,
                schemas=schemas_folder,
                key=keys.current,
                signals=signals,
                tombstones=read_tombstones(keys),
                agent_ranges=ranges,
                unplanned=unplanned,
                work=Path(folder),
            ),
            source,
        )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    weakref.finalize(made, shutil.rmtree, folder, ignore_errors=True)
    return made


def prepare(
    logs: Paths | ReadLog,
    *,
    out: AnyPath | None = None,
    policy: AnyPath = "default",
    as_of: datetime | None = None,
    source: str = "auto",
    engine: str = "auto",
    registry: AnyPath | None = None,
    key: AnyPath | None = None,
    schemas: AnyPath | None = None,
    plain_identifiers: bool = False,
    keep_raw: bool = False,
    max_rejected: float = 0.5,
    onto: AnyPath | None = None,
    master: str | None = None,
    partitioned: bool = False,
    tombstones: AnyPath | None = None,
    manual_links: AnyPath | None = None,
    agent_ranges: AnyPath | None = None,
    unplanned: str = "auto",
    clock: str = "device",
    late: Duration = "1h",
    too_late: Duration = "3d",
    ahead: Duration = "23h",
    session_gap: Duration = "30min",
    session_age: Duration = "24h",
) -> Prepared:
    """Prepare logs: validate, filter by consent, order, tell sessions and people apart (S0 to S5).

    Parameters
    ----------
    logs
        Paths, folders or patterns, or what `el.read` returned.
    out
        Where the dataset is kept; a temporary folder by default, to be saved by `prepared.save`.
    policy
        Path of a consent policy; `default` is the shipped one.
    as_of
        The moment from which consent is looked at, in UTC unless it has a zone; by default the log's latest arrival.
    source, engine, registry, key, schemas, plain_identifiers, keep_raw, max_rejected, master, partitioned, tombstones, unplanned
        As `eventlib prepare --help` says.
    onto
        A prepared dataset to which the logs are added: the result is as if all had been prepared at once (S3.6).
    manual_links
        CSV file of what is known by hand of identifiers, with reasons and days of expiry (S4.8); see
        `eventlib.manual_links`. With `onto`, by default as there.
    agent_ranges
        File or folder of the address ranges that agents' operators publish: fetches are `verified`, `claimed` or `spoofed` by
        them (S6); see `eventlib.geo.verification`. With `onto`, these or newer ones must be given where the dataset's were.
    clock
        How times are corrected (S3.1): device, snowplow, segment, posthog or amplitude.
    late, too_late, ahead
        Delay over which an event is late, delay over which it is refused, and how far ahead of its arrival it may be (S3.2):
        a number with a unit, such as `30min` or `3d`, or a timedelta.
    session_gap, session_age
        The longest pause within a session and its greatest age (S5).

    Raises
    ------
    BadCallError
        If an argument cannot be used.
    DataRefusedError
        If too much is rejected or withheld.
    """
    options = Options(
        source,
        policy,
        as_of,
        _path_of("registry", registry),
        _path_of("key", key),
        engine,
        _path_of("schemas", schemas),
        plain_identifiers,
        keep_raw,
        max_rejected,
        clock,
        late,
        too_late,
        ahead,
        session_gap,
        session_age,
        onto=_path_of("onto", onto),
        master=master,
        partitioned=partitioned,
        tombstones=_path_of("tombstones", tombstones),
        manual_links=_path_of("manual_links", manual_links),
        agent_ranges=_path_of("agent_ranges", agent_ranges),
        unplanned=unplanned,
    )
    target = _path_of("out", out) or Path(tempfile.mkdtemp(prefix="eventlib-"))
    try:
        prepared = _prepare(logs, target, options)
    except BaseException:
        if out is None:
            shutil.rmtree(target, ignore_errors=True)
        raise
    if out is None:
        weakref.finalize(prepared, shutil.rmtree, target, ignore_errors=True)
    return prepared


def _prepare(logs: Paths | ReadLog, target: Path, options: Options) -> Prepared:
    if not isinstance(logs, ReadLog):
        return prepare_to(as_logs(logs), target, options)
    with workplace(target) as work:
        return prepare_log(logs.log, target, options, work)


def replay(
    prepared: Prepared | AnyPath,
    *,
    out: AnyPath | None = None,
    schemas: AnyPath | None = None,
    policy: AnyPath = "default",
    registry: AnyPath | None = None,
    key: AnyPath | None = None,
    engine: str = "auto",
    agent_ranges: AnyPath | None = None,
) -> Prepared:
    """Judge a dataset's quarantined lines again, after schemas were mended, and take in what is valid now (S1.5).

    Nothing is there twice: a recovered event goes through consent and duplicates with all others. A line that is no
    longer where it stood stays in quarantine, as `source_gone`.

    Parameters
    ----------
    prepared
        A prepared dataset, or its folder. The logs that it was made from are read again.
    out
        Where the new dataset is kept; a temporary folder by default.
    schemas
        Folder of the mended schemas; by default the one that the dataset was prepared with.
    policy, registry, key
        As the dataset was prepared.
    engine
        What runs the stages; the result is the same.
    agent_ranges
        As `prepare`; by default where the dataset's were, as they are there now.

    Raises
    ------
    BadCallError
        If the policy or the key is another than the dataset's.
    DataRefusedError
        If lines were recovered, but a log whose events the dataset holds has moved or changed.
    """
    folder = prepared.folder if isinstance(prepared, Prepared) else as_path("prepared", prepared)
    options = Options(
        policy=policy,
        registry=_path_of("registry", registry),
        key=_path_of("key", key),
        engine=engine,
        schemas=_path_of("schemas", schemas),
        agent_ranges=_path_of("agent_ranges", agent_ranges),
    )
    target = _path_of("out", out) or Path(tempfile.mkdtemp(prefix="eventlib-"))
    try:
        made = replay_to(folder, target, options).prepared
    except BaseException:
        if out is None:
            shutil.rmtree(target, ignore_errors=True)
        raise
    if out is None:
        weakref.finalize(made, shutil.rmtree, target, ignore_errors=True)
    return made


def erase(
    prepared: Prepared | AnyPath,
    identifiers: Sequence[str],
    *,
    search: Sequence[AnyPath] | None = None,
    policy: AnyPath = "default",
    schemas: AnyPath | None = None,
    key: AnyPath | None = None,
    tombstones: AnyPath | None = None,
) -> Erasure:
    """Erase a person from a saved dataset, its versions, and the reports made of it, for good (S2.8).

    Parameters
    ----------
    prepared
        The folder that `prepare` was given as `out`, or a dataset loaded from there.
    identifiers
        `namespace:value` each, as in the log, such as `user_id:u-12`; what the suppression graph joins to them goes too.
    search
        Reports, bundles and exports to search; by default `signals` and `reports` beside the dataset, and `reports` here.
    policy, schemas, key
        As the dataset was prepared.
    tombstones
        What keeps erased people from coming back; by default beside the key.

    Raises
    ------
    BadCallError
        If the dataset keeps no state, was prepared in another way, or an identifier is a placeholder.
    """
    folder = prepared.folder.parents[1] if isinstance(prepared, Prepared) else as_path("prepared", prepared)
    options = Options(
        policy=policy,
        key=_path_of("key", key),
        schemas=_path_of("schemas", schemas),
        tombstones=_path_of("tombstones", tombstones),
    )
    places = None if search is None else [as_path("search", path) for path in search]
    return erase_from(folder, identifiers, options, places)


def _nodes(prepared: Prepared, identifier: str, pseudonym: Pseudonymiser) -> set[Node]:
    """Return the identifiers of the dataset that a plain id, a pseudonym, or `namespace:value` names."""
    namespace, _, value = identifier.partition(":")
    namespace = namespace.lower() if namespace.lower() in OURS else namespace
    tables = ((prepared.people, ""), (prepared.refused_merges, "left_"), (prepared.refused_merges, "right_"))
    columns = (frame[[f"{side}namespace", f"{side}identifier"]] for frame, side in tables)
    known = {Node(*row) for frame in columns for row in frame.itertuples(index=False)}
    found = {node for node in known if node.value == identifier or node == (namespace, value)}
    meant = [*((ns, identifier) for ns in ("anonymous_id", "user_id")), (namespace, value)]
    found |= {node for ns, text in meant if (node := Node(ns, pseudonym(ns, normalise(ns, text)))) in known}
    if not found:
        raise BadCallError(
            f"no identifier {identifier!r} in this dataset; give it as in the raw log (with the same key), "
            "as its pseudonym, or as namespace:value"
        )
    return found


def _only(identifier: str, nodes: set[Node]) -> Node:
    if len(nodes) > 1:
        names = ", ".join(f"{node.namespace}:{identifier}" for node in sorted(nodes))
        raise BadCallError(f"{identifier!r} is more than one identifier; say which: {names}")
    return next(iter(nodes))


def explain(
    prepared: Prepared,
    left: str,
    right: str,
    *,
    key: AnyPath | None = None,
    propose: str | None = None,
) -> Explanation:
    """Explain why two identifiers are one person, or which rule keeps them apart (S4.9).

    Parameters
    ----------
    prepared
        A prepared dataset.
    left, right
        Identifiers: as in the raw log, as pseudonyms, or as `namespace:value`.
    key
        File with the key that the dataset was prepared with, for identifiers as in the raw log.
    propose
        `must_link` or `cannot_link`: what stating it by hand would change.

    Returns
    -------
    Explanation
        A dict with `same`, `persons`, `path`, `apart_by`, `refused` and, where one was proposed, `proposal`; `text()` says it
        in words and `figure()` draws it.

    Raises
    ------
    BadCallError
        If an identifier is not in the dataset, or the proposal is unknown.
    """
    if propose is not None and propose not in KINDS[:2]:
        raise BadCallError.unknown("proposal", propose, KINDS[:2])
    pseudonym = Pseudonymiser(
        load_key(_path_of("key", key)), plain=bool(prepared.run["parameters"]["plain_identifiers"])
    )
    one, other = (_nodes(prepared, identifier, pseudonym) for identifier in (left, right))
    found = explain_pair(prepared, one, other)
    if propose is not None:
        nodes = _only(left, one), _only(right, other)
        if nodes[0] == nodes[1]:
            raise BadCallError(f"{left!r} and {right!r} are the same identifier")
        nobody = [name for name, ids in zip((left, right), found["persons"], strict=True) if not ids]
        if nobody:
            raise BadCallError(
                f"{nobody[0]!r} is nobody in this dataset, only named in evidence that was refused: a statement changes nothing"
            )
        found["proposal"] = proposed(prepared, propose, *nodes, pseudonym)
    return found


def people_as_of(prepared: Prepared, moment: datetime, *, key: AnyPath | None = None) -> AsOf:
    """Return who was known to be one person at a moment, for features that may not know what came later (S4.10).

    Sessions and consent are those that the dataset has: a late event may have joined or parted some since, and what was denied
    since then is not looked at either.

    Parameters
    ----------
    prepared
        A prepared dataset that keeps state, which those from Spark do not.
    moment
        In UTC unless it has a zone. What happened or arrived later says nothing.
    key
        File with the key that the dataset was prepared with.

    Returns
    -------
    AsOf
        `events`, a frame of `event_id` and `person_id`, and `people`, as the dataset's. Who keeps a person together later has
        the id already; others have numbers after all of the dataset's.

    Raises
    ------
    BadCallError
        If the dataset keeps no state, the key is another, or the moment is no datetime.
    """
    if not isinstance(moment, datetime):
        raise BadCallError(
            f"moment takes a datetime, such as datetime(2026, 10, 31, tzinfo=UTC), not {moment!r}"
        )
    at = microseconds(moment)
    assert at is not None
    return merge_as_of(prepared, at, load_keys(_path_of("key", key)))
