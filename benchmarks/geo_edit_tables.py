"""The tables of `geo_edits`: shares with 90 % intervals, worlds as clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

RATIOS = (1.25, 1.5, 2.0)


def share(frame: pd.DataFrame, hit: pd.Series) -> str:
    """Return a share with its 90 % interval, worlds as clusters."""
    if not len(frame):
        return "-"
    by_world = hit.groupby(frame["seed"]).agg(["sum", "size"])
    value = float(hit.mean())
    rest = by_world["sum"] - value * by_world["size"]
    error = float(np.sqrt((rest**2).sum() * len(by_world) / max(len(by_world) - 1, 1)) / len(hit))
    return f"{value:.3f} ± {1.645 * error:.3f}"


def null_table(frame: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Return how often null edits seem to have done something."""
    rows = []
    judged = frame[frame["p"].notna() & (frame["truth"] == 1)]
    for key, part in judged.groupby(by, observed=True):
        rows.append(
            dict(zip(by, key, strict=True)) | {
                "comparisons": len(part), "p <= .05": share(part, part["p"] <= 0.05), "p <= .10": share(part, part["p"] <= 0.10),
                "flagged": share(part, part["state"].isin(["better", "worse"])),
                "worse at p <= .05": share(part, (part["p"] <= 0.05) & (part["change"] < 1)),
                "interval holds 1": share(part, (part["lower"] <= 1) & (part["upper"] >= 1)),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def power_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the edits that did something, with the power predicted for what they did."""
    told = [frame[f"power_{100 * ratio - 100:.0f}"] for ratio in RATIOS]
    return frame.assign(predicted=np.select([frame["truth"] == ratio for ratio in RATIOS], told, np.nan))


def found_table(frame: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Return predicted power beside the share found, p at most .05, of what did something and could be judged."""
    rows = []
    real = frame[frame["p"].notna() & (frame["truth"] > 1)]
    for key, part in real.groupby(by, observed=True):
        found, off = (part["p"] <= 0.05).astype(float), np.log((part["change"] / part["truth"]).astype(float))
        inside = (part["lower"] <= part["truth"]) & (part["truth"] <= part["upper"])
        rows.append(
            dict(zip(by, key, strict=True)) | {
                "comparisons": len(part), "true ratio": f"{part['truth'].median():.2f}", "predicted": f"{part['predicted'].mean():.3f}",
                "found": share(part, found), "found less predicted": share(part, found - part["predicted"].astype(float)),
                "flagged": share(part, part["state"].isin(["better", "worse"])), "interval holds the truth": share(part, inside),
                "mean error of log change": f"{off.mean():+.3f}",
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def show(title: str, table: pd.DataFrame) -> None:
    """Print a table in Markdown."""
    print(f"\n### {title}\n\n| {' | '.join(table.columns)} |\n|{'---|' * len(table.columns)}")
    for row in table.itertuples(index=False):
        print(f"| {' | '.join(str(value) for value in row)} |")


def show_power(
    title: str, frame: pd.DataFrame, by: Sequence[str] = ("all", "band", "truth", "outcome")
) -> None:
    """Print how what was found compares with what was predicted, in all and by bands."""
    real = power_columns(frame).assign(all="all")
    real["band"] = pd.cut(real["predicted"], [0, 0.2, 0.4, 0.6, 0.8, 1.0], include_lowest=True)
    for name in by:
        show(f"{title}, by {name}", found_table(real, ["chosen", name] if name == "all" else [name]))
