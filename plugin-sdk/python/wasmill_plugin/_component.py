"""The exports of the component: only its build loads this module.

`plugin build` writes an entry module that imports this one, so that clock and randomness are virtual before the author's modules load.
"""

from __future__ import annotations

import importlib
import os
from typing import Callable

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports import lifecycle
from wit_world.imports import columns, logging, metrics

from . import faults, host, plugin, sandbox, virtual
from .slots import Slot
from .wire import Answer, Request

# The standard library loads these on first use, which a component cannot.
import _strptime  # noqa: F401  isort: skip
import encodings.ascii, encodings.idna, encodings.latin_1, encodings.utf_16  # noqa: E401, F401  isort: skip
import traceback, unicodedata, linecache, locale, stringprep  # noqa: E401, F401  isort: skip

_KINDS = (
    columns.Kind.S64, columns.Kind.F64, columns.Kind.BOOLEAN, columns.Kind.TEXT, columns.Kind.BYTES, columns.Kind.JSON,
)  # fmt: skip
_SLOTS = {
    "value": columns.Slot_Value, "key": columns.Slot_Key, "time": columns.Slot_Time, "topic": columns.Slot_Topic,
    "partition": columns.Slot_Partition, "offset": columns.Slot_Offset,
    "window-start": columns.Slot_WindowStart, "window-end": columns.Slot_WindowEnd,
}  # fmt: skip
_LEVELS = list(logging.Level)

_rule: plugin.Plugin
_root = ""

virtual.install()


def load(module: str, kind: str) -> None:
    """Loads the author's module, and takes the plugin that it defines, which must be of `kind`. SystemExit says what is wrong."""
    global _rule, _root
    author = importlib.import_module(module)
    _root = os.path.dirname(author.__file__ or "")
    rules = [it for it in plugin.registered]
    if len(rules) != 1:
        found = ", ".join(it.name for it in rules) or "none"
        raise SystemExit(f"{module}.py defines {len(rules)} plugins ({found}), expected one under @transform, @keyed or @aggregate")
    _rule = rules[0]
    if _rule.kind != kind:
        raise SystemExit(f"{module}.py defines a plugin of kind {_rule.kind}, plugin.toml says {kind}")
    print_info = lambda line: logging.log(logging.Level.INFO, "print", line)  # noqa: E731
    print_error = lambda line: logging.log(logging.Level.ERROR, "print", line)  # noqa: E731
    host.install(lambda level, name, text: logging.log(_LEVELS[level], name, text), metrics.count)
    sandbox.install_streams(print_info, print_error)


def _guarded(work: Callable, *arguments):
    """Calls `work`; whatever it raises becomes the error that the host is told."""
    try:
        return work(*arguments)
    except BaseException as error:
        raise Err(faults.describe(error, _root)) from None


def _answered(work: Callable, request: bytes) -> list[str]:
    answer = Answer()
    work(Request(request), answer)
    return answer.finish()


class Lifecycle(exports.Lifecycle):
    """Describes and opens the plugin."""

    def describe(self) -> lifecycle.Info:
        return lifecycle.Info(_rule.name, _rule.version, _rule.description, _rule.config_schema)

    def open(self, config: str) -> lifecycle.Spec:
        return _guarded(self._open, config)

    def _open(self, config: str) -> lifecycle.Spec:
        sandbox.seal()
        spec = _rule.open(config)
        ports = [lifecycle.Port(it.name, [_field(field) for field in it.fields]) for it in spec.ports]
        return lifecycle.Spec([_field(it) for it in spec.reads], ports, spec.state_version)


def _field(field) -> columns.Field:
    return columns.Field(_slot(field.slot), _KINDS[field.kind], field.required)


def _slot(slot: Slot):
    if slot.place == "field":
        return columns.Slot_Field(slot.name)
    return columns.Slot_Header(slot.name) if slot.place == "header" else _SLOTS[slot.place]()


class Calls(exports.Calls):
    """Answers the adapter."""

    def transform(self, request: bytes) -> list[str]:
        return _guarded(_answered, _rule.process, request)

    def keyed(self, request: bytes) -> list[str]:
        return _guarded(_answered, _rule.process, request)

    def on_timers(self, request: bytes) -> list[str]:
        return _guarded(_answered, _rule.on_timers, request)

    def add(self, request: bytes) -> list[str]:
        return _guarded(_answered, _rule.add, request)

    def merge(self, request: bytes) -> list[str]:
        return _guarded(_answered, _rule.merge, request)

    def finish(self, request: bytes) -> list[str]:
        return _guarded(_answered, _rule.finish, request)

    def migrate(self, request: bytes) -> list[str]:
        return _guarded(_answered, _rule.migrate_states, request)
