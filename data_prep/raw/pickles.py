"""Reads pickles of plain data, also those of Python 2, without running any code they contain."""

from __future__ import annotations

import io
import pickle
from typing import Any

from data_prep.raw.json_files import decoded


class _PlainDataOnly(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> Any:
        raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}; only lists, dicts, texts and numbers")


def parse_plain(data: bytes, where: str) -> Any:
    """Load lists, dicts, texts and numbers from a pickle of any protocol; byte strings, Python 2's texts, become text.

    Args:
        data: content of the file.
        where: name of the file, for the message.

    Raises:
        SystemExit: the file is not a pickle, or it asks for a class or function.
    """
    try:
        return _with_texts(_PlainDataOnly(io.BytesIO(data), encoding="bytes").load())
    except Exception as error:  # on a broken pickle, the unpickler raises errors of any type
        raise SystemExit(f"{where}: expected a pickle of plain data: {type(error).__name__}: {error}") from None


def _with_texts(value: Any) -> Any:
    if isinstance(value, bytes):
        return decoded(value)
    if isinstance(value, dict):
        return {_with_texts(key): _with_texts(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_with_texts(item) for item in value]
    return value
