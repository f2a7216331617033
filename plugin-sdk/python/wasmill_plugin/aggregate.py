"""A rule that folds the records of a window into an accumulator."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

from . import encode
from .batch import Batch, Group
from .columns import RawColumn
from .fields import Field
from .migration import Migrating
from .plugin import NoConfig, Plugin, Reader, Rule, index_of_slot
from .reject import Reject
from .slots import BYTES, S64
from .state import Codec, stored, strings
from .timers import key_text
from .wire import Answer, Request


def aggregate(
    rule: type | None = None,
    *,
    output: type,
    ports: dict[str, type | None] | None = None,
    state_version: int = 1,
    name: str = "",
    version: str = "0.1.0",
    description: str = "",
) -> Any:
    """Makes a class a plugin that folds windows.

        @aggregate(output=Row)
        class Revenue:
            config: Config  # May be left out, like the parameters of that name.

            def add(self, order: Order, takings: Takings): ...
            def merge(self, left: Takings, right: Takings): ...
            def finish(self, window: Window, takings: Takings, out: Output[Row]): ...

    `add` and `merge` change their accumulator in place, or return the new one. A new accumulator is its type called without
    arguments. The host stores accumulators and merges them, so adding records to two of them and merging must give what adding
    all to one gives, and `merge` must be associative; `AggregateTest` checks it. `add` may take a `Group` of records: then it is
    called once for each window of a batch, with columns. A method `migrate(self, version, state)` takes stored accumulators of
    an older `state_version`.
    """
    about = {"name": name, "version": version, "description": description, "state_version": state_version}
    make = lambda it: Aggregate(it, output, ports or {}, about)  # noqa: E731
    return make if rule is None else make(rule)


@dataclass(frozen=True)
class Window:
    """A window of one key: `start <= t < end`, in milliseconds since the Unix epoch."""

    #: The key as it is; empty for the null key.
    key_bytes: bytes
    #: The first millisecond.
    start: int
    #: The millisecond after the last.
    end: int

    @property
    def key(self) -> str:
        """The key as text. Raises `Reject` where it is none."""
        return key_text(self.key_bytes)


class Aggregate(Migrating, Plugin):
    """A plugin that folds windows. Calling it makes the author's object."""

    kind = "aggregate"

    def __init__(self, rule: type, output: type, ports: dict, about: dict) -> None:
        for method in ("add", "merge", "finish"):
            if not inspect.isfunction(getattr(rule, method, None)):
                raise TypeError(f"{rule.__name__} has no method `{method}`: an aggregate has add, merge and finish")
        adding = list(inspect.signature(rule.add).parameters)
        if len(adding) != 3:
            raise TypeError(f"{rule.__name__}.add takes (self, record, accumulator), found ({', '.join(adding)})")
        self._add = Rule(rule.add, (adding[2],))
        self._reader = Reader(self._add, may_group=True)
        self.codec = Codec(self._add.hint(adding[2], "the type of the accumulator"))
        super().__init__(rule, output, ports, about)
        annotations = inspect.get_annotations(rule, eval_str=True)
        self.config_type = annotations.get("config", NoConfig)
        self._fields = list(self._reader.fields)
        slots = (("key", BYTES), ("window-start", S64), ("window-end", S64))
        self._window = [index_of_slot(self._fields, place, kind) for place, kind in slots]
        if hasattr(rule, "migrate"):
            self._migration = Rule(rule.migrate, ("state",))

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self.rule(*arguments, **named)

    def open(self, config: str):
        spec = super().open(config)
        self._self = self.rule()
        self._self.config = self.config
        if self._migration:
            self._migration.function = self._self.migrate
        return spec

    def reads(self) -> list[Field]:
        return self._fields

    def add(self, request: Request, answer: Answer) -> None:
        """Adds the records of each window to its accumulator."""
        batch: Batch = Batch(self._fields, request)
        bounds, accumulators = request.numbers().tolist(), stored(RawColumn(request))
        self.output(batch)
        grouped, add = self._reader.style == "group", self._self.add
        records = iter(()) if grouped else self._reader.records.of(batch)
        for at, (start, end) in enumerate(zip(bounds, bounds[1:])):
            old = accumulators[at]
            accumulator = self.codec.kind() if old is None else self.codec.decode(old)
            if grouped:
                new = add(Group(batch, range(start, end)), accumulator)
                accumulator = accumulator if new is None else new
            else:
                for _ in range(start, end):
                    new = add(next(records), accumulator)
                    accumulator = accumulator if new is None else new
            accumulators[at] = self.codec.encode(accumulator)
        answer.blobs += encode.bytes_blobs(accumulators)

    def merge(self, request: Request, answer: Answer) -> None:
        """Merges each accumulator of the second list into that of the first."""
        lengths = [request.word() for _ in range(4)]
        offsets, data, other_offsets, other_data = map(request.take, lengths)
        merged = []
        for left, right in zip(strings(data, offsets), strings(other_data, other_offsets)):
            accumulator = self.codec.decode(left)
            new = self._self.merge(accumulator, self.codec.decode(right))
            merged.append(self.codec.encode(accumulator if new is None else new))
        answer.blobs += encode.bytes_blobs(merged)

    def finish(self, request: Request, answer: Answer) -> None:
        """Turns accumulators into output rows."""
        windows: Batch = Batch(self._fields, request)
        lengths = [request.word() for _ in range(2)]
        offsets, data = map(request.take, lengths)
        out = self.output(windows)
        key, start, end = (windows._raw[it] for it in self._window)
        for row, accumulator in enumerate(strings(data, offsets)):
            out._at.row = row
            try:
                window = Window(key.bytes_at(row) or b"", start.int_at(row) or 0, end.int_at(row) or 0)
                self._self.finish(window, self.codec.decode(accumulator), out)
            except Reject as reject:
                out._refuse(reject.reason)
        out._answer(answer)
