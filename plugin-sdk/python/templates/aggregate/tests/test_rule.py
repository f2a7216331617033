from rule import ExampleRule
from wasmill_plugin.testing import AggregateTest


def test_orders_are_counted_and_summed_up():
    run = AggregateTest(ExampleRule).run("shop", (0, 60_000), [{"amount": 10.125}, {"amount": 5}])
    assert str(run) == 'out: {"seller":"shop","window_start":0,"window_end":60000,"orders":2,"revenue":15.125}'
