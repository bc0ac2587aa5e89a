"""No damaged string adds a grant or lifts an opt-out; nothing but InvalidSignalError is raised; the work is bounded (S2.6)."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from eventlib.consent.decoders import (
    InvalidSignalError,
    TcString,
    UsOptOuts,
    decode_google,
    decode_gpp,
    decode_tcf,
    decode_us_privacy,
)
from eventlib.consent.decoders.bits import BitReader
from eventlib.consent.decoders.tcf_ca import decode_tcf_ca
from tests.unit.consent.decoders.strings import (
    ALPHABET,
    Tc,
    bits_of,
    fibonacci_range,
    flipped,
    gpp,
    int_range,
    number,
    publisher,
    text_of,
    us,
    vendors,
)
from tests.unit.consent.decoders.test_oracle import FIXTURE

TCF = ".".join(
    [
        Tc(consents=range(1, 25, 2)).text(),
        text_of("001" + vendors([(1, 300)], 300, ranged=True)),
        publisher([1, 2], [3], 5, [2, 5]),
    ]
)
NATIONAL = us(2, [1, 1, 1, 1, 0, 0, 1, 2, 1, *[0] * 16, 0, 2, 0, 0, 1, 0, 0]) + ".YA"
CALIFORNIA = us(1, [1, 1, 0, 2, 1, *[0] * 9, 0, 0, 0, 1, 0, 0]) + ".YA"
GPP = gpp({2: TCF, 6: "1YYN", 7: NATIONAL, 8: CALIFORNIA})
ILLEGAL = ["=", "+", "/", " ", "\n", "\0", "é", "😀", ".", "~", "-", "A"]


def tried(decode: Callable[[object], Any], text: object) -> Any:
    """Return what is read, or None: any other error than ours fails the test."""
    try:
        return decode(text)
    except InvalidSignalError:
        return None


def grants_no_more(less: TcString | None, whole: TcString) -> bool:
    if less is None:
        return True
    same = less.purpose_consents <= whole.purpose_consents
    same = same and less.special_feature_opt_ins <= whole.special_feature_opt_ins
    same = same and less.purpose_legitimate_interests <= whole.purpose_legitimate_interests
    return same and not less.vendor_consents & ~whole.vendor_consents


def choices(opt_outs: UsOptOuts) -> tuple[object, ...]:
    return (
        opt_outs.sale,
        opt_outs.sharing,
        opt_outs.targeted_advertising,
        opt_outs.notice,
        opt_outs.child_consent,
    )


def test_a_string_cut_short_grants_no_more():
    for sample in (TCF, Tc(consents=range(1, 25)).text(6), Tc(restrictions=()).text(8)):
        whole = decode_tcf(sample)
        assert all(grants_no_more(tried(decode_tcf, sample[:length]), whole) for length in range(len(sample)))


def test_strings_of_the_reference_cut_short_grant_no_more():
    lines = [json.loads(line) for line in gzip.decompress(FIXTURE.read_bytes()).splitlines()]
    for line in lines[:200]:
        text, decode = line["text"], {"tcf": decode_tcf, "gpp": decode_gpp}[line["kind"]]
        if (whole := tried(decode, text)) is None:
            continue
        for length in range(len(text)):
            cut = tried(decode, text[:length])
            if isinstance(cut, TcString):
                assert grants_no_more(cut, whole)
            elif cut is not None:
                assert cut.section_ids == whole.section_ids
                assert cut.tcf is None or grants_no_more(cut.tcf, whole.tcf)
                assert cut.tcf_ca is None or cut.tcf_ca == replace(
                    whole.tcf_ca,
                    disclosed_vendors=cut.tcf_ca.disclosed_vendors,
                    publisher_tc=cut.tcf_ca.publisher_tc,
                )
                assert [choices(section.opt_outs) for section in cut.us] == [
                    choices(s.opt_outs) for s in whole.us
                ]


def test_within_the_core_only_padding_can_be_cut():
    core = Tc().text(24)
    assert [n for n in range(len(core)) if tried(decode_tcf, core[:n])] == [
        n for n in range(len(core)) if core[:n] in {Tc().text(6), Tc().text(8)}
    ]


def test_a_gpp_string_cut_short_lifts_no_choice():
    whole = decode_gpp(GPP)
    for length in range(len(GPP)):
        cut = tried(decode_gpp, GPP[:length])
        if cut is None:
            continue
        assert grants_no_more(cut.tcf, whole.tcf)  # type: ignore[arg-type]
        assert cut.us_privacy == whole.us_privacy
        for less, section in zip(cut.us, whole.us, strict=True):
            assert choices(less.opt_outs) == choices(section.opt_outs)
            # a sub-section is optional: a cut right before the last one leaves a whole string that does not speak of it
            assert less.gpc in {section.gpc, None}


def test_no_cut_but_at_the_dot_of_the_last_subsection_loses_global_privacy_control():
    lost = [n for n in range(len(GPP)) if (cut := tried(decode_gpp, GPP[:n])) and cut.us[-1].gpc is None]
    assert lost == [GPP.rindex(".")]


def test_a_flipped_bit_grants_what_the_bits_say_and_no_more():
    """Purposes stand at bit 152 of the core, read here without the decoder."""
    core, _, rest = TCF.partition(".")
    for at in range(6 * len(core)):
        damaged = flipped(core, at)
        read = tried(decode_tcf, f"{damaged}.{rest}")
        if read is not None:
            said = bits_of(damaged)[152:176]
            assert read.purpose_consents == {n for n, bit in enumerate(said, 1) if bit == "1"}
    for at in range(6 * len(rest.split(".")[0])):
        assert grants_no_more(
            tried(decode_tcf, f"{core}.{flipped(rest.split('.')[0], at)}"), decode_tcf(core)
        )


def test_a_flipped_bit_in_a_us_section_says_what_the_bits_say():
    """California's choices on sale and sharing stand at bits 12 and 14."""
    core, _, gpc = CALIFORNIA.partition(".")
    values = {"00": None, "01": True, "10": False}
    for at in range(6 * len(core)):
        damaged = flipped(core, at)
        read = tried(decode_gpp, gpp({8: f"{damaged}.{gpc}"}))
        if read is not None:
            opt_outs, bits = read.us[0].opt_outs, bits_of(damaged)
            assert (opt_outs.sale, opt_outs.sharing, opt_outs.gpc) == (
                values[bits[12:14]],
                values[bits[14:16]],
                True,
            )


