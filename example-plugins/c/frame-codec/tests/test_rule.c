#include "../frame.h"
#include <wasmill_test.h>

/* Device 42: temperature 21.5 and humidity 40.25. Device 7: pressure 1013.25 and -0.5 of a channel without a name. */
#define FRAME_42 "\xa5\x02\x00\x00\x00\x2a\x00\x00\x01\x9b\x76\xda\xa8\x00\x01\x01\x48\x10\x60\x02\x02\x66\x2a\x90\x74\x02"
#define FRAME_7 "\xa5\x02\x00\x00\x00\x07\x00\x00\x01\x9b\x76\xda\xab\xe8\x03\x3c\x64\xf7\xd0\x09\xff\xf8\x5e\xe0\xa5\xfb"
#define ROWS_42                                                                                                         \
    "out key=42 time=1767225600000: {\"device\":42,\"channel\":\"temperature\",\"reading\":21.5}\n"                       \
    "out key=42 time=1767225600000: {\"device\":42,\"channel\":\"humidity\",\"reading\":40.25}\n"
#define ROWS_7                                                                                                          \
    "out key=7 time=1767225601000: {\"device\":7,\"channel\":\"pressure\",\"reading\":1013.25}\n"                         \
    "out key=7 time=1767225601000: {\"device\":7,\"channel\":\"channel-9\",\"reading\":-0.5}\n"

WM_TEST(the_checksum_is_that_of_the_catalogue) {
    WM_EXPECT_TRUE(frame_checksum((const uint8_t *)"123456789", 9) == 0x29B1);
}

WM_TEST(each_reading_of_each_frame_is_a_row) {
    wm_test_open(JSON({}));
    wm_test_send_row(.bytes = WM_STR(FRAME_42));
    wm_test_send_row(.bytes = WM_STR(FRAME_7 FRAME_42));
    WM_EXPECT(wm_test_run(), ROWS_42 ROWS_7 ROWS_42 "count frames: 3");
}

WM_TEST(a_record_with_a_broken_frame_is_refused_whole) {
    wm_test_open(JSON({}));
    wm_test_send_row(.bytes = WM_STR(FRAME_42 FRAME_7 "\xa5"));
    wm_test_send_row(.bytes = WM_STR("#############"  "#"));
    wm_test_send_row(.bytes = WM_STR("\xa5\x00" "############"));
    wm_test_send_row(.bytes = WM_STR("\xa5\x01" "##################X"));
    wm_test_send_row(.value = NULL);
    WM_EXPECT(wm_test_run(),
        "reject 0: frame 2, at byte 52: it ends too early\n"
        "reject 1: frame 0, at byte 0: it does not begin with a5\n"
        "reject 2: frame 0, at byte 0: it has no or more than 32 readings\n"
        "reject 3: frame 0, at byte 0: its checksum is wrong\n"
        "reject 4: a record without a value\n"
        "count broken_frames: 4");
}

WM_TEST(hexadecimal_digits_are_frames_as_well) {
    wm_test_open(JSON({"encoding": "hex"}));
    wm_test_send("\"a5020000002a0000019b76daa80001014810600202662a907402\"");
    wm_test_send("\"a\"");
    wm_test_send("\"xy\"");
    WM_EXPECT(wm_test_run(),
        ROWS_42
        "reject 1: no JSON string of hexadecimal digits\n"
        "reject 2: no JSON string of hexadecimal digits\n"
        "count frames: 1");
}

WM_TEST(another_encoding_is_refused) {
    WM_EXPECT(wm_test_config_error(JSON({"encoding": "base64"})),
        "config: encoding = \"base64\", expected \"raw\" or \"hex\"");
}
