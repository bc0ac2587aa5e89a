"""Ranking: click models, features, a debiased ranker, its held-out value and the gates before an export (S8)."""

from eventlib.ranking.clicks import PositionBasedModel, SimplifiedDBN, UserBrowsingModel, count_cells
from eventlib.ranking.gates import Gate
from eventlib.ranking.pipeline import Options, Ranking, Tables, read_tables, train_ranking

__all__ = [
    "Gate",
    "Options",
    "PositionBasedModel",
    "Ranking",
    "SimplifiedDBN",
    "Tables",
    "UserBrowsingModel",
    "count_cells",
    "read_tables",
    "train_ranking",
]
