/* What a plugin answered, as lines. */
#include "driver.h"

void lines_add(lines *to, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const wm_str line = wm_format_args(format, args);
    va_end(args);
    to->text = to->text.len ? wm_format("%.*s\n%.*s", WM_ARG(to->text), WM_ARG(line)) : line;
}

const char *lines_text(const lines *from) {
    return from->text.ptr ? from->text.ptr : "";
}

void write_compact(const wm_json *json, wm_json_writer *writer) {
    const bool object = json->kind == WM_JSON_OBJECT;
    if (json->kind == WM_JSON_TEXT) {
        wm_json_put_text(writer, json->text);
        return;
    }
    if (json->kind != WM_JSON_ARRAY && !object) {
        wm_json_put_raw(writer, json->raw);
        return;
    }
    (object ? wm_json_begin_object : wm_json_begin_array)(writer);
    for (const wm_json *item = json->first; item; item = item->next) {
        if (object)
            wm_json_put_name(writer, item->name);
        write_compact(item, writer);
    }
    (object ? wm_json_end_object : wm_json_end_array)(writer);
}

/* The value of row `row` as JSON. */
static void write_value(const wm_column *column, size_t row, wm_json_writer *writer) {
    if (column->null_count && column->nulls[row]) {
        wm_json_put_null(writer);
        return;
    }
    const void *values = column->values.list.ptr;
    switch (column->kind) {
    case WM_S64:
        wm_json_put_s64(writer, ((const int64_t *)values)[row]);
        return;
    case WM_F64:
        wm_json_put_f64(writer, ((const double *)values)[row]);
        return;
    case WM_BOOLEAN:
        wm_json_put_boolean(writer, ((const uint8_t *)values)[row] != 0);
        return;
    case WM_JSON:
        wm_json_put_raw(writer, wm_string_at(&column->values.strings, row));
        return;
    default: {
        const wm_str text = wm_string_at(&column->values.strings, row);
        wm_json_put_text(writer, wm_is_utf8(text) ? text : WM_STR("(not UTF-8)"));
    }
    }
}

/* Why the host would refuse the value; the test fails with it. */
static void check_value(const wm_field *field, const wm_column *column, size_t row) {
    if (column->kind != WM_TEXT && column->kind != WM_JSON)
        return;
    if (column->null_count && column->nulls[row])
        return;
    const wm_str text = wm_string_at(&column->values.strings, row);
    wm_str why;
    if (!wm_is_utf8(text))
        test_fail("the host refuses `%.*s`: a text that is not UTF-8", WM_ARG(field->name));
    if (column->kind == WM_JSON && !wm_json_parse(text, &why))
        test_fail("the host refuses `%.*s`: no JSON: %.*s in `%.*s`", WM_ARG(field->name), WM_ARG(why), WM_ARG(text));
}

static void print_row(const wm_table *table, size_t row, lines *to) {
    size_t count;
    const wm_port_spec *port = &wm_plugin_ports(&count)[table->port];
    wm_json_writer json = {0};
    wm_str beside = WM_STR("");
    wm_json_begin_object(&json);
    for (size_t i = 0; i < table->column_count; i++) {
        const wm_field *field = &port->fields[i];
        const wm_column *column = &table->columns[i];
        const bool null = column->null_count && column->nulls[row];
        check_value(field, column, row);
        if (field->slot == WM_SLOT_KEY || field->slot == WM_SLOT_TIME) {
            const wm_str key = field->slot == WM_SLOT_KEY ? wm_string_at(&column->values.strings, row) : WM_STR("");
            const int64_t *times = column->values.list.ptr;
            if (!null)
                beside = field->slot == WM_SLOT_KEY
                             ? wm_format("%.*s key=%.*s", WM_ARG(beside), WM_ARG(key))
                             : wm_format("%.*s time=%lld", WM_ARG(beside), (long long)times[row]);
            continue;
        }
        const wm_str header = wm_format("header %.*s", WM_ARG(field->name));
        wm_json_put_name(&json, field->slot == WM_SLOT_HEADER  ? header
                                : field->slot == WM_SLOT_VALUE ? WM_STR("Value")
                                                               : field->name);
        write_value(column, row, &json);
    }
    wm_json_end_object(&json);
    const wm_str text = wm_json_done(&json);
    lines_add(to, "%.*s%.*s: %.*s", WM_ARG(port->name), WM_ARG(beside), WM_ARG(text));
}

static void print_passed(const wm_table *table, const sent *record, lines *to) {
    size_t count;
    const wm_str name = wm_plugin_ports(&count)[table->port].name;
    wm_json_writer json = {0};
    if (record->json)
        write_compact(record->json, &json);
    else
        wm_json_put_null(&json);
    const wm_str text = wm_json_done(&json);
    lines_add(to, "%.*s: %.*s", WM_ARG(name), WM_ARG(text));
}

void print_produced(const wm_produced *produced, const size_t *indexes, const sent *records, lines *rows, lines *rejects) {
    for (size_t t = 0; t < produced->table_count; t++) {
        const wm_table *table = &produced->tables[t];
        for (size_t row = 0; row < table->rows; row++) {
            if (table->sort == WM_COLUMNS)
                print_row(table, row, rows);
            else
                print_passed(table, &records[indexes[table->origins[row]]], rows);
        }
    }
    for (size_t i = 0; i < produced->reject_count; i++) {
        const wm_rejected *reject = &produced->rejects[i];
        lines_add(rejects, "reject %zu: %.*s", indexes ? indexes[reject->row] : reject->row, WM_ARG(reject->reason));
    }
}
