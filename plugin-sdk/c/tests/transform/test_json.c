#include <float.h>
#include <math.h>
#include <wasmill_test.h>

static const char *number(double value) {
    wm_json_writer w = {0};
    wm_json_put_f64(&w, value);
    return wm_format("%.*s", (int)w.len, w.ptr).ptr;
}

WM_TEST(numbers_are_written_with_the_fewest_digits_that_read_the_same) {
    WM_EXPECT(number(0.1), "0.1");
    WM_EXPECT(number(-0.0), "-0.0");
    WM_EXPECT(number(12000), "12000.0");
    WM_EXPECT(number(1e15), "1000000000000000.0");
    WM_EXPECT(number(1e16), "1e16");
    WM_EXPECT(number(1.5e300), "1.5e300");
    WM_EXPECT(number(0.00001), "0.00001");
    WM_EXPECT(number(0.000001), "1e-6");
    WM_EXPECT(number(123.456), "123.456");
    WM_EXPECT(number(5e-324), "5e-324");
    WM_EXPECT(number(DBL_MAX), "1.7976931348623157e308");
    WM_EXPECT(number(1.0 / 3), "0.3333333333333333");
    WM_EXPECT(number(NAN), "null");
}

static const char *why(const char *text) {
    wm_str message = WM_STR("(taken)");
    wm_json_parse(wm_str_of(text), &message);
    return message.ptr;
}

WM_TEST(what_is_no_json_is_refused_with_its_place) {
    WM_EXPECT(why("{\"a\": [1, -2.5e3, \"\\ud83d\\ude00\", true, null, {}]}"), "(taken)");
    WM_EXPECT(why(""), "the end, where a value should be at byte 0");
    WM_EXPECT(why("1 2"), "something after the value at byte 2");
    WM_EXPECT(why("[1,]"), "no JSON value at byte 3");
    WM_EXPECT(why("01"), "no number at byte 2");
    WM_EXPECT(why("1."), "no number at byte 2");
    WM_EXPECT(why("\"\\x\""), "an escape that JSON has not at byte 3");
    WM_EXPECT(why("\"\\ud800\""), "an escape that JSON has not at byte 7");
    WM_EXPECT(why("\"a"), "a string without an end at byte 2");
    WM_EXPECT(why("\"\xff\""), "a string that is not UTF-8 at byte 3");
    WM_EXPECT(why("1e999"), "a number out of range at byte 5");
    WM_EXPECT(why("nul"), "no JSON value at byte 0");
    WM_EXPECT(why("{1:2}"), "no name and colon at byte 1");
}

WM_TEST(depth_has_a_limit) {
    char deep[201];
    memset(deep, '[', 100);
    memset(deep + 100, ']', 100);
    deep[200] = 0;
    WM_EXPECT(why(deep), "arrays and objects in each other too deep at byte 65");
}

WM_TEST(integers_keep_their_64_bits) {
    const wm_json *it = wm_json_parse(WM_STR("[9223372036854775807,-9223372036854775808,9223372036854775808]"), NULL)->first;
    WM_EXPECT_TRUE(it->kind == WM_JSON_S64 && it->s64 == INT64_MAX);
    WM_EXPECT_TRUE(it->next->kind == WM_JSON_S64 && it->next->s64 == INT64_MIN);
    WM_EXPECT_TRUE(it->next->next->kind == WM_JSON_F64 && it->next->next->f64 == 0x1p63);
}

WM_TEST(escapes_are_read_and_written) {
    const wm_json *it = wm_json_parse(WM_STR("\"\\u00e9\\ud83d\\ude00\\/\\u0001\""), NULL);
    WM_EXPECT(wm_format("%.*s", WM_ARG(it->text)).ptr, "\303\251\360\237\230\200/\001");
    wm_json_writer w = {0};
    wm_json_put_text(&w, it->text);
    WM_EXPECT(wm_format("%.*s", (int)w.len, w.ptr).ptr, "\"\303\251\360\237\230\200/\\u0001\"");
}

WM_TEST(the_last_of_several_members_of_a_name_counts) {
    const wm_json *it = wm_json_parse(WM_STR("{\"a\":1,\"b\":2,\"a\":3}"), NULL);
    WM_EXPECT_TRUE(wm_json_get(it, "a")->s64 == 3 && it->count == 3);
    WM_EXPECT_TRUE(wm_json_get(it, "c") == NULL && wm_json_get(NULL, "c") == NULL);
}

WM_TEST(utf8_is_told_from_what_is_not) {
    WM_EXPECT_TRUE(wm_is_utf8(WM_STR("\360\237\230\200\303\251a")));
    WM_EXPECT_TRUE(!wm_is_utf8(WM_STR("\300\200")));     /* Longer than it needs to be. */
    WM_EXPECT_TRUE(!wm_is_utf8(WM_STR("\355\240\200"))); /* Half of a pair. */
    WM_EXPECT_TRUE(!wm_is_utf8(WM_STR("\364\220\200\200")));
    WM_EXPECT_TRUE(!wm_is_utf8(WM_STR("\303")));
}
