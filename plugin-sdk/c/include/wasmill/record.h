/* Reading: the fields that a rule names become a struct for each record, or a column for each field.
 *
 *     WM_RECORD(txn,
 *         text(customer_id),                            // wm_str customer_id
 *         f64(amount),                                  // double amount
 *         optional(s64, txn_count),                     // wm_opt_s64 txn_count
 *         optional_field(text, country, "card.country") // wm_str country: NULL where the record has none
 *     );
 *
 * | item                          | member     | from                                                                    |
 * |-------------------------------|------------|-------------------------------------------------------------------------|
 * | `s64(n)`                      | `int64_t`  | an integer field named `n`                                              |
 * | `f64(n)`                      | `double`   | a number                                                                |
 * | `boolean(n)`                  | `bool`     | `true` or `false`                                                       |
 * | `text(n)`                     | `wm_str`   | valid UTF-8                                                             |
 * | `bytes(n)`                    | `wm_str`   | bytes                                                                   |
 * | `json(n)`                     | `wm_str`   | any value, as its JSON text; see wasmill/json.h                         |
 * | `optional(kind, n)`           | see below  | the same, null where the record lacks it                                |
 * | `field(kind, n, "a.b")`       |            | the field `b` of the object `a`                                         |
 * | `optional_field(kind, n, "a.b")` |         |                                                                         |
 * | `key(n)`                      | `wm_str`   | the record's key, NULL without one                                      |
 * | `value(n)`                    | `wm_str`   | the whole value as it came; NULL is a tombstone                         |
 * | `time(n)`                     | `int64_t`  | event time, milliseconds since the Unix epoch                           |
 * | `header(n, "name")`           | `wm_str`   | a header's bytes, NULL without it                                       |
 * | `topic(n)`                    | `wm_str`   | the source's topic                                                      |
 * | `partition(n)`, `offset(n)`   | `int64_t`  | where it lies there                                                     |
 *
 * A record that lacks a field that is not optional, or has another kind there, is dead-lettered before the rule sees it. An optional
 * text, bytes or json is a `wm_str` that may be NULL; an optional number is a `wm_opt_s64`, `wm_opt_f64` or `wm_opt_boolean`. No
 * field but those named is decoded.
 *
 * `txn_columns` has the same members as columns, for a rule over a whole batch (WM_TRANSFORM_BATCH): `const double *amount`,
 * `const int64_t *`, `const uint8_t *` (0 or 1); texts are read with `wm_at(columns.customer_id, row)` and optional numbers with
 * `wm_s64_at`, `wm_f64_at` and `wm_boolean_at`. */
#ifndef WASMILL_RECORD_H
#define WASMILL_RECORD_H

#include <wasmill/each.h>
#include <wasmill/wire.h>

typedef struct wm_opt_s64 {
    bool some; /* Whether there is a value. */
    int64_t value;
} wm_opt_s64;

typedef struct wm_opt_f64 {
    bool some;
    double value;
} wm_opt_f64;

typedef struct wm_opt_boolean {
    bool some;
    bool value;
} wm_opt_boolean;

/* The value, or `otherwise` where there is none. */
#define wm_or(optional, otherwise) ((optional).some ? (optional).value : (otherwise))

/* A column of texts, bytes or JSON texts. */
typedef struct wm_texts {
    const uint32_t *offsets;
    const char *data;
    const uint8_t *nulls;
} wm_texts;

/* Columns of optional numbers. */
typedef struct wm_s64s {
    const int64_t *values;
    const uint8_t *nulls;
} wm_s64s;

typedef struct wm_f64s {
    const double *values;
    const uint8_t *nulls;
} wm_f64s;

typedef struct wm_booleans {
    const uint8_t *values;
    const uint8_t *nulls;
} wm_booleans;

/* The strings of a column, whose data has a place even where all are empty: NULL is null. */
WM_ALWAYS wm_texts wm_texts_of_(const wm_strings *strings, const uint8_t *nulls) {
    return (wm_texts){strings->offsets, strings->data ? strings->data : "", nulls};
}

/* Row `row` of a column of texts. */
WM_ALWAYS wm_str wm_at(wm_texts column, uint32_t row) {
    if (column.nulls && column.nulls[row])
        return (wm_str){NULL, 0};
    return (wm_str){column.data + column.offsets[row], column.offsets[row + 1] - column.offsets[row]};
}

