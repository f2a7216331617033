#include <wasmill_test.h>

static void pay(const char *key, const char *value) {
    wm_test_send_row(.value = value, .key = key);
}

WM_TEST(a_rule_sees_all_records_of_a_key_at_once) {
    wm_test_open("{}");
    pay("ann", JSON({"amount": 1}));
    pay("bob", JSON({"amount": 5}));
    pay("ann", JSON({"amount": 2, "note": "late"}));
    WM_EXPECT(wm_test_run(), "out: {\"records\":2,\"sum\":3}\nout: {\"records\":1,\"sum\":5}");
    pay("ann", JSON({"amount": 4}));
    WM_EXPECT(wm_test_run(), "out: {\"records\":1,\"sum\":7}");
    WM_EXPECT_TRUE(*(int64_t *)wm_test_state("ann") == 7);
}

WM_TEST(a_rule_over_groups_refuses_single_records) {
    wm_test_open("{}");
    pay("ann", JSON({"amount": 1, "note": "void"}));
    pay("ann", JSON({"amount": 2}));
    WM_EXPECT(wm_test_run(), "out: {\"records\":2,\"sum\":2}\nreject 0: void");
}
