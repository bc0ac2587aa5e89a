"""The sample log, poisoned: every free string carries an attack and a secret (S10).

Attacks set `window.hit`, open a dialog, load something or steer a terminal. Secrets are planted in several
disguises; `secrets_in` finds them whatever the disguise.
"""

from __future__ import annotations

import gzip
import html
import json
import re
import unicodedata
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import orjson

from eventlib.api import prepare
from eventlib.errors import GateRefusedError
from eventlib.report import run_reports
from eventlib.resources import schemas_dir
from tests.factory import KEY, event, line
from tests.reporting import ROOT, folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["ATTACKS", "NEEDLES", "STAMPED", "poisoned_reports", "secrets_in"]

ATTACKS: Final = (
    "<img src=x onerror=window.hit='img'>",
    "<script>window.hit='script'</script>",
    "<a href=\"javascript:window.hit='link'\">x</a>",
    "</script><script>window.hit='close'</script>",
    "\"><svg onload=window.hit='svg'>",
    "<b>bold</b>%{y}<extra>%{customdata}</extra>",
    "![x](https://evil.example/p.png) [y](javascript:alert(1))",
    '=HYPERLINK("https://evil.example")',
    "<style>@import 'https://evil.example/s.css'</style>",
    "<iframe src=https://evil.example></iframe>",
    "<span style='background:url(https://evil.example/b.png)'>x</span>",
    "\u202egnp.exe\x07\x1b[31m",
)
SECRETS: Final = (
    "ann@poison-mail.example",
    "ann%40poison-mail.example",
    "ann%2540poison-mail%252Eexample",
    "ann\uff20poison-mail\uff0eexample",
    "an\u200bn@poison\u00ad-mail.example",
    "+49 151 98765432",
    "%2B49%20151%2098765432",
    "\uff10\uff10\uff14\uff19\uff11\uff15\uff11\uff19\uff18\uff17\uff16\uff15\uff14\uff13\uff12",
    "tel:+4915198765432:",
    "4111 1111 1111 1111",
    "2026-10-03 4111111111111111",
    "sk-plantedtoken0123456789ab",
    "Bearer plantedtoken.0123456789",
    "https://ann:plantedword@shop.example/a?session=plantedquery#plantedend",
    "/a?session=plantedquery#to=plantedend",
)
NEEDLES: Final = (
    "poisonmail",
    "15198765432",
    "4111111111111111",
    "plantedtoken",
    "plantedword",
    "plantedquery",
    "plantedend",
)
STAMPED: Final = "<img src=x onerror=window.hit='file'>"
"""Stands in the names of log and policy, which every report shows."""
_NAME: Final = f"{STAMPED} ann@poison-mail.example"

_IDS: Final = ("content_id", "prompt_id", "edit_id")
_TEXTS: Final = (
    "title",
    "prompt_text",
    "model",
    "topic",
    "change_type",
    "run_id",
    "arm",
)
_JOINS: Final = ("answer_id", "citation_id", "page_view_id", "conversion_id", "refined_answer_id")


def secrets_in(text: str) -> list[str]:
    """Return which planted secrets a text tells, however it is written."""
    for _ in range(3):
        text = unicodedata.normalize("NFKC", unquote(html.unescape(text)))
    squeezed = re.sub(r"[^0-9a-z]", "", text.lower())
    return [needle for needle in NEEDLES if needle in squeezed]


@cache
def _poison(text: str) -> str:
    """Return the text with an attack and a secret, always the same ones, so that it still joins."""
    number = sum(text.encode())
    return f"{text} {ATTACKS[number % len(ATTACKS)]} {SECRETS[number % len(SECRETS)]}"


@cache
def _poison_url(url: str) -> str:
    scheme, _, rest = url.partition("://")
    bare, sign, end = rest.partition("#")
    joint = "&" if "?" in bare else "?"
    return f"{scheme}://ann:plantedword@{bare}{joint}session=plantedquery{sign}{end or '#plantedend'}"


def _replace(place: Any, keys: tuple[str, ...], by: Callable[[str], str]) -> None:
    if isinstance(place, dict):
        place.update({key: by(place[key]) for key in keys if isinstance(place.get(key), str)})


def _poison_event(made: dict[str, Any]) -> dict[str, Any]:
    said, context = made.get("properties"), made.get("context")
    _replace(made, ("source", "anonymous_id", "user_id"), _poison)
    _replace(made.get("consent"), ("notice_version",), _poison)
    _replace(context, ("user_agent",), _poison)
    _replace(context, ("url", "referrer"), _poison_url)
    if isinstance(said, dict):
        _replace(said, (*_IDS, *_TEXTS, *_JOINS), _poison)
        _replace(said, ("url",), _poison_url)
        # all that the pattern of engines lets through
        _replace(
            said, ("engine",), lambda engine: "gemini:4111111111111111" if engine == "gemini" else engine
        )
        for one in said.get("candidates") or ():
            _replace(one, ("content_id",), _poison)
    return made


def _rejected() -> Iterator[bytes]:
    """Lines for the quarantine: names of events and properties, a jurisdiction, a version."""
    for number, (attack, secret) in enumerate(zip(ATTACKS * 3, SECRETS * 3, strict=False)):
        text = f"{attack} {secret}"
        yield line(event(number, name=f"page_view {text}"))
        yield line(event(number, properties={"observation": "owned", "page_view_id": "v", text: 1}))
        yield line(event(number, consent={"jurisdiction": text}))
        yield line(event(number, schema_version=text[:20]))
        yield line({text: text})


def _lines() -> Iterator[bytes]:
    with gzip.open(ROOT / "data" / "sample.ndjson.gz", "rb") as log:
        for raw in log:
            try:
                made = orjson.loads(raw)
                yield line(_poison_event(made)) if isinstance(made, dict) else raw
            except (ValueError, TypeError):
                yield raw
    yield from _rejected()


@cache
def poisoned_reports() -> dict[str, Path]:
    """Return the published reports of all shipped notebooks on the poisoned sample: name → folder."""
    at = folder() / "poisoned"
    at.mkdir()
    (at / "key").write_text(KEY)
    log, policy = at / f"{_NAME}.ndjson", at / f"{_NAME}.yaml"
    log.write_bytes(b"".join(_lines()))
    policy.write_text(
        (schemas_dir() / "policy" / "default.yaml").read_text(encoding="utf-8"), encoding="utf-8"
    )
    data = prepare(log, key=at / "key", policy=policy, plain_identifiers=True).save(at / "prepared")
    (at / "given.yaml").write_text(json.dumps({"steps": ["page_view", "citation_click", _NAME]}))
    given = {"out": str(at / "signals"), "replicates": "20", "seed": "1"}  # a seed with which no gate refuses
    with suppress(GateRefusedError):
        run_reports(None, data, at / "reports", given, [at / "given.yaml"], quiet=True)
    return {path.parent.name: path.resolve() for path in (at / "reports").glob("*/latest")}
