"""Writes files whole or not at all, so that nobody ever reads half a file, even after a crash."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | os.PathLike[str], folder: Path | None = None) -> Iterator[Path]:
    """Yield the path of a temporary file that replaces `path` when the block ends without an error.

    If the block raises, the temporary file is removed and `path` stays as it was. A process that is killed leaves
    the temporary file behind; its name begins with a dot and ends in `.tmp`, so no reader takes it for data.

    Args:
        path: the file to write. Its folder must exist.
        folder: for the temporary file, on the same file system as `path`; None for the folder of `path`.
    """
    path = Path(path)
    temporary = (folder or path.parent) / f".{path.name}.{os.getpid()}.tmp"
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: str | os.PathLike[str], content: str | bytes, folder: Path | None = None) -> None:
    """Write a file whole or not at all.

    Args:
        path: the file to write. Its folder must exist.
        content: bytes, or text to be encoded as UTF-8; what UTF-8 cannot encode (lone surrogates) becomes "?".
        folder: as in `replacing`.

    Raises:
        OSError: the file cannot be written.
    """
    data = content if isinstance(content, bytes) else content.encode("utf-8", "replace")
    with replacing(path, folder) as temporary:
        temporary.write_bytes(data)
