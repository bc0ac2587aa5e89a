"""US Privacy strings: all that the standard's table allows, and nothing else."""

from __future__ import annotations

from itertools import product

import pytest

from eventlib.consent.decoders import InvalidSignalError, UsOptOuts, UsPrivacy, decode_us_privacy

ALLOWED = {"1---"} | {f"1{notice}{sale}{lspa}" for notice, sale, lspa in product("YN-", "YN", "YN-")}


def test_the_examples_of_the_standard():
    assert decode_us_privacy("1YNN").opt_outs == UsOptOuts(sale=False, notice=True)
    assert decode_us_privacy("1NYY").opt_outs == UsOptOuts(sale=True, notice=False)
    assert decode_us_privacy("1-Y-") == UsPrivacy(notice=None, opt_out_sale=True, lspa_covered=None)
    assert decode_us_privacy("1---").opt_outs == UsOptOuts()


def test_nothing_else_is_read():
    for letters in product("012YNyn- ~", repeat=4):
        text = "".join(letters)
        if text in ALLOWED:
            decode_us_privacy(text)
        else:
            with pytest.raises(InvalidSignalError):
                decode_us_privacy(text)


@pytest.mark.parametrize("value", [None, 1, b"1YNN", "", "1YN", "1YNNN", "1YNN\n", " 1YNN"])
def test_other_things_are_invalid(value: object):
    with pytest.raises(InvalidSignalError):
        decode_us_privacy(value)
