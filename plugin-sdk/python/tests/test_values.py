import enum
from dataclasses import dataclass, field
from typing import Literal

import pytest

from wasmill_plugin.values import Mismatch, convert, dumps, loader, schema


class Color(enum.Enum):
    RED = "red"


@dataclass
class Nested:
    days: list[int]


@dataclass
class Config:
    max_amount: float
    mode: Literal["a", "b"] = "a"
    color: Color = Color.RED
    nested: Nested | None = None
    limits: dict[str, float] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()

    def __post_init__(self):
        if self.max_amount < 0:
            raise ValueError("max_amount is negative")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "config: missing field `max_amount`"),
        ([], "config: invalid type: array, expected Config"),
        ({"max_amount": True}, "config.max_amount: invalid type: boolean true, expected float"),
        ({"max_amount": 1, "nested": {"days": [1, "x"]}}, 'config.nested.days[1]: invalid type: string "x", expected int'),
        ({"max_amount": 1, "limits": {"eu": None}}, "config.limits.eu: invalid type: null, expected float"),
        ({"max_amount": 1, "mode": "c"}, 'config.mode: found "c", expected one of "a", "b"'),
        ({"max_amount": 1, "color": "blue"}, 'config.color: found "blue", expected one of "red"'),
        ({"max_amount": -1}, "config: max_amount is negative"),
        ({"max_amount": 1, "nested": {"day": []}}, "config.nested: unknown field `day`, expected `days`"),
    ],
)
def test_what_is_wrong_is_named_with_its_key(value, message):
    with pytest.raises(Mismatch) as mismatch:
        convert(Config, value, "config")
    assert str(mismatch.value) == message


def test_values_become_what_the_type_says_and_json_again():
    text = '{"max_amount":1.0,"mode":"b","color":"red","nested":{"days":[1,2]},"limits":{"eu":2.0},"tags":["x","y"]}'
    value = {"max_amount": 1, "mode": "b", "color": "red", "nested": {"days": [1, 2]}, "limits": {"eu": 2}, "tags": ["y", "x"]}
    assert dumps(convert(Config, value, "config")) == text


def test_what_a_plugin_stored_is_loaded_as_its_type():
    @dataclass
    class Deep:
        at: int
        nested: list[Nested] | None = None

    assert loader(int) is None and loader(dict[str, list[int]]) is None
    assert loader(Deep)({"at": 1, "nested": [{"days": [2]}]}) == Deep(1, [Nested([2])])
    assert loader(Deep)({"at": 1, "nested": None}) == Deep(1)


def test_a_schema_tells_types_defaults_and_what_is_required():
    found = schema(Config)
    assert found["required"] == ["max_amount"] and found["additionalProperties"] is False
    assert found["properties"]["max_amount"] == {"type": "number"}
    assert found["properties"]["mode"] == {"enum": ["a", "b"], "default": "a"}
    assert found["properties"]["limits"] == {"type": "object", "additionalProperties": {"type": "number"}}


def test_not_a_number_is_no_json():
    with pytest.raises(ValueError):
        dumps(float("nan"))
