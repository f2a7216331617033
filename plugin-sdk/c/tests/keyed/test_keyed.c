#include "../../src/sdk.h"
#include <wasmill_test.h>

static void send(const char *key, const char *ops) {
    wm_test_send_row(.value = wm_format("{\"ops\":\"%s\"}", ops).ptr, .key = key);
}

static const char *notes(const char *key) {
    const wm_str *state = wm_test_state(key);
    return state ? wm_format("%.*s", WM_ARG(*state)).ptr : NULL;
}

WM_TEST(state_is_kept_key_by_key) {
    wm_test_open("{}");
    send("bob", "a");
    send("ann", "b");
    send("bob", "c");
    send("cid", "x");
    WM_EXPECT(wm_test_run(), "reject 3: refused");
    send("ann", "d");
    send("bob", "k");
    wm_test_run();
    WM_EXPECT(notes("bob"), "ak");
    WM_EXPECT(notes("ann"), NULL);
    WM_EXPECT_TRUE(wm_test_keys() == 1);
}

WM_TEST(a_key_that_was_forgotten_begins_again_with_zeroes) {
    wm_test_open("{}");
    send("ann", "adb");
    wm_test_run();
    WM_EXPECT(notes("ann"), "b");
}

WM_TEST(a_refused_record_takes_its_timers_back_and_leaves_the_others) {
    wm_test_open("{}");
    send("ann", "1");
    send("ann", "23x");
    send("ann", "x");
    send("bob", "4x");
    send("bob", "5");
    WM_EXPECT(wm_test_run(), "reject 1: refused\nreject 2: refused\nreject 3: refused");
    WM_EXPECT(wm_test_timers(), "ann 1 10\nbob 5 50");
}

WM_TEST(timers_fire_in_the_order_of_their_times_and_can_be_cancelled) {
    wm_test_open("{}");
    send("ann", "n321c");
    send("bob", "2");
    wm_test_run();
    WM_EXPECT(wm_test_advance(20),
        "out: {\"notes\":\"n\",\"id\":2,\"at\":20}\nout: {\"notes\":\"(nothing)\",\"id\":2,\"at\":20}");
    WM_EXPECT(wm_test_advance(30), "out: {\"notes\":\"(nothing)\",\"id\":3,\"at\":30}");
    WM_EXPECT_TRUE(wm_test_keys() == 0);
}

WM_TEST(states_of_an_older_version_are_migrated_or_refused) {
    static const uint32_t offsets[] = {0, 1, 3};
    const wm_strings old = {offsets, 3, "abc", 3};
    wm_strings now;
    WM_EXPECT(wm_run_migrate(2, old, &now).ptr, NULL);
    WM_EXPECT(wm_format("%.*s", (int)now.bytes, now.data).ptr, "a!bc!");
    WM_EXPECT(wm_run_migrate(1, old, &now).ptr, "state 0 of version 1 cannot become version 3: version 1 is too old");
}

WM_TEST(the_fields_of_a_timer_are_read_as_well) {
    size_t count;
    const wm_field *fields = wm_plugin_reads(&count);
    WM_EXPECT_TRUE(count == 3 && fields[1].slot == WM_SLOT_KEY && fields[2].slot == WM_SLOT_TIME);
}
