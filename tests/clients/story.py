"""What people do in these tests, told once for all trackers: calls in the words that most of them share."""

from __future__ import annotations

from typing import Any, Final

PEOPLE: Final = 6
SCROLLS: Final = 40
"""Small events per person, so that each client sends several batches."""

SPOKEN: Final = ("page", "screen", "track")
"""What Snowplow's trackers have calls for; people are told by the ids that each of their events carries."""

E_MAIL: Final = "ada@example.org"

Call = dict[str, Any]


def story() -> list[Call]:
    """Return all calls, person by person."""
    return [call for n in range(1, PEOPLE + 1) for call in _visit(n)]


def calls(told: list[Call], *kinds: str) -> list[Call]:
    """Return the calls of some kinds, or of some events' names."""
    return [call for call in told if call["call"] in kinds or call.get("name") in kinds]


def _visit(n: int) -> list[Call]:
    person = {"user": f"u-{n}", "anonymous": f"0199f0c1-7a00-7000-8000-{n:012d}"}  # as trackers make them
    page = f"https://www.example.org/guide/{n}?utm_source=chatgpt.com"
    click = {
        "citation_id": f"ci-{n}",
        "answer_id": f"an-{n}",
        "position": n,
        "slot": "inline",
        "engine": "chatgpt",
    }
    goods = [{"sku": f"s-{n}", "price": 19.25 + n}, {"sku": "Tasse ☕"}]
    tree = {"left": {"leaf": f"x-{n}", "on": n % 2 == 0}, "right": [n + 0.5, {"deep": f'\u202eabc\\"{n}\n'}]}
    told: list[tuple[str, str, dict[str, Any]]] = [
        ("identify", "", {"plan": f"team-{n}", "email": E_MAIL, "company": {"label": f"Größe {n}", "staff": 10 + n}}),
        ("page", f"Guide {n}", {"url": page, "title": f"Wie GEO wirkt: 指南 {n}", "referrer": "https://chatgpt.com/"}),
        ("screen", f"Library {n}", {"shelf": f"top-{n}"}),
        ("track", "citation_click", {**click, "content_id": f"c-{n}"}),
        ("track", "Order Completed", {"order_id": f"o-{n}", "total": 49.5 + n, "currency": "EUR", "products": goods}),
        ("track", "Filter Applied", {"tree": tree}),
        ("group", f"g-{n}", {"industry": f"Bücher {n}", "seats": 100 + n}),
        ("alias", "", {}),
        *[("track", "Row Scrolled", {"row": n * 1000 + row, "note": f"row {n}/{row}"}) for row in range(SCROLLS)],
    ]  # fmt: skip
    return [{"call": call, "name": name, "properties": said, **person} for call, name, said in told]
