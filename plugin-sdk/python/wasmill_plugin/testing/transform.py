"""Runs a plugin without state."""

from __future__ import annotations

from typing import Any, Iterable

from ..transform import Transform
from ..values import dumps
from ..wire import Answer, Request
from .rows import Row, Writer, admit
from .run import Reader, Run


class TransformTest:
    """A plugin under `@transform`, opened with a configuration. A wrong one raises as `open` would refuse it."""

    def __init__(self, plugin: Transform, config: Any = None) -> None:
        self._plugin = plugin
        self._spec = plugin.open(dumps(config or {}))

    def run(self, rows: Iterable[Any]) -> Run:
        """Hands the records (values, or `Row`s) over as one batch."""
        records, run, answer = [Row.of(it) for it in rows], Run(), Answer()
        origins, cells, run.rejects = admit(records, self._spec.reads)
        request = Request(Writer().batch(self._spec.reads, cells, None).finish())
        run.during(lambda: self._plugin.process(request, answer))
        run.add(self._spec.ports, Reader(answer), origins, lambda it: records[it].value)
        return run
