"""Click models on sufficient statistics: what is clicked once it is examined, and what is examined (S8.1).

Three models with one interface: `fit`, `predict_proba`, `predict_conditional`, `score`, `perplexity`,
`mean_perplexity`, `relevance`, `sample`. They take a frame with one row per show: `session` (a list that was shown
once), `item`, `rank` from 1, and `clicked`.
"""

from eventlib.ranking.clicks.model import ClickModel
from eventlib.ranking.clicks.pbm import PositionBasedModel, count_cells
from eventlib.ranking.clicks.sdbn import SimplifiedDBN
from eventlib.ranking.clicks.ubm import UserBrowsingModel

__all__ = ["ClickModel", "PositionBasedModel", "SimplifiedDBN", "UserBrowsingModel", "count_cells"]
