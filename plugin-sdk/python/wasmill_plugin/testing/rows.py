"""Records for a test, and the requests that the host would make of them."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Callable, Sequence

from ..fields import Field
from ..slots import BOOLEAN, BYTES, F64, JSON, S64, TEXT
from ..values import dumps
from ..wire import NO_WATERMARK


@dataclass
class Row:
    """A record for a test: its value, and what a broker keeps beside it. A dict is a record with nothing beside it."""

    value: Any
    key: str | bytes | None = None
    #: In milliseconds since the Unix epoch.
    time: int = 0
    headers: dict[str, bytes] = field(default_factory=dict)
    topic: str = ""
    partition: int = 0
    offset: int = 0

    @staticmethod
    def of(record: Any) -> Row:
        """The record, if it is one, or one of this value."""
        return record if isinstance(record, Row) else Row(record)

    @property
    def key_bytes(self) -> bytes | None:
        return self.key.encode() if isinstance(self.key, str) else self.key


class Misfit(Exception):
    """A record that lacks a field that is required, or holds another kind there: what the host says of it."""


def admit(rows: Sequence[Row], fields: list[Field]) -> tuple[list[int], list[list[Any]], list[tuple[int, str]]]:
    """The indexes and the cells of the records that fit what the plugin reads, and why the others do not."""
    indexes, cells, misfits = [], [], []
    for index, row in enumerate(rows):
        try:
            cells.append([cell(row, it) for it in fields])
            indexes.append(index)
        except Misfit as misfit:
            misfits.append((index, str(misfit)))
    return indexes, cells, misfits


def cell(row: Row, field: Field) -> Any:
    """The record's value for `field`, None where it has none."""
    place, name = field.slot.place, field.slot.name
    if place == "field":
        found = _fitting(row.value, field)
    elif place == "value":
        found = None if row.value is None else dumps(row.value).encode()
    elif place == "key":
        found = row.key_bytes
    elif place == "header":
        found = row.headers.get(name)
    else:
        found = {"time": row.time, "topic": row.topic, "partition": row.partition, "offset": row.offset}.get(place)
    return found


_MISSING = object()


def _at(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = value.get(name, _MISSING) if isinstance(value, dict) else _MISSING
    return value


def _fitting(record: Any, field: Field) -> Any:
    """The field of the record; None where it is not required, and missing or of another kind."""
    name, kind = field.slot.name, field.kind_name
    value = _at(record, name)
    if value is not _MISSING and _is(field.kind, value):
        return dumps(value) if field.kind == JSON else value
    if not field.required:
        return None
    if record is None:
        raise Misfit(f"field `{name}` is missing: the record is a tombstone, expected {kind}")
    if value is _MISSING:
        raise Misfit(f"field `{name}` is missing")
    text = dumps(value)
    raise Misfit(f"field `{name}` is {text[:80]}{'...' if len(text) > 80 else ''}, expected {kind}")


def _is(kind: int, value: Any) -> bool:
    kinds: dict[int, Any] = {S64: int, F64: (int, float), BOOLEAN: bool, TEXT: str, BYTES: str}
    if value is None or kind == JSON:
        return value is not None
    if isinstance(value, bool) != (kind == BOOLEAN) or not isinstance(value, kinds[kind]):
        return False
    return kind != S64 or -(2**63) <= value < 2**63


class Writer:
    """A request, as the adapter writes it."""

    def __init__(self) -> None:
        self._words: list[int] = []
        self._blobs: list[bytes] = []

    def word(self, word: int) -> Writer:
        self._words.append(word)
        return self

    def blob(self, blob: bytes) -> Writer:
        self._blobs.append(blob)
        return self.word(len(blob))

    def numbers(self, numbers: Sequence[int]) -> Writer:
        return self.blob(array("I", numbers).tobytes())

    def batch(self, fields: list[Field], rows: list[list[Any]], watermark: int | None) -> Writer:
        """`rows` has a cell for each field."""
        self.word(len(rows)).word(len(fields))
        self._blobs.append((NO_WATERMARK if watermark is None else watermark).to_bytes(8, "little", signed=True))
        for at, it in enumerate(fields):
            self.column(it.kind, [row[at] for row in rows])
        return self

    def column(self, kind: int, cells: Sequence[Any]) -> Writer:
        """A column; None is null."""
        self.word(kind)
        if kind in (TEXT, BYTES, JSON):
            data, offsets = joined(cells)
            self.blob(data).blob(offsets)
        else:
            typecode = {S64: "q", F64: "d", BOOLEAN: "B"}[kind]
            self.blob(array(typecode, [it or 0 for it in cells]).tobytes()).blob(b"")
        return self.blob(bytes(it is None for it in cells) if None in cells else b"")

    def strings(self, values: Sequence[bytes]) -> Writer:
        data, offsets = joined(values)
        return self.blob(offsets).blob(data)

    def finish(self) -> bytes:
        return b"".join([array("I", [len(self._words), *self._words]).tobytes(), *self._blobs])


def joined(values: Sequence[Any]) -> tuple[bytes, bytes]:
    """Data and offsets of text or byte strings; None is empty."""
    parts = [it.encode() if isinstance(it, str) else it or b"" for it in values]
    return b"".join(parts), array("I", accumulate(map(len, parts), initial=0)).tobytes()


def of_keys(fields: list[Field], rows: int, filled: Callable[[str, int], Any]) -> list[list[Any]]:
    """Rows that stand for keys and times, not for records: every other field is null."""
    return [[filled(it.slot.place, row) for it in fields] for row in range(rows)]
