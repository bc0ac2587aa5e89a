"""Segment and RudderStack: raw events (track, page, screen, identify, alias, group), alone or in batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import orjson

from eventlib.consent.decoders import InvalidSignalError, decode_segment
from eventlib.sources.base import DAMAGED, Event, Repairs, Skipped, mapping
from eventlib.sources.containers import Unpack, batch_of
from eventlib.sources.tracker import TrackerAdapter

__all__ = ["RudderStackAdapter", "SegmentAdapter"]

_OF_THE_BATCH = ("sentAt", "receivedAt", "integrations")
_MANAGED = "consentManagement"


def _parts(line: bytes) -> list[bytes] | None:
    """Take a batch apart: each event gets what the batch says once for all of them."""
    found = batch_of(line)
    if found is None:
        return None
    record, batch = found
    shared = {name: record[name] for name in _OF_THE_BATCH if name in record}
    outer = record.get("context")
    made = []
    for member in batch:
        if isinstance(member, dict):
            whole = {**shared, **member}
            inner = whole.get("context") or {}  # libraries of PHP write an empty object as a list
            if isinstance(outer, dict) and isinstance(inner, dict):
                said = {name: value for name, value in inner.items() if value is not None}
                whole["context"] = {**outer, **said}
            made.append(orjson.dumps(whole))
        else:
            made.append(orjson.dumps(member))
    return made


class SegmentAdapter(TrackerAdapter):
    """Segment's raw events."""

    name: ClassVar[str] = "segment"
    unpack: ClassVar[Unpack | None] = Unpack(b'"batch"', _parts)

    def recognises(self, record: Mapping[str, Any]) -> bool:
        """Tell whether a record looks like Segment's, and was not sent by a library of RudderStack's."""
        return super().recognises(record) and not _by_rudderstack(record)

    def opened(self, record: Event, repairs: Repairs) -> Event | Skipped:
        """Read the consent object, and name both ids of an alias."""
        context = record.get("context")
        if context and not isinstance(context, dict):  # it may have held a refusal
            record["context"] = {"consent": {"unreadable": context, "categoryPreferences": {**DAMAGED}}}
        elif context and (preferences := self.preferences(context)) is not None:
            consent = context.get("consent") or {}
            held = consent if isinstance(consent, dict) else {"unreadable": consent}
            context["consent"] = {**held, "categoryPreferences": preferences}
        if record.get("type") == "page":
            _address(record)
        if record.get("type") == "alias":
            record["properties"] = {**mapping(record.get("properties")), "identifiers": _identifiers(record)}
        return record

    def preferences(self, context: Event) -> Any:
        """Return what a context says of categories, None where it holds no consent."""
        consent = context.get("consent")
        if consent is None or consent == []:
            return None
        return self.said(consent) if isinstance(consent, dict) else {**DAMAGED}

    def said(self, consent: Event) -> Any:
        """Return what a consent object says of categories; damage stays visible as damage."""
        preferences = consent.get("categoryPreferences")
        plain = type(preferences) is dict and "*" not in preferences and "categoryPreference" not in consent
        if plain and set(map(type, mapping(preferences).values())) == {bool}:
            return preferences  # as nearly all are: what follows would say the same
        try:
            return decode_segment(consent).plain()
        except InvalidSignalError:
            return {**DAMAGED}


class RudderStackAdapter(SegmentAdapter):
    """RudderStack's, which says by lists of ids what is allowed and denied."""

    name: ClassVar[str] = "rudderstack"

    def sniff(self, records: Sequence[Mapping[str, Any]]) -> str | None:  # type: ignore[override]  # of a table, not of a class
        """Look for what only RudderStack's records have, and for its libraries."""
        reason = super().sniff(records)
        return reason and f"{reason} or a library of RudderStack's"

    def recognises(self, record: Mapping[str, Any]) -> bool:
        """Tell whether a record looks like RudderStack's, by its fields or by the library that sent it."""
        signed = {**record, "rudderId": ""} if _by_rudderstack(record) else record
        return super(SegmentAdapter, self).recognises(signed)

    def opened(self, record: Event, repairs: Repairs) -> Event | Skipped:
        """Leave out what stands for no referrer, which is no address."""
        for page in (
            mapping(mapping(record.get("context")).get("page")),
            mapping(record.get("properties")),
        ):
            if page.get("referrer") == "$direct":
                del page["referrer"]
                repairs.add("(all)", "referrer", "`$direct` read as none")
        return super().opened(record, repairs)

    def preferences(self, context: Event) -> Any:
        """Join what the SDKs of all ages say: newer ones have it in `consentManagement`; a refusal in either counts."""
        older, newer = super().preferences(context), super().preferences({"consent": context.get(_MANAGED)})
        if older is None or newer is None:
            return older if newer is None else newer
        return {
            **older,
            **newer,
            **{name: False for said in (older, newer) for name in said if said[name] is False},
        }

    def said(self, consent: Event) -> Any:
        """Read `allowedConsentIds` and `deniedConsentIds` as categories; a category in both is refused."""
        lists = [consent.get(name) for name in ("allowedConsentIds", "deniedConsentIds")]
        if lists == [None, None]:
            return super().said(consent)
        if not all(_is_list_of_texts(ids) for ids in lists if ids is not None):
            return {**DAMAGED}
        allowed, denied = (
            dict.fromkeys(ids or (), granted) for ids, granted in zip(lists, (True, False), strict=True)
        )
        return {**allowed, **denied}


def _by_rudderstack(record: Mapping[str, Any]) -> bool:
    """Tell whether the library that sent a record is one of RudderStack's."""
    name = mapping(mapping(record.get("context")).get("library")).get("name")
    return isinstance(name, str) and "rudder" in name.casefold()


def _address(record: Event) -> None:
    """Give a page call of a server the address that it has among its properties alone."""
    context, properties = record.setdefault("context", {}), mapping(record.get("properties"))
    if isinstance(context, dict) and context.get("page") is None:
        context["page"] = {name: properties[name] for name in ("url", "referrer") if name in properties}


def _is_list_of_texts(value: object) -> bool:
    return isinstance(value, list) and len(value) <= 256 and all(isinstance(item, str) for item in value)


def _identifiers(record: Event) -> list[Event]:
    """Return the ids that an alias joins; the earlier one may have been a device's or an account's."""
    named = [
        ("user_id", record.get("userId")),
        ("user_id", record.get("previousId")),
        ("anonymous_id", record.get("previousId")),
    ]
    return [
        {"namespace": space, "value": value} for space, value in named if isinstance(value, str) and value
    ]