def test_a_flipped_bit_anywhere_in_a_gpp_string_raises_nothing_else():
    for place, letter in enumerate(GPP):
        if letter in ALPHABET:
            for bit in range(6):
                tried(decode_gpp, GPP[:place] + flipped(letter, bit) + GPP[place + 1 :])


@pytest.mark.parametrize("character", ILLEGAL)
def test_a_character_put_in_or_in_place_of_another_adds_no_purpose(character: str):
    whole = decode_tcf(TCF)
    core = TCF.index(".")
    for at in range(len(TCF) + 1):
        put_in = tried(decode_tcf, TCF[:at] + character + TCF[at:])
        replaced = tried(decode_tcf, TCF[:at] + character + TCF[at + 1 :]) if at < len(TCF) else None
        if character not in "-A":
            assert put_in is None
            assert replaced is None or TCF[at] == character
        elif at > core:
            assert grants_no_more(put_in, whole)
        tried(decode_gpp, GPP[:at] + character + GPP[at:])


def test_anything_appended_is_refused():
    for tail in ("A", "AA", "AAAA", "A" * 4000, ".", "~", " ", "\n", ".A", "~A", TCF, "." + TCF):
        assert tried(decode_tcf, TCF + tail) is None
        assert tried(decode_gpp, gpp({2: Tc().text(24) + tail})) is None
        assert tried(decode_us_privacy, "1YNN" + tail) is None
        assert tried(decode_google, "G111" + tail) is None


HOSTILE = {
    "ranges that overlap": Tc(
        vendor_consents=number(65_535, 16) + "1" + int_range([(1, 65_535)] * 4_095)
    ).bits(),
    "ranges side by side": Tc(
        vendor_consents=number(65_535, 16)
        + "1"
        + int_range([(16 * n + 1, 16 * n + 16) for n in range(4_095)])
    ).bits(),
    "restrictions that overlap": Tc(restrictions=[(1, 0, [(1, 65_535)])] * 4_095).bits(),
    "restrictions side by side": Tc(
        restrictions=[(1, 0, [(16 * n + 1, 16 * n + 16)]) for n in range(4_095)]
    ).bits(),
    "restrictions of nobody": Tc(restrictions=[(1, 0, [])] * 4_095).bits(),
    "promises only": Tc(restrictions=()).bits()[:-12] + "1" * 12,
}


class Count:
    """Counts the reads of a decoder, and the bits they take."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reads = self.bits = 0
        plain = BitReader.integer

        def counted(reader: BitReader, width: int) -> int:
            self.reads += 1
            value = plain(reader, width)
            self.bits += width
            return value

        monkeypatch.setattr(BitReader, "integer", counted)


@pytest.mark.parametrize("bits", HOSTILE.values(), ids=HOSTILE)
def test_work_is_bounded_by_the_length_of_the_text(monkeypatch: pytest.MonkeyPatch, bits: str):
    count = Count(monkeypatch)
    text = text_of(bits)
    tried(decode_tcf, text)
    assert count.bits <= 6 * len(text)
    assert count.reads <= 6 * len(text) + 2


def test_work_on_a_canadian_string_is_bounded_too(monkeypatch: pytest.MonkeyPatch):
    """Both forms are tried; a Fibonacci-coded number looks 24 bits ahead and takes at least two."""
    start = number(1, 6) + number(1, 36) * 2 + number(0, 43) + number(0, 24) + number(0, 54)
    ranges = fibonacci_range([(16 * n + 1, 16 * n + 2) for n in range(4_095)])
    count = Count(monkeypatch)
    text = text_of(start + ("1" + ranges) * 2 + number(4_095, 12) + (number(4, 8) + "1" + ranges) * 20, 8)
    tried(decode_tcf_ca, text)
    assert count.reads <= 2 * 6 * len(text)
    assert count.bits <= 2 * 12 * 6 * len(text)


@pytest.mark.parametrize("start", ["", "C", "B", "DBABM~", "DBABM~" + "C", "DBABDA~B", "DBABLA~C", "IAAA"])
def test_64_kb_of_garbage_is_refused_with_bounded_work(monkeypatch: pytest.MonkeyPatch, start: str):
    random = Random(start)
    for letters in (ALPHABET, ALPHABET + ".~", "A", "_", ".", "~", "\0\n é", "B~."):
        count = Count(monkeypatch)
        text = start + "".join(random.choices(letters, k=65_536 - len(start)))
        assert tried(decode_gpp, text) is None
        assert tried(decode_tcf, text) is None
        assert tried(decode_tcf_ca, text) is None
        assert tried(decode_us_privacy, text) is None
        assert tried(decode_google, text) is None
        assert count.bits <= 5 * 6 * len(text)
        monkeypatch.undo()


def test_the_message_never_quotes_the_string():
    for sample in (TCF, GPP):
        for at in range(len(sample)):
            with pytest.raises(InvalidSignalError) as raised:
                decode_gpp(sample[:at] + "\0" + sample[at:])
            assert len(str(raised.value)) < 120
            assert sample[:12] not in str(raised.value)
