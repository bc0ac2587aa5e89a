"""`el.validate(event)`: a verdict for whatever a caller hands over, the one that its line in a log would get."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import subprocess
import sys
import types
import uuid
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import pytest

import eventlib as el
from eventlib.schema import registry
from eventlib.sources.decode import decode
from tests.factory import event


class Colour(enum.Enum):
    RED = "red"


class Text(str):
    __slots__ = ()


class Unkind(dict[str, Any]):
    def __eq__(self, other: object) -> bool:
        raise ZeroDivisionError

    __hash__ = None


def deep(levels: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for _ in range(levels):
        made = {"a": made}
    return made


def cycle() -> dict[str, Any]:
    made: dict[str, Any] = {}
    made["a"] = [made]
    return made


HOSTILE = {
    "nan": (float("nan"), "not_finite"),
    "infinity": (-float("inf"), "not_finite"),
    "huge": (10**400, "integer_too_large"),
    "unsafe": (2**53, "integer_too_large"),
    "bytes": (b"secret", "not_json"),
    "datetime": (dt.datetime(2026, 1, 1, tzinfo=dt.UTC), "not_json"),
    "date": (dt.date(2026, 1, 1), "not_json"),
    "decimal": (decimal.Decimal(1), "not_json"),
    "uuid": (uuid.UUID(int=1), "not_json"),
    "set": ({1}, "not_json"),
    "enum": (Colour.RED, "not_json"),
    "object": (object(), "not_json"),
    "numbered": ({1: 2}, "not_json"),
    "keyless": ({None: 2}, "not_json"),
    "deep": (deep(100_000), "too_deep"),
    "cycle": (cycle(), "too_deep"),
    "surrogate": ("\ud800", "lone_surrogate"),
    "surrogate key": ({"\udfff": 1}, "lone_surrogate"),
    "endless": ("x" * (1 << 20), "line_too_long"),
}


@pytest.mark.parametrize(("value", "code"), HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("place", ["properties", "sequence", "event_name", "nobody@site.org"])
def test_what_no_line_can_hold_is_a_violation(value: object, code: str, place: str):
    found = el.validate({**event(), place: value})
    assert [violation.code for violation in found] == [code]
    assert "secret" not in found[0].message
    assert "nobody" not in found[0].json_path


@pytest.mark.parametrize(
    "whole",
    [{}, {1: 2}, {(): ()}, {"\ud800": 1}, Unkind(a=1), {"event_name": []}, {"event_name": {}, "a": None}],
)
def test_any_mapping_gets_a_verdict(whole: dict[Any, Any]):
    assert el.validate(whole)


def test_forms_that_json_writes_alike_are_judged_alike():
    assert el.validate(types.MappingProxyType(event())) == []
    assert el.validate(OrderedDict(event(source=Text("web")))) == []
    linked = event(
        name="identity_link", properties={"identifiers": ({"namespace": "email", "value": "a@b.org"},) * 2}
    )
    assert el.validate(linked) == []


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"sequence": 2**53 - 1},
        {"sequence": 1.0},
        {"sequence": 1.5},
        {"properties": {}},
        {"channel": "clinet", "colour": 1},
        {"consent": {"google": {"ann@site.org": 5}}},
    ],
)
def test_verdict_is_the_one_of_its_line(changes: dict[str, object]):
    made = {**event(), **changes}
    line = decode(orjson.dumps(made))
    assert isinstance(line, dict)
    first = registry().judge(line)
    found = el.validate(made)
    assert (
        (first.code, first.json_path, first.errors) == (found[0].code, found[0].json_path, len(found))
        if first
        else not found
    )
    assert "ann@site.org" not in str(found)


def test_threads_share_it():
    events = [event(), event(sequence=-1), event(event_name="page_veiw"), event(schema_version="1-0-9")] * 50
    expected = [el.validate(item) for item in events]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(el.validate, events)) == expected


def test_after_the_first_call_no_file_is_opened():
    script = (
        "import sys, orjson, eventlib as el\n"
        "event = orjson.loads(sys.argv[1])\n"
        "assert el.validate(event) == []\n"
        "def refuse(name, arguments):\n"
        "    assert name not in ('open', 'import'), (name, arguments)\n"
        "sys.addaudithook(refuse)\n"
        "assert el.validate(event) == []\n"
        "assert len(el.validate({**event, 'sequence': -1})) == 1\n"
        "assert el.validate({**event, 'event_name': 'content_edit'})[0].code.startswith('schema_')\n"
        "assert el.validate({**event, 'a': float('nan')})[0].code == 'not_finite'\n"
    )
    command = [sys.executable, "-c", script, orjson.dumps(event()).decode()]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, "")
