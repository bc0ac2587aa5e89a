"""A log taken through the stages, on whatever engine."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from eventlib.engine import Frame
from eventlib.flow import Flow
from eventlib.identity import Identities
from eventlib.options import Means, Progress
from eventlib.refusals import refuse_withheld
from eventlib.rows import Log
from eventlib.writing import write_table

__all__ = ["run_stages"]


def run_stages(
    flow: Flow, means: Means, log: Log, made: Path, progress: Progress
) -> tuple[Frame, pa.Table, Identities]:
    """Run the stages and write who is who; return the kept events, what came too late, and the people."""
    progress("clock and consent", 1, 6, log.entry.rows_in)
    consented = flow.consent(flow.clock())
    refuse_withheld(flow.ledger, means.policy, log)
    progress("order and sessions", 2, 6, log.entry.rows_in)
    ordered, late = flow.order(consented)
    numbered = flow.sessions(ordered)
    progress("identity", 3, 6, log.entry.rows_in)
    people = flow.identify(numbered, means.registry)
    for name, table in (
        ("people", people.people),
        ("registry", people.registry),
        ("refused_merges", people.refused),
        ("evidence", people.evidence),
    ):
        write_table(table, made, name)
    progress("write", 4, 6, log.entry.rows_in)
    return numbered, late, people
