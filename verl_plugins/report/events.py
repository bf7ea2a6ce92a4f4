"""Read the scalars that verl's "tensorboard" logger writes, as records like those of its "file" logger.

Needs the package `tensorboard`, which verl itself depends on. Values have the 32 bits that TensorBoard stores.
"""

from pathlib import Path

PATTERN = "events.out.tfevents.*"


def event_folder(run_dir: Path) -> Path | None:
    """Find the one folder with event files, `run_dir` or one below it; None if there is none.

    Raises:
        ValueError: several folders hold event files, which are several runs.
    """
    folders = sorted({path.parent for path in run_dir.rglob(PATTERN)})
    if len(folders) > 1:
        raise ValueError(
            f"{run_dir}: got TensorBoard's event files of several runs ({', '.join(map(str, folders))}), expected "
            "those of one; give one of these directories"
        )
    return folders[0] if folders else None


def read_events(folder: Path) -> list[dict]:
    """Return `{"step": int, "data": {name: value}}` for each logged step, in the order of logging.

    Each start of a run writes its own file, named by the time. A truncated end, such as that of a run that is still
    writing, is left out.
    """
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    records: list[dict] = []
    for path in sorted(folder.glob(PATTERN)):
        is_first = True  # a resume may log the last step of the previous file again
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value if event.HasField("summary") else ():
                if value.metadata.plugin_data.plugin_name not in ("", "scalars"):
                    continue
                if is_first or records[-1]["step"] != event.step:
                    records.append({"step": int(event.step), "data": {}})
                    is_first = False
                records[-1]["data"][value.tag] = _number(value)
    return records


def _number(value) -> float:
    if value.HasField("tensor"):
        from tensorboard.util.tensor_util import make_ndarray

        return float(make_ndarray(value.tensor))
    return float(value.simple_value)
