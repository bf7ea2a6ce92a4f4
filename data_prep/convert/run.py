"""Runs a conversion: lists the raw rows, converts them part by part in any order, then joins the parts into shards.

Parts are kept in OUT/.parts until the run is complete. A run that is started again makes the same list and the same
plan, reuses the parts that are finished, and ends with the same bytes as a run that was never stopped.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from data_prep.atomic import write_atomically
from data_prep.convert.duplicates import SeenRows
from data_prep.convert.joining import join
from data_prep.convert.parts import ConversionJob, write_part
from data_prep.convert.plan import Part, divide, in_order
from data_prep.convert.stamps import ImageStamps
from data_prep.convert.summary import REJECTS_FILE, REPORT, Report, SplitReport, other_splits
from data_prep.raw_forms.raw_form import RawForm, Source
from data_prep.types import RawRow, RejectedRow, Rejection

_SPLIT = re.compile(r"[A-Za-z0-9_-]{1,40}")
_FILE = re.compile(rf"(?P<split>{_SPLIT.pattern}?)(-\d{{5}}-of-\d{{5}})?\.parquet")


@dataclass(frozen=True)
class Options:
    """Options of a run that do not change how a single row is converted.

    Args:
        seed: seed of the row order and of the draw of `max_rows`.
        splits: names of the splits to convert; empty for all.
        max_rows: largest number of raw rows of each split; None for all.
        shards: number of files of each split.
        processes: number of processes that convert at the same time.
        ray: whether Ray Data converts the parts instead.
    """

    seed: int
    splits: tuple[str, ...]
    max_rows: int | None
    shards: int
    processes: int
    ray: bool


def collect(form: RawForm, source: Source) -> tuple[dict[str, list[RawRow]], list[RejectedRow]]:
    """List the raw rows of each split.

    Returns:
        The rows by split, and the rows that are already rejected: malformed ones, those without a valid split, and
        duplicates within a split.
    """
    splits: dict[str, list[RawRow]] = {}
    rejected: list[RejectedRow] = []
    seen: dict[str, SeenRows] = {}  # by split: a row of two splits is kept in both, and `data_prep check` reports it
    for row in form.list_rows(source):
        if isinstance(row, RejectedRow):
            rejected.append(row)
        elif not _SPLIT.fullmatch(row.split):
            rejected.append(RejectedRow("", row.source, Rejection("split_unknown", f"got {row.split[:40]!r}")))
        elif not seen.setdefault(row.split, SeenRows(form.read)).add(row):
            rejected.append(RejectedRow(row.split, row.source, Rejection("duplicate")))
        else:
            splits.setdefault(row.split, []).append(row)
    return splits, rejected


def run(form: RawForm, source: Source, job: ConversionJob, options: Options) -> Report:
    """Convert a source into the folder `job.out`; every file there is complete afterwards.

    Raises:
        SystemExit: the source has no rows, or lacks one of the splits; the folder holds files of another conversion
            that this one does not replace; or a process was killed.
        OSError: the output cannot be written.
    """
    splits, rejected = collect(form, source)
    if not splits and not rejected:
        raise SystemExit(f"{source.path}: no rows in the form {form.name}; set --source, or --format")
    if options.splits:
        absent = [split for split in options.splits if split not in splits]
        if absent:
            raise SystemExit(f"--splits: got {', '.join(absent)}, expected some of {', '.join(sorted(splits))}")
        splits = {split: rows for split, rows in splits.items() if split in options.splits}
        rejected = [row for row in rejected if row.split in options.splits]
    parts: list[Part] = []
    stamps = ImageStamps(form.read)
    for split, rows in splits.items():
        settings = f"{job.settings_text()} {options.shards}"
        parts += divide(split, in_order(rows, options.seed, options.max_rows), options.shards, settings, stamps.of)
    plan = _plan_hash(parts, rejected)
    report = Report.of_finished_run(job.out, plan)
    if report is not None and _has_images(job, report):
        print(f"{job.out} was finished by an earlier run of the same source and options; nothing to do")
    else:
        _refuse_leftovers(job.out, splits, options)
        with _alone(job):
            _convert(job, parts, options)
            report = _join(job, splits, parts, rejected, options, plan)
    shutil.rmtree(job.folder, ignore_errors=True)
    return report


@contextmanager
def _alone(job: ConversionJob) -> Iterator[None]:
    """Keep other runs out of the output folder.

    Raises:
        SystemExit: another run is writing there.
    """
    job.folder.mkdir(parents=True, exist_ok=True)
    folder = os.open(job.folder, os.O_RDONLY)
    try:
        if not _lock(folder):
            raise SystemExit(
                f"--out {job.out}: got a folder into which another run is writing, expected one of its own; wait for "
                "its end, or name another --out"
            )
        yield
    finally:
        os.close(folder)


def _lock(folder: int) -> bool:
    """Lock an open folder until it is closed; return False if another process holds the lock."""
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks, as some of clusters are: nothing can be told
        pass
    return True


def _has_images(job: ConversionJob, report: Report) -> bool:
    """Return whether all image files exist that the rows of a finished run name."""
    import pyarrow.parquet as pq

    if job.images != "path":
        return True
    columns = (pq.read_table(job.out / name, columns=["images"]) for split in report.splits for name in split["files"])
    images = (column.column("images").combine_chunks().flatten().field("path") for column in columns)
    return all(Path(path).exists() for paths in images for path in paths.unique().to_pylist())


def _plan_hash(parts: list[Part], rejected: list[RejectedRow]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{part.split} {part.shard} {part.key}\n".encode())
    for row in rejected:
        digest.update(row.line().encode())
    return digest.hexdigest()


def _refuse_leftovers(out: Path, splits: Iterable[str], options: Options) -> None:
    """Exit if files of an earlier conversion would stay beside the new ones: their rows could be in both.

    Splits that ``options.splits`` leaves out may stay: they are converted one at a time.
    """
    written = {name for split in splits for name in _file_names(split, options.shards)}
    found = {file.name: _FILE.fullmatch(file.name) for file in sorted(out.glob("*.parquet"))}
    left = [
        name
        for name, match in found.items()
        if match and name not in written and (not options.splits or match["split"] in options.splits)
    ]
    if left:
        raise SystemExit(
            f"--out {out}: got a folder with {', '.join(left)} of another conversion, whose rows could also be in the "
            "new files, expected a folder of its own; remove them, or name another --out"
        )


def _file_names(split: str, shards: int) -> list[str]:
    if shards == 1:
        return [f"{split}.parquet"]
    return [f"{split}-{shard:05d}-of-{shards:05d}.parquet" for shard in range(shards)]


def _convert(job: ConversionJob, parts: list[Part], options: Options) -> None:
    """Convert the parts that have no file yet, with a progress bar."""
    from tqdm import tqdm

    missing = [part for part in parts if not job.file_of(part).exists()]
    rows = sum(len(part.rows) for part in parts)
    with tqdm(total=rows, initial=rows - sum(len(part.rows) for part in missing), unit=" rows") as bar:
        for count in _write_all(job, missing, options):
            bar.update(count)


def _write_all(job: ConversionJob, parts: list[Part], options: Options) -> Iterator[int]:
    """Write every part; yield the number of raw rows of each when it is finished."""
    if options.ray and parts:
        from data_prep.convert.on_ray import write_parts

        yield from write_parts(job, parts)
    elif options.processes == 1 or len(parts) < 2:
        yield from (write_part(job, part) for part in parts)
    else:
        yield from _in_processes(job, parts, options.processes)


def _in_processes(job: ConversionJob, parts: list[Part], processes: int) -> Iterator[int]:
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
    job: ConversionJob,
    splits: Iterable[str],
    parts: list[Part],
    rejected: list[RejectedRow],
    options: Options,
    plan: str,
) -> Report:
    """Write the shards of every split, rejects.jsonl and, last, report.json.

    What both files say of splits that `options.splits` leaves out, and that were converted before, stays.
    """
    lines = [row.line() for row in rejected]
    reports = []
    for split in splits:
        split_parts = [part for part in parts if part.split == split]
        read = sum(len(part.rows) for part in split_parts) + sum(row.split == split for row in rejected)
        counts = SplitReport(split, read)
        for shard, name in enumerate(_file_names(split, options.shards)):
            files = [job.file_of(part) for part in split_parts if part.shard == shard]
            lines += join(files, job.out / name, job.folder, counts)
        if not counts.written:  # an empty file would look like a finished one
            for name in counts.files:
                (job.out / name).unlink()
            counts.files.clear()
        reports.append(counts)
    report = Report.of_lines(plan, reports, lines)
    if options.splits:
        earlier, earlier_lines = other_splits(job.out, options.splits)
        report, lines = report.after(earlier), earlier_lines + lines
    write_atomically(job.out / REJECTS_FILE, "".join(lines), job.folder)
    write_atomically(job.out / REPORT, report.to_json(), job.folder)
    return report
