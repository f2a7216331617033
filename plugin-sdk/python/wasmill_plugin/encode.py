"""Python values as the columns of an answer."""

from __future__ import annotations

from array import array
from itertools import accumulate
from typing import Any, Iterable, Sequence

from .fields import Field
from .slots import BOOLEAN, BYTES, F64, JSON, S64, TEXT
from .values import dumps
from .wire import Answer

_TYPECODES = {S64: "q", F64: "d"}
_EXPECTED = {S64: "an int of 64 bits", F64: "a float", BOOLEAN: "a bool", TEXT: "a str", BYTES: "bytes", JSON: "JSON"}
_EMPTY = {S64: 0, F64: 0.0, BOOLEAN: False, TEXT: "", BYTES: b"", JSON: None}


def column(answer: Answer, field: Field, values: Sequence, row_type: str) -> None:
    """Writes `values` as the column of `field`. TypeError names the field and the value that does not fit."""
    if field.kind == JSON and not field.required and None in values:
        _with_nulls(answer, field, values, row_type)
        return
    try:
        blobs = _blobs(field.kind, values)
    except (TypeError, ValueError, OverflowError) as error:
        if field.required or not any(it is None for it in values):
            raise _misfit(field, values, row_type) or error from None
        _with_nulls(answer, field, values, row_type)
        return
    answer.word(0, field.kind)
    answer.blobs += blobs


def _with_nulls(answer: Answer, field: Field, values: Sequence, row_type: str) -> None:
    nulls = bytes(it is None for it in values)
    filled = [_EMPTY[field.kind] if it is None else it for it in values]
    try:
        blobs = _blobs(field.kind, filled)
    except (TypeError, ValueError, OverflowError) as error:
        raise _misfit(field, filled, row_type) or error from None
    answer.word(1, field.kind)
    answer.blobs += blobs
    answer.raw(nulls)


def _blobs(kind: int, values: Sequence) -> list[str]:
    if kind == TEXT:
        return text_blobs(values)
    if kind in _TYPECODES:
        if not (isinstance(values, array) and values.typecode == _TYPECODES[kind]):
            values = array(_TYPECODES[kind], values)
        return [values.tobytes().decode("latin-1")]
    if kind == BOOLEAN:
        return [bytes(values).decode("latin-1")]
    if kind == JSON:
        return text_blobs([dumps(it) for it in values])
    return bytes_blobs(values)


def text_blobs(values: Sequence[str]) -> list[str]:
    """Text as data and offsets; offsets count bytes of UTF-8."""
    data = "".join(values)
    lengths = map(len, values) if data.isascii() else (len(it.encode()) for it in values)
    return [data, _offsets(lengths)]


def bytes_blobs(values: Sequence[bytes]) -> list[str]:
    """Byte strings as data and offsets."""
    return [b"".join(values).decode("latin-1"), _offsets(map(len, values))]


def states(answer: Answer, states: list[bytes | None]) -> None:
    """Writes states, None where a key has none any more."""
    has_nulls = None in states
    answer.word(int(has_nulls), BYTES)
    answer.blobs += bytes_blobs([it or b"" for it in states] if has_nulls else states)
    if has_nulls:
        answer.raw(bytes(it is None for it in states))


def _offsets(lengths: Iterable[int]) -> str:
    return array("I", accumulate(lengths, initial=0)).tobytes().decode("latin-1")


def _misfit(field: Field, values: Sequence, row_type: str) -> TypeError | None:
    """The first value that is no value of `field`."""
    for value in values:
        problem = None
        try:
            _blobs(field.kind, [value])
        except (TypeError, ValueError, OverflowError) as error:
            problem = f" ({error})" if field.kind == JSON else ""
        if problem is not None:
            shown: Any = repr(value)
            shown = shown if len(shown) <= 80 else shown[:80] + "..."
            return TypeError(f"{row_type}.{field.name} is {shown}, expected {_EXPECTED[field.kind]}{problem}")
    return None
