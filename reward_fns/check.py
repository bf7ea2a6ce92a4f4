"""`python -m reward_fns check FILE...`: reports the gold answers of verl's parquet files that cannot be earned.

Each row's own gold, written as a perfect response, is scored by the reward that training would use. The exit code is 1
if any gold cannot be earned.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from omegaconf import OmegaConf

from reward_fns import auto
from reward_fns.earnable import gold_type, reward_of_row, unearnable_gold

ABOUT = "Report the gold answers of verl's parquet files that cannot be earned; the exit code is 1 if there are any."
COLUMNS = ("data_source", "reward_model", "extra_info")  # not the images, which need not be decoded
BATCH_ROWS = 1024  # rows in memory at a time
EXAMPLES = 5  # rows that are shown of each status
GOLD_WIDTH = 80  # characters of a gold that are shown


@dataclass
class SourceGolds:
    """What was found in the rows of one data source.

    Args:
        reward: name of the reward that scores them; "-" if there is none.
        rows: number of rows.
        types: number of golds of each type.
        failures: status to the golds with this status, each with the place of its row.
    """

    reward: str
    rows: int = 0
    types: Counter[str] = field(default_factory=Counter)
    failures: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    @property
    def unearnable(self) -> int:
        """Number of golds that cannot be earned."""
        return sum(map(len, self.failures.values()))


def check_files(paths: list[Path], reward: str, settings: dict[str, Any]) -> dict[str, SourceGolds]:
    """Score the gold of every row as a perfect response.

    Args:
        paths: parquet files with the columns `data_source` and `reward_model`, and `extra_info` where there is one.
        reward: "auto", or the reward of all rows.
        settings: `reward_kwargs` of the reward, which its `settings_of` has checked.

    Returns:
        The results by data source, in the order of their first rows.

    Raises:
        SystemExit: a file cannot be read, or lacks a column.
    """
    sources: dict[str, SourceGolds] = {}
    for path in paths:
        for number, row in _rows(path):
            name = str(row["data_source"])
            gold = (row["reward_model"] or {}).get("ground_truth")
            source = sources.setdefault(name, SourceGolds(_reward_name(name, reward, settings)))
            source.rows += 1
            source.types[gold_type(gold, source.reward)] += 1
            status = unearnable_gold(name, gold, row.get("extra_info"), reward, **settings)
            if status:
                source.failures.setdefault(status, []).append((f"{path.name}, row {number}", repr(gold)))
    return sources


def report(sources: dict[str, SourceGolds]) -> str:
    """Return the results as text: a table by data source, then examples of the golds that cannot be earned."""
    table = [("data source", "reward", "rows", "cannot be earned", "types of golds")]
    for name, source in sources.items():
        types = ", ".join(f"{kind} {count:,}" for kind, count in source.types.most_common())
        table.append((name, source.reward, f"{source.rows:,}", f"{source.unearnable:,}", types))
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
    for name, source in sources.items():
        for status, golds in source.failures.items():
            lines += ["", f"{name}, {status}: {len(golds):,} rows"]
            lines += [f"  {place}: {_shortened(gold)}" for place, gold in golds[:EXAMPLES]]
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    """Command line of `python -m reward_fns check`.

    Raises:
        SystemExit: with 1 if a gold cannot be earned, with a message if a file or a setting is wrong.
    """
    rewards = {"auto": auto, **auto.REWARDS}
    parser = argparse.ArgumentParser(prog="python -m reward_fns check", description=ABOUT)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="parquet file in verl's format")
    parser.add_argument("--reward", choices=rewards, default="auto", help="default: %(default)s, by data_source")
    parser.add_argument(
        "--settings",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="reward_kwargs of the run: grounding.box_space=0-1000 routes.my_data=math; with --reward math: form=boxed",
    )
    args = parser.parse_args(argv)
    settings: Any = OmegaConf.to_container(OmegaConf.from_dotlist(args.settings))
    try:
        rewards[args.reward].settings_of(**settings)
    except ValueError as problem:
        raise SystemExit(f"--settings: {problem}") from None
    sources = check_files(args.files, args.reward, settings)
    print(report(sources))
    if any(source.unearnable for source in sources.values()):
        sys.exit(1)


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the rows of a file, each with its number, from 0."""
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise SystemExit(f"{path}: expected a parquet file, got {error}") from None
    names = file.schema_arrow.names
    missing = [name for name in COLUMNS[:2] if name not in names]
    if missing:
        raise SystemExit(f"{path}: got columns {', '.join(names)}, expected {', '.join(missing)} too, which verl reads")
    number = 0
    for batch in file.iter_batches(BATCH_ROWS, columns=[name for name in COLUMNS if name in names]):
        for row in batch.to_pylist():
            yield number, row
            number += 1


def _reward_name(data_source: str, reward: str, settings: dict[str, Any]) -> str:
    try:
        return reward_of_row(data_source, reward, settings)[0]
    except ValueError:  # told by unearnable_gold
        return "-"


def _shortened(gold: str) -> str:
    return gold if len(gold) <= GOLD_WIDTH else f"{gold[: GOLD_WIDTH - 3]}..."
