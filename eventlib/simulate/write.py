"""Writing the log and the truth beside it: the same bytes for the same world."""

from __future__ import annotations

import csv
import gzip
import io
import re
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson

from eventlib.simulate.assistant import CITED_MAX
from eventlib.simulate.content import FEATURES, NEVER, Content
from eventlib.simulate.effects import edit_effects, satisfaction
from eventlib.simulate.lines import stamp
from eventlib.simulate.parameters import ENGINES_THIRD_PARTY, WorldParameters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from eventlib.simulate.world import Chunk, World

__all__ = ["LogWriter", "TruthWriter", "write_world"]

_LEVEL: Final = 4
_OWN_FILES: Final = re.compile(r"events-\d{4,}\.ndjson(\.gz)?", re.ASCII)


def _compress(path: Path, content: bytes) -> None:
    with path.open("wb") as file, gzip.GzipFile("", "wb", _LEVEL, file, mtime=0) as packed:
        packed.write(content)


class LogWriter:
    """Write lines as `events-0000.ndjson.gz`, …; compression runs beside the simulation."""

    def __init__(self, folder: Path, *, plain: bool, lines_per_file: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            if _OWN_FILES.fullmatch(path.name):
                path.unlink()  # an earlier log's files would be read as part of this one
        self.files: list[Path] = []
        self._folder, self._plain, self._limit = folder, plain, lines_per_file
        self._pending: list[bytes] = []
        self._pool = ThreadPoolExecutor(1)
        self._writing: Future[Any] | None = None

    def add(self, lines: Iterable[bytes]) -> None:
        """Add lines; whole files are written as they fill."""
        self._pending.extend(lines)
        while len(self._pending) >= self._limit:
            self._flush(self._limit)

    def close(self) -> None:
        """Write what is left; a log of no lines is one empty file."""
        if self._pending or not self.files:
            self._flush(len(self._pending))
        if self._writing is not None:
            self._writing.result()
        self._pool.shutdown()

    def _flush(self, n: int) -> None:
        content = b"".join(line + b"\n" for line in self._pending[:n])
        del self._pending[:n]
        path = self._folder / f"events-{len(self.files):04d}.ndjson{'' if self._plain else '.gz'}"
        self.files.append(path)
        if self._writing is not None:
            self._writing.result()  # at most one file waits: memory stays flat
        write: Callable[[Path, bytes], Any] = Path.write_bytes if self._plain else _compress
        self._writing = self._pool.submit(write, path, content)


class TruthWriter:
    """Write the truth that grows with the log: `events.csv.gz`, a row per line; `identifiers.csv`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / "events.csv.gz").open("wb")
        self._packed = gzip.GzipFile("", "wb", _LEVEL, self._file, mtime=0)
        self._packed.write(b"event_id,true_time,true_person,fault\n")
        self._identifiers = (folder / "identifiers.csv").open("w", encoding="utf-8", newline="")
        self._csv = csv.writer(self._identifiers, lineterminator="\n")
        self._csv.writerow(["namespace", "identifier", "true_person", "is_shared", "is_bot"])

    def add(self, chunk: Chunk) -> None:
        """Add a chunk's truth; no field holds a comma or a quote."""
        self._packed.write("".join([",".join(row) + "\n" for row in chunk.truth]).encode())
        self._csv.writerows(
            (*names, str(shared).lower(), str(bot).lower()) for *names, shared, bot in chunk.identifiers
        )

    def close(self) -> None:
        """Finish both files."""
        self._packed.close()
        self._file.close()
        self._identifiers.close()


def _table(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    listed = list(rows)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(listed[0]) if listed else ["empty"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(listed)
    path.write_text(text.getvalue(), encoding="utf-8", newline="")


def _rounded(values: Any, digits: int = 4) -> list[Any]:
    rounded: list[Any] = np.round(values, digits).tolist()
    return rounded


def _pages(content: Content, parameters: WorldParameters) -> Iterable[dict[str, Any]]:
    names = sorted(set(content.topics))
    relevance = _topic_relevance(content, len(names))
    likely = satisfaction(content, parameters)
    for i, page in enumerate(content.ids):
        by_topic = {f"relevance_{content.topics[t]}": r for t, r in enumerate(_rounded(relevance[:, i]))}
        yield {
            "content_id": page,
            "topic": content.topics[i],
            "quality": round(float(content.quality[i]), 4),
            "satisfied_30s": round(float(likely[i]), 4),
            "dwell_log_s": round(float(content.dwell_log_s[i]), 4),
            "dwell_log_sd": parameters.dwell_sd,
            **by_topic,
            **{name: content.features[i][name] for name in FEATURES},
        }


def _topic_relevance(content: Content, topics: int) -> Any:
    """Return the mean probability of a click once seen, by topic of the prompt and page; nan if none."""
    total, count = np.zeros((topics, len(content.ids))), np.zeros((topics, len(content.ids)))
    for q, topic in enumerate(content.prompt_topic.tolist()):
        total[topic, content.pool[q]] += 1 / (1 + np.exp(-content.click[q]))
        count[topic, content.pool[q]] += 1
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def _edits(content: Content, world: World) -> Iterable[dict[str, Any]]:
    edited = np.flatnonzero(content.edit_at < NEVER).tolist()
    effects = edit_effects(content, world.parameters, world.seed)
    for i in edited:
        cite, click, satisfy = _rounded(effects[i])
        seen = stamp(content.edit_seen[i])
        yield {
            "edit_id": f"ed-{content.ids[i]}",
            "content_id": content.ids[i],
            "change_type": content.edit_change[i],
            "true_lift": round(cite + click + satisfy, 4),
            "is_null": str(bool(content.edit_null[i])).lower(),
            "at": stamp(content.edit_at[[i]])[0],
            "lift_cite": cite,
            "lift_click": click,
            "lift_satisfy": satisfy,
            **{f"seen_{engine}": seen[e] for e, engine in enumerate(ENGINES_THIRD_PARTY)},
        }


def _prompts(content: Content, tracked: int) -> Iterable[dict[str, Any]]:
    for q, prompt in enumerate(content.prompt_ids):
        yield {
            "prompt_id": prompt,
            "prompt_text": content.prompt_texts[q],
            "topic": content.topics[int(content.prompt_topic[q])],
            "weight": round(float(content.prompt_weight[q]), 5),
            "is_probed": str(q < tracked).lower(),
        }


def _relevance(content: Content) -> Iterable[dict[str, Any]]:
    attractive = 1 / (1 + np.exp(-content.click))
    for q, prompt in enumerate(content.prompt_ids):
        columns = (
            content.pool[q].tolist(),
            _rounded(attractive[q]),
            _rounded(content.cite[q]),
            _rounded(content.usual[q]),
        )
        for page, click, cite, usual in zip(*columns, strict=True):
            yield {
                "prompt_id": prompt,
                "content_id": content.ids[page],
                "attractiveness": click,
                "cite_log_odds": cite,
                "usual_position": usual,
            }


def write_world(folder: Path, world: World, faults: dict[str, int]) -> None:
    """Write the truth that does not grow with the log: `world.json`, pages, prompts, relevance, edits."""
    p, content = world.parameters, world.content
    seen = p.examination(CITED_MAX)
    engine = {slot: _rounded(row, 6) for slot, row in zip(("inline", "panel"), seen, strict=True)}
    overall = (1 - p.panel_share) * seen[0] + p.panel_share * seen[1]
    truth = {
        "simulated": True,
        "events": world.events,
        "seed": world.seed,
        "window": stamp(np.array([p.start_us, p.end_us])),
        "parameters": p.as_dict(),
        "examination": {"site_assistant": {**engine, "any": _rounded(overall, 6)}},
        "lines_by_fault": dict(sorted(faults.items())),
        "prompts_probed": world.size.tracked_prompts,
        "probe_period_days": world.size.probe_period_days,
    }
    (folder / "world.json").write_bytes(orjson.dumps(truth, option=orjson.OPT_INDENT_2) + b"\n")
    _table(folder / "pages.csv", _pages(content, p))
    _table(folder / "prompts.csv", _prompts(content, world.size.tracked_prompts))
    _table(folder / "relevance.csv", _relevance(content))
    _table(folder / "edits.csv", _edits(content, world))
