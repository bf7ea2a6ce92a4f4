"""Converts the parts of a run on Ray Data, on this machine or on the cluster that RAY_ADDRESS names.

Every node needs this package, and must see the source and the output folder under the same paths.
"""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from data_prep.convert.parts import write_part

if TYPE_CHECKING:
    from data_prep.convert.parts import ConversionJob
    from data_prep.convert.plan import Part


def write_parts(job: ConversionJob, parts: list[Part]) -> Iterator[int]:
    """Write every part; yield the number of raw rows of each when it is finished.

    Raises:
        SystemExit: Ray is not installed, or does not start.
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise SystemExit(f"--ray needs Ray Data ({error}); pip install 'ray[data]'") from None
    try:
        ray.init(address=os.environ.get("RAY_ADDRESS", "local"), log_to_driver=False, logging_level=logging.WARNING)
    except ConnectionError as error:
        raise SystemExit(f"--ray: {error}; set RAY_ADDRESS to a running cluster, or unset it") from None

    def write(item: dict[str, Any]) -> dict[str, int]:
        return {"rows": write_part(job, pickle.loads(item["part"]))}

    try:
        ray.data.DataContext.get_current().enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.WARNING)
        items = [{"part": pickle.dumps(part)} for part in parts]
        for result in ray.data.from_items(items, override_num_blocks=len(items)).map(write).iter_rows():
            yield int(result["rows"])
    finally:
        ray.shutdown()
