"""A model's processor as far as it is on this machine, for checks before Ray starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def local_processor(path: str) -> Any | None:
    """Load the processor of a model without the network.

    Args:
        path: a folder, or a model's name on the Hub.

    Returns:
        The processor; None for a model that is neither a folder here nor in the Hub's cache.

    Raises:
        OSError, ValueError: the folder has no processor that Transformers can load.
    """
    from transformers import AutoProcessor

    folder = Path(path).expanduser()
    try:
        return AutoProcessor.from_pretrained(folder if folder.is_dir() else path, local_files_only=True)
    except (OSError, ValueError):
        if folder.is_dir():
            raise
        return None
