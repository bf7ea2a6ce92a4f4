"""The schema of a row, the same for every data set.

It is spelled out because an inferred schema depends on the data: a column that happens to hold only None becomes Arrow
`null`, and such a file can no longer be read together with others.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_PER_GROUP = 128  # small, because images are large: reading one row loads its whole group


@cache
def row_schema() -> pa.Schema:
    """Return the Arrow schema of a row. `orig_w` and `orig_h` are in pixels; `images[].bytes` is a PNG or JPEG."""
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
