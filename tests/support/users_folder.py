"""The folder of somebody who begins: data files with one mistake each, and reward functions."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from checked_run import ENOUGH, IMAGE, write_parquet

ROW = {
    "data_source": "refcoco",
    "prompt": [{"role": "user", "content": "<image>?"}],
    "images": [IMAGE],
    "reward_model": {"style": "rule", "ground_truth": "[1, 2, 3, 4]"},
}
MESSAGES = [{"role": "user", "content": "<image>?"}, {"role": "assistant", "content": "3"}]


def users_folder(path: Path) -> Path:
    """Write a good file, files with one mistake each, and rewards of one's own; returns the folder."""
    good = write_parquet(path / "good.parquet", [[IMAGE]] * ENOUGH)
    write_parquet(path / "few.parquet", [[IMAGE]] * 3)
    (path / "sub").mkdir()
    (path / "sub" / "train.parquet").symlink_to(good)
    (path / "cut.parquet").write_bytes((path / "few.parquet").read_bytes()[:200])
    (path / "lfs.parquet").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    (path / "rows.csv").write_text("question,answer\n1,2\n")
    files = {
        "easyr1": [{"problem": "<image>?", "answer": "3", "images": [IMAGE]}],
        "swift": [{"messages": MESSAGES, "images": [IMAGE]}],
        "llava": [{"conversations": [{"from": "human", "value": "<image>?"}], "image": "a.jpg"}],
        "questions": [{"question": "?", "answer": "3", "image": "a.jpg"}],
        "others": [{"text": "?"}],
        "no_gold_column": [{name: value for name, value in ROW.items() if name != "reward_model"}],
        "no_source_column": [{name: value for name, value in ROW.items() if name != "data_source"}],
        "no_source": [ROW, {**ROW, "data_source": None}],
        "no_gold": [ROW, ROW, {**ROW, "reward_model": {"style": "rule", "ground_truth": None}}],
        "no_reward_model": [{**ROW, "reward_model": None}, ROW],
        "flat_gold": [{**ROW, "reward_model": "[1, 2, 3, 4]"}],
        "text_prompt": [{**ROW, "prompt": "where?"}],
        "text_rows": [ROW, {**ROW, "images": []}],
        "my_source": [ROW, {**ROW, "data_source": "mine"}],
        "other_image_column": [{"image" if name == "images" else name: value for name, value in ROW.items()}],
        "verls_geo3k": [{**ROW, "data_source": "hiyouga/geometry3k", "ability": "math", "extra_info": {"index": 0}}],
        "many_golds": [{**ROW, "reward_model": {"style": "rule", "ground_truth": ["3", "three"]}}],
    }
    for name, content in files.items():
        pq.write_table(pa.Table.from_pylist(content * 3), path / f"{name}.parquet")
    rewards = {
        "mine": "def compute_score(data_source, solution_str, ground_truth, extra_info, scale=1):\n    return scale\n",
        "any": "def compute_score(**kwargs):\n    return 1\n",
        "few_parameters": "def compute_score(solution_str, ground_truth):\n    return 1\n",
        "imported": "from mine import *\n",
        "again": "from functools import partial\nfrom mine import compute_score as one\ncompute_score = partial(one)\n",
        "late": "def __getattr__(name):\n    return lambda **kwargs: 1\n",
        "broken": "def compute_score(:\n",
    }
    for name, text in rewards.items():
        (path / f"{name}.py").write_text(text)
    return path
