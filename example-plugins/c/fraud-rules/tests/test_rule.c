#include <wasmill_test.h>

static void send(double amount, const char *txn_count) {
    static int n;
    wm_test_send(wm_format("{\"transaction_id\": \"t%d\", \"customer_id\": \"ann\", \"amount\": %.17g, "
                           "\"timestamp\": \"2026-01-01T00:00:00Z\", \"txn_count\": %s}",
                           n, amount, txn_count).ptr);
    n = (n + 1) % 4;
}

WM_TEST(a_transaction_over_a_limit_is_an_alert_and_one_at_it_is_not) {
    wm_test_open(JSON({}));
    send(10000, "5");
    send(12000, "1");
    send(20.5, "6");
    send(10000.01, "7");
    WM_EXPECT(wm_test_run(),
        "out: {\"customer_id\":\"ann\",\"transaction_id\":\"t1\",\"amount\":12000.0,\"alerts\":[\"High amount: 12000.00\"],\"timestamp\":\"2026-01-01T00:00:00Z\"}\n"
        "out: {\"customer_id\":\"ann\",\"transaction_id\":\"t2\",\"amount\":20.5,\"alerts\":[\"High velocity: 6 transactions in 5 min\"],\"timestamp\":\"2026-01-01T00:00:00Z\"}\n"
        "out: {\"customer_id\":\"ann\",\"transaction_id\":\"t3\",\"amount\":10000.01,\"alerts\":[\"High velocity: 7 transactions in 5 min\",\"High amount: 10000.01\"],\"timestamp\":\"2026-01-01T00:00:00Z\"}");
}

WM_TEST(without_a_count_only_the_amount_decides) {
    wm_test_open(JSON({"max_count": 0}));
    send(5, "null");
    WM_EXPECT(wm_test_run(), "");
}

WM_TEST(a_record_without_an_amount_never_reaches_the_rule) {
    wm_test_open(JSON({}));
    wm_test_send(JSON({"transaction_id": "t", "customer_id": "ann", "timestamp": ""}));
    wm_test_send(JSON({"transaction_id": "t", "customer_id": 7, "timestamp": "", "amount": 1}));
    WM_EXPECT(wm_test_run(),
        "reject 0: field `amount` is missing\n"
        "reject 1: field `customer_id` is 7, expected text");
}

WM_TEST(a_wrong_configuration_is_refused_with_the_key) {
    WM_EXPECT(wm_test_config_error(JSON({"max_amount": "a lot"})),
        "config.max_amount: invalid type: string \"a lot\", expected f64");
    WM_EXPECT(wm_test_config_error(JSON({"max_amont": 1})),
        "config.max_amont: unknown field `max_amont`, expected `max_amount` or `max_count`");
}
