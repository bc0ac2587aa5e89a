"""Prompt clusters of real questions and queries: what words alone find in them, and what not (S7.7)."""

from __future__ import annotations

import pytest
from sklearn.metrics import adjusted_rand_score

from benchmarks.prompt_clusters import expertqa, real_folder, ubi
from eventlib.geo.prompt_clusters import PromptClusters, keep_prompt_clusters, read_prompts

FOLDER = real_folder()

pytestmark = pytest.mark.skipif(
    not FOLDER.exists(), reason="real data is not here; name its folder in EVENTLIB_REAL"
)


def test_queries_of_one_product_are_together(tmp_path):
    case = ubi(FOLDER, 10)
    clusters = case.fit()
    found = PromptClusters.load(clusters.save(tmp_path / "a.json")).assign(read_prompts(case.answers))
    cluster = dict(zip(found["prompt_id"].str.casefold(), found["prompt_cluster"], strict=True))
    assert cluster["wireless earbuds"] == cluster["wireless headphones"] == "wireless"
    assert cluster["womens shoes"] == "shoes"
    assert cluster["ban idiots not guns"] == "other"


def test_questions_of_many_fields_share_too_few_words_and_that_is_told():
    case = expertqa(FOLDER, 10)
    prompts = read_prompts(case.answers)
    found = case.fit().assign(prompts)["prompt_cluster"]
    assert adjusted_rand_score(prompts["prompt_text"].map(case.about["field"]), found) < 0.1
    assert "the clusters are weak" in keep_prompt_clusters(case.answers)[1]
