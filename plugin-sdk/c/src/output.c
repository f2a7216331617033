/* The tables of a call's output, growing and taken back. */
#include "sdk.h"

#define ROWS_MIN 16

/* What a column of strings begins with: most batches fit, and a column that is not used costs nothing. */
#define FIRST_BYTES ((size_t)16 << 10)

static char nothing[1];

static const wm_port_spec *spec_of(const wm_port *port) {
    return &wm_the_plugin.ports[port->number];
}

static bool is_strings(uint8_t kind) {
    return kind >= WM_TEXT;
}

/* Bytes of one value, or of one offset. */
static size_t width(uint8_t kind) {
    return is_strings(kind) ? sizeof(uint32_t) : kind == WM_BOOLEAN ? 1 : 8;
}

void wm_out_begin(wm_out *out, uint32_t rows) {
    const size_t count = wm_the_plugin.port_count;
    *out = (wm_out){.rows = rows, .ports = wm_alloc(count * sizeof(wm_port))};
    for (size_t i = 0; i < count; i++)
        out->ports[i].number = (uint32_t)i;
}

/* The columns that were built, as the boundary has them. */
static wm_column *finished(const wm_port *port, size_t *count) {
    const wm_port_spec *spec = spec_of(port);
    wm_column *columns = wm_alloc(spec->field_count * sizeof(wm_column));
    for (size_t i = 0; i < spec->field_count; i++) {
        const wm_builder *built = &port->columns[i];
        wm_column *column = &columns[i];
        column->kind = spec->fields[i].kind;
        if (is_strings(column->kind)) {
            column->values.strings = (wm_strings){built->values, port->rows + 1, built->data, built->bytes};
        } else {
            column->values.list.ptr = built->values;
            column->values.list.len = port->rows;
        }
        column->nulls = built->nulls;
        column->null_count = built->nulls ? port->rows : 0;
    }
    *count = spec->field_count;
    return columns;
}

/* Ends the current table. */
static void seal(wm_port *port) {
    if (port->rows) {
        if (port->earlier_count == port->earlier_max) {
            const size_t max = port->earlier_max ? 2 * port->earlier_max : 4;
            port->earlier = wm_grow(port->earlier, port->earlier_count * sizeof(wm_table), max * sizeof(wm_table));
            port->earlier_max = max;
        }
        wm_table table = {.port = port->number, .origins = port->origins, .rows = port->rows};
        if (port->emits) {
            table.sort = WM_COLUMNS;
            table.columns = finished(port, &table.column_count);
        }
        port->earlier[port->earlier_count++] = table;
    }
    port->origins = NULL;
    port->columns = NULL;
    port->rows = port->rows_max = 0;
}

/* Makes the columns as long as `rows_max` says; they have `rows` rows. */
static void grow_columns(wm_port *port) {
    const wm_port_spec *spec = spec_of(port);
    if (!port->columns)
        port->columns = wm_alloc(spec->field_count * sizeof(wm_builder));
    for (size_t i = 0; i < spec->field_count; i++) {
        wm_builder *column = &port->columns[i];
        const uint8_t kind = spec->fields[i].kind;
        const bool first = !column->values;
        const size_t extra = is_strings(kind) ? 1 : 0;
        const size_t used = first ? 0 : port->rows + extra;
        column->values = wm_grow(column->values, used * width(kind), (port->rows_max + extra) * width(kind));
        if (first && extra) {
            *(uint32_t *)column->values = 0;
            column->data = nothing; /* A place to copy no bytes to. */
        }
        if (column->nulls) {
            column->nulls = wm_grow(column->nulls, port->rows, port->rows_max);
            memset(column->nulls + port->rows, 0, port->rows_max - port->rows);
        }
    }
}

void wm_make_room_(wm_out *out, wm_port *port, bool emits) {
    if (port->emits != emits) {
        seal(port);
        port->emits = emits;
    }
    if (port->rows < port->rows_max)
        return;
    const size_t first = out->rows > ROWS_MIN ? out->rows : ROWS_MIN;
    port->rows_max = port->rows_max ? 2 * port->rows_max : first;
    port->origins = wm_grow(port->origins, port->rows * sizeof(uint32_t), port->rows_max * sizeof(uint32_t));
    if (emits)
        grow_columns(port);
}

