"""A dataclass as the fields of a record: what is read, or what is written."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any

from .slots import BOOLEAN, BYTES, F64, JSON, KIND_NAMES, READ_ONLY, S64, TEXT, Slot

_KINDS = {int: S64, float: F64, bool: BOOLEAN, str: TEXT, bytes: BYTES}
_SLOT_KINDS = {
    "value": {BYTES}, "header": {BYTES}, "key": {TEXT, BYTES}, "topic": {TEXT},
    "time": {S64}, "partition": {S64}, "offset": {S64}, "window-start": {S64}, "window-end": {S64},
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Field:
    """One field: the attribute's name, its place, its kind, and whether it must be there."""

    name: str
    slot: Slot
    kind: int
    required: bool
    #: Without `| None`.
    type: Any = None
    #: What a missing value is read as.
    default: Any = None

    @property
    def kind_name(self) -> str:
        return KIND_NAMES[self.kind]


def reads(record: type) -> list[Field]:
    """The fields that a rule with records of this type reads. TypeError where the type cannot be a record."""
    return _fields(record)


def writes(row: type | None) -> list[Field]:
    """The fields that output rows of this type set; none for rows that are passed on as they are."""
    if row is None:
        return []
    fields = _fields(row)
    for field in fields:
        if field.slot.place in READ_ONLY:
            raise TypeError(f"{row.__name__}.{field.name}: {field.slot} is read only, an output row cannot set it")
    return fields


def _fields(record: type) -> list[Field]:
    if not (isinstance(record, type) and dataclasses.is_dataclass(record)):
        raise TypeError(f"{record!r} is not a dataclass: records and output rows are classes under @dataclass")
    hints = typing.get_type_hints(record, include_extras=True)
    return [_field(record, it, hints[it.name]) for it in dataclasses.fields(record)]


def _field(record: type, attribute: dataclasses.Field, hint: Any) -> Field:
    inner, optional, slot = unwrap(hint)
    default, has_default = None, False
    if attribute.default is not dataclasses.MISSING:
        default, has_default = attribute.default, True
    slot = slot or Slot("field", attribute.name)
    kind = _KINDS.get(inner, JSON)
    if kind not in _SLOT_KINDS.get(slot.place, {kind}):
        allowed = " or ".join(KIND_NAMES[it] for it in sorted(_SLOT_KINDS[slot.place]))
        raise TypeError(f"{record.__name__}.{attribute.name} is {KIND_NAMES[kind]}, but {slot} is {allowed}")
    return Field(attribute.name, slot, kind, not (optional or has_default), inner, default)


def unwrap(hint: Any) -> tuple[Any, bool, Slot | None]:
    """A hint without `| None` and `Annotated`: the type, whether None was allowed, and the slot named."""
    optional, slot = False, None
    while True:
        origin = typing.get_origin(hint)
        if origin is typing.Annotated:
            slot = next((it for it in hint.__metadata__ if isinstance(it, Slot)), slot)
            hint = hint.__origin__
        elif origin in (typing.Union, types.UnionType):
            members = [it for it in typing.get_args(hint) if it is not type(None)]
            if len(members) != 1:
                return hint, optional or len(members) < len(typing.get_args(hint)), slot
            hint, optional = members[0], True
        else:
            return hint, optional, slot
