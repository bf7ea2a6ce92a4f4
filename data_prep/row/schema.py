"""The schema of a row, the same for every data set.

It is spelled out because an inferred schema depends on the data: a column that happens to hold only None becomes Arrow
`null`, and such a file can no longer be read together with others.
"""

from __future__ import annotations

import json
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


@cache
def file_schema() -> pa.Schema:
    """Return `row_schema()` with metadata for the library `datasets`, which then reads the images as images.

    verl's own example scripts and EasyR1's data sets are of this kind, and `datasets` joins only files of one kind.
    """
    features = {field.name: _feature(field.type) for field in row_schema()}
    features["images"] = {"feature": {"_type": "Image"}, "_type": "List"}
    return row_schema().with_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def _feature(kind: pa.DataType) -> object:
    """Return an Arrow type as a feature type of `datasets`."""
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return {field.name: _feature(field.type) for field in kind}
    if pa.types.is_list(kind):
        return {"feature": _feature(kind.value_type), "_type": "List"}
    return {"dtype": str(kind), "_type": "Value"}
