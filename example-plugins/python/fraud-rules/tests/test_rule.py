from wasmill_plugin.testing import TransformTest, config_error

from rule import rules


def transactions(*rows):
    for number, (amount, txn_count) in enumerate(rows):
        yield {
            "transaction_id": f"t{number}",
            "customer_id": "ann",
            "amount": amount,
            "timestamp": "2026-01-01T00:00:00Z",
            "txn_count": txn_count,
        }


def test_a_transaction_over_a_limit_is_an_alert_and_one_at_it_is_not():
    run = TransformTest(rules).run(transactions((10_000, 5), (12_000, 1), (20.5, 6), (10_000.01, 7)))
    assert str(run).splitlines() == [
        'out: {"customer_id":"ann","transaction_id":"t1","amount":12000.0,"alerts":["High amount: 12000.00"],"timestamp":"2026-01-01T00:00:00Z"}',
        'out: {"customer_id":"ann","transaction_id":"t2","amount":20.5,"alerts":["High velocity: 6 transactions in 5 min"],"timestamp":"2026-01-01T00:00:00Z"}',
        'out: {"customer_id":"ann","transaction_id":"t3","amount":10000.01,"alerts":["High velocity: 7 transactions in 5 min","High amount: 10000.01"],"timestamp":"2026-01-01T00:00:00Z"}',
    ]


def test_without_a_count_only_the_amount_decides():
    assert str(TransformTest(rules, {"max_count": 0}).run(transactions((5.0, None)))) == ""


def test_the_limits_come_from_the_configuration():
    run = TransformTest(rules, {"max_amount": 4, "max_count": 1}).run(transactions((5.0, 2)))
    assert run.rows()[0]["alerts"] == ["High velocity: 2 transactions in 5 min", "High amount: 5.00"]


def test_a_record_without_an_amount_never_reaches_the_rule():
    run = TransformTest(rules).run(
        [
            {"transaction_id": "t", "customer_id": "ann", "timestamp": ""},
            {"transaction_id": "t", "customer_id": 7, "timestamp": "", "amount": 1},
        ]
    )
    assert str(run).splitlines() == [
        "reject 0: field `amount` is missing",
        "reject 1: field `customer_id` is 7, expected text",
    ]


def test_a_wrong_configuration_is_refused_with_the_key():
    assert config_error(rules, {"max_amount": "a lot"}) == 'config.max_amount: invalid type: string "a lot", expected float'
    unknown = "config: unknown field `max_amont`, expected `max_amount` or `max_count`"
    assert config_error(rules, {"max_amont": 1}) == unknown
