/* Calls the plugin as the host does, over the records that were sent. */
#include "driver.h"

#define NO_WATERMARK INT64_MIN

static sent *records;
static size_t record_count, record_max;
static const char *key_field;
static int64_t watermark;
static bool opened;

void driver_reset(void) {
    records = NULL;
    record_count = record_max = 0;
    key_field = NULL;
    kept_reset();
    watermark = NO_WATERMARK;
    opened = false;
    call_guard = NULL;
}

const char *wm_test_config_error(const char *config) {
    const wm_str error = wm_plugin_open(wm_str_of(config));
    opened = wm_is_null(error);
    return opened ? NULL : error.ptr;
}

void wm_test_open(const char *config) {
    const char *error = wm_test_config_error(config);
    if (error)
        test_fail("the plugin refuses its configuration: %s", error);
}

void wm_test_key(const char *field) {
    key_field = field;
}

void wm_test_send_one(wm_test_row row) {
    if (record_count == record_max) {
        record_max = record_max ? 2 * record_max : 16;
        records = wm_grow(records, record_count * sizeof *records, record_max * sizeof *records);
    }
    sent *record = &records[record_count++];
    *record = (sent){.row = row, .json = row.value ? wm_json_parse(wm_str_of(row.value), NULL) : NULL};
    record->key = row.key ? wm_str_of(row.key) : (wm_str){NULL, 0};
    const wm_json *key = key_field && !row.key ? wm_json_get(record->json, key_field) : NULL;
    if (key && key->kind != WM_JSON_NULL)
        record->key = key->kind == WM_JSON_TEXT ? key->text : key->raw;
}

void wm_test_send(const char *value) {
    wm_test_send_one((wm_test_row){.value = value});
}

/* Runs `call`; its error, or what a WM_FAIL said, or null. */
static wm_str guarded(wm_str (*call)(void *), void *with) {
    jmp_buf guard;
    if (!opened)
        test_fail("the plugin is not open: call wm_test_open first");
    call_guard = &guard;
    wm_str error;
    if (setjmp(guard))
        error = call_failure;
    else
        error = call(with);
    call_guard = NULL;
    return error;
}

static void must(wm_str error) {
    if (!wm_is_null(error))
        test_fail("the plugin failed the call: %.*s", WM_ARG(error));
}

/* The records that fit, with their indexes; the others are rejects. */
static size_t admit(const sent **fitting, size_t *indexes, lines *rejects) {
    size_t field_count, count = 0;
    const wm_field *fields = wm_plugin_reads(&field_count);
    for (size_t i = 0; i < record_count; i++) {
        const wm_str why = row_misfit(&records[i], fields, field_count);
        if (!wm_is_null(why)) {
            lines_add(rejects, "reject %zu: %.*s", i, WM_ARG(why));
            continue;
        }
        fitting[count] = &records[i];
        indexes[count++] = i;
    }
    return count;
}

/* A call that is made under a guard. */
typedef struct call {
    wm_batch batch;
    wm_groups groups;
    uint32_t id;
    wm_produced produced;
    wm_keyed_output keyed;
    wm_strings left, right, strings;
} call;

static wm_str call_transform(void *with) {
    call *c = with;
    return wm_run_transform(&c->batch, &c->produced);
}

static wm_str call_keyed(void *with) {
    call *c = with;
    return wm_run_keyed(&c->batch, &c->groups, &c->keyed);
}

static wm_str call_timers(void *with) {
    call *c = with;
    return wm_run_timers(&c->batch, &c->id, 1, &c->groups, &c->keyed);
}

static wm_str call_add(void *with) {
    call *c = with;
    const wm_str none = {NULL, 0};
    const wm_column fresh = bytes_column(&none, 1);
    const uint32_t bounds[] = {0, c->batch.rows};
    return wm_run_add(&c->batch, bounds, 2, &fresh, &c->strings);
}

static wm_str call_merge(void *with) {
    call *c = with;
    return wm_run_merge(c->left, c->right, &c->strings);
}

static wm_str call_finish(void *with) {
    call *c = with;
    return wm_run_finish(&c->batch, c->left, &c->produced);
}

/* The records in the order of their keys, and where each key's begin; the keys. */
static size_t group(const sent **rows, size_t *indexes, size_t count, uint32_t *bounds, wm_str *keys) {
    for (size_t i = 1; i < count; i++) /* Stable, so that a key's records keep their order. */
        for (size_t j = i; j && compare_texts(rows[j - 1]->key, rows[j]->key) > 0; j--) {
            const sent *row = rows[j];
            const size_t index = indexes[j];
            rows[j] = rows[j - 1], indexes[j] = indexes[j - 1];
            rows[j - 1] = row, indexes[j - 1] = index;
        }
    size_t groups = 0;
    for (size_t i = 0; i < count; i++)
        if (i == 0 || compare_texts(rows[i - 1]->key, rows[i]->key) != 0) {
            keys[groups] = wm_is_null(rows[i]->key) ? WM_STR("") : rows[i]->key;
            bounds[groups++] = (uint32_t)i;
        }
    bounds[groups] = (uint32_t)count;
    return groups;
}

