import logging
from dataclasses import dataclass, field
from typing import Annotated, Any

import pytest

from wasmill_plugin import Batch, Key, Offset, Output, Partition, Reject, Time, Topic, Value, count, header, path, transform
from wasmill_plugin.testing import Row, TransformTest


@dataclass
class Pair:
    a: int
    b: str | None = None


@dataclass
class Item:
    name: str
    price: float


def test_every_kind_is_read_and_written():
    @dataclass
    class All:
        i: int
        f: float
        b: bool
        s: str
        y: bytes
        j: dict[str, Any]
        items: list[Item]

    @transform(output=All)
    def copy(record: All, out: Output[All]):
        assert isinstance(record.items[0], Item)
        out.emit(record)

    value = {"i": -(2**63), "f": 0.1, "b": True, "s": "ä€😀", "y": "raw", "j": {"k": [1, None]}, "items": [{"name": "x", "price": 2}]}
    run = TransformTest(copy).run([value])
    assert str(run) == (
        'out: {"i":-9223372036854775808,"f":0.1,"b":true,"s":"ä€😀","y":"raw","j":{"k":[1,null]},"items":[{"name":"x","price":2.0}]}'
    )


def test_what_may_be_missing_is_none_or_its_default_and_what_may_not_is_refused():
    @dataclass
    class Read:
        a: int
        b: str | None
        c: float = 1.5
        d: str = "none"

    @transform(output=Read)
    def copy(record: Read, out: Output):
        out.emit(record)

    records = [{"a": 1}, {"b": "x"}, {"a": 2, "b": "y", "c": 3, "d": "z"}, {"a": True}, {"a": 3, "b": 7, "c": "x", "d": []}, {"a": None}, None]
    run = TransformTest(copy).run(records)
    assert str(run).splitlines() == [
        'out: {"a":1,"b":null,"c":1.5,"d":"none"}',
        'out: {"a":2,"b":"y","c":3.0,"d":"z"}',
        'out: {"a":3,"b":null,"c":1.5,"d":"none"}',
        "reject 1: field `a` is missing",
        "reject 3: field `a` is true, expected s64",
        "reject 5: field `a` is null, expected s64",
        "reject 6: field `a` is missing: the record is a tombstone, expected s64",
    ]


def test_slots_reach_what_lies_beside_the_value():
    @dataclass
    class Beside:
        key: Key | None
        at: Time
        trace: Annotated[bytes, header("trace")] | None
        raw: Value | None
        country: Annotated[str, path("card.country")]
        topic: Topic
        partition: Partition
        offset: Offset

    @dataclass
    class Out:
        text: str
        key: Key
        at: Time

    @transform(output=Out)
    def show(record: Beside, out: Output[Out]):
        place = f"{record.topic}/{record.partition}/{record.offset}"
        out.emit(Out(f"{place} {record.country} {record.trace} {record.raw}", f"{record.key}!", record.at + 1))

    row = Row({"card": {"country": "AT"}}, key="ann", time=41, headers={"trace": b"t1"}, topic="pay", partition=2, offset=7)
    run = TransformTest(show).run([row])
    assert str(run) == """out key=ann! time=42: {"text":"pay/2/7 AT b't1' b'{\\"card\\":{\\"country\\":\\"AT\\"}}'"}"""


def test_a_refused_record_takes_back_what_it_emitted():
    @transform(output=Pair, ports={"rest": None, "audit": Pair})
    def route(pair: Pair, out: Output[Pair]):
        out.emit(pair)
        out.to("rest").keep()
        out.to("audit").emit(pair)
        out.keep()
        if pair.a < 0:
            raise Reject(f"{pair.a} is negative")

    run = TransformTest(route).run([{"a": 1}, {"a": -1}, {"a": 2}])
    assert str(run).splitlines() == [
        'out: {"a":1,"b":null}',
        'out: {"a":1}',
        'out: {"a":2,"b":null}',
        'out: {"a":2}',
        'rest: {"a":1}',
        'rest: {"a":2}',
        'audit: {"a":1,"b":null}',
        'audit: {"a":2,"b":null}',
        "reject 1: -1 is negative",
    ]


def test_a_rule_over_columns_keeps_emits_and_rejects_by_row():
    @transform(output=Pair)
    def columns(batch: Batch[Pair], out: Output[Pair]):
        assert len(batch) == 4 and batch.watermark is None
        assert list(batch.a) == [1, 2, 3, 4] and list(batch.b) == ["x", None, "ü", "z"]
        assert batch.b[0] == "x" and batch.b[1:3] == [None, "ü"]
        out.keep([0])
        out.emit_columns([1, 2], a=batch.a.take([1, 2]), b=batch.b.take([1, 2]))
        out.reject(3, "four")

    run = TransformTest(columns).run([{"a": 1, "b": "x"}, {"a": 2}, {"a": 3, "b": "ü"}, {"a": 4, "b": "z"}])
    assert str(run).splitlines() == [
        'out: {"a":1,"b":"x"}',
        'out: {"a":2,"b":null}',
        'out: {"a":3,"b":"ü"}',
        "reject 3: four",
    ]


