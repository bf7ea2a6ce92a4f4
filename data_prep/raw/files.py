"""Finds raw files by name, both plain files and members of zip archives.

Data sets name their files by paths below a root that differs from user to user, so only the end of a path counts.
"""

from __future__ import annotations

import filecmp
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
        """Return the files outside archives whose names end in one of the suffixes, in order.

        A file that links reach by several paths is returned once, by its own path if that is among them.
        """
        names = (name for name in self._by_name if name.lower().endswith(suffixes))
        paths = sorted(location for name in names for _, location in self._by_name[name] if isinstance(location, str))
        paths.sort(key=lambda path: os.path.realpath(path) != path)
        distinct = {os.path.realpath(path): Path(path) for path in reversed(paths)}
        return sorted(distinct.values())

    def find(self, name: str) -> Location | Rejection:
        """Find the file that a row of a data set names.

        The last parts of its virtual path must equal those of the name: all parts that the name has, or at least two.
        If there is only a file of the same name in another folder, the rejection says where.
        Plain files take precedence over archives. Several files that match equally well count as one if they have the
        same content, and are rejected otherwise.

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
        if len(matches) > 1:  # one alone is not looked at here: most names have one, and a look takes time on a network
            matches = [location for location in matches if _exists(location)] or matches[:1]
        if not all(have_same_content(matches[0], other) for other in matches[1:]):
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
        folders[:] = sorted(name for name in folders if not _leads_back(folder, name))
        yield from (Path(folder, name) for name in sorted(names))


def _leads_back(folder: str, name: str) -> bool:
    """Return whether a folder in another is a link to that one, or to one that it is in."""
    path = os.path.join(folder, name)
    return os.path.islink(path) and Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(path))


def _members(archive: Path) -> list[str]:
    """Return the names of the files in an archive.

    Raises:
        zipfile.BadZipFile, OSError: the archive cannot be read.
    """
    with zipfile.ZipFile(archive) as file:
        return [name for name in file.namelist() if not name.endswith("/") and "__MACOSX" not in name]


def _exists(location: Location) -> bool:
    return not isinstance(location, str) or os.path.exists(location)


def size_of(location: Location) -> int:
    """Return the size in bytes of a plain file or of a member of an archive, unpacked.

    Raises:
        OSError: there is no such file.
    """
    if isinstance(location, str):
        return os.path.getsize(location)
    return _open_zip(location[0]).getinfo(location[1]).file_size


def have_same_content(first: Location, second: Location) -> bool:
    """Return whether two plain files, or two members of archives by their checksums, have the same bytes."""
    if size_of(first) != size_of(second):
        return False
    if isinstance(first, str):
        return os.path.samefile(first, second) or _have_same_bytes(first, second)
    return _open_zip(first[0]).getinfo(first[1]).CRC == _open_zip(second[0]).getinfo(second[1]).CRC


@lru_cache(maxsize=1024)  # a name is looked up for each row that shows its image
def _have_same_bytes(first: str, second: str) -> bool:
    return filecmp.cmp(first, second, shallow=False)


@lru_cache(maxsize=16)
def _open_zip(path: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


def beside(location: Location, name: str) -> Location:
    """Return the location of another file in the folder of a plain file or of a member of an archive."""
    if isinstance(location, str):
        return str(Path(location).with_name(name))
    return [location[0], str(PurePosixPath(location[1]).with_name(name))]


def read_bytes(location: Location) -> bytes:
    """Return the content of a plain file or of a member of an archive.

    Raises:
        One of UNREADABLE: it cannot be read, or unpacked.
    """
    if isinstance(location, str):
        return Path(location).read_bytes()
    return _open_zip(location[0]).read(location[1])
