/* Text and bytes: a place and a length, never ended by a zero. */
#ifndef WASMILL_TEXT_H
#define WASMILL_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* `len` bytes at `ptr`. A `ptr` of NULL is null: a field that the record lacks. An empty text has a place and no length. */
typedef struct wm_str {
    const char *ptr;
    size_t len;
} wm_str;

/* A literal as a text. */
#define WM_STR(literal) ((wm_str){"" literal, sizeof(literal) - 1})

/* What the `%.*s` of a format takes: `wm_format("key %.*s", WM_ARG(key))`. */
#define WM_ARG(text) (int)(text).len, (text).ptr

/* A text from one that ends in a zero. */
static inline wm_str wm_str_of(const char *text) {
    return (wm_str){text, strlen(text)};
}

static inline bool wm_is_null(wm_str text) {
    return text.ptr == NULL;
}

/* Whether both have the same bytes; null is equal to empty. */
static inline bool wm_equal(wm_str a, wm_str b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool wm_starts_with(wm_str text, wm_str head) {
    return text.len >= head.len && (head.len == 0 || memcmp(text.ptr, head.ptr, head.len) == 0);
}

/* Bytes `from..to`, both cut to what there is. */
static inline wm_str wm_slice(wm_str text, size_t from, size_t to) {
    to = to < text.len ? to : text.len;
    from = from < to ? from : to;
    return text.ptr == NULL ? text : (wm_str){text.ptr + from, to - from};
}

/* Whether the bytes are valid UTF-8, as the value of a text field that is emitted must be. */
bool wm_is_utf8(wm_str bytes);

/* A text as printf writes it. It stays until the call is answered. */
__attribute__((format(printf, 1, 2))) wm_str wm_format(const char *format, ...);
wm_str wm_format_args(const char *format, va_list args);

/* `bytes` of zeroed memory for any type. It stays until the call is answered. Running out of memory fails the call. */
void *wm_alloc(size_t bytes);

/* A copy of the text, which stays until the call is answered. */
wm_str wm_copy(wm_str text);

#endif
