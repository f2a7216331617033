"""What a plugin answered."""

from __future__ import annotations

import json
import logging
import re
from array import array
from dataclasses import dataclass, field
from typing import Any, Callable, Sequence

from .. import host
from ..plugin import PortSpec
from ..slots import BOOLEAN, BYTES, F64, JSON, S64, TEXT
from ..values import dumps
from ..wire import Answer

_LEVELS = ("trace", "debug", "info", "warn", "error", "critical")


@dataclass
class Emitted:
    """A row that came out."""

    port: str
    #: The index of the record, the timer or the window that it was made from.
    origin: int
    #: Whether it is its record, passed on as it was.
    kept: bool
    #: The value as its JSON text, with the fields in the plugin's order.
    text: str
    #: The key that the row sets.
    key: str | bytes | None = None
    #: The event time that the row sets.
    time: int | None = None

    @property
    def value(self) -> Any:
        return json.loads(self.text)

    def __str__(self) -> str:
        key = self.key.decode("utf-8", "replace") if isinstance(self.key, bytes) else self.key
        set_key = "" if key is None else f" key={key}"
        set_time = "" if self.time is None else f" time={self.time}"
        return f"{self.port}{set_key}{set_time}: {self.text}"


@dataclass
class Run:
    """What a plugin did with the records, keys or windows that a test handed to it."""

    #: The rows of all ports, in the order of the ports.
    emitted: list[Emitted] = field(default_factory=list)
    #: The records refused, by the plugin or, not fitting what it reads, before it: index and reason.
    rejects: list[tuple[int, str]] = field(default_factory=list)
    #: What was logged: level and message.
    logs: list[tuple[str, str]] = field(default_factory=list)
    #: What was counted.
    counts: dict[str, int] = field(default_factory=dict)

    def rows(self, port: str = "out") -> list[Any]:
        """The values of the rows of one port."""
        return [it.value for it in self.emitted if it.port == port]

    def kept(self) -> list[int]:
        """The indexes of the records that were passed on as they were."""
        return [it.origin for it in self.emitted if it.kept]

    def __str__(self) -> str:
        lines = [str(it) for it in self.emitted]
        lines += [f"reject {row}: {reason}" for row, reason in self.rejects]
        lines += [f"{level}: {message}" for level, message in self.logs]
        lines += [f"count {name}: {amount}" for name, amount in self.counts.items()]
        return "\n".join(lines)

    def during(self, work: Callable[[], None]) -> None:
        """Runs `work`, and adds what it logged and counted."""

        def count(name: str, amount: int) -> None:
            self.counts[name] = self.counts.get(name, 0) + amount

        handler = host.LogHandler(lambda level, _, text: self.logs.append((_LEVELS[level], text)))
        root, level = logging.getLogger(), logging.getLogger().level
        host._counts.append(count)
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        try:
            work()
        finally:
            root.setLevel(level)
            root.removeHandler(handler)
            host._counts.remove(count)

    def add(self, ports: list[PortSpec], reader: Reader, origins: Sequence[int], record: Callable[[int], Any]) -> None:
        """Adds an answer; `origins[i]` is the index of what the plugin knew as row `i`, and `record` its value."""
        tables, rejects = reader.word(), reader.word()
        for _ in range(tables):
            port, unchanged, columns = ports[reader.word()], reader.word(), reader.word()
            rows = [origins[it] for it in reader.numbers("I")]
            cells = [reader.column() for _ in range(columns)]
            for at, origin in enumerate(rows):
                if unchanged:
                    self.emitted.append(Emitted(port.name, origin, True, dumps(record(origin))))
                else:
                    self.emitted.append(_row(port, origin, [it[at] for it in cells]))
        refused = reader.numbers("I") if rejects else []
        self.rejects += [(origins[row], reader.text()) for row in refused]
        self.rejects.sort()


def _row(port: PortSpec, origin: int, cells: list[tuple[int, Any]]) -> Emitted:
    row, members = Emitted(port.name, origin, False, ""), []
    for spec, (kind, value) in zip(port.fields, cells):
        place = spec.slot.place
        if place == "key":
            row.key = value
        elif place == "time":
            row.time = value
        else:
            name = spec.slot.name if place == "field" else str(spec.slot).replace("`", "")
            members.append(f"{dumps(name)}:{_text(kind, value)}")
    row.text = "{" + ",".join(members) + "}"
    return row


def _text(kind: int, value: Any) -> str:
    if value is None or kind == JSON:
        return "null" if value is None else value
    if kind == BYTES:
        value = value.decode("utf-8", "replace")
    # As the host writes it: 1e16, where Python says 1e+16.
    return re.sub(r"e([+-])0*", lambda it: "e" + it[1].strip("+"), repr(value)) if kind == F64 else dumps(value)


class Reader:
    """An answer, as the adapter reads it."""

    def __init__(self, answer: Answer) -> None:
        words, *self._blobs = answer.finish()
        self._words = iter(array("I", words.encode("latin-1")))

    def word(self) -> int:
        return next(self._words)

    def text(self) -> str:
        return self._blobs.pop(0)

    def raw(self) -> bytes:
        return self.text().encode("latin-1")

    def numbers(self, typecode: str) -> list[int]:
        return array(typecode, self.raw()).tolist()

    def strings(self) -> list[bytes]:
        """Byte strings."""
        return self._cut(self.raw())

    def _cut(self, data: bytes) -> list[bytes]:
        offsets = self.numbers("I")
        return [data[start:end] for start, end in zip(offsets, offsets[1:])]

    def column(self) -> list[tuple[int, Any]]:
        """Kind and value of each row."""
        has_nulls, kind = self.word(), self.word()
        values: list[Any]
        if kind in (S64, F64):
            values = self.numbers("q" if kind == S64 else "d")
        elif kind == BOOLEAN:
            values = [bool(it) for it in self.raw()]
        elif kind == BYTES:
            values = self.strings()
        else:
            assert kind in (TEXT, JSON)
            values = [it.decode() for it in self._cut(self.text().encode())]
        nulls = self.raw() if has_nulls else bytes(len(values))
        return [(kind, None if null else it) for it, null in zip(values, nulls)]
