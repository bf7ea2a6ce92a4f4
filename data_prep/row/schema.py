"""The one row layout of every data set.

The Arrow schema is spelled out because an inferred one drifts: a column that happens to hold only None becomes Arrow
`null`, and two such files can then no longer be read together.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]

ROWS_PER_GROUP = 128  # images are large: a reader should not need a whole file in memory to get at one row


@cache
def row_schema() -> pa.Schema:
    """The Arrow schema of one row. `orig_w` and `orig_h` are pixels; `images[].bytes` is an encoded PNG or JPEG."""
    import pyarrow as pa

    message = pa.struct([("role", pa.string()), ("content", pa.string())])
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    reward_model = pa.struct([("style", pa.string()), ("ground_truth", pa.string())])
    extra_info = pa.struct(
        [
            ("split", pa.string()),
            ("index", pa.int64()),
            ("id", pa.string()),
            ("question", pa.string()),
            ("answer", pa.string()),
            ("orig_w", pa.int32()),
            ("orig_h", pa.int32()),
            ("image_sha256", pa.string()),
            ("subject", pa.string()),
            ("choices", pa.list_(pa.string())),
        ]
    )
    return pa.schema(
        [
            ("data_source", pa.string()),
            ("prompt", pa.list_(message)),
            ("images", pa.list_(image)),
            ("ability", pa.string()),
            ("reward_model", reward_model),
            ("extra_info", extra_info),
        ]
    )
