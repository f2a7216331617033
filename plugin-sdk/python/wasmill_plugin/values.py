"""JSON values as Python types and back: configuration, state, and fields of kind `json`."""

from __future__ import annotations

import dataclasses
import enum
import json
import types
import typing
from typing import Any, Callable

NONE = type(None)


class Mismatch(ValueError):
    """A JSON value that is not of the type wanted: where, what was found, what was expected."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")


def convert(kind: Any, value: Any, path: str) -> Any:
    """`value`, as json.loads gave it, as the type `kind`. Keys that a dataclass does not have are refused.

    Raises Mismatch, which names the key at fault as a path that begins with `path`.
    """
    origin = typing.get_origin(kind)
    if kind is Any or kind is object:
        return value
    if origin is typing.Annotated:
        return convert(kind.__origin__, value, path)
    if origin in (typing.Union, types.UnionType):
        return _union(kind, value, path)
    if origin is typing.Literal:
        if value in typing.get_args(kind):
            return value
        raise Mismatch(path, f"found {_shown(value)}, expected one of {', '.join(map(_shown, typing.get_args(kind)))}")
    if dataclasses.is_dataclass(kind):
        return _instance(kind, value, path)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        try:
            return kind(value)
        except ValueError:
            expected = ", ".join(_shown(it.value) for it in kind)
            raise Mismatch(path, f"found {_shown(value)}, expected one of {expected}") from None
    return _plain(kind, origin, value, path)


def _plain(kind: Any, origin: Any, value: Any, path: str) -> Any:
    items = typing.get_args(kind)
    base = origin or kind
    if base is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if base in (tuple, set, frozenset) and isinstance(value, list):
        inner = items[0] if items else Any
        return base(convert(inner, it, f"{path}[{at}]") for at, it in enumerate(value))
    if not isinstance(value, base) or (isinstance(value, bool) and base is int):
        raise Mismatch(path, f"invalid type: {_described(value)}, expected {_name(kind)}")
    if base is list and items:
        return [convert(items[0], it, f"{path}[{at}]") for at, it in enumerate(value)]
    if base is dict and items:
        return {key: convert(items[1], it, f"{path}.{key}") for key, it in value.items()}
    return value


def _union(kind: Any, value: Any, path: str) -> Any:
    members = typing.get_args(kind)
    if value is None and NONE in members:
        return None
    problem = None
    for member in members:
        if member is not NONE:
            try:
                return convert(member, value, path)
            except Mismatch as mismatch:
                problem = problem or mismatch
    raise problem or Mismatch(path, f"invalid type: {_described(value)}, expected {_name(kind)}")


def _instance(kind: type, value: Any, path: str) -> Any:
    if not isinstance(value, dict):
        raise Mismatch(path, f"invalid type: {_described(value)}, expected {kind.__name__}")
    hints = typing.get_type_hints(kind, include_extras=True)
    fields = {it.name: it for it in dataclasses.fields(kind) if it.init}
    for key in value:
        if key not in fields:
            expected = " or ".join(f"`{it}`" for it in fields) or "no field"
            raise Mismatch(path, f"unknown field `{key}`, expected {expected}")
    for name, field in fields.items():
        missing = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if name not in value and missing:
            raise Mismatch(path, f"missing field `{name}`")
    members = {key: convert(hints[key], it, f"{path}.{key}") for key, it in value.items()}
    try:
        return kind(**members)
    except Mismatch:
        raise
    except (ValueError, TypeError) as error:
        raise Mismatch(path, str(error)) from error


def loader(kind: Any) -> Callable[[Any], Any] | None:
    """How what this plugin itself wrote becomes a `kind` again: unchecked, and none where json.loads is enough."""
    inner = [it for it in typing.get_args(kind) if it is not NONE]
    if typing.get_origin(kind) in (typing.Union, types.UnionType) and len(inner) == 1:
        load = loader(inner[0])
        return load and (lambda it: None if it is None else load(it))
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        loaders = {name: load for name in hints if (load := loader(hints[name]))}
        if not loaders:
            return lambda it: kind(**it)
        return lambda it: kind(**{key: loaders[key](v) if key in loaders else v for key, v in it.items()})
    if kind in (Any, object, int, float, str, bool, list, dict, None, NONE):
        return None
    base = typing.get_origin(kind)
    if base is list and (load := loader(inner[0])) is None or base is dict and (load := loader(inner[-1])) is None:
        return None
    return lambda it: convert(kind, it, "state")


def _members(value: Any) -> Any:
    """What json.dumps does not know by itself."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {it.name: getattr(value, it.name) for it in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


#: A value as compact JSON text; dataclasses are objects. ValueError for NaN and infinities.
dumps = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_members).encode


def schema(kind: Any) -> dict[str, Any]:
    """A JSON Schema of `kind`."""
    origin, items = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return schema(kind.__origin__)
    if dataclasses.is_dataclass(kind):
        return _object_schema(kind)
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [schema(it) for it in items]}
    if origin is typing.Literal:
        return {"enum": list(items)}
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return {"enum": [it.value for it in kind]}
    names = {int: "integer", float: "number", str: "string", bool: "boolean", NONE: "null", dict: "object", list: "array"}
    found: dict[str, Any] = {"type": names[origin or kind]} if (origin or kind) in names else {}
    if found.get("type") == "array" and items:
        found["items"] = schema(items[0])
    if found.get("type") == "object" and items:
        found["additionalProperties"] = schema(items[1])
    return found


def _object_schema(kind: type) -> dict[str, Any]:
    hints = typing.get_type_hints(kind, include_extras=True)
    properties, required = {}, []
    for field in dataclasses.fields(kind):
        properties[field.name] = schema(hints[field.name])
        if field.default is not dataclasses.MISSING and isinstance(field.default, (bool, int, float, str)):
            properties[field.name]["default"] = field.default
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            required.append(field.name)
    found = {"type": "object", "properties": properties, "additionalProperties": False}
    return found | {"required": required} if required else found


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _described(value: Any) -> str:
    names = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}
    name = names.get(type(value))
    if value is None or name in ("array", "object"):
        return name or "null"
    return f"{name} {_shown(value)}"


def _name(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) and not typing.get_args(kind) else str(kind).replace("typing.", "")
