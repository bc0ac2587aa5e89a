"""What a Snowplow event says of consent: its consent events, and the headers and cookies that a collector was told to keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import urlsplit

from eventlib.consent.decoders import InvalidSignalError, decode_snowplow
from eventlib.model import PURPOSES
from eventlib.sources.base import DAMAGED, Event, Repairs
from eventlib.sources.self_describing import Entity

__all__ = ["CONSENT_EVENTS", "SAID", "Signals", "preferences"]

SAID: Final = "$said"
"""Under which a record has what was read of it and is none of its fields; one of that name that was sent is kept under another."""

_VENDOR: Final = "com.snowplowanalytics.snowplow"
_PREFERENCES: Final = "consent_preferences"
_WITHDRAWN: Final = "consent_withdrawn"
CONSENT_EVENTS: Final = (_PREFERENCES, _WITHDRAWN)
_COOKIES: Final = {"euconsent-v2": "tcf", "usprivacy": "us_privacy"}
_MODEL: Final = "1"
_LONGEST_VERSION: Final = 128


@dataclass(slots=True)
class Signals:
    """What was read beside the fields.

    Attributes
    ----------
    device
        The device's id of its session.
    categories, notice_version
        Of a consent event.
    gpc
        Whether the browser sent the Global Privacy Control.
    strings
        By kind of signal, what the cookies of consent managers hold.
    """

    device: Any = None
    categories: dict[str, Any] | None = None
    notice_version: str | None = None
    gpc: bool = False
    strings: dict[str, set[str]] = field(default_factory=dict)

    def sent(self, kind: str, data: Any) -> None:
        """Read a header or a cookie of the person's request; one that cannot be read may be a refusal, and is damage."""
        if data is None or (isinstance(data, dict) and all(value is None for value in data.values())):
            return
        held = {str(key).casefold(): value for key, value in data.items()} if isinstance(data, dict) else {}
        name, value = held.get("name"), held.get("value")
        if not isinstance(name, str) or len(held) < len(data):  # said twice, in other letters
            self.strings.setdefault("tcf", set()).add("unreadable")
            return
        name = name.strip().casefold()
        text = (value.strip() if isinstance(value, str) else "") or "unreadable"
        if kind == "http_header" and name == "sec-gpc":
            self.gpc = self.gpc or text != "0"  # whatever else it says was meant to restrict
        elif kind == "http_cookie" and name in _COOKIES:
            self.strings.setdefault(_COOKIES[name], set()).add(text)

    def plain(self) -> Event:
        """Return what was read, by the names that the table has; two different strings of a kind are no string."""
        if self.device is None and self.categories is None and not self.gpc and not self.strings:
            return {}
        found = {"device": self.device, "categories": self.categories, "notice_version": self.notice_version}
        found |= {"gpc": self.gpc or None}
        found |= {name: " ".join(sorted(texts)) for name, texts in self.strings.items()}
        return {name: value for name, value in found.items() if value is not None}


def preferences(flat: Event, entity: Entity | None, said: Signals, repairs: Repairs) -> None:
    """Read a consent event: what its scopes say; of a withdrawal, which names documents and no scopes, that all is refused."""
    if (entity.schema.vendor if entity else flat.get("event_vendor", _VENDOR)) != _VENDOR:
        return
    names = {flat.get("event_name") if isinstance(flat.get("event_name"), str) else None}
    names.add(entity.schema.name if entity else None)
    if _PREFERENCES in names:
        _scopes(flat, entity, said, repairs)
        _purposes(flat, {})
    elif _WITHDRAWN in names:
        _purposes(flat, dict.fromkeys(PURPOSES, False))


def _purposes(flat: Event, purposes: dict[str, bool]) -> None:
    """State what holds by purpose, whatever the event's data has under that name."""
    data = flat.get("unstruct_event")
    flat["unstruct_event"] = {**(data if isinstance(data, dict) else {}), "purposes": purposes}


def _scopes(flat: Event, entity: Entity | None, said: Signals, repairs: Repairs) -> None:
    said.categories = {**DAMAGED}
    if entity is None or entity.schema.version.split("-")[0] != _MODEL:
        return
    data = entity.data
    if isinstance(data, dict):
        data = {name: value for name, value in data.items() if value is not None and not name.startswith("_")}
    try:
        read = decode_snowplow(data)
    except InvalidSignalError:
        return
    categories = read.categories
    if categories.granted and not _holds_at(flat.get("page_url"), read.domains):
        categories = replace(categories, granted=frozenset())
        repairs.add(
            _PREFERENCES, "domainsApplied", "given for other domains than the page's: nothing granted"
        )
    said.categories = categories.plain()
    if 0 < len(read.notice_version) <= _LONGEST_VERSION:
        said.notice_version = read.notice_version


def _holds_at(url: object, domains: Sequence[str]) -> bool:
    """Tell whether a page is of one of the domains, or of one below it."""
    host = _host(url)
    return host is not None and any(
        host == domain or host.endswith(f".{domain}") for domain in map(_host, domains) if domain
    )


def _host(text: object) -> str | None:
    """Return the host of an address or of a bare name, without the `www.` that says nothing."""
    try:
        host = urlsplit(text if "//" in text else f"//{text}").hostname if isinstance(text, str) else None
    except ValueError:
        return None
    return host.removeprefix("www.").strip(".") or None if host else None
