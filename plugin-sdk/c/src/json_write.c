/* JSON as text, written as serde_json writes it, so that plugins in other languages give the same bytes. */
#include "sdk.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void put(wm_json_writer *w, const char *bytes, size_t len) {
    if (len > w->max - w->len) {
        const size_t needed = w->len + len, doubled = w->max ? 2 * w->max : 64;
        const size_t max = doubled > needed ? doubled : needed;
        w->ptr = wm_grow(w->ptr, w->len, max);
        w->max = max;
    }
    memcpy(w->ptr + w->len, bytes, len);
    w->len += len;
}

/* What stands before a value, and that the next one needs a comma. */
static void begin_value(wm_json_writer *w) {
    if (w->comma)
        put(w, ",", 1);
    w->comma = true;
}

static void put_value(wm_json_writer *w, const char *bytes, size_t len) {
    begin_value(w);
    put(w, bytes, len);
}

static void put_string(wm_json_writer *w, wm_str text) {
    static const char hex[] = "0123456789abcdef", escaped[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt";
    put(w, "\"", 1);
    size_t from = 0;
    for (size_t i = 0; i < text.len; i++) {
        const unsigned char c = (unsigned char)text.ptr[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        put(w, text.ptr + from, i - from);
        from = i + 1;
        char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
        const char *known = memchr(escaped, (char)c, sizeof escaped - 1);
        if (known)
            escape[1] = names[known - escaped];
        put(w, escape, known ? 2 : 6);
    }
    if (text.len > from)
        put(w, text.ptr + from, text.len - from);
    put(w, "\"", 1);
}

void wm_json_begin_array(wm_json_writer *w) {
    begin_value(w);
    put(w, "[", 1);
    w->comma = false;
}

void wm_json_end_array(wm_json_writer *w) {
    put(w, "]", 1);
    w->comma = true;
}

void wm_json_begin_object(wm_json_writer *w) {
    begin_value(w);
    put(w, "{", 1);
    w->comma = false;
}

void wm_json_end_object(wm_json_writer *w) {
    put(w, "}", 1);
    w->comma = true;
}

void wm_json_put_name(wm_json_writer *w, wm_str name) {
    begin_value(w);
    put_string(w, name);
    put(w, ":", 1);
    w->comma = false;
}

void wm_json_put_null(wm_json_writer *w) {
    put_value(w, "null", 4);
}

void wm_json_put_boolean(wm_json_writer *w, bool value) {
    put_value(w, value ? "true" : "false", value ? 4 : 5);
}

void wm_json_put_s64(wm_json_writer *w, int64_t value) {
    char text[24];
    put_value(w, text, (size_t)snprintf(text, sizeof text, "%lld", (long long)value));
}

/* The fewest digits that read as `value` again, and the exponent of the first one. */
static int shortest(double value, char digits[20], int *exponent) {
    char text[40];
    for (int precision = 0; precision < 17; precision++) {
        snprintf(text, sizeof text, "%.*e", precision, value);
        if (strtod(text, NULL) == value)
            break;
    }
    int count = 0;
    const char *at = text;
    for (; *at != 'e'; at++)
        if (*at != '.')
            digits[count++] = *at;
    *exponent = atoi(at + 1);
    while (count > 1 && digits[count - 1] == '0')
        count--;
    return count;
}

/* The layout: decimals from 1e-5 up to 1e16, an exponent beyond. */
void wm_json_put_f64(wm_json_writer *w, double value) {
    if (!isfinite(value)) {
        wm_json_put_null(w);
        return;
    }
    begin_value(w);
    if (signbit(value))
        put(w, "-", 1);
    char digits[20], text[8];
    int exponent;
    const int count = value == 0 ? (digits[0] = '0', exponent = 0, 1) : shortest(fabs(value), digits, &exponent);
    if (exponent < -5 || exponent >= 16) {
        put(w, digits, 1);
        if (count > 1) {
            put(w, ".", 1);
            put(w, digits + 1, (size_t)count - 1);
        }
        put(w, text, (size_t)snprintf(text, sizeof text, "e%d", exponent));
        return;
    }
    static const char zeros[] = "0000000000000000";
    const int before = exponent >= 0 ? exponent + 1 : 0; /* Digits before the point. */
    if (before == 0) {
        put(w, "0.", 2);
        put(w, zeros, (size_t)(-exponent - 1));
        put(w, digits, (size_t)count);
    } else if (count <= before) {
        put(w, digits, (size_t)count);
        put(w, zeros, (size_t)(before - count));
        put(w, ".0", 2);
    } else {
        put(w, digits, (size_t)before);
        put(w, ".", 1);
        put(w, digits + before, (size_t)(count - before));
    }
}

void wm_json_put_text(wm_json_writer *w, wm_str text) {
    begin_value(w);
    put_string(w, text);
}

void wm_json_put_format(wm_json_writer *w, const char *format, ...) {
    va_list args;
    va_start(args, format);
    wm_json_put_text(w, wm_format_args(format, args));
    va_end(args);
}

void wm_json_put_raw(wm_json_writer *w, wm_str json) {
    put_value(w, json.ptr, json.len);
}
