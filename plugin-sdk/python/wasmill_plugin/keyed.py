"""A rule that remembers something for each key: a typed state, and timers in event time."""

from __future__ import annotations

import typing
from itertools import islice
from typing import Any, Callable

from . import encode
from .batch import Batch, Group
from .columns import RawColumn
from .fields import Field
from .plugin import Plugin, Reader, Rule, index_of_slot, looping
from .reject import Reject
from .migration import Migrating
from .slots import BYTES, S64
from .state import Codec, State, stored
from .timers import Timer, Timers
from .wire import Answer, Request


def keyed(
    function: Callable | None = None,
    *,
    output: type | None = None,
    ports: dict[str, type | None] | None = None,
    state_version: int = 1,
    name: str = "",
    version: str = "0.1.0",
    description: str = "",
) -> Any:
    """Makes a function a plugin with a state for each key.

    The function takes the record first, and then, by these names, what it wants of `state`, `timers`, `config` and `out`:

        @keyed(output=Summary)
        def velocity(event: Event, state: State[Activity], timers: Timers, config: Config, out: Output[Summary]): ...

        @velocity.on_timer
        def fell_silent(timer: Timer, state: State[Activity], out: Output[Summary]): ...

        @velocity.migrate
        def migrate(version: int, state: dict) -> Activity: ...

    The record is of a dataclass, or a `Group` of one: then the function is called once for each key of a batch, with columns. Whoever
    changes the state's form raises `state_version`.
    """
    about = {"name": name, "version": version, "description": description, "state_version": state_version}
    make = lambda it: Keyed(it, output, ports or {}, about)  # noqa: E731
    return make if function is None else make(function)


class Keyed(Migrating, Plugin):
    """A plugin with state. Calling it calls the author's function."""

    kind = "keyed"

    def __init__(self, function: Callable, output: type | None, ports: dict, about: dict) -> None:
        given = ("state", "timers", "config", "out")
        self._rule, self._timer_rule = Rule(function, given), None
        self._reader = Reader(self._rule, may_group=True)
        kind = self._rule.hint("state", "State[...] of what is kept") if "state" in self._rule.wants else State[bytes]
        if typing.get_origin(kind) is not State:
            raise TypeError(f"{self._rule.name}() takes a state of {kind}, expected State[...] of what is kept")
        self.codec = Codec(typing.get_args(kind)[0])
        self._loop = looping(function, len(self._rule.wants))
        super().__init__(function, output, ports, about)
        self.config_type = self._rule.config_type

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self.rule(*arguments, **named)

    def on_timer(self, function: Callable) -> Callable:
        """Names what happens when a timer fires: it takes a `Timer` first, and may emit, but has no record to keep."""
        self._timer_rule = Rule(function, ("state", "timers", "config", "out"))
        return function

    def reads(self) -> list[Field]:
        fields = list(self._reader.fields)
        if self._timer_rule:
            index_of_slot(fields, "key", BYTES)
            index_of_slot(fields, "time", S64)
        return fields

    def process(self, request: Request, answer: Answer) -> None:
        """Answers a batch, key by key."""
        batch: Batch = Batch(self.reads(), request)
        bounds, before = request.numbers(), stored(RawColumn(request))
        out, state = self.output(batch), State()
        timers = Timers(batch.watermark, out._at)
        rest = self._rule.arguments(state=state, timers=timers, config=self.config, out=out)
        each = self._group if self._reader.style == "group" else self._records
        each(batch, bounds.tolist(), before, state, timers, out, rest)
        self._finish(out, before, timers, answer)

    def _group(self, batch, bounds, states, state, timers, out, rest) -> None:
        encode_state, decode, loop = self.codec.encode, self.codec.decode, self._loop

        def refuse(reject: Reject) -> None:
            timers._forget()
            out._refuse_rows(range(bounds[timers._group], bounds[timers._group + 1]), reject.reason)

        for group, (start, end) in enumerate(zip(bounds, bounds[1:])):
            old = states[group]
            state.value = None if old is None else decode(old)
            timers._group = group
            loop(((end - 1, Group(batch, range(start, end))),), out._at, refuse, *rest)
            states[group] = None if state.value is None else encode_state(state.value)

    def _records(self, batch, bounds, states, state, timers, out, rest) -> None:
        encode_state, decode, loop = self.codec.encode, self.codec.decode, self._loop
        records = enumerate(self._reader.records.of(batch))

        def refuse(reject: Reject) -> None:
            timers._forget()
            out._refuse(reject.reason)

        for group, (start, end) in enumerate(zip(bounds, bounds[1:])):
            old = states[group]
            state.value = None if old is None else decode(old)
            timers._group = group
            loop(islice(records, end - start), out._at, refuse, *rest)
            states[group] = None if state.value is None else encode_state(state.value)

    def on_timers(self, request: Request, answer: Answer) -> None:
        """Answers the timers that are due: row `i` is timer `ids[i]` of group `i`."""
        fields = self.reads()
        due: Batch = Batch(fields, request)
        ids, _, states = request.numbers(), request.numbers(), stored(RawColumn(request))
        out, state = self.output(due), State()
        timers = Timers(due.watermark, out._at)
        rule = self._timer_rule
        rest = rule.arguments(state=state, timers=timers, config=self.config, out=out) if rule else []
        key, at = due._raw[index_of_slot(fields, "key", BYTES)], due._raw[index_of_slot(fields, "time", S64)]
        for row, id in enumerate(ids) if rule else ():
            old = states[row]
            state.value = None if old is None else self.codec.decode(old)
            timers._group = out._at.row = row
            try:
                rule.function(Timer(id, at.int_at(row) or 0, key.bytes_at(row) or b""), *rest)
            except Reject as reject:
                timers._forget()
                out._refuse(reject.reason)
            states[row] = None if state.value is None else self.codec.encode(state.value)
        self._finish(out, states, timers, answer)

    def _finish(self, out, states: list[bytes | None], timers: Timers, answer: Answer) -> None:
        out._answer(answer)
        encode.states(answer, states)
        timers._answer(answer)
