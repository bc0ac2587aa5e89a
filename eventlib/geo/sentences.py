"""Where the sentences of an answer end, and what they cite."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["CITATION", "WORD", "split_sentences"]

CITATION: Final = re.compile(r"\[(\d{1,4})\]")
WORD: Final = re.compile(r"\w+(?:['\u2019.,-]\w+)*")  # answers do hold typographic apostrophes
# A sentence ends at a mark, takes all quotes and citations that follow it along, and needs a space after them;
# Chinese and Japanese marks need none.
_END: Final = re.compile(
    r"[.!?\u2026]+[\"')\]\u201d\u2019]*(?:\s*\[\d{1,4}\])*(?=\s)(?!\s*\[\d{1,4}\])"
    r"|[\u3002\uff01\uff1f](?:\s*\[\d{1,4}\])*"
)
_FULL_STOPS: Final = "\u3002\uff01\uff1f"
_OPENS: Final = re.compile(r"\s+(?:[^a-z\s§]|$)")
_BEFORE: Final = r"(?:^|[\s(*])"
# What a full stop does not end: a title or a word that always goes on; "No." and the like before a number;
# initials and words that may stand last, unless what follows usually opens a sentence.
_GOES_ON: Final = re.compile(_BEFORE + r"(?:e\.g|i\.e|vs|cf|approx|Dr|Mr|Mrs|Ms|Prof|St)\.$")
_NUMBERED: Final = re.compile(_BEFORE + r"(?:No|Nos|Fig|Figs|Eq|Sec|Vol|pp|Op|Art|Ch)\.$")
_MAY_END: Final = re.compile(_BEFORE + r"(?:al|Inc|Ltd|Co|Corp|Dept|Jr|Sr|[A-Z]|[A-Za-z](?:\.[A-Za-z])+)\.$")
_NUMBER: Final = re.compile(r"\s+\d")
_OPENER: Final = re.compile(
    r"\s+(?:A|An|And|But|Each|He|How|However|If|In|It|Its|She|So|Some|That|The|Then|There|These|They|This|"
    r"Those|We|What|When|While|Why|You)\b(?!\.)"  # "A." is an initial
)
_MARKER: Final = re.compile(r"[\s*#>(-]*(?:\d{1,3}|[A-Za-z]|[ivx]{2,4})[.)][\s*]*")  # "2." of a list


def _goes_on(upto: str, line: str, end: int) -> bool:
    """Tell whether the full stop that `upto` ends with belongs to an abbreviation or to a list's number."""
    # its end tells; all of a long line of initials would take the square of its length
    bare = CITATION.sub("", upto[-80:])
    if _MARKER.fullmatch(bare):
        return True
    stop = re.sub(r"[\"')\]\u201d\u2019\s]+$", "", bare)  # answers do hold typographic quotes
    if _NUMBERED.search(stop):
        return _NUMBER.match(line, end) is not None
    if _MAY_END.search(stop) and not _GOES_ON.search(stop):
        return _OPENER.match(line, end) is None
    return _GOES_ON.search(stop) is not None


def _split_line(line: str) -> list[str]:
    pieces, start = [], 0
    for end in _END.finditer(line):
        if _OPENS.match(line, end.end()) is None and line[end.start()] not in _FULL_STOPS:  # CJK
            continue
        upto = line[start : end.end()]
        if _goes_on(upto, line, end.end()):
            continue
        pieces.append(upto.strip())
        start = end.end()
    return [*pieces, line[start:].strip()]


def split_sentences(text: str) -> list[str]:
    """Split an answer into sentences; citations after the full stop stay with the sentence they follow.

    Lines are boundaries too, so that list items count as sentences. Abbreviations, initials and the numbers of list items
    are not ends; "U.S." or "et al." is one where a word such as "The" follows.

    Examples
    --------
    >>> split_sentences("Dr. Li says so. [1] Prices fell by 3.5 %, e.g. in May [2][3]. Why?")
    ['Dr. Li says so. [1]', 'Prices fell by 3.5 %, e.g. in May [2][3].', 'Why?']
    """
    sentences: list[str] = []
    for piece in (piece for line in text.splitlines() for piece in _split_line(line)):
        if _says_something(piece):
            sentences.append(piece)
        elif sentences and CITATION.search(piece):  # on a line of its own, say
            sentences[-1] += f" {piece}"
    return sentences


def _says_something(sentence: str) -> bool:
    bare = CITATION.sub("", sentence)
    number = (
        _MARKER.fullmatch(bare) is not None and bare == sentence
    )  # "42. [1]" is an answer, "42." a list's
    return WORD.search(bare) is not None and not number
