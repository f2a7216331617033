"""The records of a call: one by one as the author's type, or as columns."""

from __future__ import annotations

import dataclasses
import zlib
from itertools import repeat
from typing import Any, Generic, Iterator, Sequence, TypeVar

from .columns import RawColumn, column
from .fields import Field
from .slots import BYTES, JSON, TEXT
from .wire import NO_WATERMARK, Request

R = TypeVar("R")


class Batch(Generic[R]):
    """The records of a call as columns: `batch.amount` is the sequence of all amounts, in the order of the records.

    A rule whose first parameter is a `Batch[Txn]` is called once for each batch. A column of numbers is an `array.array` where no value is
    missing, else a list with None; one of text, bytes or JSON makes its values when they are looked at. Every column has
    `take(rows)`. `batch["watermark"]` reads a field whose name a batch uses itself.
    """

    def __init__(self, fields: list[Field], request: Request) -> None:
        self._size, columns = request.word(), request.word()
        #: No record on time is older, in milliseconds since the Unix epoch; None before the first watermark.
        mark = int.from_bytes(request.take(8), "little", signed=True)
        self.watermark: int | None = None if mark == NO_WATERMARK else mark
        self._fields = fields
        self._raw = [RawColumn(request) for _ in range(columns)]

    def __len__(self) -> int:
        return self._size

    @property
    def rows(self) -> range:
        """The numbers of the rows, as an `Output` takes them."""
        return range(self._size)

    def __getattr__(self, name: str) -> Sequence:
        for index, field in enumerate(self._fields):
            if field.name == name:
                found = column(self._raw[index], field)
                self.__dict__[name] = found
                return found
        raise AttributeError(f"a batch has no column `{name}`: it has {', '.join(it.name for it in self._fields)}")

    def __getitem__(self, name: str) -> Sequence:
        return self.__getattr__(name)

    def fingerprint(self, row: int) -> int:
        """A number that tells the record from others, and is the same wherever a batch was cut."""
        return zlib.crc32(b"\0".join(it.part(row) for it in self._raw))


class Group(Generic[R]):
    """The records of one key (or window) in a batch, as columns, in their order of arrival.

    A rule whose first parameter is a `Group[Txn]` is called once for each key of a batch. `group.rows` are the numbers of its rows.
    """

    __slots__ = ("_batch", "rows")

    def __init__(self, batch: Batch, rows: range) -> None:
        self._batch, self.rows = batch, rows

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def watermark(self) -> int | None:
        """No record on time is older, in milliseconds since the Unix epoch; None before the first watermark."""
        return self._batch.watermark

    def __getattr__(self, name: str) -> Sequence:
        return getattr(self._batch, name)[self.rows.start : self.rows.stop]

    def __getitem__(self, name: str) -> Sequence:
        return self._batch[name][self.rows.start : self.rows.stop]


class Records(Generic[R]):
    """Makes the author's records of a batch."""

    def __init__(self, record: type[R], fields: list[Field]) -> None:
        lazy = [it for it in fields if it.kind in (TEXT, BYTES, JSON)]
        params = record.__dataclass_params__
        eager = params.frozen or hasattr(record, "__post_init__") or not lazy
        self._lazy = [] if eager else [it.name for it in lazy]
        self._now = [it.name for it in fields if it.name not in self._lazy]
        self._make = _constructor(record, self._now) if eager else _view(record, self._lazy, self._now)

    def of(self, batch: Batch) -> Iterator[R]:
        """All records, in order."""
        now = [getattr(batch, it) for it in self._now]
        if self._lazy:
            cells = [getattr(batch, it) for it in self._lazy]
            return map(self._make, repeat(cells), range(len(batch)), *now)
        return map(self._make, *now) if now else (self._make() for _ in batch.rows)


def _constructor(record: type[R], names: list[str]) -> Any:
    """`record(a, b)` by position, for fields in any order and of any sort."""
    if all(it.init and not it.kw_only for it in dataclasses.fields(record)):
        return record
    arguments = ", ".join(names)
    return eval(f"lambda {arguments}: record({', '.join(f'{it}={it}' for it in names)})", {"record": record})


class _Later:
    """A field that is made when it is first looked at: most rules look at text only where a number already mattered."""

    def __init__(self, name: str, index: int) -> None:
        self.name, self.index = name, index

    def __get__(self, record: Any, _: type | None = None) -> Any:
        if record is None:
            raise AttributeError(self.name)
        value = record._wasmill_cells[self.index][record._wasmill_row]
        setattr(record, self.name, value)  # In the way from now on: this has no __set__.
        return value


def _view(record: type[R], later: list[str], now: list[str]) -> Any:
    """A subclass of `record` that holds the cheap fields and makes the others on demand. It is taken for a `record` everywhere."""
    scope: dict[str, Any] = {}
    stores = "".join(f"\n    self.{it} = {it}" for it in now)
    source = f"def __init__(self, _cells, _row{''.join(', ' + it for it in now)}):"
    exec(f"{source}\n    self._wasmill_cells = _cells\n    self._wasmill_row = _row{stores}", scope)
    members: dict[str, Any] = {name: _Later(name, index) for index, name in enumerate(later)}
    members |= {"__init__": scope["__init__"], "__class__": property(lambda self: record)}
    members |= {"__module__": record.__module__, "__qualname__": record.__qualname__, "__doc__": record.__doc__}
    return type(record.__name__, (record,), members)
