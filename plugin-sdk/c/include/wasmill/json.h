/* JSON, read and written: for `json` fields, and for what the library keeps as JSON.
 *
 *     wm_str why;
 *     const wm_json *tags = wm_json_parse(t->tags, &why);
 *     for (const wm_json *tag = wm_json_first(tags); tag; tag = tag->next) ...
 *
 *     wm_json_writer w = {0};
 *     wm_json_begin_array(&w);
 *     wm_json_put_text(&w, WM_STR("High amount"));
 *     wm_json_end_array(&w);
 *     WM_EMIT(out, alert, .alerts = wm_json_done(&w)); */
#ifndef WASMILL_JSON_H
#define WASMILL_JSON_H

#include <wasmill/text.h>

/* Arrays and objects in each other, at most. */
#define WM_JSON_DEPTH_MAX 64

typedef enum wm_json_kind {
    WM_JSON_NULL,
    WM_JSON_BOOLEAN,
    WM_JSON_S64, /* A number without a fraction or an exponent that 64 bits hold. */
    WM_JSON_F64, /* Any other number. */
    WM_JSON_TEXT,
    WM_JSON_ARRAY,
    WM_JSON_OBJECT,
} wm_json_kind;

/* A value. It stays until the call is answered. */
typedef struct wm_json {
    wm_json_kind kind;
    bool boolean;
    int64_t s64;
    double f64;                  /* Of both kinds of numbers. */
    wm_str text;                 /* Without quotes and escapes. */
    wm_str name;                 /* Of a member of an object. */
    wm_str raw;                  /* As it was written. */
    const struct wm_json *first; /* The first item or member. */
    const struct wm_json *next;  /* The next one beside it. */
    size_t count;                /* Items or members. */
} wm_json;

/* The value that `text` is. NULL, and in `why` what is wrong with it and at which byte, when it is no JSON. */
const wm_json *wm_json_parse(wm_str text, wm_str *why);

/* The member of an object, or NULL when there is none or `value` is no object (or NULL). Of several of one name, the last. */
const wm_json *wm_json_get(const wm_json *value, const char *name);

/* The first item or member, or NULL. */
static inline const wm_json *wm_json_first(const wm_json *value) {
    return value ? value->first : NULL;
}

/* What a value is, for a message: "integer `7`", "string \"a\"". */
wm_str wm_json_describe(const wm_json *value);

/* JSON text that grows. Begins as {0}. Commas are written where they are needed. */
typedef struct wm_json_writer {
    char *ptr;
    size_t len, max;
    bool comma; /* Whether the next value needs one before it. */
} wm_json_writer;

void wm_json_begin_array(wm_json_writer *writer);
void wm_json_end_array(wm_json_writer *writer);
void wm_json_begin_object(wm_json_writer *writer);
void wm_json_end_object(wm_json_writer *writer);

/* The name of the member whose value is put next. */
void wm_json_put_name(wm_json_writer *writer, wm_str name);

void wm_json_put_null(wm_json_writer *writer);
void wm_json_put_boolean(wm_json_writer *writer, bool value);
void wm_json_put_s64(wm_json_writer *writer, int64_t value);
/* The shortest decimal that reads as `value` again; null for NaN and infinities, which JSON has not. */
void wm_json_put_f64(wm_json_writer *writer, double value);
/* Must be UTF-8. */
void wm_json_put_text(wm_json_writer *writer, wm_str text);
/* A text, formatted as printf does. */
__attribute__((format(printf, 2, 3))) void wm_json_put_format(wm_json_writer *writer, const char *format, ...);
/* JSON text, as it is. */
void wm_json_put_raw(wm_json_writer *writer, wm_str json);

/* What was written. */
static inline wm_str wm_json_done(const wm_json_writer *writer) {
    return (wm_str){writer->ptr, writer->len};
}

#endif
