#include "sdk.h"
#include <stdio.h>

wm_str wm_format_args(const char *format, va_list args) {
    char near[256]; /* Most texts fit, and then they are formatted once. */
    va_list again;
    va_copy(again, args);
    const int len = vsnprintf(near, sizeof near, format, args);
    if (len < 0)
        WM_FAIL("the format \"%s\" cannot be written", format);
    char *text = wm_take((size_t)len + 1);
    if ((size_t)len < sizeof near)
        memcpy(text, near, (size_t)len + 1);
    else
        vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    return (wm_str){text, (size_t)len};
}

wm_str wm_format(const char *format, ...) {
    va_list args;
    va_start(args, format);
    const wm_str text = wm_format_args(format, args);
    va_end(args);
    return text;
}

wm_str wm_copy(wm_str text) {
    if (wm_is_null(text))
        return text;
    char *copy = wm_grow(text.ptr, text.len, text.len + 1);
    copy[text.len] = 0; /* For those that take it for a C string. */
    return (wm_str){copy, text.len};
}

/* Bytes of the character that begins at `at`, or 0 when none does: the table of well-formed sequences of the Unicode standard (3-7). */
static size_t character(const unsigned char *at, size_t left) {
    const unsigned char lead = at[0];
    if (lead < 0x80)
        return 1;
    const size_t len = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || left < len)
        return 0;
    const unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    const unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((at[i] & 0xC0) != 0x80)
            return 0;
    return len;
}

bool wm_is_utf8(wm_str bytes) {
    for (size_t at = 0; at < bytes.len;) {
        const size_t len = character((const unsigned char *)bytes.ptr + at, bytes.len - at);
        if (len == 0)
            return false;
        at += len;
    }
    return true;
}
