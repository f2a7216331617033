#include <wasmill_test.h>

WM_TEST(a_key_is_summed_up_when_it_falls_silent) {
    wm_test_open(JSON({"silence_ms": 100}));
    wm_test_send_row(.value = "{}", .key = "ann", .time = 10);
    wm_test_send_row(.value = "{}", .key = "ann", .time = 50);
    WM_EXPECT(wm_test_run(), "");
    WM_EXPECT(wm_test_timers(), "ann 0 150");
    WM_EXPECT(wm_test_advance(149), "");
    WM_EXPECT(wm_test_advance(150), "out: {\"key\":\"ann\",\"last\":50,\"count\":2}");
    WM_EXPECT_TRUE(wm_test_keys() == 0);
}

WM_TEST(a_record_out_of_order_does_not_bring_silence_forward) {
    wm_test_open(JSON({"silence_ms": 100}));
    wm_test_send_row(.value = "{}", .key = "ann", .time = 50);
    wm_test_send_row(.value = "{}", .key = "ann", .time = 10);
    wm_test_run();
    WM_EXPECT(wm_test_timers(), "ann 0 150");
}
