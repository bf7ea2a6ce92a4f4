"""Rows per second, peak memory and file size of `python -m data_prep`, beside those of the usual way.

    PYTHONPATH=benchmarks python -m speed.conversion [--rows 20000] [--processes 2] [--flat 10000 100000]

The usual way is that of verl's example scripts: `datasets` holds every row's image as bytes, decodes it for `map`, and
encodes what `map` returns (JPEG stays JPEG, at Pillow's default quality). The source has RefCOCO's format, with
generated photographs of 640 x 480 pixels and six rows per image. `--flat` measures our converter alone, on smaller
images, to show memory by number of rows. Memory is the proportional set size of all processes together. Prints
Markdown.
"""

from __future__ import annotations

import argparse
import json
import pickle
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import psutil

ROWS_PER_IMAGE = 6
ROOT = Path(__file__).parents[2]
WAYS = ("ours", "usual")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--flat", type=int, nargs="*", default=[10_000, 100_000], help="numbers of rows")
    parser.add_argument("--usual", nargs=2, help=argparse.SUPPRESS)  # SOURCE OUT: convert in this process
    args = parser.parse_args()
    if args.usual:
        source, out = map(Path, args.usual)
        convert_as_usual(source, out, args.processes)
        return

    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    print(f"{platform.processor() or platform.machine()}, {args.processes} processes, commit {commit}\n")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "source")
        image_bytes = make_source(source, args.rows, (640, 480))
        print(f"{args.rows} rows, {image_bytes / 1e6:.0f} MB of distinct images\n")
        print("| way | seconds | rows/s | seconds, to ours | peak memory, MiB | file / distinct images |")
        print("|---|---|---|---|---|---|")
        ours = 0.0
        for way in WAYS:
            seconds, memory, size = measure(way, source, Path(folder, "out"), args.processes)
            ours = ours or seconds
            row = (seconds, args.rows / seconds, seconds / ours, memory / 2**20, size / image_bytes)
            print("| {} | {:.1f} | {:.0f} | {:.1f} | {:.0f} | {:.2f} |".format(way, *row), flush=True)
    print("\n| rows | seconds | peak memory, MiB | file / distinct images |\n|---|---|---|---|")
    for rows in args.flat:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "source")
            image_bytes = make_source(source, rows, (160, 120))
            seconds, memory, size = measure("ours", source, Path(folder, "out"), args.processes)
            print(f"| {rows} | {seconds:.1f} | {memory / 2**20:.0f} | {size / image_bytes:.2f} |")


def make_source(root: Path, rows: int, size: tuple[int, int]) -> int:
    """Write a data set in the format of refer (RefCOCO) with ``rows`` sentences.

    Args:
        root: folder to write to.
        size: width and height of the images.

    Returns:
        Bytes of all image files.
    """
    from PIL import Image

    (root / "train2014").mkdir(parents=True)
    (root / "refcoco").mkdir()
    rng, refs, images, annotations, total = Random(0), [], [], [], 0
    for number in range(-(-rows // ROWS_PER_IMAGE)):
        name = f"COCO_train2014_{number:012d}.jpg"
        coarse = Image.frombytes("RGB", (40, 30), rng.randbytes(3600)).resize(size, Image.Resampling.BICUBIC)
        grain = Image.frombytes("RGB", (160, 120), rng.randbytes(57_600)).resize(size)
        path = root / "train2014" / name
        Image.blend(coarse, grain, 0.2).save(path, quality=90)
        total += path.stat().st_size
        images.append({"id": number, "file_name": name, "width": size[0], "height": size[1]})
        annotations.append({"id": number, "image_id": number, "bbox": [10.0, 20.0, 30.5, 40.5]})
        count = min(ROWS_PER_IMAGE, rows - number * ROWS_PER_IMAGE)
        words = [
            {"sent_id": number * ROWS_PER_IMAGE + n, "sent": f"thing {n}", "raw": "", "tokens": []}
            for n in range(count)
        ]
        ids = {"ref_id": number, "ann_id": number, "image_id": number, "file_name": name}
        refs.append({**ids, "split": "train", "sentences": words, "sent_ids": [], "category_id": 1})
    (root / "refcoco" / "refs(unc).p").write_bytes(pickle.dumps(refs, protocol=2))
    (root / "refcoco" / "instances.json").write_text(json.dumps({"images": images, "annotations": annotations}))
    return total


def measure(way: str, source: Path, out: Path, processes: int) -> tuple[float, int, int]:
    """Convert in a fresh process.

    Returns:
        Seconds, peak memory of all its processes in bytes, and size of the Parquet files in bytes.
    """
    out = out / way
    started = time.monotonic()
    command = [sys.executable, __file__, "--usual", str(source), str(out)]
    if way == "ours":  # the command that a user runs
        command = [sys.executable, "-m", "data_prep", "refcoco", "--source", str(source), "--out", str(out)]
    command += ["--processes", str(processes)]
    peak = 0
    with tempfile.TemporaryFile() as output:  # a pipe that nobody reads would block the process
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)
        while process.poll() is None:
            peak = max(peak, memory_of(process.pid))
            time.sleep(0.2)
        seconds = time.monotonic() - started
        if process.returncode:
            output.seek(0)
            raise SystemExit(f"{way}: {output.read().decode()[-2000:]}")
    return seconds, peak, sum(path.stat().st_size for path in out.glob("*.parquet"))


def memory_of(pid: int) -> int:
    """Proportional set size of a process and all its descendants, in bytes."""
    total = 0
    try:
        for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
            total += process.memory_full_info().pss
    except psutil.Error:  # the process has just ended
        pass
    return total


def convert_as_usual(source: Path, out: Path, processes: int) -> None:
    """Convert with `datasets` and its Image feature, one row per sentence."""
    import datasets

    out.mkdir(parents=True)
    refs = pickle.loads((source / "refcoco" / "refs(unc).p").read_bytes())
    instances = json.loads((source / "refcoco" / "instances.json").read_text())
    boxes = {entry["id"]: entry["bbox"] for entry in instances["annotations"]}

    def rows() -> Iterator[dict]:
        for ref in refs:
            image = {"bytes": (source / "train2014" / ref["file_name"]).read_bytes(), "path": None}
            for sentence in ref["sentences"]:
                yield {"images": [image], "sent": sentence["sent"], "bbox": boxes[ref["ann_id"]]}

    kinds = {"images": datasets.List(datasets.Image()), "sent": datasets.Value("string")}
    features = datasets.Features({**kinds, "bbox": datasets.List(datasets.Value("float64"))})
    raw = datasets.Dataset.from_generator(rows, features=features, cache_dir=str(out / "cache"))

    def make_row(example: dict, index: int) -> dict:
        x, y, width, height = example["bbox"]
        return {
            "data_source": "refcoco",
            "prompt": [{"role": "user", "content": f"<image>{example['sent']}"}],
            "images": example["images"],
            "ability": "grounding",
            "reward_model": {"style": "rule", "ground_truth": json.dumps([x, y, x + width, y + height])},
            "extra_info": {"split": "train", "index": index, "answer": example["sent"]},
        }

    converted = raw.map(make_row, with_indices=True, num_proc=processes, remove_columns=["sent", "bbox"])
    converted.to_parquet(out / "train.parquet")


if __name__ == "__main__":
    main()
