"""Finds raw files by name, both plain files and members of zip archives.

Data sets name their files by paths below a root that differs from user to user, so only the end of a path counts.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlparse

from data_prep.types import Location, Rejection

UNREADABLE = (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, KeyError)
"""Errors of reading a file or a member of an archive that is cut off, encrypted, or packed in an unknown way."""


class Files:
    """Index of all files under some roots, and of all members of the zip archives among them.

    Each file has a virtual path: it starts with the name of the root, or with the name of the archive without ".zip".
    `unreadable` has a message for each archive that cannot be read.

    Raises:
        SystemExit: a folder cannot be listed.
    """

    def __init__(self, roots: Iterable[Path]) -> None:
        self.unreadable: list[str] = []
        self._by_name: dict[str, list[tuple[str, Location]]] = defaultdict(list)
        for root in dict.fromkeys(root.absolute() for root in roots):
            for path in _walk(root):
                self._add(root.name / path.relative_to(root) if path != root else Path(root.name), str(path))
                if path.suffix.lower() == ".zip":
                    self._add_members(path)

    def _add_members(self, archive: Path) -> None:
        try:
            names = _members(archive)
        except (zipfile.BadZipFile, OSError) as error:
            self.unreadable.append(f"cannot read the archive {archive}: {error}; fetch it again, or move it away")
            return
        for name in names:
            self._add(PurePosixPath(archive.stem) / name, [str(archive), name])

    def _add(self, virtual: PurePosixPath | Path, location: Location) -> None:
        self._by_name[virtual.name].append((virtual.as_posix(), location))

    def named(self, name: str) -> list[tuple[str, Location]]:
        """Return virtual path and location of each file of this name, ordered by virtual path."""
        return sorted(self._by_name.get(name, []), key=lambda file: file[0])

    def plain(self, *suffixes: str) -> list[Path]:
        """Return the files outside archives whose names end in one of the suffixes, in order."""
        names = (name for name in self._by_name if name.lower().endswith(suffixes))
        locations = (location for name in names for _, location in self._by_name[name])
        return sorted(Path(location) for location in locations if isinstance(location, str))

    def find(self, name: str) -> Location | Rejection:
        """Find the file that a row of a data set names.

        The last parts of its virtual path must equal those of the name: all parts that the name has, or at least two.
        If there is only a file of the same name in another folder, the rejection says where.
        Plain files take precedence over archives. Several files that match equally well count as one if they have the
        same size, and are rejected otherwise.

        Args:
            name: a relative or absolute path, or a `file://` address, below any root.
        """
        path = unquote(urlparse(name).path) if name.startswith("file://") else name
        if os.path.isabs(path) and os.path.isfile(path):
            return path
        parts = [part for part in path.replace("\\", "/").split("/") if part not in ("", ".", "..")]
        if not parts:
            return Rejection("image_missing", "the row names no file")
        scored = [(_agreement(parts, virtual), virtual, location) for virtual, location in self.named(parts[-1])]
        best = max((score for score, _, _ in scored), default=0)
        if best < min(2, len(parts)):
            near = f"; {scored[0][1]} has its name, but stands in another folder" if scored else ""
            return Rejection("image_missing", name[:200] + near)
        matches = [location for score, _, location in scored if score == best]
        matches = [location for location in matches if isinstance(location, str)] or matches
        if len(matches) > 1 and len({_size(location) for location in matches}) > 1:
            return Rejection("image_ambiguous", f"{name[:200]}: {len(matches)} files")
        return matches[0]

    def locate(self, name: str) -> Location:
        """Return what `find` returns, a rejection as `{"reject": reason, "detail": ...}`, for `fetch_image`."""
        result = self.find(name)
        return {"reject": result.reason, "detail": result.detail} if isinstance(result, Rejection) else result


def _agreement(parts: list[str], virtual: str) -> int:
    others = virtual.split("/")
    count = 0
    while count < min(len(parts), len(others)) and parts[-1 - count] == others[-1 - count]:
        count += 1
    return count


def _walk(root: Path) -> Iterator[Path]:
    def stop(error: OSError) -> None:
        raise SystemExit(f"cannot list {error.filename}: {error.strerror}; it must be a readable folder or file")

    if root.is_file():
        yield root
        return
    for folder, folders, names in os.walk(root, onerror=stop, followlinks=True):
        folders.sort()
        yield from (Path(folder, name) for name in sorted(names))


def _members(archive: Path) -> list[str]:
    """Return the names of the files in an archive.

    Raises:
        zipfile.BadZipFile, OSError: the archive cannot be read.
    """
    with zipfile.ZipFile(archive) as file:
        return [name for name in file.namelist() if not name.endswith("/") and "__MACOSX" not in name]


def _size(location: Location) -> int:
    return (
        os.path.getsize(location)
        if isinstance(location, str)
        else _open_zip(location[0]).getinfo(location[1]).file_size
    )


@lru_cache(maxsize=16)
def _open_zip(path: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


def read_bytes(location: Location) -> bytes:
    """Return the content of a plain file or of a member of an archive.

    Raises:
        One of UNREADABLE: it cannot be read, or unpacked.
    """
    if isinstance(location, str):
        return Path(location).read_bytes()
    return _open_zip(location[0]).read(location[1])
