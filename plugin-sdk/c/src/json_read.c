/* JSON from its text (RFC 8259): strict, with the limits that wasmill/json.h names. */
#include "sdk.h"
#include <stdlib.h>

typedef struct reader {
    const char *start, *at, *end;
    const char *wrong; /* What is wrong at `at`. */
} reader;

static const wm_json *read_value(reader *r, int depth);

static void *fail(reader *r, const char *what) {
    if (!r->wrong)
        r->wrong = what;
    return NULL;
}

static void skip_space(reader *r) {
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\t' || *r->at == '\r'))
        r->at++;
}

static bool take(reader *r, char byte) {
    skip_space(r);
    if (r->at == r->end || *r->at != byte)
        return false;
    r->at++;
    return true;
}

/* Four digits after `\u`, or -1. */
static int32_t hex4(reader *r) {
    if (r->end - r->at < 4)
        return -1;
    int32_t value = 0;
    for (int i = 0; i < 4; i++) {
        const char c = *r->at++;
        const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

static char *put_character(char *to, uint32_t c) {
    if (c < 0x80) {
        *to++ = (char)c;
    } else if (c < 0x800) {
        *to++ = (char)(0xC0 | c >> 6);
        *to++ = (char)(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        *to++ = (char)(0xE0 | c >> 12);
        *to++ = (char)(0x80 | (c >> 6 & 0x3F));
        *to++ = (char)(0x80 | (c & 0x3F));
    } else {
        *to++ = (char)(0xF0 | c >> 18);
        *to++ = (char)(0x80 | (c >> 12 & 0x3F));
        *to++ = (char)(0x80 | (c >> 6 & 0x3F));
        *to++ = (char)(0x80 | (c & 0x3F));
    }
    return to;
}

/* What stands after a backslash; NULL when nothing may stand there. An escape is never longer than what it says. */
static char *read_escape(reader *r, char *to) {
    static const char names[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
    if (r->at == r->end)
        return NULL;
    const char name = *r->at++;
    const char *known = memchr(names, name, sizeof names - 1);
    if (known) {
        *to++ = means[known - names];
        return to;
    }
    if (name != 'u')
        return NULL;
    int32_t c = hex4(r);
    if (c >= 0xD800 && c < 0xDC00) {
        if (r->end - r->at < 2 || *r->at++ != '\\' || *r->at++ != 'u')
            return NULL;
        const int32_t low = hex4(r);
        if (low < 0xDC00 || low > 0xDFFF)
            return NULL;
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
    } else if (c < 0 || (c >= 0xDC00 && c <= 0xDFFF)) {
        return NULL;
    }
    return put_character(to, (uint32_t)c);
}

/* A string, after its first quote. */
static bool read_string(reader *r, wm_str *text) {
    const char *from = r->at;
    while (r->at < r->end && *r->at != '"' && *r->at != '\\' && (unsigned char)*r->at >= 0x20)
        r->at++;
    if (r->at < r->end && *r->at == '"') { /* Most strings stand in the text as they are. */
        *text = (wm_str){from, (size_t)(r->at++ - from)};
        return wm_is_utf8(*text) || fail(r, "a string that is not UTF-8");
    }
    char *unescaped = wm_take((size_t)(r->end - from) + 1), *to = unescaped;
    memcpy(to, from, (size_t)(r->at - from));
    to += r->at - from;
    while (r->at < r->end && *r->at != '"') {
        if ((unsigned char)*r->at < 0x20)
            return fail(r, "a control character in a string");
        if (*r->at != '\\') {
            *to++ = *r->at++;
            continue;
        }
        r->at++;
        to = read_escape(r, to);
        if (!to)
            return fail(r, "an escape that JSON has not");
    }
    if (r->at == r->end)
        return fail(r, "a string without an end");
    r->at++;
    *text = (wm_str){unescaped, (size_t)(to - unescaped)};
    return wm_is_utf8(*text) || fail(r, "a string that is not UTF-8");
}

static size_t digits(reader *r) {
    const char *from = r->at;
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9')
        r->at++;
    return (size_t)(r->at - from);
}

static bool read_number(reader *r, wm_json *value) {
    const char *from = r->at;
    bool whole = true;
    if (*r->at == '-')
        r->at++;
    const bool zero = r->at < r->end && *r->at == '0';
    const size_t count = digits(r);
    if (count == 0 || (zero && count > 1))
        return fail(r, "no number");
    if (r->at < r->end && *r->at == '.') {
        r->at++;
        whole = false;
        if (!digits(r))
            return fail(r, "no number");
    }
    if (r->at < r->end && (*r->at == 'e' || *r->at == 'E')) {
        r->at++;
        whole = false;
        if (r->at < r->end && (*r->at == '+' || *r->at == '-'))
            r->at++;
        if (!digits(r))
            return fail(r, "no number");
    }
    const size_t len = (size_t)(r->at - from);
    char near[64], *text = len < sizeof near ? near : wm_take(len + 1);
    memcpy(text, from, len);
    text[len] = 0;
    value->f64 = strtod(text, NULL);
    value->kind = WM_JSON_F64;
    if (value->f64 - value->f64 != 0)
        return fail(r, "a number out of range");
    if (!whole)
        return true;
    uint64_t magnitude = 0;
    const bool negative = *text == '-';
    for (const char *at = text + negative; *at; at++) {
        const uint64_t digit = (uint64_t)(*at - '0');
        if (magnitude > (UINT64_MAX - digit) / 10)
            return true;
        magnitude = magnitude * 10 + digit;
    }
    if (magnitude <= (uint64_t)INT64_MAX + negative) {
        value->kind = WM_JSON_S64;
        value->s64 = (int64_t)(negative ? 0 - magnitude : magnitude);
    }
    return true;
}

/* The items of an array or the members of an object, after its opening bracket. */
static bool read_items(reader *r, wm_json *value, int depth) {
    const bool object = value->kind == WM_JSON_OBJECT;
    const char close = object ? '}' : ']';
    const wm_json **last = &value->first;
    if (depth == WM_JSON_DEPTH_MAX)
        return fail(r, "arrays and objects in each other too deep");
    if (take(r, close))
        return true;
    do {
        wm_str name = {NULL, 0};
        if (object && (!take(r, '"') || !read_string(r, &name) || !take(r, ':')))
            return fail(r, "no name and colon");
        const wm_json *item = read_value(r, depth + 1);
        if (!item)
            return false;
        ((wm_json *)item)->name = name;
        *last = item;
        last = &((wm_json *)item)->next;
        value->count++;
    } while (take(r, ','));
    return take(r, close) || fail(r, "no comma and no closing bracket");
}

static bool read_word(reader *r, const char *word) {
    const size_t len = strlen(word);
    if ((size_t)(r->end - r->at) < len || memcmp(r->at, word, len) != 0)
        return fail(r, "no JSON value");
    r->at += len;
    return true;
}

static bool read_kind(reader *r, wm_json *value, int depth) {
    switch (*r->at) {
    case '{':
    case '[':
        value->kind = *r->at++ == '{' ? WM_JSON_OBJECT : WM_JSON_ARRAY;
        return read_items(r, value, depth);
    case '"':
        r->at++;
        value->kind = WM_JSON_TEXT;
        return read_string(r, &value->text);
    case 't':
    case 'f':
        value->kind = WM_JSON_BOOLEAN;
        value->boolean = *r->at == 't';
        return read_word(r, value->boolean ? "true" : "false");
    case 'n':
        return read_word(r, "null");
    default:
        return *r->at == '-' || (*r->at >= '0' && *r->at <= '9') ? read_number(r, value) : (fail(r, "no JSON value"), false);
    }
}

static const wm_json *read_value(reader *r, int depth) {
    skip_space(r);
    if (r->at == r->end)
        return fail(r, "the end, where a value should be");
    wm_json *value = wm_alloc(sizeof *value);
    const char *from = r->at;
    if (!read_kind(r, value, depth))
        return NULL;
    value->raw = (wm_str){from, (size_t)(r->at - from)};
    return value;
}

const wm_json *wm_json_parse(wm_str text, wm_str *why) {
    const char *start = text.ptr ? text.ptr : "";
    reader r = {start, start, start + text.len, NULL};
    const wm_json *value = read_value(&r, 0);
    skip_space(&r);
    if (value && r.at != r.end)
        value = fail(&r, "something after the value");
    if (!value && why)
        *why = wm_format("%s at byte %zu", r.wrong, (size_t)(r.at - r.start));
    return value;
}

const wm_json *wm_json_get(const wm_json *value, const char *name) {
    const wm_json *found = NULL;
    const wm_str wanted = wm_str_of(name);
    for (const wm_json *member = wm_json_first(value); member; member = member->next)
        if (value->kind == WM_JSON_OBJECT && wm_equal(member->name, wanted))
            found = member;
    return found;
}

wm_str wm_json_describe(const wm_json *value) {
    switch (value->kind) {
    case WM_JSON_NULL:
        return WM_STR("null");
    case WM_JSON_BOOLEAN:
        return wm_format("boolean `%s`", value->boolean ? "true" : "false");
    case WM_JSON_S64:
        return wm_format("integer `%.*s`", WM_ARG(value->raw));
    case WM_JSON_F64:
        return wm_format("floating point `%.*s`", WM_ARG(value->raw));
    case WM_JSON_TEXT:
        return wm_format("string %.*s", WM_ARG(value->raw));
    case WM_JSON_ARRAY:
        return WM_STR("sequence");
    default:
        return WM_STR("map");
    }
}
