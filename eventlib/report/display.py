"""What a notebook shows and records: figures, tables, the summary, the run stamp.

Every output is one MIME bundle. Published reports take its `text/html`, JupyterLab draws plotly's own type,
and `application/vnd.eventlib.*+json` carries the result as data for tests and the index (NOTEBOOKS 5 to 7).
"""

from __future__ import annotations

import datetime as dt
import json
import math
import os
import uuid
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from eventlib.errors import BadCallError
from eventlib.report import safe, tables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from eventlib.ledger import Ledger
    from eventlib.prepared import Prepared

__all__ = [
    "FIGURE_MIME",
    "RUN_ID_VARIABLE",
    "RUN_MIME",
    "Headline",
    "record",
    "run_stamp",
    "show",
    "show_summary",
    "show_table",
]

FIGURE_MIME: Final = "application/vnd.eventlib.figure+json"
RUN_MIME: Final = "application/vnd.eventlib.run+json"
PLOTLY_MIME: Final = "application/vnd.plotly.v1+json"
RUN_ID_VARIABLE: Final = "EVENTLIB_RUN_ID"
PLOTLY_CONFIG: Final = {
    "showSendToCloud": False,  # plotly 7's button uploads the figure's data
    "displaylogo": False,
    "displayModeBar": False,  # no buttons inside role="img"; drag and double-click still zoom
    "responsive": True,
    "typesetMath": False,
}
_STARTED: Final = dt.datetime.now(dt.UTC)


@dataclass(frozen=True, slots=True)
class Headline:
    """A figure that a notebook found, with its 90 % interval; None says not enough evidence."""

    name: str
    value: float | int | str | None
    lower: float | None = None
    upper: float | None = None
    unit: str = ""
    label: str = ""

    @property
    def title(self) -> str:
        """What a reader calls it."""
        return self.label or self.name.replace("_", " ")

    @property
    def text(self) -> str:
        """The value with its unit, or `not enough evidence`."""
        if self.value is None:
            return "not enough evidence"
        return _with_unit(self.value, self.unit)

    @property
    def interval(self) -> str:
        """The 90 % interval in words; empty where there is none."""
        if self.lower is None or self.upper is None or self.value is None:
            return ""
        return f"90 % interval {_with_unit(self.lower, self.unit)} to {_with_unit(self.upper, self.unit)}"


def _with_unit(value: float | str, unit: str) -> str:
    if unit in ("share", "percent"):
        return tables.format_value(value, "percent")
    if unit == "bytes":
        return tables.format_value(value, "bytes")
    text = tables.format_value(value)
    return f"{text} {unit}" if unit else text


def _plain(value: Any) -> Any:
    """NumPy scalars and missing values as JSON has them."""
    item = value.item() if hasattr(value, "item") else value
    if item is None or type(item).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(item, float) and not math.isfinite(item):
        return None
    return item


def _publish(bundle: dict[str, Any]) -> None:
    from IPython.display import display  # noqa: PLC0415 - only needed where something is displayed

    display(bundle, raw=True)  # type: ignore[no-untyped-call]  # IPython does not annotate it


def record(
    name: str,
    value: float | str | None,
    lower: float | None = None,
    upper: float | None = None,
    unit: str = "",
    *,
    label: str = "",
) -> Headline:
    """Store a figure as data beside the notebook's prose, and return it for `show_summary`.

    Parameters
    ----------
    name
        Stable snake_case name; the index follows it from run to run.
    value
        The estimate; None or NaN says not enough evidence.
    lower, upper
        Bounds of the 90 % interval, both or neither.
    unit
        `share` (shown as a percentage), `bytes`, or a word shown behind the number.
    label
        What a reader calls it; by default the name without underscores.

    Raises
    ------
    BadCallError
        The name is not snake_case, or only one bound is given.
    """
    if not name.isidentifier() or name != name.lower():
        raise BadCallError(f"record: {name!r} is not a snake_case name, such as 'kept_share'")
    if (lower is None) != (upper is None):
        raise BadCallError(f"record {name!r}: give both bounds of the interval, or neither")
    shown = _plain(value)
    shown = safe.clean(shown) if isinstance(shown, str) else shown
    headline = Headline(name, shown, _plain(lower), _plain(upper), safe.clean(unit), safe.clean(label))
    _publish({FIGURE_MIME: asdict(headline), "text/plain": ""})
    return headline


