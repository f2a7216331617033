"""What every plugin says of itself, whatever its kind, and how its rule is called."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import typing
from typing import Any, Callable

from . import virtual
from .batch import Batch, Group, Records
from .fields import Field, reads
from .output import Output, PortSpec
from .reject import Reject
from .slots import Slot
from .values import Mismatch, convert, schema

#: The plugins of this process, in the order of their definition.
registered: list[Plugin] = []


@dataclasses.dataclass(frozen=True)
class NoConfig:
    """The configuration of a plugin that has none: any key is refused."""


@dataclasses.dataclass
class Spec:
    """What a plugin reads and writes."""

    reads: list[Field]
    ports: list[PortSpec]
    state_version: int


class Plugin:
    """A rule with all that the boundary wants to know of it. The decorators make it."""

    kind = ""

    def __init__(self, rule: Any, output: type | None, ports: dict[str, type | None], about: dict[str, Any]) -> None:
        self.rule = rule
        self.ports = [PortSpec(name, row) for name, row in {"out": output, **ports}.items()]
        self.name = about["name"] or re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_", "-", rule.__name__).lower()
        self.version: str = about["version"]
        self.state_version: int = about.get("state_version", 0)
        self.description: str = about["description"] or (inspect.getdoc(rule) or "").split("\n\n")[0].replace("\n", " ")
        self.config_type: type = NoConfig
        self.config: Any = None
        registered.append(self)

    @property
    def config_schema(self) -> str:
        """JSON Schema of the configuration."""
        return json.dumps(schema(self.config_type))

    def open(self, config: str) -> Spec:
        """Reads `config`, a JSON object. Mismatch says which key is wrong."""
        try:
            value = json.loads(config or "{}")
        except ValueError as error:
            raise Mismatch("config", str(error)) from None
        self.config = convert(self.config_type, value, "config")
        return Spec(self.reads(), self.ports, self.state_version)

    def reads(self) -> list[Field]:
        """Fields read, in the order of the columns."""
        raise NotImplementedError

    def output(self, batch: Batch | None = None) -> Output:
        """An empty output for a call, which the virtual clock and randomness follow from record to record."""
        out = Output(self.ports)
        virtual.follow(batch, out)
        return out


class Rule:
    """An author's function: what its first parameter is, and which others it wants."""

    def __init__(self, function: Callable, given: tuple[str, ...]) -> None:
        self.function, self.name = function, function.__qualname__
        parameters = [it for it in inspect.signature(function).parameters if it != "self"]
        if not parameters:
            raise TypeError(f"{self.name}() takes nothing, expected the record as its first parameter")
        self.first, *self.wants = parameters
        unknown = [it for it in self.wants if it not in given]
        if unknown:
            raise TypeError(f"{self.name}() has a parameter `{unknown[0]}`: after the record come {', '.join(given)}")
        self.hints = typing.get_type_hints(function)

    def hint(self, name: str, why: str) -> Any:
        """The type of a parameter. TypeError where there is none."""
        if name not in self.hints:
            raise TypeError(f"{self.name}() needs a type for its parameter `{name}`: {why}")
        return self.hints[name]

    @property
    def config_type(self) -> type:
        return self.hint("config", "a dataclass") if "config" in self.wants else NoConfig

    def arguments(self, **given: Any) -> list[Any]:
        """What follows the record, in the function's order."""
        return [given[it] for it in self.wants]


class Reader:
    """How a rule gets its records: one by one, as a batch of columns, or as a group of columns."""

    def __init__(self, rule: Rule, may_group: bool) -> None:
        hint = rule.hint(rule.first, "the dataclass of a record, or a Batch or Group of it")
        origin = typing.get_origin(hint)
        self.style = {Batch: "batch", Group: "group"}.get(origin, "record")
        if self.style == ("batch" if may_group else "group"):
            other = "Group" if may_group else "Batch"
            raise TypeError(f"{rule.name}() takes {hint}: here a rule over columns takes a {other}")
        record = hint if self.style == "record" else typing.get_args(hint)[0]
        self.fields = reads(record)
        self.records = Records(record, self.fields)


def index_of_slot(fields: list[Field], place: str, kind: int) -> int:
    """The index of the field of this slot; it is added where the author does not read it."""
    for index, field in enumerate(fields):
        if field.slot.place == place:
            return index
    fields.append(Field("", Slot(place), kind, False))
    return len(fields) - 1


def looping(rule: Callable, extra: int) -> Callable:
    """A loop that calls `rule(record, a, b)` for records one after the other, with `extra` arguments after the record.

    It is written out for their number: `rule(record, *rest)` would cost as much again as the whole call. `records` yields numbers of
    rows and records, `at` is the output's cursor, and `refuse` is called with a `Reject`.
    """
    names = [f"a{it}" for it in range(extra)]
    source = f"""
def loop(records, at, refuse{"".join(", " + it for it in names)}):
    for at.row, record in records:
        try:
            rule(record{"".join(", " + it for it in names)})
        except Reject as reject:
            refuse(reject)
"""
    scope: dict[str, Any] = {"rule": rule, "Reject": Reject}
    exec(compile(source, "<wasmill>", "exec"), scope)
    return scope["loop"]
