#include <wasmill_test.h>

WM_TEST(a_whole_configuration_is_taken) {
    WM_EXPECT(wm_test_config_error(JSON({"max": 1, "strict": true, "currency": "usd", "silence": null, "anything": {"a": []}, "limits": {"low": 1, "high": 2}})), NULL);
}

WM_TEST(a_value_of_another_kind_is_refused_with_its_path) {
    WM_EXPECT(wm_test_config_error(JSON({"max": "ten"})), "config.max: invalid type: string \"ten\", expected f64");
    WM_EXPECT(wm_test_config_error(JSON({"silence": 1.5})), "config.silence: invalid type: floating point `1.5`, expected s64");
    WM_EXPECT(wm_test_config_error(JSON({"strict": 1})), "config.strict: invalid type: integer `1`, expected boolean");
    WM_EXPECT(wm_test_config_error(JSON({"limits": []})), "config.limits: invalid type: sequence, expected an object");
    WM_EXPECT(wm_test_config_error(JSON({"limits": {"high": null}})), "config.limits.high: invalid type: null, expected s64");
    WM_EXPECT(wm_test_config_error("[]"), "config: invalid type: sequence, expected an object");
    WM_EXPECT(wm_test_config_error("{"), "config: no JSON: no name and colon at byte 1");
}

WM_TEST(a_missing_or_unknown_key_is_named) {
    WM_EXPECT(wm_test_config_error(JSON({"limits": {"low": 1}})), "config.limits: missing field `high`");
    WM_EXPECT(wm_test_config_error(JSON({"limits": {"hgh": 1}})),
        "config.limits.hgh: unknown field `hgh`, expected `low` or `high`");
    WM_EXPECT(wm_test_config_error(JSON({"mx": 1})),
        "config.mx: unknown field `mx`, expected `max`, `strict`, `currency`, `silence`, `anything` or `limits`");
}

WM_TEST(the_check_has_the_last_word) {
    WM_EXPECT(wm_test_config_error(JSON({"limits": {"low": 3, "high": 2}})), "config: limits.low = 3 must be at most limits.high = 2");
}