/* Hands over what was sent. */
static wm_str hand_over(lines *answer) {
    const sent **fitting = wm_alloc(record_count * sizeof *fitting + 1);
    size_t *indexes = wm_alloc(record_count * sizeof *indexes + 1);
    lines rejects = {{NULL, 0}};
    const size_t count = admit(fitting, indexes, &rejects);
    call c = {0};
    wm_str error;
    if (wm_the_plugin.kind == WM_IS_KEYED) {
        uint32_t *bounds = wm_alloc((count + 1) * sizeof *bounds);
        wm_str *keys = wm_alloc(count * sizeof *keys + 1), *before = wm_alloc(count * sizeof *before + 1);
        const size_t groups = group(fitting, indexes, count, bounds, keys);
        for (size_t i = 0; i < groups; i++)
            before[i] = kept_state(keys[i]);
        c.batch = rows_batch(fitting, count, watermark);
        c.groups = (wm_groups){bounds, groups + 1, bytes_column(before, groups)};
        error = guarded(call_keyed, &c);
        if (wm_is_null(error))
            kept_apply(&c.keyed, keys, groups);
        c.produced = c.keyed.output;
    } else {
        c.batch = rows_batch(fitting, count, watermark);
        error = guarded(call_transform, &c);
    }
    if (wm_is_null(error)) {
        print_produced(&c.produced, indexes, records, answer, &rejects);
        if (rejects.text.len)
            lines_add(answer, "%.*s", WM_ARG(rejects.text));
        print_caught(answer);
    }
    records = NULL;
    record_count = record_max = 0;
    return error;
}

const char *wm_test_run(void) {
    lines answer = {{NULL, 0}};
    if (wm_the_plugin.kind == WM_IS_AGGREGATE)
        test_fail("an aggregate is run with wm_test_fold");
    must(hand_over(&answer));
    return lines_text(&answer);
}

const char *wm_test_failure(void) {
    lines answer = {{NULL, 0}};
    const wm_str error = hand_over(&answer);
    if (wm_is_null(error))
        test_fail("the plugin did not fail the call: %s", lines_text(&answer));
    return error.ptr;
}

const char *wm_test_advance(int64_t to) {
    lines answer = {{NULL, 0}}, rejects = {{NULL, 0}};
    watermark = to;
    for (wm_timer fired; kept_fire(watermark, &fired);) {
        const wm_str state = kept_state(fired.key);
        static const uint32_t bounds[] = {0, 1};
        call c = {.id = fired.id, .batch = key_batch(fired.key, fired.at, 0, 0, watermark)};
        c.groups = (wm_groups){bounds, 2, bytes_column(&state, 1)};
        must(guarded(call_timers, &c));
        kept_apply(&c.keyed, &fired.key, 1);
        print_produced(&c.keyed.output, NULL, NULL, &answer, &rejects);
    }
    if (rejects.text.len)
        lines_add(&answer, "%.*s", WM_ARG(rejects.text));
    print_caught(&answer);
    return lines_text(&answer);
}

static wm_strings folded(const sent *const *rows, size_t count) {
    call c = {.batch = rows_batch(rows, count, NO_WATERMARK)};
    must(guarded(call_add, &c));
    return c.strings;
}

static lines finished(wm_str key, int64_t start, int64_t end, wm_strings accumulator, lines *rejects) {
    lines rows = {{NULL, 0}};
    call c = {.batch = key_batch(key, 0, start, end, end), .left = accumulator};
    must(guarded(call_finish, &c));
    print_produced(&c.produced, NULL, NULL, &rows, rejects);
    return rows;
}

const char *wm_test_fold(const char *key, int64_t start, int64_t end) {
    const sent **fitting = wm_alloc(record_count * sizeof *fitting + 1);
    size_t *indexes = wm_alloc(record_count * sizeof *indexes + 1);
    lines rejects = {{NULL, 0}}, ignored = {{NULL, 0}};
    const size_t count = admit(fitting, indexes, &rejects);
    lines rows = finished(wm_str_of(key), start, end, folded(fitting, count), &rejects);
    for (size_t cut = 1; cut < count; cut++) {
        call c = {.left = folded(fitting, cut), .right = folded(fitting + cut, count - cut)};
        must(guarded(call_merge, &c));
        const lines other = finished(wm_str_of(key), start, end, c.strings, &ignored);
        if (!wm_equal(other.text, rows.text))
            test_fail("records %zu.. merged after those before give another result:\n%s\ninstead of\n%s", cut,
                      lines_text(&other), lines_text(&rows));
    }
    if (rejects.text.len)
        lines_add(&rows, "%.*s", WM_ARG(rejects.text));
    print_caught(&rows);
    records = NULL;
    record_count = record_max = 0;
    return lines_text(&rows);
}
