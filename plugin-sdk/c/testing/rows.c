/* Records for a test, and the columns that the host would make of them. */
#include "driver.h"

static const char *const kinds[] = {"s64", "f64", "boolean", "text", "bytes", "json"};

/* One value of a record. */
typedef struct cell {
    bool null;
    int64_t s64;
    double f64;
    wm_str text;
} cell;

static cell null_cell(void) {
    return (cell){.null = true, .text = WM_STR("")};
}

static cell text_cell(wm_str text) {
    return wm_is_null(text) ? null_cell() : (cell){.text = text};
}

/* The value at a path of names joined by dots. */
static const wm_json *at_path(const wm_json *value, wm_str path) {
    while (value && path.len) {
        const char *dot = memchr(path.ptr, '.', path.len);
        const size_t len = dot ? (size_t)(dot - path.ptr) : path.len;
        value = wm_json_get(value, wm_format("%.*s", (int)len, path.ptr).ptr);
        path = wm_slice(path, dot ? len + 1 : len, path.len);
    }
    return value;
}

static wm_str compact(const wm_json *json) {
    wm_json_writer writer = {0};
    write_compact(json, &writer);
    return wm_json_done(&writer);
}

/* The value as one of this kind; null where it is none. */
static cell json_cell(const wm_json *json, uint8_t kind) {
    if (!json || json->kind == WM_JSON_NULL)
        return null_cell();
    const bool number = json->kind == WM_JSON_S64 || json->kind == WM_JSON_F64;
    const bool fits[] = {json->kind == WM_JSON_S64,  number, json->kind == WM_JSON_BOOLEAN, json->kind == WM_JSON_TEXT,
                         json->kind == WM_JSON_TEXT, true};
    if (!fits[kind])
        return null_cell();
    cell value = {.s64 = json->kind == WM_JSON_BOOLEAN ? json->boolean : json->s64, .f64 = json->f64, .text = json->text};
    if (kind == WM_JSON)
        value.text = compact(json);
    else if (wm_is_null(value.text))
        value.text = WM_STR("");
    return value;
}

static cell cell_of(const sent *row, const wm_field *field) {
    const wm_test_row *of = &row->row;
    switch (field->slot) {
    case WM_SLOT_FIELD:
        return json_cell(at_path(row->json, field->name), field->kind);
    case WM_SLOT_VALUE:
        return text_cell(of->value ? wm_str_of(of->value) : of->bytes);
    case WM_SLOT_KEY:
        return text_cell(row->key);
    case WM_SLOT_TIME:
        return (cell){.s64 = of->time, .text = WM_STR("")};
    case WM_SLOT_HEADER:
        return of->header && wm_equal(wm_str_of(of->header), field->name) ? text_cell(of->header_value) : null_cell();
    case WM_SLOT_TOPIC:
        return text_cell(wm_str_of(of->topic ? of->topic : ""));
    case WM_SLOT_PARTITION:
        return (cell){.s64 = of->partition, .text = WM_STR("")};
    case WM_SLOT_OFFSET:
        return (cell){.s64 = of->offset, .text = WM_STR("")};
    default:
        return null_cell();
    }
}

wm_str row_misfit(const sent *row, const wm_field *fields, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const wm_field *field = &fields[i];
        if (!field->required || field->slot != WM_SLOT_FIELD)
            continue;
        const wm_json *found = at_path(row->json, field->name);
        const char *kind = kinds[field->kind];
        if (!row->json && !row->row.value && wm_is_null(row->row.bytes))
            return wm_format("field `%.*s` is missing: the record is a tombstone, expected %s", WM_ARG(field->name), kind);
        if (!found)
            return wm_format("field `%.*s` is missing", WM_ARG(field->name));
        if (json_cell(found, field->kind).null) {
            const wm_str text = compact(found);
            return wm_format("field `%.*s` is %.*s%s, expected %s", WM_ARG(field->name), text.len > 80 ? 80 : (int)text.len, text.ptr,
                             text.len > 80 ? "..." : "", kind);
        }
    }
    return (wm_str){NULL, 0};
}

static wm_column column_of(uint8_t kind, const cell *cells, size_t count) {
    wm_column column = {.kind = kind};
    uint8_t *nulls = wm_alloc(count + 1);
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += cells[i].text.len;
        nulls[i] = cells[i].null;
        column.null_count = column.null_count || cells[i].null ? count : 0;
    }
    column.nulls = nulls;
    int64_t *s64 = wm_alloc((count + 1) * sizeof *s64);
    double *f64 = wm_alloc((count + 1) * sizeof *f64);
    uint8_t *booleans = wm_alloc(count + 1);
    uint32_t *offsets = wm_alloc((count + 1) * sizeof *offsets);
    char *data = wm_alloc(bytes + 1);
    for (size_t i = 0; i < count; i++) {
        s64[i] = cells[i].s64;
        f64[i] = cells[i].f64;
        booleans[i] = cells[i].s64 != 0;
        memcpy(data + offsets[i], cells[i].text.ptr, cells[i].text.len);
        offsets[i + 1] = offsets[i] + (uint32_t)cells[i].text.len;
    }
    if (kind >= WM_TEXT) {
        column.values.strings = (wm_strings){offsets, count + 1, data, bytes};
        return column;
    }
    column.values.list.ptr = kind == WM_S64 ? (void *)s64 : kind == WM_F64 ? (void *)f64 : (void *)booleans;
    column.values.list.len = count;
    return column;
}

wm_batch rows_batch(const sent *const *rows, size_t count, int64_t watermark) {
    size_t field_count;
    const wm_field *fields = wm_plugin_reads(&field_count);
    wm_column *columns = wm_alloc(field_count * sizeof *columns + 1);
    cell *cells = wm_alloc(count * sizeof *cells + 1);
    for (size_t f = 0; f < field_count; f++) {
        for (size_t i = 0; i < count; i++)
            cells[i] = cell_of(rows[i], &fields[f]);
        columns[f] = column_of(fields[f].kind, cells, count);
    }
    return (wm_batch){(uint32_t)count, columns, field_count, watermark};
}

wm_batch key_batch(wm_str key, int64_t time, int64_t start, int64_t end, int64_t watermark) {
    size_t field_count;
    const wm_field *fields = wm_plugin_reads(&field_count);
    wm_column *columns = wm_alloc(field_count * sizeof *columns + 1);
    for (size_t f = 0; f < field_count; f++) {
        cell value = null_cell();
        const uint8_t slot = fields[f].slot;
        if (slot == WM_SLOT_KEY)
            value = text_cell(key);
        if (slot == WM_SLOT_TIME || slot == WM_SLOT_WINDOW_START || slot == WM_SLOT_WINDOW_END)
            value = (cell){.s64 = slot == WM_SLOT_TIME ? time : slot == WM_SLOT_WINDOW_START ? start : end, .text = WM_STR("")};
        columns[f] = column_of(fields[f].kind, &value, 1);
    }
    return (wm_batch){1, columns, field_count, watermark};
}

wm_column bytes_column(const wm_str *strings, size_t count) {
    cell *cells = wm_alloc(count * sizeof *cells + 1);
    for (size_t i = 0; i < count; i++)
        cells[i] = text_cell(strings[i]);
    return column_of(WM_BYTES, cells, count);
}
