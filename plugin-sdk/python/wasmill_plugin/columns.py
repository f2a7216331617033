"""The columns of a batch as Python sequences, made when they are first looked at."""

from __future__ import annotations

import json
from array import array
from functools import partial
from itertools import compress, pairwise
from operator import itemgetter
from typing import Any, Callable, Iterable, Sequence

from .fields import Field
from .reject import Reject
from .slots import BOOLEAN, BYTES, F64, JSON, S64, TEXT
from .values import Mismatch, convert
from .wire import Request


class Numbers(array):
    """A column of numbers without nulls: an `array.array` of `q` (int) or `d` (float)."""

    __slots__ = ()

    def take(self, rows: Iterable[int]) -> array:
        """The values of these rows."""
        rows = list(rows)
        return array(self.typecode, itemgetter(*rows)(self) if len(rows) > 1 else map(self.__getitem__, rows))


class Cells(list):
    """A column as a list; None where a row has no value."""

    __slots__ = ()

    def take(self, rows: Iterable[int]) -> list:
        """The values of these rows."""
        return list(map(self.__getitem__, rows))


class Strings:
    """A column of text, bytes or JSON. A value is made when it is looked at, so looking at few rows costs little."""

    __slots__ = ("_data", "_offsets", "_nulls", "_make", "_default")

    def __init__(self, data: bytes, offsets: array, nulls: bytes, make: Callable | None, default: Any) -> None:
        self._data, self._offsets, self._nulls, self._default = data, offsets, nulls, default
        self._make = make
        if make is str and data.isascii():
            # A slice of text is the value, and cheaper than a slice of bytes, decoded.
            self._data, self._make = data.decode("ascii"), None
        elif make is str:
            self._make = _utf8

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, row: int) -> Any:
        if isinstance(row, slice):
            return self.take(range(*row.indices(len(self))))
        if self._nulls and self._nulls[row]:
            return self._default
        if row < 0:
            row += len(self)
        value = self._data[self._offsets[row] : self._offsets[row + 1]]
        return value if self._make is None else self._make(value)

    def __iter__(self):
        if self._nulls or not len(self):
            return map(self.__getitem__, range(len(self)))
        data = self._data
        values = iter([data[start:end] for start, end in pairwise(self._offsets.tolist())])
        return values if self._make is None else map(self._make, values)

    def take(self, rows: Iterable[int]) -> list:
        """The values of these rows."""
        if self._nulls:
            return list(map(self.__getitem__, rows))
        data, offsets = self._data, self._offsets
        values = [data[offsets[row] : offsets[row + 1]] for row in rows]
        return values if self._make is None else list(map(self._make, values))


_utf8 = partial(str, encoding="utf-8")


class RawColumn:
    """A column as it came."""

    __slots__ = ("kind", "values", "offsets", "nulls")

    def __init__(self, request: Request) -> None:
        self.kind, values, offsets, nulls = request.word(), request.word(), request.word(), request.word()
        self.values, self.offsets, self.nulls = request.take(values), request.take(offsets), request.take(nulls)

    def bytes_at(self, row: int) -> bytes | None:
        """Byte string `row` of a column of text, bytes or JSON."""
        if self.nulls and self.nulls[row]:
            return None
        start, end = memoryview(self.offsets).cast("I")[row : row + 2]
        return self.values[start:end]

    def int_at(self, row: int) -> int | None:
        """Number `row` of a column of s64."""
        return None if self.nulls and self.nulls[row] else memoryview(self.values).cast("q")[row]

    def part(self, row: int) -> bytes:
        """What tells this row from others, for seeds."""
        if self.offsets:
            return self.bytes_at(row) or b""
        width = 1 if self.kind == BOOLEAN else 8
        return self.values[row * width : row * width + width]


def column(raw: RawColumn, field: Field) -> Sequence:
    """The column of `field`."""
    if field.kind in (S64, F64):
        numbers = Numbers("q" if field.kind == S64 else "d", raw.values)
        return _masked(numbers, raw.nulls, field.default) if raw.nulls else numbers
    if field.kind == BOOLEAN:
        bools = Cells(map(bool, raw.values))
        return _masked(bools, raw.nulls, field.default) if raw.nulls else bools
    make = {TEXT: str, BYTES: None, JSON: partial(_json, field)}[field.kind]
    return Strings(raw.values, array("I", raw.offsets), raw.nulls, make, field.default)


def _masked(values: Iterable, nulls: bytes, default: Any) -> Cells:
    cells = Cells(values)
    for row in compress(range(len(cells)), nulls):
        cells[row] = default
    return cells


def _json(field: Field, text: bytes) -> Any:
    value = json.loads(text)
    try:
        return convert(field.type, value, str(field.slot))
    except Mismatch as mismatch:
        raise Reject(str(mismatch)) from mismatch
