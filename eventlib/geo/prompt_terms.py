"""The terms of prompts: words, pairs of words and pieces of words, in any script, and who used them.

Prompts are short and come in all languages, so there is no list of stop words and no stemmer. Words and pairs of
neighbours carry what a prompt is about; pieces of three and four letters bring inflected and misspelt forms
together. Function words are short in every alphabet and yield few pieces, so that pieces weigh subjects more than
the way in which something is asked. In scripts without spaces every character is a word, and pairs do the rest.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from eventlib.masking import mask_text

__all__ = ["GRAMS", "LONGEST", "Block", "join_words", "read_terms", "split_words", "used_by", "weigh"]

Floats: TypeAlias = NDArray[np.float64]

LONGEST: Final = 500
"""Characters of a prompt that are read: what it is about stands at its beginning."""

GRAMS: Final = (3, 4)
"""Lengths of the pieces of words."""

_LONGEST_WORD: Final = 40
_UNSPACED: Final = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"  # Thai to Han
_NO_WORD: Final = r"\s\x00-/:-@\[-`{-\xbf\xd7\xf7\u060c\u061b\u061f\u0964\u0965\u2000-\u206f\u3000-\u303f\ud800-\udfff\ufeff"
_WORD: Final = re.compile(rf"[{_UNSPACED}]|[^{_NO_WORD}{_UNSPACED}]+")
# mark-up, and what tells on somebody: addresses, links; every repeat is bounded by LONGEST
_NOISE: Final = re.compile(r"<[^<>]{0,200}>|&#?\w{1,10};|[!-~]*@[!-~]*|[!-~]*://[!-~]*")
_MASKED: Final = re.compile(r"\[(?:e-mail|phone|card|number|token|masked)\]")
_DIGITS: Final = re.compile(r"\d{5}")
_BETWEEN: Final = re.compile(rf"(?<=[{_UNSPACED}]) (?=[{_UNSPACED}])")


def split_words(text: str) -> list[str]:
    """Return the words of a prompt as they are compared: NFKC, case folded, without marks, mark-up and addresses.

    What reports mask (tokens, phone and card numbers, the ends of links) is left out before: no term is made of it.

    Examples
    --------
    >>> split_words("<b>Heat-Pumps</b> in WINTER? ann@mail.example, +49 151 23456789")
    ['heat', 'pumps', 'in', 'winter']
    >>> split_words("熱泵 cost")
    ['熱', '泵', 'cost']
    """
    told = _MASKED.sub(" ", mask_text(text[: 2 * LONGEST]))[:LONGEST]
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", told).casefold())
    words = _WORD.findall(_NOISE.sub(" ", plain))
    return [word for word in words if len(word) <= _LONGEST_WORD and not _DIGITS.search(word)]


def join_words(term: str) -> str:
    """Return a term as it is read: without spaces where its script has none.

    >>> join_words("熱 泵"), join_words("heat pumps")
    ('熱泵', 'heat pumps')
    """
    return _BETWEEN.sub("", term)


@dataclass(frozen=True, slots=True)
class Block:
    """Which texts hold which terms of one kind.

    Attributes
    ----------
    names : ndarray of object
        The terms, sorted: sums over a text's terms are then taken in one order, whatever other texts there are.
    matrix : scipy.sparse.csr_matrix of float64, shape (texts, terms)
        1 where a text holds a term.
    """

    names: NDArray[Any]
    matrix: Any

    def keep(self, kept: NDArray[np.bool_]) -> Block:
        """Return the block with these terms only."""
        return Block(self.names[kept], self.matrix[:, np.flatnonzero(kept)])


def _incidence(row: NDArray[np.int64], column: NDArray[np.int64], shape: tuple[int, int]) -> Any:
    matrix = sparse.csr_matrix((np.ones(len(row)), (row, column)), shape=shape)
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    return matrix


def _pieces(word: str) -> set[str]:
    return {word[i : i + size] for size in GRAMS for i in range(len(word) - size + 1)}


def _coded(values: Sequence[str]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    names = sorted(set(values))
    place = {name: at for at, name in enumerate(names)}
    return np.array(names, dtype=object), np.array([place[value] for value in values], dtype=np.int64)


def read_terms(texts: Sequence[Sequence[str]]) -> tuple[Block, Block]:
    """Return the words and pairs, and the pieces, of texts that were split into words.

    Where a script has no spaces, a pair is a piece, too: it is what a word of two characters would be.

    Examples
    --------
    >>> words, pieces = read_terms([["heat", "pumps"], ["heat"]])
    >>> words.names.tolist(), words.matrix.toarray().tolist()
    (['heat', 'heat pumps', 'pumps'], [[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]])
    >>> pieces.names.tolist()
    ['eat', 'hea', 'heat', 'mps', 'pum', 'pump', 'ump', 'umps']
    """
    row = np.repeat(np.arange(len(texts)), [len(words) for words in texts])
    names, code = _coded(list(chain.from_iterable(texts)))
    single = _incidence(row, code, (len(texts), len(names)))
    paired = np.flatnonzero(row[1:] == row[:-1])
    pairs, pair = np.unique(code[paired] * max(len(names), 1) + code[paired + 1], return_inverse=True)
    double = _incidence(row[paired], pair, (len(texts), len(pairs)))
    joined = [f"{names[p // len(names)]} {names[p % len(names)]}" for p in pairs.tolist()]
    words = np.array([*names, *joined], dtype=object)
    order = np.argsort(words, kind="stable")
    matrix = sparse.hstack([single, double], format="csr")[:, order]
    matrix.sort_indices()
    close = np.array(
        [join_words(pair) if " " not in join_words(pair) else "" for pair in joined], dtype=object
    )
    unspaced = np.flatnonzero(close != "")
    return Block(words[order], matrix), _join(
        _read_pieces(names, single), close[unspaced], double[:, unspaced]
    )


def _join(block: Block, names: NDArray[Any], matrix: Any) -> Block:
    """Return the block with more terms, none of which it has."""
    every = np.concatenate([block.names, names])
    order = np.argsort(every, kind="stable")
    joined = sparse.hstack([block.matrix, matrix], format="csr")[:, order]
    joined.sort_indices()
    return Block(every[order], joined)


def _read_pieces(names: NDArray[Any], single: Any) -> Block:
    found = [_pieces(word) for word in names]
    grams, code = _coded(list(chain.from_iterable(found)))
    word = np.repeat(np.arange(len(names)), [len(pieces) for pieces in found])
    matrix = (single @ _incidence(word, code, (len(names), len(grams)))).tocsr()
    matrix.data[:] = 1.0
    matrix.sort_indices()
    return Block(grams, matrix)


def used_by(matrix: Any, text: NDArray[np.int64], who: NDArray[np.int64], k: int) -> NDArray[np.bool_]:
    """Tell which terms at least k different askers used.

    Parameters
    ----------
    matrix
        Texts by terms, as in a block.
    text, who
        One row per text and asker, without repeats; shape (n,).
    k
        Fewest askers.
    """
    askers = np.bincount(text, minlength=matrix.shape[0])
    sure = np.asarray(matrix[np.flatnonzero(askers >= k)].sum(axis=0)).ravel() > 0
    # only terms of seldom asked texts are left, so that few rows are multiplied out
    open_terms = np.flatnonzero(~sure)
    if not len(open_terms) or not len(text):
        return sure
    few = askers[text] < k
    asked = _incidence(who[few], text[few], (int(who.max()) + 1, matrix.shape[0]))
    sure[open_terms] = (asked @ matrix[:, open_terms]).tocsc().getnnz(axis=0) >= k
    return sure


def weigh(block: Block, idf: Mapping[str, float], unseen: float) -> Any:
    """Return the texts as vectors over the known terms; terms that are not known count in their length.

    So a text that shares one word with a cluster and nothing else is not near it.

    Parameters
    ----------
    block
        Terms of the texts.
    idf
        Weight of each known term.
    unseen
        Weight of any other.

    Returns
    -------
    scipy.sparse.csr_matrix of float64, shape (texts, len(idf))
        Columns in the order of `idf`, which has to be sorted.
    """
    known = np.array(list(idf.values()), dtype=np.float64)
    column = pd.Index(list(idf), dtype=object).get_indexer(pd.Index(block.names, dtype=object))
    value = np.where(column >= 0, np.append(known, unseen)[column], unseen)
    length: Floats = np.sqrt(block.matrix @ value**2)
    scale = np.divide(1.0, length, out=np.zeros_like(length), where=length > 0)
    entries = block.matrix.tocoo()
    kept = column[entries.col] >= 0
    row, term = entries.row[kept], entries.col[kept]
    shape = (block.matrix.shape[0], len(known))
    weighed = sparse.csr_matrix((value[term] * scale[row], (row, column[term])), shape=shape)
    weighed.sort_indices()
    return weighed
