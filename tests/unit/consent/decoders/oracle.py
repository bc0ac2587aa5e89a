"""What the IAB's own decoders read, beside what ours do; disagreements settled by the standards' text are named."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from eventlib.consent.decoders import (
    InvalidSignalError,
    TcfCaString,
    TcString,
    decode_gpp,
    decode_tcf,
    ids_of,
)
from eventlib.consent.decoders.us_tables import NAMES

GLOBAL_SCOPE = "the reference reads strings of global scope; the standard calls them invalid"
LEGITIMATE_INTEREST = (
    "the reference reads legitimate interest for purposes 3 to 6; from TCF 2.2 on there is none"
)
UNKNOWN_SALE = "the reference writes an unknown choice about sale; the standard has none but in 1---"
TWO_WAYS = "Canadian vendors can be read in the standard's form and in the reference's, differently"

Runs = list[list[int]]


def runs_of(ids: int | frozenset[int] | None) -> Runs:
    """Return runs of ids, as the oracle writes them; an absent segment is an empty one to it."""
    made: Runs = []
    for number in sorted(ids) if isinstance(ids, frozenset) else ids_of(ids or 0):
        if made and made[-1][1] == number - 1:
            made[-1][1] = number
        else:
            made.append([number, number])
    return made


def restrictions_of(string: TcString | TcfCaString) -> dict[str, Runs]:
    return {
        f"{entry.purpose},{entry.kind}": runs_of(entry.vendors) for entry in string.publisher_restrictions
    }


def bits_of(ids: frozenset[int], width: int) -> str:
    return "".join("1" if number in ids else "0" for number in range(1, width + 1))


def milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _plain_tcf(string: Any) -> dict[str, Any]:
    publisher = string.publisher_tc
    empty: frozenset[int] = frozenset()
    return {
        "cmpId": string.cmp_id,
        "cmpVersion": string.cmp_version,
        "consentScreen": string.consent_screen,
        "consentLanguage": string.consent_language,
        "publisherCountryCode": string.publisher_country,
        "vendorListVersion": string.vendor_list_version,
        "policyVersion": string.policy_version,
        "isServiceSpecific": True,
        "useNonStandardStacks": string.use_non_standard_texts,
        "purposeOneTreatment": string.purpose_one_treatment,
        "numCustomPurposes": publisher.custom_purposes if publisher else 0,
        "created": milliseconds(string.created),
        "lastUpdated": milliseconds(string.last_updated),
        "specialFeatureOptins": runs_of(string.special_feature_opt_ins),
        "purposeConsents": runs_of(string.purpose_consents),
        "purposeLegitimateInterests": runs_of(string.purpose_legitimate_interests),
        "vendorConsents": runs_of(string.vendor_consents),
        "vendorLegitimateInterests": runs_of(string.vendor_legitimate_interests),
        "publisherConsents": runs_of(publisher.purpose_consents if publisher else empty),
        "publisherLegitimateInterests": runs_of(
            publisher.purpose_legitimate_interests if publisher else empty
        ),
        "publisherCustomConsents": runs_of(publisher.custom_purpose_consents if publisher else empty),
        "publisherCustomLegitimateInterests": runs_of(
            publisher.custom_purpose_legitimate_interests if publisher else empty
        ),
        "vendorsDisclosed": runs_of(string.disclosed_vendors),
        "vendorsAllowed": runs_of(string.allowed_vendors),
        "publisherRestrictions": restrictions_of(string),
    }


def _without_3_to_6(runs: Runs) -> Runs:
    return runs_of(frozenset(n for first, last in runs for n in range(first, last + 1)) - {3, 4, 5, 6})


def compare_tcf(line: dict[str, Any]) -> str | None:
    """Return which settled disagreement a TC string shows, if any; fail on every other one."""
    read = line["read"]
    try:
        string = decode_tcf(line["text"])
    except InvalidSignalError as error:
        if read["isServiceSpecific"]:
            raise AssertionError(line["text"]) from error
        return GLOBAL_SCOPE
    assert (string.disclosed_vendors is not None) == ("vendorsDisclosed" in line["segments"])
    assert (string.allowed_vendors is not None) == ("vendorsAllowed" in line["segments"])
    assert (string.publisher_tc is not None) == ("publisherTC" in line["segments"])
    ours, settled = _plain_tcf(string), None
    if read["policyVersion"] >= 4 and ours != read:
        settled = LEGITIMATE_INTEREST
        read = read | {"purposeLegitimateInterests": _without_3_to_6(read["purposeLegitimateInterests"])}
    assert ours == read, line["text"]
    return settled


def _compare_us(section: Any, read: dict[str, Any]) -> None:
    version = read["MspaVersion"] if "MspaVersion" in read else read["Version"]
    assert section.version == version
    for name, value in section.fields.items():
        assert (list(value) if isinstance(value, tuple) else value) == read[name], (section.name, name)
    skipped = {"Version", "MspaVersion", "GpcSegmentType", "Gpc", "SensitiveDataProcessing"}
    assert set(read) - skipped == set(section.fields) - skipped
    if section.gpc is not None:
        assert section.gpc == read["Gpc"]


def _compare_eu(string: Any, read: dict[str, Any]) -> None:
    publisher = string.publisher_tc
    assert milliseconds(string.created) == read["Created"]
    assert string.cmp_id == read["CmpId"]
    assert string.consent_language == read["ConsentLanguage"]
    assert string.policy_version == read["PolicyVersion"]
    assert bits_of(string.special_feature_opt_ins, 12) == read["SpecialFeatureOptins"]
    assert bits_of(string.purpose_consents, 24) == read["PurposeConsents"]
    assert bits_of(string.purpose_legitimate_interests, 24) == read["PurposeLegitimateInterests"]
    assert runs_of(string.vendor_consents) == read["VendorConsents"]
    assert runs_of(string.vendor_legitimate_interests) == read["VendorLegitimateInterests"]
    assert runs_of(string.disclosed_vendors) == read["VendorsDisclosed"]
    assert restrictions_of(string) == read["PublisherRestrictions"]
    assert bits_of(publisher.purpose_consents, 24) == read["PublisherConsents"]
    assert bits_of(publisher.custom_purpose_consents, publisher.custom_purposes) == (
        read["PublisherCustomConsents"] or ""
    )


def _compare_ca(string: Any, read: dict[str, Any]) -> None:
    publisher = string.publisher_tc
    assert milliseconds(string.created) == read["Created"]
    assert string.cmp_id == read["CmpId"]
    assert string.consent_language == read["ConsentLanguage"]
    assert bits_of(string.special_feature_express_consents, 12) == read["SpecialFeatureExpressConsent"]
    assert bits_of(string.purpose_express_consents, 24) == read["PurposesExpressConsent"]
    assert bits_of(string.purpose_implied_consents, 24) == read["PurposesImpliedConsent"]
    assert runs_of(string.vendor_express_consents) == read["VendorExpressConsent"]
    assert runs_of(string.vendor_implied_consents) == read["VendorImpliedConsent"]
    assert runs_of(string.disclosed_vendors) == read["DisclosedVendors"]
    assert restrictions_of(string) == read["PubRestrictions"]
    assert bits_of(publisher.purpose_consents, 24) == read["PubPurposesExpressConsent"]
    assert bits_of(publisher.custom_purpose_consents, publisher.custom_purposes) == (
        read["CustomPurposesExpressConsent"] or ""
    )


def compare_gpp(line: dict[str, Any]) -> str | None:
    """Return which settled disagreement a GPP string shows, if any; fail on every other one."""
    read = line["read"]
    try:
        gpp = decode_gpp(line["text"])
    except InvalidSignalError as error:
        if "two ways" in str(error):
            return TWO_WAYS
        if "uspv1" not in str(error) or read["uspv1"]["OptOutSale"] != "-":
            raise AssertionError(line["text"]) from error
        return UNKNOWN_SALE
    assert list(gpp.section_ids) == line["sections"]
    assert not gpp.undecoded
    for section in gpp.us:
        assert section.name == NAMES[section.section_id]
        _compare_us(section, read[section.name])
    assert {section.name for section in gpp.us} == {
        name for name in read if name.startswith("us") and name != "uspv1"
    }
    if gpp.tcf:
        _compare_eu(gpp.tcf, read["tcfeuv2"])
    if gpp.tcf_ca:
        _compare_ca(gpp.tcf_ca, read["tcfcav1"])
    if gpp.us_privacy:
        values = {True: "Y", False: "N", None: "-"}
        said = (gpp.us_privacy.notice, gpp.us_privacy.opt_out_sale, gpp.us_privacy.lspa_covered)
        assert [values[value] for value in said] == [
            read["uspv1"][k] for k in ("Notice", "OptOutSale", "LspaCovered")
        ]
    return None


def compare(line: dict[str, Any]) -> str | None:
    return compare_tcf(line) if line["kind"] == "tcf" else compare_gpp(line)
