/* What lies at the boundary, in the layout that it has there: for the macros and the library, never for a rule. */
#ifndef WASMILL_WIRE_H
#define WASMILL_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <wasmill/text.h>

#define WM_ALWAYS static inline __attribute__((always_inline, unused))
#define WM_APART __attribute__((noinline)) /* A loop that keeps its registers to itself. */

/* A field's kind; the number is also the case of the values of its column. */
enum { WM_S64, WM_F64, WM_BOOLEAN, WM_TEXT, WM_BYTES, WM_JSON };

/* Where a field's values come from, or go to. */
enum {
    WM_SLOT_FIELD,
    WM_SLOT_VALUE,
    WM_SLOT_KEY,
    WM_SLOT_TIME,
    WM_SLOT_HEADER,
    WM_SLOT_TOPIC,
    WM_SLOT_PARTITION,
    WM_SLOT_OFFSET,
    WM_SLOT_WINDOW_START,
    WM_SLOT_WINDOW_END,
};

typedef struct wm_field {
    uint8_t slot;
    wm_str name; /* Of a field or a header. */
    uint8_t kind;
    bool required;
} wm_field;

/* `n` strings end to end: string `i` is `data[offsets[i]..offsets[i + 1]]`. */
typedef struct wm_strings {
    const uint32_t *offsets;
    size_t offset_count; /* n + 1 */
    const char *data;
    size_t bytes;
} wm_strings;

typedef struct wm_column {
    uint8_t kind;
    union {
        struct {
            const void *ptr;
            size_t len;
        } list;
        wm_strings strings; /* Of text, bytes and json. */
    } values;
    const uint8_t *nulls; /* One byte a row, 1 for null. */
    size_t null_count;    /* 0 when no row is null. */
} wm_column;

/* Records, or what stands for them: keys whose timers are due, windows that are finished. */
typedef struct wm_batch {
    uint32_t rows;
    const wm_column *columns;
    size_t column_count;
    int64_t watermark;
} wm_batch;

typedef struct wm_table {
    uint32_t port;
    const uint32_t *origins;
    size_t rows;
    uint8_t sort; /* One of the two below. */
    wm_column *columns;
    size_t column_count;
} wm_table;

enum { WM_UNCHANGED, WM_COLUMNS };

typedef struct wm_rejected {
    uint32_t row;
    wm_str reason;
} wm_rejected;

typedef struct wm_produced {
    const wm_table *tables;
    size_t table_count;
    const wm_rejected *rejects;
    size_t reject_count;
} wm_produced;

typedef struct wm_groups {
    const uint32_t *bounds;
    size_t bound_count; /* groups + 1 */
    wm_column states;
} wm_groups;

typedef struct wm_timer_change {
    uint32_t group;
    uint32_t id;
    bool set; /* Otherwise the timer is cancelled. */
    int64_t at;
} wm_timer_change;

typedef struct wm_keyed_output {
    wm_produced output;
    wm_column states;
    const wm_timer_change *timers;
    size_t timer_count;
} wm_keyed_output;

typedef struct wm_port_spec {
    wm_str name;
    const wm_field *fields;
    size_t field_count;
} wm_port_spec;

#ifdef __wasm__
_Static_assert(sizeof(wm_field) == 16 && sizeof(wm_column) == 28 && sizeof(wm_table) == 24, "layout of the boundary");
_Static_assert(sizeof(wm_batch) == 24 && sizeof(wm_produced) == 16 && sizeof(wm_groups) == 36, "layout of the boundary");
_Static_assert(sizeof(wm_timer_change) == 24 && sizeof(wm_keyed_output) == 52, "layout of the boundary");
#endif

#endif
