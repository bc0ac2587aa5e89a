"""The fields of the GPP's US sections, in the order of their bits.

Each name is that of the section's specification and stands for two bits; `:n` makes it a list of n such values. What
stands before the fields (the version, six bits) is the same everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["CORE", "GPC", "NAMES", "SENSITIVE_DATA", "Fields"]

Fields = tuple[tuple[str, int | None], ...]
"""Names and, for a list, how many values; None is a single value."""

_MSPA: Final = "MspaCoveredTransaction MspaOptOutOptionMode MspaServiceProviderMode"
_STATE: Final = "SaleOptOutNotice TargetedAdvertisingOptOutNotice SaleOptOut TargetedAdvertisingOptOut"
_SENSITIVE: Final = "SensitiveDataProcessing"
_CHILD: Final = "KnownChildSensitiveDataConsents"
_ADDITIONAL: Final = "AdditionalDataProcessingConsent"
_NATIONAL: Final = (
    "SharingNotice SaleOptOutNotice SharingOptOutNotice TargetedAdvertisingOptOutNotice "
    "SensitiveDataProcessingOptOutNotice SensitiveDataLimitUseNotice SaleOptOut SharingOptOut TargetedAdvertisingOptOut"
)
# Public comment of October 2025. The header it describes cannot be written (its list of sub-sections needs an id 0,
# which Fibonacci coding does not have), so this is what @iabgpp/cmpapi writes: the core alone, MspaVersion first.
_MODE: Final = f"MspaCoveredTransaction MspaMode ProcessingNotice {_STATE}"

NAMES: Final[Mapping[int, str]] = {
    7: "usnat",
    8: "usca",
    9: "usva",
    10: "usco",
    11: "usut",
    12: "usct",
    13: "usfl",
    14: "usmt",
    15: "usor",
    16: "ustx",
    17: "usde",
    18: "usia",
    19: "usne",
    20: "usnh",
    21: "usnj",
    22: "ustn",
    23: "usmn",
    24: "usmd",
    25: "usin",
    26: "usky",
    27: "usri",
}
"""Section ids and the prefixes of their client-side API (GPP, Section Information)."""

GPC: Final = frozenset(NAMES) - {9, 11, 13, 25, 26, 27}
"""Sections that have the sub-section on Global Privacy Control."""

SENSITIVE_DATA: Final = frozenset({25, 26, 27})
"""Sections that hold consents on sensitive data in a sub-section of their own."""


def _fields(table: str) -> Fields:
    parts = (name.partition(":") for name in table.split())
    return tuple((name, int(count) if count else None) for name, _, count in parts)


_TABLES: Final = {
    (7, 1): f"{_NATIONAL} {_SENSITIVE}:12 {_CHILD}:2 PersonalDataConsents {_MSPA}",
    (7, 2): f"{_NATIONAL} {_SENSITIVE}:16 {_CHILD}:3 PersonalDataConsents {_MSPA}",
    (
        8,
        1,
    ): f"SaleOptOutNotice SharingOptOutNotice SensitiveDataLimitUseNotice SaleOptOut SharingOptOut {_SENSITIVE}:9 "
    f"{_CHILD}:2 PersonalDataConsents {_MSPA}",
    (9, 1): f"SharingNotice {_STATE} {_SENSITIVE}:8 {_CHILD} {_MSPA}",
    (10, 1): f"SharingNotice {_STATE} {_SENSITIVE}:7 {_CHILD} {_MSPA}",
    (
        11,
        1,
    ): "SharingNotice SaleOptOutNotice TargetedAdvertisingOptOutNotice SensitiveDataProcessingOptOutNotice "
    f"SaleOptOut TargetedAdvertisingOptOut {_SENSITIVE}:8 {_CHILD} {_MSPA}",
    (12, 1): f"SharingNotice {_STATE} {_SENSITIVE}:8 {_CHILD}:3 {_MSPA}",
    (13, 1): f"ProcessingNotice {_STATE} {_SENSITIVE}:8 {_CHILD}:3 {_ADDITIONAL} {_MSPA}",
    (14, 1): f"SharingNotice {_STATE} {_SENSITIVE}:8 {_CHILD}:3 {_ADDITIONAL} {_MSPA}",
    (15, 1): f"ProcessingNotice {_STATE} {_SENSITIVE}:11 {_CHILD}:3 {_ADDITIONAL} {_MSPA}",
    (16, 1): f"ProcessingNotice {_STATE} {_SENSITIVE}:8 {_CHILD} {_ADDITIONAL} {_MSPA}",
    (17, 1): f"ProcessingNotice {_STATE} {_SENSITIVE}:9 {_CHILD}:5 {_ADDITIONAL} {_MSPA}",
    (18, 1): "ProcessingNotice SaleOptOutNotice TargetedAdvertisingOptOutNotice SensitiveDataOptOutNotice "
    f"SaleOptOut TargetedAdvertisingOptOut {_SENSITIVE}:8 {_CHILD} {_MSPA}",
    (19, 1): f"ProcessingNotice {_STATE} {_SENSITIVE}:8 {_CHILD} {_ADDITIONAL} {_MSPA}",
    (20, 1): f"ProcessingNotice {_STATE} {_SENSITIVE}:8 {_CHILD}:3 {_ADDITIONAL} {_MSPA}",
    (21, 1): f"ProcessingNotice {_STATE} {_SENSITIVE}:10 {_CHILD}:5 {_ADDITIONAL} {_MSPA}",
    (22, 1): f"ProcessingNotice {_STATE} {_SENSITIVE}:8 {_CHILD} {_ADDITIONAL} {_MSPA}",
    (23, 1): f"ProcessingNotice {_STATE} {_SENSITIVE}:8 {_CHILD} {_ADDITIONAL} {_MSPA}",
    (24, 1): f"{_MODE} {_ADDITIONAL}",
    (25, 1): f"{_MODE} {_CHILD} {_ADDITIONAL}",
    (26, 1): f"{_MODE} {_CHILD} {_ADDITIONAL}",
    (27, 1): f"{_MODE} {_CHILD} {_ADDITIONAL}",
}

CORE: Final[Mapping[tuple[int, int], Fields]] = {key: _fields(table) for key, table in _TABLES.items()}
"""The core's fields by section id and version."""
