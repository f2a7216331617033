#include <wasmill_test.h>

WM_TEST(orders_are_counted_and_summed_up) {
    wm_test_open(JSON({}));
    wm_test_send(JSON({"amount": 10.125}));
    wm_test_send(JSON({"amount": 5}));
    WM_EXPECT(wm_test_fold("shop", 0, 60000),
        "out: {\"seller\":\"shop\",\"window_start\":0,\"window_end\":60000,\"orders\":2,\"revenue\":15.125}");
}