def show(
    fig: Any, alt: str, data: pd.DataFrame | None = None, formats: Mapping[str, str] | None = None
) -> None:
    """Display a plotly figure as an accessible HTML figure with its data in a table behind it.

    Parameters
    ----------
    fig
        A plotly figure. Its data strings are masked and escaped here (S10); titles are taken as written.
    alt
        What the figure shows, in a sentence that stands without seeing it.
    data
        The frame behind the figure: one table, folded away. Ids in it (columns named `*_id`) are ids in the figure too.
    formats
        As in `show_table`.

    Raises
    ------
    BadCallError
        `alt` is empty.
    """
    if not alt.strip():
        raise BadCallError("show: alt is empty; say in a sentence what the figure shows")
    figure = safe.guard_figure(
        json.loads(fig.to_json()), ids=frozenset() if data is None else tables.ids_in(data)
    )
    figure["config"] = dict(PLOTLY_CONFIG)
    height = int(figure.get("layout", {}).get("height", 420))
    label = safe.escape_html(safe.clean(alt))
    table = "" if data is None else tables.html_table(data, formats=formats, caption="Data behind the figure")
    details = f"<details><summary>Data behind the figure</summary>{table}</details>" if table else ""
    html = (
        f'<div class="eventlib-figure"><figure role="img" aria-label="{label}">'
        f'<div class="plot" style="min-height:{height}px"></div></figure>'
        f'<script type="application/json">{safe.script_json(figure)}</script>{details}</div>'
    )
    _publish({PLOTLY_MIME: figure, "text/html": html, "text/plain": safe.clean(alt)})


def show_table(
    frame: pd.DataFrame,
    caption: str,
    formats: Mapping[str, str | Callable[[Any], str]] | None = None,
    ids: Sequence[str] = (),
    max_rows: int = tables.MAX_ROWS,
) -> None:
    """Display a frame as a tidy table; see `eventlib.report.tables.html_table` for the parameters."""
    html = tables.html_table(frame, caption, formats, ids=ids, max_rows=max_rows)
    _publish({"text/html": html, "text/plain": safe.clean(caption)})


def _row_counts(ledger: Ledger) -> dict[str, int]:
    """Rows in, without a record, rejected, withheld, other removals, kept: they add up."""
    withheld, rejected = sum(ledger.removed("consent").values()), sum(ledger.rejected.values())
    counts = {"rows in": ledger.rows_in}
    if ledger.skipped:
        counts["no record in it"] = ledger.skipped
    others = ledger.rows_in - ledger.rows_out - ledger.skipped - rejected - withheld
    return counts | {
        "rejected": rejected,
        "withheld": withheld,
        "late or duplicate": others,
        "kept": ledger.rows_out,
    }


def _in_words(value: object) -> str:
    return ", ".join(value) if isinstance(value, list) else tables.format_value(value) or "not set"


def _headline_html(headline: Headline) -> str:
    interval = f"<small>{safe.escape_html(headline.interval)}</small>" if headline.interval else ""
    return f"<div><dt>{safe.escape_html(headline.title)}</dt><dd>{safe.escape_html(headline.text)} {interval}</dd></div>"


def _definition_list(items: Mapping[str, object], name: str) -> str:
    rows = "".join(
        f"<div><dt>{safe.escape_html(key)}</dt><dd>{safe.escape_html(safe.clean(str(value)))}</dd></div>"
        for key, value in items.items()
    )
    return f'<dl class="{name}">{rows}</dl>'


def _notes(kind: str, title: str, sentences: Sequence[str]) -> str:
    listed = "".join(f"<li>{safe.escape_html(safe.clean(text))}</li>" for text in sentences if text)
    return f'<div class="{kind}" role="note"><p>{title}</p><ul>{listed}</ul></div>' if listed else ""


def show_summary(
    prepared: Prepared,
    question: str,
    headlines: Sequence[Headline],
    warnings: Sequence[str] = (),
    parameters: Mapping[str, object] | None = None,
    answers: Sequence[str] = (),
) -> None:
    """Display the first visible cell: the question, what went in and stayed, the headline figures, warnings.

    Parameters
    ----------
    prepared
        The prepared dataset: its ledger gives the rows in, rejected, withheld and kept.
    question
        What was asked, in a sentence.
    headlines
        What `record` returned, most important first.
    warnings
        What a reader must know before using the figures.
    parameters
        The notebook's parameters in force.
    answers
        What was found, in whole sentences, for somebody who reads nothing else.
    """
    counts = {key: f"{value:,}" for key, value in _row_counts(prepared.ledger).items()}
    cards = "".join(_headline_html(headline) for headline in headlines)
    in_force = {key: _in_words(value) for key, value in (parameters or {}).items()}
    html = (
        f'<section class="summary" aria-label="Summary"><p class="question">{safe.escape_html(safe.clean(question))}</p>'
        f'<dl class="headlines">{cards}</dl>{_notes("answers", "In short", answers)}{_definition_list(counts, "rows")}'
        + _notes("warnings", "Before you use this", warnings)
        + (_definition_list(in_force, "parameters") if in_force else "")
        + "</section>"
    )
    _publish({"text/html": html, "text/plain": safe.clean(question)})


