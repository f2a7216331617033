/* Writing: what a rule says of a record. It emits rows, passes records on as they are, or refuses them.
 *
 *     WM_ROW(alert, text(customer_id), f64(amount), optional(text, note));
 *     WM_PASSED(rest);
 *     WM_PORTS(alert, rest);
 *
 *     WM_EMIT(out, alert, .customer_id = t->customer_id, .amount = t->amount);
 *     wm_pass_to(out, WM_PORT(rest));
 *
 * A row's members become the fields of the output, in this order. The items are those of wasmill/record.h, less topic, partition
 * and offset; a member that is not named in WM_EMIT is 0, an empty text, or null where it is optional. `key` and `time` set the key and
 * the event time, which are those of the origin otherwise; a `key`, `value` or `header` of NULL is null. A text must be valid UTF-8 and a
 * json one JSON value: the host checks them, and what breaks the rule costs the record.
 *
 * The first port is the default output, which a pipeline names by the step (`rules`); the others are side outputs, named by their rows
 * (`rules.rest`). A port of WM_PASSED has no rows: records go through it as they are. */
#ifndef WASMILL_OUTPUT_H
#define WASMILL_OUTPUT_H

#include <wasmill/each.h>
#include <wasmill/log.h>
#include <wasmill/record.h>
#include <wasmill/wire.h>

struct wm_key;

/* A column that grows. */
typedef struct wm_builder {
    void *values; /* Numbers, or the offsets of strings. */
    char *data;
    size_t bytes, bytes_max;
    uint8_t *nulls; /* NULL until a row is null. */
} wm_builder;

/* The rows of one port. Records passed on and rows emitted lie in tables of their own, so a port that mixes the two starts a table at
 * each change. */
typedef struct wm_port {
    uint32_t *origins;
    wm_builder *columns;
    size_t rows, rows_max;
    bool emits; /* The sort of the current table. */
    uint32_t number;
    wm_table *earlier;
    size_t earlier_count, earlier_max;
} wm_port;

/* What a rule answers with. */
typedef struct wm_out {
    uint32_t row; /* The input row that is answered. */
    uint32_t rows;
    wm_port *ports;
    wm_rejected *rejects;
    size_t reject_count, reject_max;
    struct wm_key *key; /* In a keyed rule: its timers are taken back with the row. */
} wm_out;

/* Makes room for a row in the port, in a table of the right sort. */
__attribute__((noinline, cold)) void wm_make_room_(wm_out *out, wm_port *port, bool emits);
__attribute__((noinline, cold)) void wm_make_bytes_(wm_builder *column, size_t bytes);
__attribute__((noinline, cold)) void wm_put_null_(wm_port *port, uint32_t column);

/* The number of a port that WM_PORTS names. */
#define WM_PORT(port) wm_port_number_##port

/* Passes the record on as it is, byte for byte, to the default output. Without a record (a timer, a finished window) there is nothing to
 * pass: the call fails. */
WM_ALWAYS void wm_pass_to(wm_out *out, uint32_t number) {
    wm_port *port = &out->ports[number];
    if (__builtin_expect(port->rows == port->rows_max || port->emits, 0))
        wm_make_room_(out, port, false);
    port->origins[port->rows++] = out->row;
}

WM_ALWAYS void wm_pass(wm_out *out) {
    wm_pass_to(out, 0);
}

/* Refuses the record: it goes to the dead letters with this reason, formatted as printf does. What was emitted for it is taken
 * back, and so are its timers; a record is refused once. State that the rule changed before stays changed. In WM_AGGREGATE's
 * `finish` it refuses the window. The rule should return then. */
__attribute__((format(printf, 2, 3), cold)) void wm_reject(wm_out *out, const char *reason, ...);

/* In a rule over a whole batch: what follows is said of row `row`. Rows are taken in order, each once. */
WM_ALWAYS void wm_row(wm_out *out, uint32_t row) {
    out->row = row;
}

/* Emits a row: `WM_EMIT(out, alert, .amount = 7)`. */
#define WM_EMIT(out, row, ...) row##_emit_((out), WM_PORT(row), (row){__VA_ARGS__})

