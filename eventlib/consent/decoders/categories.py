"""Consent by category: Segment's `categoryPreferences`, Snowplow's `consent_preferences`, and their form in the envelope."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from eventlib.consent.decoders.errors import InvalidSignalError

__all__ = [
    "EVERY_OTHER",
    "Categories",
    "SnowplowConsent",
    "decode_categories",
    "decode_segment",
    "decode_snowplow",
]

EVERY_OTHER: Final = "*"
"""In the envelope: every category that is not named; it may be refused, and never granted."""

_LONGEST: Final = 1024  # of a name, as in Snowplow's schema
_MOST: Final = 256
# the second is how Segment's Kotlin plugin writes it
_SEGMENT: Final = ("categoryPreferences", "categoryPreference")

# 1-0-0 of iglu:com.snowplowanalytics.snowplow/consent_preferences: camelCase in an event, snake_case as a warehouse's columns
_SNOWPLOW: Final = {
    "eventType": "event_type",
    "basisForProcessing": "basis_for_processing",
    "consentUrl": "consent_url",
    "consentVersion": "consent_version",
    "consentScopes": "consent_scopes",
    "domainsApplied": "domains_applied",
    "gdprApplies": "gdpr_applies",
}
_OPTIONAL: Final = "gdpr_applies"
_CHOSEN: Final = frozenset({"allow_all", "allow_selected"})
_REFUSING: Final = frozenset({"deny_all", "withdrawn", "expired"})
_UNDECIDED: Final = frozenset({"pending", "implicit_consent"})
_BASES: Final = frozenset(
    {"consent", "contract", "legal_obligation", "vital_interests", "public_task", "legitimate_interests"}
)


@dataclass(frozen=True, slots=True)
class Categories:
    """Categories by what was said of them; one in neither set was not spoken of, unless `others_refused`."""

    granted: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
    others_refused: bool = False

    def plain(self) -> dict[str, bool]:
        """Return the form in the envelope, `consent.categories`, which `decode_categories` reads."""
        said = dict.fromkeys(sorted(self.granted), True) | dict.fromkeys(sorted(self.refused), False)
        return said | {EVERY_OTHER: False} if self.others_refused else said


@dataclass(frozen=True, slots=True)
class SnowplowConsent:
    """A `consent_preferences` event.

    Attributes
    ----------
    categories : Categories
        What its scopes say.
    notice_version : str
        Of the privacy policy that was shown.
    domains : tuple of str
        Where it holds; nowhere else does it grant.
    gdpr_applies : bool or None
        None: not said.
    """

    categories: Categories
    notice_version: str
    domains: tuple[str, ...]
    gdpr_applies: bool | None


def _name(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST:
        raise InvalidSignalError("the name of a category is empty, too long or no text")
    return value


def _truths(value: object, also: tuple[object, ...] = ()) -> dict[str, bool | None]:
    if not isinstance(value, Mapping) or len(value) > _MOST:
        raise InvalidSignalError(f"categories are no mapping of names, or over {_MOST}")
    for state in value.values():
        if not (state is True or state is False or (state is None and None in also)):
            raise InvalidSignalError("a category is neither granted nor refused")
    return {_name(name): state for name, state in value.items()}


def _split(said: Mapping[str, bool | None], *, others_refused: bool = False) -> Categories:
    return Categories(
        granted=frozenset(name for name, state in said.items() if state is True),
        refused=frozenset(name for name, state in said.items() if state is False),
        others_refused=others_refused,
    )


def decode_categories(value: object) -> Categories:
    """Decode `consent.categories` of the envelope.

    Parameters
    ----------
    value
        A mapping of names to True (granted), False (refused) or None (which says nothing); `*` is every other category
        and is False or None.

    Raises
    ------
    InvalidSignalError
        If it is anything else.

    Examples
    --------
    >>> decode_categories({"analytics": True, "*": False})
    Categories(granted=frozenset({'analytics'}), refused=frozenset(), others_refused=True)
    >>> decode_categories({"*": True})
    Traceback (most recent call last):
    eventlib.consent.decoders.errors.InvalidSignalError: categories that are not named cannot be granted
    """
    said = _truths(value, also=(None,))
    others = said.pop(EVERY_OTHER, None)
    if others is True:
        raise InvalidSignalError("categories that are not named cannot be granted")
    return _split(said, others_refused=others is False)


def decode_segment(value: object) -> Categories:
    """Decode `context.consent` of a Segment event, `Segment Consent Preference` and its `… Updated` included.

    Parameters
    ----------
    value
        A mapping with `categoryPreferences`, names to True or False. What else it holds is not read; where it holds
        nothing at all, or no preference, nothing is said.

    Raises
    ------
    InvalidSignalError
        If it is no mapping, holds other keys alone, or a preference is no Boolean: Segment's documentation knows no
        other (Consent Management, Consent object).

    Examples
    --------
    >>> decode_segment({"categoryPreferences": {"Advertising": False, "Analytics": True}}).plain()
    {'Analytics': True, 'Advertising': False}
    >>> decode_segment({"categoryPreferences": {"Analytics": "true"}})
    Traceback (most recent call last):
    eventlib.consent.decoders.errors.InvalidSignalError: a category is neither granted nor refused
    """
    if not isinstance(value, Mapping):
        raise InvalidSignalError("a consent object is no mapping")
    found = [value[name] for name in _SEGMENT if name in value]
    if len(found) != 1 and value:
        raise InvalidSignalError("a consent object holds no preferences, or holds them twice")
    said = _truths(found[0]) if found else {}
    if EVERY_OTHER in said:
        raise InvalidSignalError("a category is called *")
    return _split(said)


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= _MOST:
        raise InvalidSignalError("scopes or domains are no list, none or too many")
    return tuple(_name(item) for item in value)


def _fields(value: object) -> dict[str, object]:
    """Return the fields under their names in snake case."""
    if not isinstance(value, Mapping):
        raise InvalidSignalError("consent preferences are no mapping")
    named = [(_SNOWPLOW.get(key, key) if isinstance(key, str) else "", field) for key, field in value.items()]
    fields = dict(named)
    if len(fields) != len(named) or set(fields) | {_OPTIONAL} != set(_SNOWPLOW.values()):
        raise InvalidSignalError("consent preferences lack a field, or have one twice or of no known name")
    return fields


def decode_snowplow(value: object) -> SnowplowConsent:
    """Decode the data of a Snowplow `consent_preferences` event (Enhanced Consent, schema 1-0-0).

    Scopes are granted by `allow_all` and `allow_selected` alone, and only where the basis is consent; the latter refuses
    every other scope. `deny_all`, `withdrawn` and `expired` refuse every scope, listed or not. What is `pending` was not
    confirmed, and `implicit_consent` is set without an act of the person: neither says anything.

    Parameters
    ----------
    value
        The data, its fields in camel case as they are sent, or in snake case as a warehouse's columns have them.

    Raises
    ------
    InvalidSignalError
        If a field is missing, unknown or of another form than the schema has.

    Examples
    --------
    >>> sent = {
    ...     "eventType": "allow_selected", "basisForProcessing": "consent", "consentUrl": "https://example.org/privacy",
    ...     "consentVersion": "2", "consentScopes": ["analytics"], "domainsApplied": ["https://example.org"],
    ... }
    >>> decode_snowplow(sent).categories.plain()
    {'analytics': True, '*': False}
    >>> decode_snowplow(sent | {"eventType": "accept_all"})
    Traceback (most recent call last):
    eventlib.consent.decoders.errors.InvalidSignalError: an event type, a basis, a version or gdprApplies is not in the schema
    """
    fields = _fields(value)
    kind, basis, version, applies = (
        fields.get(name) for name in ("event_type", "basis_for_processing", "consent_version", _OPTIONAL)
    )
    scopes, domains = frozenset(_texts(fields["consent_scopes"])), _texts(fields["domains_applied"])
    texts = (kind, basis, version, fields["consent_url"])
    if (
        not all(isinstance(text, str) for text in texts)
        or kind not in _CHOSEN | _REFUSING | _UNDECIDED
        or basis not in _BASES
        or not (applies is None or isinstance(applies, bool))
    ):
        raise InvalidSignalError("an event type, a basis, a version or gdprApplies is not in the schema")
    if EVERY_OTHER in scopes:
        raise InvalidSignalError("a category is called *")
    granted = scopes if kind in _CHOSEN and basis == "consent" else frozenset()
    others = kind in _REFUSING or kind == "allow_selected"
    refused = scopes if kind in _REFUSING else frozenset()
    categories = Categories(granted, refused, others_refused=others)
    return SnowplowConsent(categories, str(version), domains, applies if isinstance(applies, bool) else None)