_LEFT: Final = ' style="text-align:left"'  # JupyterLab puts all cells to the right
_FROM_PREPARED: Final = (
    "run_id",
    "started_at",
    "ended_at",
    "inputs",
    "parameters",
    "policy",
    "schema_versions",
    "libraries",
    "code_version",
    "seed",
    "row_digest",
)
_DIGESTS: Final = frozenset(("sha256", "row_digest", "digest", "run_id", "code_version", "libraries"))
"""What the stamp has of our own making: long, mixed, and no token."""


def _stamp(run: Mapping[str, Any], parameters: Mapping[str, object]) -> dict[str, Any]:
    """Everything that is needed to make this report again (NOTEBOOKS 3)."""
    now = dt.datetime.now(dt.UTC)
    stamp = {
        "run_id": os.environ.get(RUN_ID_VARIABLE) or f"{now:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:6]}",
        "started": _STARTED.isoformat(timespec="seconds"),
        "ended": now.isoformat(timespec="seconds"),
        "code_version": version("eventlib"),
        "parameters": {key: _plain(value) for key, value in parameters.items()},
        "prepared": {key: run[key] for key in _FROM_PREPARED if key in run},
        "status": "completed",
    }
    cleaned: dict[str, Any] = safe.clean_tree(stamp, _DIGESTS)
    return cleaned


def _inputs_table(inputs: Sequence[Mapping[str, Any]]) -> str:
    import pandas as pd  # noqa: PLC0415 - there already wherever a dataset is

    rows = [
        (Path(item["file"]).name, item.get("rows"), item.get("source"), item.get("sha256")) for item in inputs
    ]
    frame = pd.DataFrame(rows, columns=["file", "rows", "source", "sha256"])
    return tables.html_table(frame, "Input files", ids=["sha256"])


def _versions(versions: Mapping[str, str]) -> str:
    """Names by version: most share one."""
    by_version: dict[str, list[str]] = {}
    for name, number in versions.items():
        by_version.setdefault(number, []).append(name)
    return "; ".join(f"{number}: {', '.join(names)}" for number, names in sorted(by_version.items()))


def _pairs(values: Mapping[str, object]) -> str:
    return ", ".join(f"{key} {_in_words(value)}" for key, value in values.items() if value is not None)


def run_stamp(prepared: Prepared, parameters: Mapping[str, object] | None = None) -> None:
    """Display and record what this report was made from and with; the notebook's last section.

    Parameters
    ----------
    prepared
        The prepared dataset, whose own stamp is quoted.
    parameters
        The notebook's parameters in force.
    """
    stamp = _stamp(prepared.run, parameters or {})
    source = stamp["prepared"]
    items = {
        "run": stamp["run_id"],
        "started and ended (UTC)": f"{stamp['started'][:19]} to {stamp['ended'][:19]}",
        "parameters": _pairs(stamp["parameters"]),
        "code version": stamp["code_version"],
        "prepared dataset": source.get("run_id", ""),
        "prepared with": _pairs(source.get("parameters", {})),
        "consent policy": _pairs(source.get("policy", {})),
        "row digest": source.get("row_digest") or "",
        "seed": source.get("seed", ""),
        "schema versions": _versions(source.get("schema_versions", {})),
        "libraries": _pairs(source.get("libraries", {})),
    }
    rows = "".join(
        f'<tr><th scope="row"{_LEFT}>{safe.escape_html(key)}</th>'
        f"<td{_LEFT}>{safe.escape_html(value)}</td></tr>"
        for key, value in items.items()
        if value not in ("", None)
    )
    shown = f'<table class="stamp"><tbody>{rows}</tbody></table>'
    inputs = _inputs_table(source.get("inputs", []))
    html = f'<section class="run-stamp" aria-label="Run stamp">{shown}{inputs}</section>'
    _publish({RUN_MIME: stamp, "text/html": html, "text/plain": f"run {stamp['run_id']}"})
