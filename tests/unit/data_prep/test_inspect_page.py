"""The page of `python -m data_prep inspect` on hostile text."""

import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.__main__ import main

ATTACK = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>"


def test_the_page_escapes_everything_that_comes_from_data(tmp_path):
    main(["shapes", "--out", str(tmp_path), "--train", "1", "--val", "1"])
    table = pq.read_table(tmp_path / "val.parquet")
    (row,) = table.to_pylist()
    row["data_source"] = f"source{ATTACK}"
    row["prompt"] = [{"role": "user", "content": f"prompt{ATTACK}"}]
    row["reward_model"]["ground_truth"] = f"gold{ATTACK}"
    row["extra_info"] |= {"question": f"question{ATTACK}", "id": f"id{ATTACK}", "split": f"split{ATTACK}"}
    path = tmp_path / "a<script>b.parquet"
    pq.write_table(pa.Table.from_pylist([row], schema=table.schema), path)
    main(["inspect", str(path)])
    html = path.with_suffix(".html").read_text()
    assert "<script" not in html and "<img" not in html
    assert 'aria-label="question&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&#34;&gt;&lt;img' in html
    for text in ("source", "prompt", "gold", "id", "split"):
        assert f"{text}&lt;script&gt;" in html, text
    assert html.count("a&lt;script&gt;b.parquet") == 2  # title and heading