def test_a_batch_that_is_refused_is_refused_whole():
    @transform(output=Pair)
    def refuse(batch: Batch[Pair], out: Output):
        out.keep(batch.rows)
        out.emit_columns([1, 0], a=[1, 1], b=["x", "x"])
        raise Reject("no")

    run = TransformTest(refuse).run([{"a": 1}, {"a": 2}])
    assert (run.emitted, run.rejects) == ([], [(0, "no"), (1, "no")])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (Pair("x"), "Pair.a is 'x', expected an int of 64 bits"),  # type: ignore[arg-type]
        (Pair(2**63), "Pair.a is 9223372036854775808, expected an int of 64 bits"),
        (Pair(None), "Pair.a is None, expected an int of 64 bits"),  # type: ignore[arg-type]
        (Pair(1, 5), "Pair.b is 5, expected a str"),  # type: ignore[arg-type]
        (Item("x", 1), "emitted Item(name='x', price=1), expected a Pair"),
    ],
)
def test_an_output_row_that_does_not_fit_is_named(value, message):
    @transform(output=Pair)
    def wrong(pair: Pair, out: Output):
        out.emit(pair)
        out.emit(value)

    with pytest.raises(TypeError) as error:
        TransformTest(wrong).run([{"a": 1, "b": "x"}])
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": [1]}, "emit_columns got a: a Pair has a, b"),
        ({"a": [1], "b": ["x"], "c": [1]}, "emit_columns got a, b, c: a Pair has a, b"),
        ({"a": [1, 2], "b": ["x"]}, "column `a` has 2 values for 1 rows"),
    ],
)
def test_columns_that_do_not_fit_are_named(columns, message):
    @transform(output=Pair)
    def wrong(batch: Batch[Pair], out: Output):
        out.emit_columns([0], **columns)

    with pytest.raises(TypeError) as error:
        TransformTest(wrong).run([{"a": 1}])
    assert str(error.value) == message


def test_what_is_logged_and_counted_is_seen():
    @transform
    def noisy(pair: Pair):
        logging.getLogger("rule").warning("a is %d", pair.a)
        count("seen")
        count("sum", pair.a)

    run = TransformTest(noisy).run([{"a": 1}, {"a": 4}])
    assert str(run).splitlines() == ["warn: a is 1", "warn: a is 4", "count seen: 2", "count sum: 5"]


def test_a_record_is_one_of_its_class_however_it_was_made():
    @dataclass
    class Plain:
        s: str
        n: int
        tags: list[str] = field(default_factory=list)

    @dataclass(frozen=True)
    class Frozen:
        s: str
        n: int

    seen = []

    @transform
    def keep_plain(record: Plain):
        seen.append(record)

    @transform
    def keep_frozen(record: Frozen):
        seen.append(record)

    TransformTest(keep_plain).run([{"s": "x", "n": 1, "tags": ["t"]}])
    TransformTest(keep_frozen).run([{"s": "x", "n": 1}])
    assert seen == [Plain("x", 1, ["t"]), Frozen("x", 1)]
    assert isinstance(seen[0], Plain) and repr(seen[0]).endswith("Plain(s='x', n=1, tags=['t'])")
    seen[0].s = "changed"
    assert seen[0].s == "changed"


def test_a_json_field_of_another_shape_refuses_its_record():
    @dataclass
    class Order:
        items: list[Item]

    @transform
    def sum_up(order: Order, out: Output):
        if sum(it.price for it in order.items) > 1:
            out.keep()

    run = TransformTest(sum_up).run([{"items": [{"name": "x", "price": "free"}]}, {"items": [{"name": "x", "price": 2}]}])
    assert run.kept() == [1]
    assert run.rejects == [(0, '`items`[0].price: invalid type: string "free", expected float')]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: transform(lambda: None), "takes nothing"),
        (lambda: transform(lambda record: None), "needs a type for its parameter `record`"),
        (lambda: transform(_typed(int)), "<class 'int'> is not a dataclass"),
        (lambda: transform(_extra), "has a parameter `settings`: after the record come config, out"),
        (lambda: transform(output=_Where)(_typed(Pair)), "_Where.topic: topic is read only"),
        (lambda: transform(_typed(_Contradiction)), "_Contradiction.at is text, but time is s64"),
    ],
)
def test_a_function_that_cannot_be_a_rule_is_refused_at_once(make, message):
    with pytest.raises(TypeError, match=message.replace("(", r"\(")):
        make()


@dataclass
class _Where:
    topic: Topic


@dataclass
class _Contradiction:
    at: Annotated[str, Time.__metadata__[0]]


def _typed(kind):
    def rule(record):
        pass

    rule.__annotations__["record"] = kind
    return rule


def _extra(record: Pair, settings):
    pass