#define WM_ROW(type_, ...)                                                                                             \
    typedef struct type_ {                                                                                             \
        WM_EACH(WM_MEMBER_, __VA_ARGS__)                                                                               \
    } type_;                                                                                                           \
    static const wm_field type_##_fields_[] = {WM_EACH(WM_READ_, __VA_ARGS__)};                                        \
    enum { type_##_field_count_ = sizeof(type_##_fields_) / sizeof(wm_field) };                                        \
    WM_ALWAYS void type_##_emit_(wm_out *out_, uint32_t number_, type_ row_) {                                         \
        wm_port *port_ = &out_->ports[number_];                                                                        \
        uint32_t column_ = 0;                                                                                          \
        if (__builtin_expect(port_->rows == port_->rows_max || !port_->emits, 0))                                      \
            wm_make_room_(out_, port_, true);                                                                          \
        WM_EACH(WM_PUT_, __VA_ARGS__)                                                                                  \
        (void)column_;                                                                                                 \
        port_->origins[port_->rows++] = out_->row;                                                                     \
    }                                                                                                                  \
    enum { type_##_is_a_row_ }

#define WM_PASSED(port)                                                                                                 \
    static const wm_field port##_fields_[1] = {{0}};                                                                    \
    enum { port##_field_count_ = 0 }

#define WM_PORTS(...)                                                                                                   \
    enum { WM_MAP(WM_PORT_NUMBER_, __VA_ARGS__) };                                                                      \
    static const wm_port_spec wm_ports_[] = {WM_MAP(WM_PORT_SPEC_, __VA_ARGS__)};                                       \
    enum { wm_port_count_ = sizeof(wm_ports_) / sizeof(wm_port_spec) }

#define WM_PORT_NUMBER_(port) wm_port_number_##port,
#define WM_PORT_SPEC_(port) {{#port, sizeof(#port) - 1}, port##_fields_, port##_field_count_},

WM_ALWAYS void wm_put_s64_(wm_port *port, uint32_t column, int64_t value) {
    ((int64_t *)port->columns[column].values)[port->rows] = value;
}

WM_ALWAYS void wm_put_f64_(wm_port *port, uint32_t column, double value) {
    ((double *)port->columns[column].values)[port->rows] = value;
}

WM_ALWAYS void wm_put_boolean_(wm_port *port, uint32_t column, bool value) {
    ((uint8_t *)port->columns[column].values)[port->rows] = value;
}

WM_ALWAYS void wm_put_text_(wm_port *port, uint32_t column, wm_str value) {
    wm_builder *to = &port->columns[column];
    if (__builtin_expect(value.len > to->bytes_max - to->bytes, 0))
        wm_make_bytes_(to, value.len);
    memcpy(to->data + to->bytes, value.ptr ? value.ptr : "", value.len);
    to->bytes += value.len;
    ((uint32_t *)to->values)[port->rows + 1] = (uint32_t)to->bytes;
}

WM_ALWAYS void wm_put_opt_s64_(wm_port *port, uint32_t column, wm_opt_s64 value) {
    wm_put_s64_(port, column, value.some ? value.value : 0);
    if (!value.some)
        wm_put_null_(port, column);
}

WM_ALWAYS void wm_put_opt_f64_(wm_port *port, uint32_t column, wm_opt_f64 value) {
    wm_put_f64_(port, column, value.some ? value.value : 0);
    if (!value.some)
        wm_put_null_(port, column);
}

WM_ALWAYS void wm_put_opt_boolean_(wm_port *port, uint32_t column, wm_opt_boolean value) {
    wm_put_boolean_(port, column, value.some && value.value);
    if (!value.some)
        wm_put_null_(port, column);
}

WM_ALWAYS void wm_put_opt_text_(wm_port *port, uint32_t column, wm_str value) {
    wm_put_text_(port, column, value);
    if (!value.ptr)
        wm_put_null_(port, column);
}

#define WM_PUT_s64(n) wm_put_s64_(port_, column_++, row_.n);
#define WM_PUT_f64(n) wm_put_f64_(port_, column_++, row_.n);
#define WM_PUT_boolean(n) wm_put_boolean_(port_, column_++, row_.n);
#define WM_PUT_text(n) wm_put_text_(port_, column_++, row_.n);
#define WM_PUT_bytes(n) wm_put_text_(port_, column_++, row_.n);
#define WM_PUT_json(n) wm_put_text_(port_, column_++, row_.n);
#define WM_PUT_optional(kind, n) WM_PUT_OPTIONAL_##kind(port_, column_++, row_.n);
#define WM_PUT_field(kind, n, path) WM_PUT_##kind(n)
#define WM_PUT_optional_field(kind, n, path) WM_PUT_OPTIONAL_##kind(port_, column_++, row_.n);
#define WM_PUT_key(n) wm_put_opt_text_(port_, column_++, row_.n);
#define WM_PUT_value(n) wm_put_opt_text_(port_, column_++, row_.n);
#define WM_PUT_time(n) wm_put_s64_(port_, column_++, row_.n);
#define WM_PUT_header(n, name) wm_put_opt_text_(port_, column_++, row_.n);

#define WM_PUT_OPTIONAL_s64 wm_put_opt_s64_
#define WM_PUT_OPTIONAL_f64 wm_put_opt_f64_
#define WM_PUT_OPTIONAL_boolean wm_put_opt_boolean_
#define WM_PUT_OPTIONAL_text wm_put_opt_text_
#define WM_PUT_OPTIONAL_bytes wm_put_opt_text_
#define WM_PUT_OPTIONAL_json wm_put_opt_text_

#endif