/* Row `row` of a column of optional numbers. */
WM_ALWAYS wm_opt_s64 wm_s64_at(wm_s64s column, uint32_t row) {
    return (wm_opt_s64){!(column.nulls && column.nulls[row]), column.values[row]};
}

WM_ALWAYS wm_opt_f64 wm_f64_at(wm_f64s column, uint32_t row) {
    return (wm_opt_f64){!(column.nulls && column.nulls[row]), column.values[row]};
}

WM_ALWAYS wm_opt_boolean wm_boolean_at(wm_booleans column, uint32_t row) {
    return (wm_opt_boolean){!(column.nulls && column.nulls[row]), column.values[row] != 0};
}

#define WM_RECORD(type_, ...)                                                                                          \
    typedef struct type_ {                                                                                             \
        WM_EACH(WM_MEMBER_, __VA_ARGS__)                                                                               \
    } type_;                                                                                                           \
    typedef struct type_##_columns {                                                                                   \
        WM_EACH(WM_COLUMN_, __VA_ARGS__)                                                                               \
    } type_##_columns;                                                                                                 \
    __attribute__((unused)) static const wm_field type_##_fields[] = {WM_EACH(WM_READ_, __VA_ARGS__)};                 \
    enum { type_##_field_count = sizeof(type_##_fields) / sizeof(wm_field) };                                          \
    WM_ALWAYS type_##_columns type_##_columns_of(const wm_batch *batch_) {                                             \
        type_##_columns of_;                                                                                           \
        const wm_column *column_ = batch_->columns;                                                                    \
        WM_EACH(WM_BIND_, __VA_ARGS__)                                                                                 \
        (void)column_;                                                                                                 \
        return of_;                                                                                                    \
    }                                                                                                                  \
    WM_ALWAYS type_ type_##_at(const type_##_columns *of_, uint32_t row_) {                                            \
        type_ record_;                                                                                                 \
        WM_EACH(WM_LOAD_, __VA_ARGS__)                                                                                 \
        return record_;                                                                                                \
    }                                                                                                                  \
    enum { type_##_is_a_record }

/* The record of a rule that reads no field. */
typedef struct wm_any {
    char nothing;
} wm_any;
typedef wm_any wm_any_columns;
enum { wm_any_field_count = 0, wm_any_is_a_record = 0 };
__attribute__((unused)) static const wm_field wm_any_fields[1] = {{0}};
WM_ALWAYS wm_any_columns wm_any_columns_of(const wm_batch *batch) {
    (void)batch;
    return (wm_any){0};
}
WM_ALWAYS wm_any wm_any_at(const wm_any_columns *of, uint32_t row) {
    (void)row;
    return *of;
}

/* The member of a record, or of a row. */
#define WM_MEMBER_s64(n) int64_t n;
#define WM_MEMBER_f64(n) double n;
#define WM_MEMBER_boolean(n) bool n;
#define WM_MEMBER_text(n) wm_str n;
#define WM_MEMBER_bytes(n) wm_str n;
#define WM_MEMBER_json(n) wm_str n;
#define WM_MEMBER_optional(kind, n) WM_OPTIONAL_##kind n;
#define WM_MEMBER_field(kind, n, path) WM_MEMBER_##kind(n)
#define WM_MEMBER_optional_field(kind, n, path) WM_OPTIONAL_##kind n;
#define WM_MEMBER_key(n) wm_str n;
#define WM_MEMBER_value(n) wm_str n;
#define WM_MEMBER_time(n) int64_t n;
#define WM_MEMBER_header(n, name) wm_str n;
#define WM_MEMBER_topic(n) wm_str n;
#define WM_MEMBER_partition(n) int64_t n;
#define WM_MEMBER_offset(n) int64_t n;

#define WM_OPTIONAL_s64 wm_opt_s64
#define WM_OPTIONAL_f64 wm_opt_f64
#define WM_OPTIONAL_boolean wm_opt_boolean
#define WM_OPTIONAL_text wm_str
#define WM_OPTIONAL_bytes wm_str
#define WM_OPTIONAL_json wm_str

/* The member of the columns. */
#define WM_COLUMN_s64(n) const int64_t *n;
#define WM_COLUMN_f64(n) const double *n;
#define WM_COLUMN_boolean(n) const uint8_t *n;
#define WM_COLUMN_text(n) wm_texts n;
#define WM_COLUMN_bytes(n) wm_texts n;
#define WM_COLUMN_json(n) wm_texts n;
#define WM_COLUMN_optional(kind, n) WM_OPTIONALS_##kind n;
#define WM_COLUMN_field(kind, n, path) WM_COLUMN_##kind(n)
#define WM_COLUMN_optional_field(kind, n, path) WM_OPTIONALS_##kind n;
#define WM_COLUMN_key(n) wm_texts n;
#define WM_COLUMN_value(n) wm_texts n;
#define WM_COLUMN_time(n) const int64_t *n;
#define WM_COLUMN_header(n, name) wm_texts n;
#define WM_COLUMN_topic(n) wm_texts n;
#define WM_COLUMN_partition(n) const int64_t *n;
#define WM_COLUMN_offset(n) const int64_t *n;

#define WM_OPTIONALS_s64 wm_s64s
#define WM_OPTIONALS_f64 wm_f64s
#define WM_OPTIONALS_boolean wm_booleans
#define WM_OPTIONALS_text wm_texts
#define WM_OPTIONALS_bytes wm_texts
#define WM_OPTIONALS_json wm_texts

/* What the host is told of the field. */
#define WM_FIELD_(slot, name, kind, required) {slot, {name, sizeof(name) - 1}, kind, required},
#define WM_READ_s64(n) WM_FIELD_(WM_SLOT_FIELD, #n, WM_S64, true)
#define WM_READ_f64(n) WM_FIELD_(WM_SLOT_FIELD, #n, WM_F64, true)
#define WM_READ_boolean(n) WM_FIELD_(WM_SLOT_FIELD, #n, WM_BOOLEAN, true)
#define WM_READ_text(n) WM_FIELD_(WM_SLOT_FIELD, #n, WM_TEXT, true)
#define WM_READ_bytes(n) WM_FIELD_(WM_SLOT_FIELD, #n, WM_BYTES, true)
#define WM_READ_json(n) WM_FIELD_(WM_SLOT_FIELD, #n, WM_JSON, true)
#define WM_READ_optional(kind, n) WM_FIELD_(WM_SLOT_FIELD, #n, WM_KIND_##kind, false)
#define WM_READ_field(kind, n, path) WM_FIELD_(WM_SLOT_FIELD, path, WM_KIND_##kind, true)
#define WM_READ_optional_field(kind, n, path) WM_FIELD_(WM_SLOT_FIELD, path, WM_KIND_##kind, false)
#define WM_READ_key(n) WM_FIELD_(WM_SLOT_KEY, "", WM_BYTES, false)
#define WM_READ_value(n) WM_FIELD_(WM_SLOT_VALUE, "", WM_BYTES, false)
#define WM_READ_time(n) WM_FIELD_(WM_SLOT_TIME, "", WM_S64, true)
#define WM_READ_header(n, name) WM_FIELD_(WM_SLOT_HEADER, name, WM_BYTES, false)
#define WM_READ_topic(n) WM_FIELD_(WM_SLOT_TOPIC, "", WM_TEXT, true)
#define WM_READ_partition(n) WM_FIELD_(WM_SLOT_PARTITION, "", WM_S64, true)
#define WM_READ_offset(n) WM_FIELD_(WM_SLOT_OFFSET, "", WM_S64, true)

#define WM_KIND_s64 WM_S64
#define WM_KIND_f64 WM_F64
#define WM_KIND_boolean WM_BOOLEAN
#define WM_KIND_text WM_TEXT
#define WM_KIND_bytes WM_BYTES
#define WM_KIND_json WM_JSON

/* The column's place in a batch. */
#define WM_BIND_NUMBERS_(n) of_.n = column_++->values.list.ptr;
#define WM_BIND_TEXTS_(n, null_mask) of_.n = wm_texts_of_(&column_->values.strings, null_mask), ++column_;
#define WM_NULLS_ (column_->null_count ? column_->nulls : NULL)
#define WM_BIND_s64(n) WM_BIND_NUMBERS_(n)
#define WM_BIND_f64(n) WM_BIND_NUMBERS_(n)
#define WM_BIND_boolean(n) WM_BIND_NUMBERS_(n)
#define WM_BIND_text(n) WM_BIND_TEXTS_(n, NULL)
#define WM_BIND_bytes(n) WM_BIND_TEXTS_(n, NULL)
#define WM_BIND_json(n) WM_BIND_TEXTS_(n, NULL)
#define WM_BIND_optional(kind, n) WM_BIND_OPTIONAL_##kind(n)
#define WM_BIND_field(kind, n, path) WM_BIND_##kind(n)
#define WM_BIND_optional_field(kind, n, path) WM_BIND_OPTIONAL_##kind(n)
#define WM_BIND_key(n) WM_BIND_TEXTS_(n, WM_NULLS_)
#define WM_BIND_value(n) WM_BIND_TEXTS_(n, WM_NULLS_)
#define WM_BIND_time(n) WM_BIND_NUMBERS_(n)
#define WM_BIND_header(n, name) WM_BIND_TEXTS_(n, WM_NULLS_)
#define WM_BIND_topic(n) WM_BIND_TEXTS_(n, NULL)
#define WM_BIND_partition(n) WM_BIND_NUMBERS_(n)
#define WM_BIND_offset(n) WM_BIND_NUMBERS_(n)

#define WM_BIND_OPTIONAL_s64(n) of_.n = (wm_s64s){column_->values.list.ptr, WM_NULLS_}, ++column_;
#define WM_BIND_OPTIONAL_f64(n) of_.n = (wm_f64s){column_->values.list.ptr, WM_NULLS_}, ++column_;
#define WM_BIND_OPTIONAL_boolean(n) of_.n = (wm_booleans){column_->values.list.ptr, WM_NULLS_}, ++column_;
#define WM_BIND_OPTIONAL_text(n) WM_BIND_TEXTS_(n, WM_NULLS_)
#define WM_BIND_OPTIONAL_bytes(n) WM_BIND_TEXTS_(n, WM_NULLS_)
#define WM_BIND_OPTIONAL_json(n) WM_BIND_TEXTS_(n, WM_NULLS_)

/* The member's value in a row. */
#define WM_LOAD_NUMBER_(n) record_.n = of_->n[row_];
#define WM_LOAD_TEXT_(n) record_.n = wm_at(of_->n, row_);
#define WM_LOAD_s64(n) WM_LOAD_NUMBER_(n)
#define WM_LOAD_f64(n) WM_LOAD_NUMBER_(n)
#define WM_LOAD_boolean(n) record_.n = of_->n[row_] != 0;
#define WM_LOAD_text(n) WM_LOAD_TEXT_(n)
#define WM_LOAD_bytes(n) WM_LOAD_TEXT_(n)
#define WM_LOAD_json(n) WM_LOAD_TEXT_(n)
#define WM_LOAD_optional(kind, n) record_.n = WM_OPTIONAL_AT_##kind(of_->n, row_);
#define WM_LOAD_field(kind, n, path) WM_LOAD_##kind(n)
#define WM_LOAD_optional_field(kind, n, path) record_.n = WM_OPTIONAL_AT_##kind(of_->n, row_);
#define WM_LOAD_key(n) WM_LOAD_TEXT_(n)
#define WM_LOAD_value(n) WM_LOAD_TEXT_(n)
#define WM_LOAD_time(n) WM_LOAD_NUMBER_(n)
#define WM_LOAD_header(n, name) WM_LOAD_TEXT_(n)
#define WM_LOAD_topic(n) WM_LOAD_TEXT_(n)
#define WM_LOAD_partition(n) WM_LOAD_NUMBER_(n)
#define WM_LOAD_offset(n) WM_LOAD_NUMBER_(n)

#define WM_OPTIONAL_AT_s64 wm_s64_at
#define WM_OPTIONAL_AT_f64 wm_f64_at
#define WM_OPTIONAL_AT_boolean wm_boolean_at
#define WM_OPTIONAL_AT_text wm_at
#define WM_OPTIONAL_AT_bytes wm_at
#define WM_OPTIONAL_AT_json wm_at

#endif
