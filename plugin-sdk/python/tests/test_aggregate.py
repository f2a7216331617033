from dataclasses import dataclass, field

import pytest

from wasmill_plugin import Group, Output, Window, aggregate
from wasmill_plugin.testing import AggregateTest, config_error


@dataclass
class Order:
    amount: float


@dataclass
class Takings:
    orders: int = 0
    revenue: float = 0.0


@dataclass
class Row:
    seller: str
    window_start: int
    window_end: int
    orders: int
    revenue: float


@dataclass
class Config:
    factor: float = 1.0


@aggregate(output=Row)
class Revenue:
    """Counts the orders of each window."""

    config: Config

    def add(self, order: Order, takings: Takings):
        takings.orders += 1
        takings.revenue += order.amount * self.config.factor

    def merge(self, left: Takings, right: Takings):
        left.orders += right.orders
        left.revenue += right.revenue

    def finish(self, window: Window, takings: Takings, out: Output[Row]):
        out.emit(Row(window.key, window.start, window.end, takings.orders, takings.revenue))


def test_orders_are_counted_and_their_amounts_summed_up():
    run = AggregateTest(Revenue, {"factor": 2}).run("shop", (0, 300_000), [{"amount": 10.125}, {"amount": 5}, {}])
    assert str(run).splitlines() == [
        'out: {"seller":"shop","window_start":0,"window_end":300000,"orders":2,"revenue":30.25}',
        "reject 2: field `amount` is missing",
    ]
    assert (Revenue.name, Revenue.description) == ("revenue", "Counts the orders of each window.")
    assert "unknown field `x`" in config_error(Revenue, {"x": 1})


@dataclass
class Largest:
    amounts: list[float] = field(default_factory=list)


@aggregate(output=Row)
class Top:
    def add(self, orders: Group[Order], top: Largest) -> Largest:
        return Largest(sorted([*top.amounts, *orders.amount])[-2:])

    def merge(self, left: Largest, right: Largest) -> Largest:
        return Largest(sorted(left.amounts + right.amounts)[-2:])

    def finish(self, window: Window, top: Largest, out: Output[Row]):
        out.emit(Row(window.key, 0, 0, len(top.amounts), sum(top.amounts)))


def test_an_accumulator_may_be_returned_and_records_taken_as_columns():
    run = AggregateTest(Top).run("shop", (0, 1), [{"amount": it} for it in (1, 5, 2, 4)])
    assert run.rows()[0] == {"seller": "shop", "window_start": 0, "window_end": 0, "orders": 2, "revenue": 9.0}


def test_a_merge_that_gives_another_result_is_found():
    @aggregate(output=Row)
    class Forgetful:
        def add(self, order: Order, count: int) -> int:
            return count + 1

        def merge(self, left: int, right: int) -> int:
            return left

        def finish(self, window: Window, count: int, out: Output[Row]):
            out.emit(Row("", 0, 0, count, 0.0))

    with pytest.raises(AssertionError, match="records 1.. merged"):
        AggregateTest(Forgetful).run("shop", (0, 1), [{"amount": 1}, {"amount": 2}])


def test_a_class_without_a_method_is_refused():
    with pytest.raises(TypeError, match="Half has no method `merge`"):

        @aggregate(output=Row)
        class Half:
            def add(self, order: Order, count: int): ...
