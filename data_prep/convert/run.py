"""A whole run: list the raw rows, convert part by part in any order, then join the parts into shards.

Parts are kept in OUT/.parts until the run is complete. A run that starts again lists and plans the same, finds the
parts that are there, and ends with the same bytes as one that was never stopped.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context

from data_prep.convert.joining import join
from data_prep.convert.parts import Job, write_part
from data_prep.convert.plan import Part, divide, in_order
from data_prep.convert.summary import REPORT, Report, SplitReport
from data_prep.raw_forms.raw_form import Format, Source
from data_prep.types import RawRow, Reject, RejectedRow

_SPLIT = re.compile(r"[A-Za-z0-9_-]{1,40}")


@dataclass(frozen=True)
class Options:
    """What decides the division of a run, beside its `Job`.

    Args:
        seed: of the order of the rows and of the draw of `max_rows`.
        max_rows: raw rows of each split, at most; None for all.
        shards: files of each split.
        processes: that convert at the same time.
        ray: whether Ray Data runs the parts instead.
    """

    seed: int
    max_rows: int | None
    shards: int
    processes: int
    ray: bool


def collect(form: Format, source: Source) -> tuple[dict[str, list[RawRow]], list[RejectedRow]]:
    """The raw rows by split, and those rejected already: no split, no row, or the same again in its split."""
    splits: dict[str, list[RawRow]] = {}
    rejected: list[RejectedRow] = []
    seen: dict[str, set[bytes]] = {}  # a split may hold rows of another: `data_prep check` tells of those
    for row in form.list_rows(source):
        if isinstance(row, RejectedRow):
            rejected.append(row)
        elif not _SPLIT.fullmatch(row.split):
            rejected.append(RejectedRow("", row.source, Reject("split_unknown", f"got {row.split[:40]!r}")))
        elif row.identity in seen.setdefault(row.split, set()):
            rejected.append(RejectedRow(row.split, row.source, Reject("duplicate")))
        else:
            splits.setdefault(row.split, []).append(row)
            seen[row.split] |= {row.identity} - {b""}
    return splits, rejected


def run(form: Format, source: Source, job: Job, options: Options) -> Report:
    """Convert a source; what stands in `job.out` afterwards is complete.

    Raises:
        SystemExit: the source has no rows, or a process was killed.
        OSError: the output cannot be written.
    """
    splits, rejected = collect(form, source)
    if not splits and not rejected:
        raise SystemExit(f"{source.path}: no rows in the form {form.name}; set --source, or --format")
    parts: list[Part] = []
    for split, rows in splits.items():
        manner = f"{job.manner()} {options.shards}"
        parts += divide(split, in_order(rows, options.seed, options.max_rows), options.shards, manner)
    plan = _plan(parts, rejected)
    done = Report.of_finished_run(job.out, plan)
    if done is None:
        job.folder.mkdir(parents=True, exist_ok=True)
        _convert(job, parts, options)
        done = _join(job, splits, parts, rejected, options.shards, plan)
    shutil.rmtree(job.folder, ignore_errors=True)
    return done


def _plan(parts: list[Part], rejected: list[RejectedRow]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{part.split} {part.shard} {part.key}\n".encode())
    for row in rejected:
        digest.update(row.line().encode())
    return digest.hexdigest()


def _convert(job: Job, parts: list[Part], options: Options) -> None:
    from tqdm import tqdm

    missing = [part for part in parts if not job.file_of(part).exists()]
    rows = sum(len(part.rows) for part in parts)
    with tqdm(total=rows, initial=rows - sum(len(part.rows) for part in missing), unit=" rows") as bar:
        for count in _write_all(job, missing, options):
            bar.update(count)


def _write_all(job: Job, parts: list[Part], options: Options) -> Iterator[int]:
    if options.ray and parts:
        from data_prep.convert.on_ray import write_parts

        yield from write_parts(job, parts)
    elif options.processes == 1 or len(parts) < 2:
        yield from (write_part(job, part) for part in parts)
    else:
        yield from _in_processes(job, parts, options.processes)


def _in_processes(job: Job, parts: list[Part], processes: int) -> Iterator[int]:
    with ProcessPoolExecutor(min(processes, len(parts)), mp_context=get_context("spawn")) as pool:
        try:
            for future in as_completed([pool.submit(write_part, job, part) for part in parts]):
                yield future.result()
        except BrokenProcessPool:
            raise SystemExit(
                "a process was killed, perhaps for want of memory; start again with fewer --processes: "
                "finished parts are kept"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _join(
    job: Job, splits: Iterable[str], parts: list[Part], rejected: list[RejectedRow], shards: int, plan: str
) -> Report:
    lines = [row.line() for row in rejected]
    reports = []
    for split in splits:
        own = [part for part in parts if part.split == split]
        read = sum(len(part.rows) for part in own) + sum(row.split == split for row in rejected)
        counts = SplitReport(split, read)
        for shard in range(shards):
            name = f"{split}.parquet" if shards == 1 else f"{split}-{shard:05d}-of-{shards:05d}.parquet"
            chosen = [job.file_of(part) for part in own if part.shard == shard]
            lines += join(chosen, job.folder / f"{name}.{os.getpid()}.tmp", job.out / name, job.images, counts)
        if not counts.written:  # an empty file would look like a finished one
            for name in counts.files:
                (job.out / name).unlink()
            counts.files.clear()
        reports.append(counts)
    _write_text(job, "rejects.jsonl", "".join(lines))
    report = Report.of_lines(plan, reports, lines)
    _write_text(job, REPORT, report.to_json())
    return report


def _write_text(job: Job, name: str, text: str) -> None:
    temporary = job.folder / f"{name}.{os.getpid()}.tmp"
    temporary.write_text(text)
    os.replace(temporary, job.out / name)
