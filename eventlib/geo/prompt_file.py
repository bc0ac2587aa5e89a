"""The file that prompt clusters are kept in: JSON, without eventlib's help to be read, checked before it is used.

To assign a prompt: split it as `eventlib.geo.prompt_terms.split_words` does (tokens and phone numbers go first); take
its words and pairs of neighbours, each once; divide their weights (`words`, or `unseen` for any other) by the length
of all of them together; the same with its pieces (three and four letters in a row of a word; two neighbours of a
script without spaces), times 2; divide all by the root of 5 (by 1 if it has no piece); take the dot product with each
cluster. The largest wins, the first of equals, if it is at least `threshold`; else the prompt is `other`, and without
a word `unknown`. In a signal bundle `features.json` names the id of each label, by which `signals.parquet` goes.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from eventlib.errors import BadCallError

__all__ = ["FORMAT", "VERSION", "cluster_id", "encode", "read", "write"]

FORMAT: Final = "eventlib prompt clusters"
VERSION: Final = "1-0-0"

_TOP: Final = {
    "clusters": list, "fitted": dict, "known": list, "pieces": dict, "threshold": (int, float),
    "unseen": (int, float), "words": dict,
}  # fmt: skip
_LARGEST: Final = 1e6  # weights are logs of counts, or shares of a length; squares of larger ones overflow
_FITTED: Final = {"as_of": str, "other_share": (int, float), "mean_similarity": (int, float), "purpose": str}


def cluster_id(cluster: Mapping[str, Any]) -> str:
    """Return the id of an entry of `clusters`: `text_` and ten digits of a digest of its weights.

    It is the same while the file is kept, whatever its label is changed to, and another after another fit.
    """
    weights = {name: cluster[name] for name in ("pieces", "words")}
    return f"text_{hashlib.sha256(json.dumps(weights, sort_keys=True).encode()).hexdigest()[:10]}"


def encode(content: Mapping[str, Any]) -> bytes:
    """Return the bytes of a file with this content; keys are sorted, so that the same content is the same bytes."""
    text = json.dumps(
        {"format": FORMAT, "version": VERSION, **content}, sort_keys=True, indent=1, allow_nan=False
    )
    return f"{text}\n".encode()


def write(path: Path, content: Mapping[str, Any]) -> Path:
    """Write the content with its format, in one step."""
    encoded = encode(content)
    aside = ""
    try:
        handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        with os.fdopen(handle, "wb") as file:
            file.write(encoded)
        Path(aside).chmod(0o644)
        Path(aside).replace(path)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        if aside:
            Path(aside).unlink(missing_ok=True)
        why = error.strerror if isinstance(error, OSError) else error
        raise BadCallError(
            f"prompt clusters cannot be written to {path}: {why}; name a file in a folder that is there"
        ) from None
    return path


def read(path: Path) -> dict[str, Any]:
    """Return the content of a file that `write` wrote.

    Raises
    ------
    BadCallError
        If it cannot be read, is of something else or another version, or is damaged; the first problem is named.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadCallError(f"prompt clusters cannot be read from {path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise _refused(path, "it is no JSON") from None
    problem = next(_problems(content), None)
    if problem:
        raise _refused(path, problem)
    return dict(content)


def _refused(path: Path, problem: str) -> BadCallError:
    return BadCallError(
        f"{path} holds no prompt clusters that can be used: {problem}. Take it from a backup, or name another file to "
        "fit clusters anew"
    )


def _problems(content: Any) -> Iterator[str]:
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        yield f'its "format" is not "{FORMAT}"'
        return
    if content.get("version") != VERSION:
        yield f'its "version" is {content.get("version")!r}, this eventlib reads "{VERSION}"'
        return
    damaged = [*_misfits(content, _TOP, ""), *_misfits(content.get("fitted"), _FITTED, "fitted.")]
    yield from damaged
    if not damaged:
        yield from _damaged_terms(content)
        yield from _damaged_clusters(content)


def _misfits(content: Any, wanted: Mapping[str, Any], where: str) -> Iterator[str]:
    given = content if isinstance(content, dict) else {}
    for name, kind in wanted.items():
        if not isinstance(given.get(name), kind) or isinstance(given.get(name), bool):
            yield f'"{where}{name}" is missing or of another type'


def _is_weights(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_number(weight) for weight in value.values())


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= _LARGEST


def _damaged_terms(content: Mapping[str, Any]) -> Iterator[str]:
    for name in ("words", "pieces"):
        if not _is_weights(content[name]) or not all(weight > 0 for weight in content[name].values()):
            yield f'a weight in "{name}" is no positive number'
    for name in ("unseen", "threshold"):
        if not _is_number(content[name]) or content[name] <= 0:
            yield f'"{name}" is no positive number'
    if _is_number(content["threshold"]) and content["threshold"] > 1:
        yield '"threshold" is over 1, which no prompt could reach'
    for name in ("other_share", "mean_similarity"):
        if not _is_number(content["fitted"][name]):
            yield f'"fitted.{name}" is no number'
    if not all(isinstance(each, str) for each in content["known"]):
        yield 'an entry of "known" is no text'


def _damaged_clusters(content: Mapping[str, Any]) -> Iterator[str]:
    labels = set[str]()
    for number, cluster in enumerate(content["clusters"], 1):
        label = cluster.get("label") if isinstance(cluster, dict) else None
        if (
            not isinstance(label, str)
            or not label.strip()
            or label in labels
            or label in ("other", "unknown")
        ):
            yield f"cluster {number} has no label of its own"
            return
        labels.add(label)
        for name in ("words", "pieces"):
            if not _is_weights(cluster.get(name)) or not cluster[name].keys() <= content[name].keys():
                yield f'"{name}" of cluster {number} are no weights of the terms'
