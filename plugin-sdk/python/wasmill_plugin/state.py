"""What is kept between calls: states and accumulators, as bytes."""

from __future__ import annotations

import json
from typing import Any, Generic, TypeVar

from .columns import RawColumn
from .values import dumps, loader

S = TypeVar("S")


class State(Generic[S]):
    """The state of the key at hand.

    `state.value` is None for a key without any. Set it, or change it in place; setting it to None deletes the state. A
    `State[bytes]` is kept as it is, everything else as JSON: dataclasses, dicts, lists, numbers, text.
    """

    __slots__ = ("value",)

    def __init__(self, value: S | None = None) -> None:
        self.value = value


class Codec:
    """How values of one type are kept."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind
        self._load = loader(kind)
        if kind is bytes:
            self.encode = self.decode = lambda it: it
        elif kind is int:
            # Half of all states are a count, and a number is its own JSON.
            self.encode, self.decode = lambda it: b"%d" % it, int

    def encode(self, value: Any) -> bytes:
        return dumps(value).encode()

    def decode(self, data: bytes) -> Any:
        try:
            value = json.loads(data)
            return value if self._load is None else self._load(value)
        except (TypeError, ValueError, AttributeError) as error:
            problem = f"stored state is no {getattr(self.kind, '__name__', self.kind)}: {error}"
            raise ValueError(f"{problem}; a plugin that changes its state raises state_version and migrates") from error


def stored(column: RawColumn) -> list[bytes | None]:
    """The byte strings of a column, None where there is none."""
    values = strings(column.values, column.offsets)
    return [None if null else it for it, null in zip(values, column.nulls)] if column.nulls else values


def strings(data: bytes, offsets: bytes) -> list[bytes]:
    """Byte strings cut at `offsets`."""
    at = memoryview(offsets).cast("I").tolist()
    return list(map(data.__getitem__, map(slice, at, at[1:])))
