"""What a plugin may ask of the host: a line in the log, a counter."""

from __future__ import annotations

import logging
from typing import Callable

#: Levels of the boundary.
TRACE, DEBUG, INFO, WARN, ERROR, CRITICAL = range(6)

Log = Callable[[int, str, str], None]
Count = Callable[[str, int], None]

#: Where counts go: the host in a component, a test's driver in a test.
_counts: list[Count] = []


def count(name: str, amount: int = 1) -> None:
    """Adds to a counter that the host exports as `wasmill_plugin_NAME_total`.

    A name has letters, digits and underscores. Counts of a failed call are dropped. For logging there is Python's own module, and print.
    """
    if not isinstance(amount, int) or amount < 0:
        raise ValueError(f"count({name!r}) adds {amount!r}, expected an int that is not negative")
    for sink in _counts:
        sink(name, amount)


class LogHandler(logging.Handler):
    """Hands the records of Python's `logging` to `log` as level, logger and message."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.NOTSET)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log(level(record.levelno), record.name, self.format(record))


def level(number: int) -> int:
    """A level of Python's `logging` as one of the boundary."""
    return min(max(number // 10, TRACE), CRITICAL)


def install(log: Log, count: Count) -> None:
    """Sends what is logged and counted there, for good."""
    _counts[:] = [count]
    logging.raiseExceptions = False
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.root.handlers[:] = [LogHandler(log)]
    logging.root.setLevel(logging.DEBUG)
