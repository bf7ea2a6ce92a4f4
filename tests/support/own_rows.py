"""Rows of one's own, as a user writes and converts them."""

import json

import pyarrow.parquet as pq
from data_fixtures import write

from data_prep.__main__ import main

ANSWER = ["--question", "question", "--answer", "answer", "--image", "image"]
BOX = ["--question", "question", "--box", "box", "--image", "image", "--box-space"]


def lines(path, *rows):
    return write(path, "\n".join(map(json.dumps, rows)))


def row(**changes):
    return {"question": "How many?", "answer": "5", "image": "a.png", **changes}


def convert(source, out, *options):
    """Return the rows written, in the order of the source, and the rejected ones."""
    try:
        main(["jsonl", "--source", str(source), "--out", str(out), "--processes", "1", *map(str, options)])
    except SystemExit as end:
        if not (out / "rejects.jsonl").exists():
            raise
        assert "rejected" in str(end)
    rows = [row for path in sorted(out.glob("*.parquet")) for row in pq.read_table(path).to_pylist()]
    rejects = [json.loads(line) for line in (out / "rejects.jsonl").read_text().splitlines()]
    return sorted(rows, key=lambda row: row["extra_info"]["index"]), rejects


def golds(rows):
    return [row["reward_model"]["ground_truth"] for row in rows]
