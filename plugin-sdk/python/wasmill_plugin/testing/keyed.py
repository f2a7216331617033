"""Runs a plugin with state for each key, over a state and timers as the host keeps them."""

from __future__ import annotations

from typing import Any, Callable, Iterable, Sequence

from ..keyed import Keyed
from ..slots import BYTES
from ..values import dumps
from ..wire import Answer, Request
from .rows import Row, Writer, admit, of_keys
from .run import Reader, Run


class KeyedTest:
    """A plugin under `@keyed`, opened with a configuration, and what is kept for it from one run to the next.

    `key` is as `key = "FIELD"` of the step: records are keyed by this field, unless a `Row` has a key.
    """

    def __init__(self, plugin: Keyed, config: Any = None, key: str | None = None) -> None:
        self._plugin, self._key = plugin, key
        self._spec = plugin.open(dumps(config or {}))
        self._states: dict[bytes, bytes] = {}
        self._timers: dict[tuple[bytes, int], int] = {}
        self._watermark: int | None = None

    def run(self, rows: Iterable[Any]) -> Run:
        """Hands the records over as one batch, grouped by key."""
        records, run = [self._keyed(Row.of(it)) for it in rows], Run()
        indexes, cells, run.rejects = admit(records, self._spec.reads)
        groups: dict[bytes, list[tuple[int, list]]] = {}
        for index, row in zip(indexes, cells):
            groups.setdefault(records[index].key_bytes or b"", []).append((index, row))
        keys = sorted(groups)
        grouped = [it for key in keys for it in groups[key]]
        bounds = [0]
        for key in keys:
            bounds.append(bounds[-1] + len(groups[key]))
        writer = Writer().batch(self._spec.reads, [row for _, row in grouped], self._watermark).numbers(bounds)
        origins = [index for index, _ in grouped]
        self._call(run, self._plugin.process, writer, keys, origins, lambda it: records[it].value)
        return run

    def advance(self, watermark: int) -> Run:
        """Moves the watermark, in milliseconds since the Unix epoch, and fires the timers that it passes, in the order of their times.

        In the run, an origin counts the timers.
        """
        run, fired = Run(), 0
        self._watermark = watermark
        while due := min(((at, key, id) for (key, id), at in self._timers.items() if at <= watermark), default=None):
            at, key, id = due
            del self._timers[key, id]
            known = {"key": key, "time": at}
            cells = of_keys(self._spec.reads, 1, lambda place, _: known.get(place))
            writer = Writer().batch(self._spec.reads, cells, watermark).numbers([id]).numbers([0, 1])
            self._call(run, self._plugin.on_timers, writer, [key], [fired], lambda _: None)
            fired += 1
        return run

    def state(self, key: str | bytes) -> Any:
        """The state of a key, None where it has none."""
        data = self._states.get(key.encode() if isinstance(key, str) else key)
        return None if data is None else self._plugin.codec.decode(data)

    def keys(self) -> int:
        """How many keys have a state."""
        return len(self._states)

    def timers(self) -> list[tuple[str, int, int]]:
        """The timers set: key, id and time, in that order."""
        return sorted((key.decode("utf-8", "replace"), id, at) for (key, id), at in self._timers.items())

    def _keyed(self, row: Row) -> Row:
        found = row.value.get(self._key) if self._key and row.key is None and isinstance(row.value, dict) else None
        if found is not None:
            row.key = found if isinstance(found, str) else dumps(found)
        return row

    def _call(
        self,
        run: Run,
        call: Callable[[Request, Answer], None],
        writer: Writer,
        keys: Sequence[bytes],
        origins: Sequence[int],
        record: Callable[[int], Any],
    ) -> None:
        answer = Answer()
        request = Request(writer.column(BYTES, [self._states.get(it) for it in keys]).finish())
        run.during(lambda: call(request, answer))
        reader = Reader(answer)
        run.add(self._spec.ports, reader, origins, record)
        for key, (_, state) in zip(keys, reader.column(), strict=True):
            if state is None:
                self._states.pop(key, None)
            else:
                self._states[key] = state
        groups, ids, is_set, times = reader.numbers("I"), reader.numbers("I"), reader.raw(), reader.numbers("q")
        for group, id, on, at in zip(groups, ids, is_set, times, strict=True):
            if on:
                self._timers[keys[group], id] = at
            else:
                self._timers.pop((keys[group], id), None)
