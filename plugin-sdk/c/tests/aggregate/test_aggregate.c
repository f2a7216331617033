#include "../../src/sdk.h"
#include <wasmill_test.h>

WM_TEST(a_window_is_folded_and_finished) {
    wm_test_open("{}");
    wm_test_send(JSON({"word": "a"}));
    wm_test_send(JSON({"word": "four"}));
    wm_test_send(JSON({}));
    wm_test_send(JSON({"word": "two"}));
    WM_EXPECT(wm_test_fold("ann", -5, 10),
        "out: {\"of\":\"ann\",\"start\":-5,\"end\":10,\"longest\":\"four\",\"mean\":2.6666666666666665}\n"
        "reject 2: field `word` is missing");
}

WM_TEST(a_state_that_another_version_wrote_is_refused) {
    static const uint32_t offsets[] = {0, 2};
    const wm_strings stored = {offsets, 2, "{}", 2};
    wm_strings merged;
    WM_EXPECT(wm_run_merge(stored, stored, &merged).ptr,
        "the stored state is not what this version of the plugin writes (state: missing field `count`): raise .state_version and give .migrate");
    WM_EXPECT(wm_run_migrate(7, stored, &merged).ptr, "no migration from state version 7");
}

WM_TEST(plain_states_are_refused_by_their_length) {
    const wm_form form = {8, NULL, false};
    char state[8];
    WM_EXPECT(wm_state_read(&form, WM_STR("1234567"), state).ptr,
        "the stored state is not what this version of the plugin writes (7 bytes, expected 8): raise .state_version and give .migrate");
}

WM_TEST(the_schema_tells_of_the_configuration) {
    WM_EXPECT(wm_format("%.*s", WM_ARG(wm_plugin_schema())).ptr,
        "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"broken\":{\"type\":\"boolean\",\"default\":false}},\"required\":[]}");
}