void wm_make_bytes_(wm_builder *column, size_t bytes) {
    const size_t needed = column->bytes + bytes;
    if (needed > UINT32_MAX)
        WM_FAIL("a column of %zu bytes is longer than a batch can hold", needed);
    size_t max = column->bytes_max ? 2 * column->bytes_max : FIRST_BYTES;
    max = max > needed ? max : needed;
    column->data = wm_grow(column->data, column->bytes, max);
    column->bytes_max = max;
}

void wm_put_null_(wm_port *port, uint32_t column) {
    wm_builder *to = &port->columns[column];
    if (!to->nulls)
        to->nulls = wm_alloc(port->rows_max);
    to->nulls[port->rows] = 1;
}

/* How many of `rows` rows stay when those at the end that were made from `origin` go. */
static size_t without(const uint32_t *origins, size_t rows, uint32_t origin) {
    while (rows && origins[rows - 1] == origin)
        rows--;
    return rows;
}

static void cut_table(wm_table *table, size_t rows) {
    table->rows = rows;
    for (size_t i = 0; i < table->column_count; i++) {
        wm_column *column = &table->columns[i];
        if (is_strings(column->kind)) {
            column->values.strings.offset_count = rows + 1;
            column->values.strings.bytes = column->values.strings.offsets[rows];
        } else {
            column->values.list.len = rows;
        }
        column->null_count = column->null_count ? rows : 0;
    }
}

/* Takes back the rows at the end that were made from `origin`. */
static void take_back(wm_port *port, uint32_t origin) {
    const size_t rows = without(port->origins, port->rows, origin);
    const wm_port_spec *spec = spec_of(port);
    for (size_t i = 0; port->emits && port->columns && i < spec->field_count; i++) {
        wm_builder *column = &port->columns[i];
        if (column->nulls)
            memset(column->nulls + rows, 0, port->rows - rows);
        if (is_strings(spec->fields[i].kind))
            column->bytes = ((uint32_t *)column->values)[rows];
    }
    port->rows = rows;
    /* The record may have changed the table: what was made from it before then ends an earlier one. */
    while (port->rows == 0 && port->earlier_count) {
        wm_table *last = &port->earlier[port->earlier_count - 1];
        cut_table(last, without(last->origins, last->rows, origin));
        if (last->rows)
            return;
        port->earlier_count--;
    }
}

void wm_reject(wm_out *out, const char *reason, ...) {
    for (size_t i = 0; i < wm_the_plugin.port_count; i++)
        take_back(&out->ports[i], out->row);
    if (out->key)
        wm_forget_timers(out->key);
    if (out->reject_count && out->rejects[out->reject_count - 1].row == out->row)
        return;
    if (out->reject_count == out->reject_max) {
        const size_t max = out->reject_max ? 2 * out->reject_max : ROWS_MIN;
        out->rejects = wm_grow(out->rejects, out->reject_count * sizeof(wm_rejected), max * sizeof(wm_rejected));
        out->reject_max = max;
    }
    va_list args;
    va_start(args, reason);
    const wm_str text = wm_format_args(reason, args);
    va_end(args);
    out->rejects[out->reject_count++] =
        (wm_rejected){out->row, wm_is_utf8(text) ? text : WM_STR("refused, with a reason that is not UTF-8")};
}

wm_produced wm_out_end(wm_out *out) {
    size_t count = 0;
    for (size_t i = 0; i < wm_the_plugin.port_count; i++) {
        seal(&out->ports[i]);
        count += out->ports[i].earlier_count;
    }
    wm_table *tables = wm_alloc(count * sizeof(wm_table));
    for (size_t i = 0, at = 0; i < wm_the_plugin.port_count; i++) {
        const wm_port *port = &out->ports[i];
        if (port->earlier_count)
            memcpy(tables + at, port->earlier, port->earlier_count * sizeof(wm_table));
        at += port->earlier_count;
    }
    return (wm_produced){tables, count, out->rejects, out->reject_count};
}

bool wm_out_passed(const wm_out *out) {
    for (size_t i = 0; i < wm_the_plugin.port_count; i++) {
        const wm_port *port = &out->ports[i];
        if (port->rows && !port->emits)
            return true;
        for (size_t t = 0; t < port->earlier_count; t++)
            if (port->earlier[t].sort == WM_UNCHANGED)
                return true;
    }
    return false;
}
