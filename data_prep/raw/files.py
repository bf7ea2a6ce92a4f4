"""Where raw files are: plain ones and members of zip archives, found by name under roots that nobody agrees on."""

from __future__ import annotations

import os
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlparse

from data_prep.types import Location, Reject


class Files:
    """Every file under some roots, and every member of the zip archives among them.

    A file goes by its virtual path: from its root's own name downwards, or from its archive's name without ".zip".

    Raises:
        SystemExit: a root does not exist, a folder cannot be listed, or an archive is broken.
    """

    def __init__(self, roots: Iterable[Path]) -> None:
        self._by_name: dict[str, list[tuple[str, Location]]] = defaultdict(list)
        for root in dict.fromkeys(root.absolute() for root in roots):
            for path in _walk(root):
                self._add(root.name / path.relative_to(root) if path != root else Path(root.name), str(path))
                if path.suffix.lower() == ".zip":
                    for member in _members(path):
                        self._add(PurePosixPath(path.stem) / member, [str(path), member])

    def _add(self, virtual: PurePosixPath | Path, location: Location) -> None:
        self._by_name[virtual.name].append((virtual.as_posix(), location))

    def named(self, name: str) -> list[tuple[str, Location]]:
        """Virtual path and location of each file of that name, in the order of the virtual paths."""
        return sorted(self._by_name.get(name, []), key=lambda found: found[0])

    def plain(self, *suffixes: str) -> list[Path]:
        """The files outside archives whose names end in one of the suffixes, in order."""
        names = (name for name in self._by_name if name.lower().endswith(suffixes))
        found = (location for name in names for _, location in self._by_name[name])
        return sorted(Path(location) for location in found if isinstance(location, str))

    def find(self, wanted: str) -> Location | Reject:
        """The file that a data set calls `wanted`: a relative or absolute path or a `file://` address of any root.

        Trailing parts of the paths must agree: all that `wanted` has, or at least two. Plain files go before archives,
        and files of one name and size are taken for the same.
        """
        path = unquote(urlparse(wanted).path) if wanted.startswith("file://") else wanted
        if os.path.isabs(path) and os.path.isfile(path):
            return path
        parts = [part for part in path.replace("\\", "/").split("/") if part not in ("", ".", "..")]
        if not parts:
            return Reject("image_missing", "the row names no file")
        scored = [(_agreement(parts, virtual), location) for virtual, location in self.named(parts[-1])]
        best = max((score for score, _ in scored), default=0)
        if best < min(2, len(parts)):
            return Reject("image_missing", wanted[:200])
        fits = [location for score, location in scored if score == best]
        fits = [location for location in fits if isinstance(location, str)] or fits
        if len(fits) > 1 and len({_size(location) for location in fits}) > 1:
            return Reject("image_ambiguous", f"{wanted[:200]}: {len(fits)} files")
        return fits[0]

    def locate(self, wanted: str) -> Location:
        """What `find` finds; why it finds nothing becomes a location too, for `data_prep.raw.fetch` to tell."""
        found = self.find(wanted)
        return {"reject": found.reason, "detail": found.detail} if isinstance(found, Reject) else found


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
    try:
        with zipfile.ZipFile(archive) as opened:
            return [name for name in opened.namelist() if not name.endswith("/") and "__MACOSX" not in name]
    except (zipfile.BadZipFile, OSError) as error:
        raise SystemExit(f"cannot read the archive {archive}: {error}; fetch it again, or move it away") from None


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
    """The content of a plain file or of an archive's member.

    Raises:
        OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError: it cannot be read, or unpacked.
    """
    if isinstance(location, str):
        return Path(location).read_bytes()
    return _open_zip(location[0]).read(location[1])
