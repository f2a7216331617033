from rule import Activity, example_rule
from wasmill_plugin.testing import KeyedTest, Row


def test_a_key_is_summed_up_when_it_falls_silent():
    test = KeyedTest(example_rule, {"silence_ms": 100})
    test.run(Row({}, key="ann", time=at) for at in (10, 50))
    assert test.state("ann") == Activity(last=50, count=2)
    assert str(test.advance(150)) == 'out: {"key":"ann","last":50,"count":2}'
    assert test.keys() == 0
