"""Lines of access logs as balancers write them, and as syslog and containers pass them on."""

from __future__ import annotations

import orjson
import pytest

from eventlib.sources import detect
from tests.unit.sources.test_access_log import GPT, adapt, combined

BALANCED = (
    "app/shop/50dc6c495c0c9188 192.0.2.7:2817 10.0.0.1:80 0.001 0.102 0.000 200 200 34 4821 "
    f'"GET https://www.example.org:443/guide?a=1 HTTP/2.0" "{GPT}"'
)


@pytest.mark.parametrize(
    "line",
    [
        f'https 2026-10-03T06:15:30.127531Z {BALANCED} ECDHE TLSv1.2 arn:x "Root=1-a" "-" "-" 0 - "forward"',
        f"h2 2026-10-03T06:15:30.127531Z {BALANCED} - -",
        f"2026-10-03T06:15:30.127531Z {BALANCED} DHE-RSA TLSv1.2",
        f"2026-10-03T06:15:30.127531Z {BALANCED.replace('10.0.0.1:80 0.001 0.102 0.000', '- -1 -1 -1')} - -",
    ],
)
def test_lines_of_load_balancers_are_read(line: str):
    assert detect([line.encode()])[0] == "access_log"
    event = adapt(line)
    assert isinstance(event, dict)
    assert event["occurred_at"] == "2026-10-03T06:15:30.127531Z"
    assert event["properties"] == {
        "observation": "owned", "url": "https://www.example.org/guide?a=1", "status_code": 200, "bytes_sent": 4821,
        "content_id": "www.example.org/guide", "ip_address": "192.0.2.7",
    }  # fmt: skip


def test_what_a_balancer_passed_on_without_http_is_counted():
    line = '2026-10-03T06:15:30.1Z shop 192.0.2.7:28 10.0.0.1:80 0.1 0.1 0.1 - - 82 305 "- - - " "-" - -'
    assert adapt(line) == "malformed_request"


@pytest.mark.parametrize(
    "before",
    [
        "Sep 15 16:13:46 web-1.example.org nginx[2869]: ",
        "<190>Oct  3 16:13:46 web-1 nginx: ",
        "2026-10-03T08:15:31.000000+02:00 web-1 nginx: ",
        "<190>1 2026-10-03T08:15:31Z web-1 nginx - - - ",
        '<190>1 2026-10-03T08:15:31Z web-1 nginx 7 access [origin ip="10.0.0.2"] ',
        "2026-10-03T08:15:31.000000100+02:00 stdout F ",
    ],
)
def test_what_passes_lines_on_says_nothing_of_the_request(before: str):
    assert adapt(before + combined()) == adapt(combined())
    assert adapt(f"{before}www.example.org {combined()}") == adapt(f"www.example.org {combined()}")


def test_containers_keep_lines_in_json_and_json_after_their_own_words():
    kept = {"log": combined() + "\n", "stream": "stdout", "time": "2026-10-03T08:15:31.1Z"}
    assert adapt(orjson.dumps(kept)) == adapt(combined())
    record = {
        "time_iso8601": "2026-10-03T08:15:30Z",
        "request": "GET /guide HTTP/1.1",
        "status": 200,
        "http_user_agent": GPT,
    }
    assert adapt(b"2026-10-03T08:15:31.1Z stdout F " + orjson.dumps(record)) == adapt(orjson.dumps(record))
    assert adapt(b'{"log": 7, "stream": "stdout"}') == "not_a_request"


def test_a_referrer_may_be_absent_without_quotes():
    assert adapt(combined().replace('"-"', "-") + ' 13 "shop" "http://10.0.0.6" 247ms') == adapt(combined())
