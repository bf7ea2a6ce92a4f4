"""Files are replaced whole or not at all, and nothing but the file stays behind."""

import os

import pytest

from data_prep.atomic import replacing, write_atomically


@pytest.mark.parametrize(
    ("content", "data"),
    [(b"\x00\xff", b"\x00\xff"), ("caf\u00e9\n", b"caf\xc3\xa9\n"), ("a\ud800b", b"a?b"), ("", b"")],
)
def test_text_and_bytes_are_written_as_they_are(tmp_path, content, data):
    path = tmp_path / "file"
    path.write_bytes(b"old, and longer than the new content")
    write_atomically(path, content)
    assert path.read_bytes() == data and list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as temporary:
        temporary.write_bytes(b"half of the n")
        assert path.read_bytes() == b"old"
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_a_disk_that_takes_no_file_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_the_temporary_file_may_be_in_another_folder(tmp_path):
    (tmp_path / "parts").mkdir()
    (tmp_path / "out").mkdir()
    with replacing(tmp_path / "out" / "file", tmp_path / "parts") as temporary:
        temporary.write_text("new")
        assert temporary.parent == tmp_path / "parts" and str(os.getpid()) in temporary.name
        assert not list((tmp_path / "out").iterdir())
    assert (tmp_path / "out" / "file").read_text() == "new" and not list((tmp_path / "parts").iterdir())
