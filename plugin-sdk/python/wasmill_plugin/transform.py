"""A rule that looks at one record, or at one batch: filter, map, split, route."""

from __future__ import annotations

from typing import Any, Callable

from .batch import Batch
from .fields import Field
from .plugin import Plugin, Reader, Rule, looping
from .reject import Reject
from .wire import Answer, Request


def transform(
    function: Callable | None = None,
    *,
    output: type | None = None,
    ports: dict[str, type | None] | None = None,
    name: str = "",
    version: str = "0.1.0",
    description: str = "",
) -> Any:
    """Makes a function a plugin without state.

    The function takes the record first, and then, in any order and by these names, what it wants of `config` and `out`:

        @transform(output=Alert)
        def rules(txn: Txn, config: Config, out: Output[Alert]): ...

    The record is of a dataclass, or a `Batch` of one: then the function is called once for each batch, with columns. `output` is the
    dataclass of output rows, None where records are only passed on; `ports` names side outputs. The name is the function's, the
    description its docstring's first paragraph. TypeError, at once, where the function cannot be a rule.
    """
    about = {"name": name, "version": version, "description": description}
    make = lambda it: Transform(it, output, ports or {}, about)  # noqa: E731
    return make if function is None else make(function)


class Transform(Plugin):
    """A plugin without state. Calling it calls the author's function."""

    kind = "transform"

    def __init__(self, function: Callable, output: type | None, ports: dict, about: dict) -> None:
        self._rule = Rule(function, ("config", "out"))
        self._reader = Reader(self._rule, may_group=False)
        self._loop = looping(function, len(self._rule.wants))
        super().__init__(function, output, ports, about)
        self.config_type = self._rule.config_type

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self.rule(*arguments, **named)

    def reads(self) -> list[Field]:
        return self._reader.fields

    def process(self, request: Request, answer: Answer) -> None:
        """Answers a batch."""
        batch: Batch = Batch(self._reader.fields, request)
        out = self.output(batch)
        rest = self._rule.arguments(config=self.config, out=out)
        if self._reader.style == "batch":
            try:
                self.rule(batch, *rest)
            except Reject as reject:
                out._refuse_rows(batch.rows, reject.reason)
        else:
            records = enumerate(self._reader.records.of(batch))
            self._loop(records, out._at, lambda reject: out._refuse(reject.reason), *rest)
        out._answer(answer)
