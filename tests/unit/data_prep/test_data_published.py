"""The real distributions have as many rows as their authors published.

    VERL_PLUGINS_RAW_DATA=DIR pytest tests/unit/data_prep/test_data_published.py

DIR has a folder for each data set, named like it, in any raw form; missing data sets are skipped.
"""

import os
from collections import Counter
from pathlib import Path

import pytest

from data_prep.convert.run import collect
from data_prep.datasets import DATA_SETS
from data_prep.raw.files import Files
from data_prep.raw_forms.raw_form import Source

NAMES = ("refcoco", "refcoco+", "refcocog", "lisa-grounding", "geometry3k", "mm-eureka", "mmk12", "virl39k")


@pytest.mark.parametrize("name", NAMES)
def test_as_many_raw_rows_as_published(name):
    data_set = DATA_SETS[name]
    root = Path(os.environ.get("VERL_PLUGINS_RAW_DATA", "/nonexistent"), data_set.name)
    if not root.is_dir():
        pytest.skip("no real data: set VERL_PLUGINS_RAW_DATA to the folder that holds it")
    splits_by = data_set.splits_by[0] if data_set.splits_by else None
    source = Source(root, Files([root]), splits_by)
    form = data_set.form_of(source, None)
    splits, rejected = collect(form, source)
    read = Counter(row.split for row in rejected)
    for split, rows in splits.items():
        read[split] += len(rows)
    published = data_set.published_rows(form, splits_by)
    assert published and {split: read[split] for split in published} == published
