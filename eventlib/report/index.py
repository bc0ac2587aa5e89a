"""The page that lists every report: latest headline figures, how they moved, all runs, what failed since."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from eventlib.report import safe
from eventlib.report.display import Headline
from eventlib.report.page import BARE_HEAD, page_policy, stylesheet
from eventlib.report.publish import FAILED, LATEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

__all__ = ["Run", "index_page", "load_figures", "read_runs", "sparkline"]

_TREND_RUNS: Final = 30


@dataclass(frozen=True, slots=True)
class Run:
    """One published or failed run of a notebook."""

    notebook: str
    run_id: str
    stamp: dict[str, Any]
    figures: list[dict[str, Any]]
    has_page: bool = True

    @property
    def ended(self) -> str:
        """UTC end in words."""
        return str(self.stamp.get("ended", ""))[:16].replace("T", " ")


def _read(path: Path, default: Any) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return default


def _runs_in(folder: Path, stamp_name: str) -> list[Run]:
    """Return the runs below one notebook's folder, oldest first; a folder without its stamp is none."""
    found = []
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink() and (path / stamp_name).is_file():
            stamp, figures = _read(path / stamp_name, {}), _read(path / "figures.json", [])
            has_page = (path / "report.html").is_file()
            found.append(Run(folder.name, path.name, stamp, figures, has_page))
    return found


def _folders(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith(".") and p.name != FAILED)


def read_runs(out: Path) -> tuple[dict[str, list[Run]], dict[str, list[Run]]]:
    """Return published and failed runs by notebook, oldest first."""
    published = {folder.name: _runs_in(folder, "run.json") for folder in _folders(out)}
    failed = {folder.name: _runs_in(folder, "failure.json") for folder in _folders(out / FAILED)}
    return {name: runs for name, runs in published.items() if runs}, failed


def load_figures(report: Path) -> dict[str, dict[str, Any]]:
    """Return what a published report recorded: name → figure, with `value`, `lower`, `upper`, `unit`."""
    return {figure["name"]: figure for figure in _read(report / "figures.json", [])}


def sparkline(values: Sequence[float], label: str, width: int = 120, height: int = 28) -> str:
    """Return a line of a figure's past values as inline SVG; empty under two values.

    Examples
    --------
    >>> sparkline([1.0], "kept share")
    ''
    >>> "polyline" in sparkline([1.0, 2.0], "kept share")
    True
    """
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    step = (width - 8) / (len(values) - 1)
    points = [(4 + i * step, height - 5 - (v - low) / span * (height - 10)) for i, v in enumerate(values)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    x, y = points[-1]
    box = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    return (
        f'<svg class="spark" role="img" aria-label="{safe.escape_html(label)}" {box}>'
        f'<polyline points="{path}" fill="none" stroke="#0072B2" stroke-width="1.8"/>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#D55E00"/></svg>'
    )


def _headline(figure: dict[str, Any]) -> Headline:
    known = ("name", "value", "lower", "upper", "unit", "label")
    return Headline(**{key: figure[key] for key in known if key in figure})


def _trend(runs: Sequence[Run], name: str) -> str:
    recent = runs[-_TREND_RUNS:]
    values = [figure["value"] for run in recent for figure in run.figures if figure.get("name") == name]
    numbers = [float(value) for value in values if isinstance(value, (int, float)) and math.isfinite(value)]
    return sparkline(numbers, f"{name.replace('_', ' ')} over the last {len(numbers)} runs, newest right")


def _figures(runs: Sequence[Run]) -> str:
    rows = []
    for figure in runs[-1].figures:
        headline = _headline(figure)
        text = safe.escape_html(headline.text)
        interval = f"<small>{safe.escape_html(headline.interval)}</small>" if headline.interval else ""
        trend = _trend(runs, headline.name)
        rows.append(f"<div><dt>{safe.escape_html(headline.title)}</dt><dd>{text}{trend}{interval}</dd></div>")
    return f'<dl class="headlines">{"".join(rows[:6])}</dl>' if rows else ""


def _all_runs(runs: Sequence[Run]) -> str:
    items = "".join(
        f'<li><a href="{safe.escape_html(run.notebook)}/{safe.escape_html(run.run_id)}/report.html">'
        f"{safe.escape_html(run.ended)} UTC</a> · run {safe.escape_html(run.run_id)}</li>"
        for run in reversed(runs)
    )
    return f'<details><summary>{_count(len(runs), "run")}</summary><ul class="plain">{items}</ul></details>'


_FAILURES: Final = {
    "gate_refused": "A gate refused the last export",
    "kernel_died": "The kernel of the last run died",
}


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _failure(runs: Iterable[Run], since: str) -> str:
    """Say that the last run failed, when nothing was published after it."""
    later = [run for run in runs if run.run_id > since]
    if not later:
        return ""
    run = later[-1]
    what = _FAILURES.get(str(run.stamp.get("error")), "The last run failed")
    reason = safe.escape_html(safe.clean(str(run.stamp.get("message", ""))))
    name, run_id = safe.escape_html(run.notebook), safe.escape_html(run.run_id)
    link = f'<a href="{FAILED}/{name}/{run_id}/report.html">What {name} got to</a>' if run.has_page else ""
    return (
        f'<div class="failed" role="note"><p><strong>{what}</strong>, {safe.escape_html(run.ended)} UTC. '
        f"{reason} {link}</p></div>"
    )


def _card(name: str, runs: Sequence[Run], failed: Sequence[Run]) -> str:
    title = safe.escape_html(str([*failed, *runs][-1].stamp.get("title") or name))
    link = f'<a href="{safe.escape_html(name)}/{LATEST}/report.html">{title}</a>' if runs else title
    notice = _failure(failed, runs[-1].run_id if runs else "")
    body = (
        f"<p>Latest: {safe.escape_html(runs[-1].ended)} UTC</p>{_figures(runs)}{_all_runs(runs)}"
        if runs
        else ""
    )
    return (
        f'<section class="report-card" id="{safe.escape_html(name)}"><h2>{link}</h2>{notice}{body}</section>'
    )


def index_page(out: Path) -> str:
    """Return the index of the runs published under `out`."""
    published, failed = read_runs(out)
    names = sorted(published.keys() | failed.keys())
    cards = "".join(_card(name, published.get(name, []), failed.get(name, [])) for name in names)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">{page_policy()}'
        f"{BARE_HEAD}<title>Reports</title><style>{stylesheet()}</style></head>"
        '<body><a class="skip" href="#main">Skip to the reports</a>'
        '<main id="main" tabindex="-1"><h1>Reports</h1>'
        f"{cards or '<p>No run has been published yet.</p>'}</main></body></html>\n"
    )
