/* What the files of the test driver have of each other. */
#ifndef WASMILL_DRIVER_H
#define WASMILL_DRIVER_H

#include "../src/sdk.h"
#include <setjmp.h>
#include <wasmill_test.h>

/* Text that grows, line by line. */
typedef struct lines {
    wm_str text;
} lines;

void lines_add(lines *to, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *lines_text(const lines *from);

/* A record that was sent. */
typedef struct sent {
    wm_test_row row;
    const wm_json *json; /* NULL when the value is none. */
    wm_str key;
} sent;

/* Why the host would dead-letter the record before a plugin that reads `fields` sees it; null when it would not. */
wm_str row_misfit(const sent *row, const wm_field *fields, size_t count);

/* The columns of `fields` for these records, which all fit. */
wm_batch rows_batch(const sent *const *rows, size_t count, int64_t watermark);

/* One row that stands for a key and two times: of a timer or a window. */
wm_batch key_batch(wm_str key, int64_t time, int64_t start, int64_t end, int64_t watermark);

/* A column of bytes with `count` strings, null where the place is NULL. */
wm_column bytes_column(const wm_str *strings, size_t count);

/* The value as JSON without spaces. */
void write_compact(const wm_json *json, wm_json_writer *writer);

/* Adds the rows and the rejects; origin `i` is record `indexes[i]` of `records`, which may be NULL when no rows stand for records. */
void print_produced(const wm_produced *produced, const size_t *indexes, const sent *records, lines *rows, lines *rejects);

/* Fails the test at hand. */
_Noreturn void test_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What was logged and counted since the last look. */
void print_caught(lines *to);

/* Where a WM_FAIL of the call at hand goes, with its message in `call_failure`. */
extern jmp_buf *call_guard;
extern wm_str call_failure;

/* The order of keys. */
int compare_texts(wm_str a, wm_str b);

/* Forgets all states and timers. */
void kept_reset(void);

/* A key's state as it is stored; null when it has none. */
wm_str kept_state(wm_str key);

/* Applies what a keyed call answered for its groups. */
void kept_apply(const wm_keyed_output *output, const wm_str *keys, size_t groups);

/* Takes the first timer that `watermark` has passed, if there is one. */
bool kept_fire(int64_t watermark, wm_timer *fired);

/* Begins a test: nothing sent, no state, no timers. */
void driver_reset(void);

#endif
