"""Runs a plugin that folds windows."""

from __future__ import annotations

from typing import Any, Iterable

from ..aggregate import Aggregate
from ..slots import BYTES
from ..values import dumps
from ..wire import Answer, Request
from .rows import Row, Writer, admit, of_keys
from .run import Reader, Run


class AggregateTest:
    """A plugin under `@aggregate`, opened with a configuration."""

    def __init__(self, plugin: Aggregate, config: Any = None) -> None:
        self._plugin = plugin
        self._spec = plugin.open(dumps(config or {}))

    def run(self, key: str, window: tuple[int, int], rows: Iterable[Any]) -> Run:
        """Folds the records into one window (start and end, in milliseconds) of `key`, and finishes it.

        The records are also folded in two parts and merged, wherever they can be cut: AssertionError when that gives another result
        than adding them one after another.
        """
        run, finished = Run(), Run()
        _, cells, run.rejects = admit([Row.of(it) for it in rows], self._spec.reads)
        run.during(lambda: self._finish(finished, key, window, self._add(cells)))
        for cut in range(1, len(cells)):
            writer = Writer().strings([self._add(cells[:cut])]).strings([self._add(cells[cut:])])
            answer = Answer()
            self._plugin.merge(Request(writer.finish()), answer)
            other = Run()
            self._finish(other, key, window, Reader(answer).strings()[0])
            assert other.emitted == finished.emitted, (
                f"records {cut}.. merged after those before give another result: {other}, not {finished}"
            )
        run.emitted = finished.emitted
        run.rejects += finished.rejects
        return run

    def _add(self, cells: list[list[Any]]) -> bytes:
        writer = Writer().batch(self._spec.reads, cells, None).numbers([0, len(cells)]).column(BYTES, [None])
        answer = Answer()
        self._plugin.add(Request(writer.finish()), answer)
        return Reader(answer).strings()[0]

    def _finish(self, run: Run, key: str, window: tuple[int, int], accumulator: bytes) -> None:
        known: dict[str, Any] = {"key": key, "window-start": window[0], "window-end": window[1]}
        cells = of_keys(self._spec.reads, 1, lambda place, _: known.get(place))
        writer = Writer().batch(self._spec.reads, cells, window[1]).strings([accumulator])
        answer = Answer()
        self._plugin.finish(Request(writer.finish()), answer)
        run.add(self._spec.ports, Reader(answer), [0], lambda _: None)
