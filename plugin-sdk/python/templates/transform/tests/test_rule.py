from rule import example_rule
from wasmill_plugin.testing import TransformTest


def test_only_a_large_amount_is_an_alert():
    test = TransformTest(example_rule, {"max_amount": 100})
    run = test.run([{"customer_id": "ann", "amount": 100}, {"customer_id": "bob", "amount": 101}])
    assert str(run) == 'out: {"customer_id":"bob","amount":101.0,"note":null}'
