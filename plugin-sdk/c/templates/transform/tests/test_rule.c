#include <wasmill_test.h>

WM_TEST(only_a_large_amount_is_an_alert) {
    wm_test_open(JSON({"max_amount": 100}));
    wm_test_send(JSON({"customer_id": "ann", "amount": 100}));
    wm_test_send(JSON({"customer_id": "bob", "amount": 101}));
    wm_test_send(JSON({"customer_id": "cid", "amount": -1}));
    WM_EXPECT(wm_test_run(),
        "out: {\"customer_id\":\"bob\",\"amount\":101.0,\"note\":null}\n"
        "reject 2: a negative amount");
}

WM_TEST(a_wrong_configuration_is_refused_with_its_key) {
    WM_EXPECT(wm_test_config_error(JSON({"max_amount": "a lot"})),
        "config.max_amount: invalid type: string \"a lot\", expected f64");
}
