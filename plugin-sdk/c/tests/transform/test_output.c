#include <wasmill_test.h>

static void ops(const char *ops) {
    wm_test_send(wm_format("{\"ops\":\"%s\"}", ops).ptr);
}

#define NULLS(op) "main_row: {\"op\":\"" op "\",\"n\":null,\"x\":null,\"flag\":null,\"note\":null,\"card.country\":null,\"tags\":null}"

WM_TEST(a_port_that_passes_and_emits_keeps_the_order_of_its_rows) {
    wm_test_open("{}");
    ops("pp");
    ops("e");
    ops("sp");
    WM_EXPECT(wm_test_run(),
        "main_row: {\"ops\":\"pp\"}\nmain_row: {\"ops\":\"pp\"}\n" NULLS("e") "\nmain_row: {\"ops\":\"sp\"}\nside: {\"ops\":\"sp\"}");
}

WM_TEST(values_of_every_kind_come_out_as_they_went_in) {
    wm_test_open("{}");
    wm_test_send(JSON({"ops": "en", "n": -9007199254740993, "x": 0.1, "flag": true, "note": "a\"\n\u00e9", "card": {"country": "fr"}, "tags": [1, {"a": null}]}));
    wm_test_send(JSON({"ops": "e", "x": 3}));
    WM_EXPECT(wm_test_run(),
        "main_row: {\"op\":\"e\",\"n\":-9007199254740993,\"x\":0.1,\"flag\":true,\"note\":\"a\\\"\\n\303\251\",\"card.country\":\"fr\",\"tags\":[1,{\"a\":null}]}\n"
        NULLS("n") "\n"
        "main_row: {\"op\":\"e\",\"n\":null,\"x\":3.0,\"flag\":null,\"note\":null,\"card.country\":null,\"tags\":null}");
}

WM_TEST(what_lies_beside_a_record_is_read_and_written) {
    wm_test_open("{}");
    wm_test_send_row(.value = "{\"ops\":\"a\"}", .key = "ann", .time = 7, .header = "trace-id", .header_value = WM_STR("t1"),
                     .topic = "orders", .partition = 3, .offset = 99);
    wm_test_send_row(.value = "{\"ops\":\"a\"}");
    WM_EXPECT(wm_test_run(),
        "placed key=ann time=7: {\"header trace-id\":\"t1\",\"from\":\"orders-3\",\"place\":99}\n"
        "placed time=0: {\"header trace-id\":null,\"from\":\"-0\",\"place\":0}");
}

WM_TEST(what_was_said_of_a_refused_record_is_taken_back) {
    wm_test_open("{}");
    ops("e");
    ops("nepsax");
    ops("xp");
    ops("pepx");
    ops("exx");
    WM_EXPECT(wm_test_run(),
        NULLS("e") "\nmain_row: {\"ops\":\"xp\"}\nreject 1: refused at 5\nreject 2: refused at 0\nreject 3: refused at 3\nreject 4: refused at 1");
}

WM_TEST(a_refused_null_leaves_no_null_behind) {
    wm_test_open("{}");
    ops("nx");
    wm_test_send(JSON({"ops": "e", "n": 1, "x": 1, "flag": false, "note": "", "card": {"country": "de"}, "tags": 0}));
    WM_EXPECT(wm_test_run(),
        "main_row: {\"op\":\"e\",\"n\":1,\"x\":1.0,\"flag\":false,\"note\":\"\",\"card.country\":\"de\",\"tags\":0}\nreject 0: refused at 1");
}

WM_TEST(more_rows_than_records_make_the_columns_grow) {
    wm_test_open("{}");
    ops("eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee");
    const char *answer = wm_test_run();
    size_t rows = 1;
    for (const char *at = answer; *at; at++)
        rows += *at == '\n';
    WM_EXPECT_TRUE(rows == 78);
    WM_EXPECT_TRUE(strstr(answer, "\"op\":\"e\",\"n\":null") != NULL);
}

WM_TEST(a_long_text_makes_its_column_grow) {
    wm_test_open("{}");
    char *note = wm_alloc(60001);
    memset(note, 'z', 60000);
    wm_test_send(wm_format("{\"ops\":\"ee\",\"note\":\"%s\"}", note).ptr);
    const char *answer = wm_test_run();
    WM_EXPECT_TRUE(strlen(answer) > 120000 && strchr(strchr(answer, 'z'), '\n') != NULL);
}

WM_TEST(log_lines_and_counts_are_told) {
    wm_test_open("{\"max\": 2, \"currency\": \"usd\"}");
    ops("ll");
    WM_EXPECT(wm_test_run(), "warn: max is 2.0 usd\nwarn: max is 2.0 usd\ncount logged: 4");
}

WM_TEST(a_failure_names_its_file_and_line) {
    wm_test_open("{}");
    ops("?");
    const char *message = wm_test_failure();
    WM_EXPECT_TRUE(wm_starts_with(wm_str_of(message), WM_STR("transform/plugin.c:")));
    WM_EXPECT(strrchr(message, 'n'), "no such op: ?");
}

WM_TEST(a_misfit_never_reaches_the_rule) {
    wm_test_open("{}");
    wm_test_send(JSON({"n": 1}));
    wm_test_send(JSON({"ops": 7}));
    wm_test_send(JSON({"ops": null}));
    wm_test_send(JSON({"ops": "e", "n": 1.5, "x": "2", "note": ["a"]}));
    WM_EXPECT(wm_test_run(),
        "main_row: {\"op\":\"e\",\"n\":null,\"x\":null,\"flag\":null,\"note\":null,\"card.country\":null,\"tags\":null}\n"
        "reject 0: field `ops` is missing\nreject 1: field `ops` is 7, expected text\nreject 2: field `ops` is null, expected text");
}
