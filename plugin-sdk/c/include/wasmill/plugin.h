/* The declaration that makes a rule a plugin. One file of a plugin has one of these.
 *
 *     WM_TRANSFORM(rule, record, config, ...);
 *         void rule(const record *r, const config *c, wm_out *out);
 *     WM_TRANSFORM_BATCH(rule, record, config, ...);
 *         void rule(const record_columns *columns, uint32_t rows, const config *c, wm_out *out);
 *     WM_KEYED(rule, record, form, config, on_timer, ...);
 *         void rule(const record *r, wm_key *key, const config *c, wm_out *out);
 *         void on_timer(const wm_timer *timer, wm_key *key, const config *c, wm_out *out);       // or wm_no_timer
 *     WM_KEYED_BATCH(rule, record, form, config, on_timer, ...);
 *         void rule(const record_columns *columns, uint32_t start, uint32_t end, wm_key *key, const config *c, wm_out *out);
 *     WM_AGGREGATE(rule, record, form, type, config, ...);
 *         void rule_add(const record *r, type *accumulator, const config *c);
 *         void rule_merge(type *left, const type *right, const config *c);                      // Associative.
 *         void rule_finish(const wm_window *window, const type *accumulator, const config *c, wm_out *out);
 *
 * `record` is a WM_RECORD, or wm_any; `config` a WM_CONFIG, or wm_no_config; WM_PORTS comes before. Records are handed over in the order of
 * their arrival, those of a key together. A new accumulator is zeroes. After these come, as `.name = "..."`, members of wm_plugin:
 *
 * | member           |                                                                                                       |
 * |------------------|-------------------------------------------------------------------------------------------------------|
 * | `.name`          | what the plugin is called; the rule's name otherwise                                                  |
 * | `.version`       | its semantic version; "0.1.0" otherwise                                                               |
 * | `.description`   | what it does, in a sentence                                                                           |
 * | `.state_version` | the version of what a state or an accumulator looks like                                              |
 * | `.check`         | looks at a configuration that was read: false, and in `why` the reason, refuses the deployment        |
 * | `.migrate`       | makes a state of `from_version`, in `old`, the current one in `state`; false, with `why`, refuses it  | */
#ifndef WASMILL_PLUGIN_H
#define WASMILL_PLUGIN_H

#include <wasmill/export.h>
#include <wasmill/keyed.h>
#include <wasmill/object.h>
#include <wasmill/output.h>
#include <wasmill/record.h>

typedef enum wm_kind { WM_IS_TRANSFORM, WM_IS_KEYED, WM_IS_AGGREGATE } wm_kind;

/* A window of a key: `start <= t < end`, in milliseconds since the Unix epoch. */
typedef struct wm_window {
    wm_str key; /* Empty for the null key. */
    int64_t start;
    int64_t end;
} wm_window;

/* All that the library knows of a plugin. The members that an author sets come first. */
typedef struct wm_plugin {
    const char *name;
    const char *version;
    const char *description;
    uint32_t state_version;
    bool (*check)(const void *config, wm_str *why);
    bool (*migrate)(uint32_t from_version, wm_str old, void *state, wm_str *why);

    wm_kind kind;
    const char *rule;
    const wm_field *reads;
    size_t read_count;
    const wm_port_spec *ports;
    size_t port_count;
    const wm_object *(*config)(void);
    wm_form form;
    void (*rows)(const wm_batch *records, const void *config, wm_out *out);
    void (*group)(const wm_batch *records, uint32_t start, uint32_t end, wm_key *key, const void *config, wm_out *out);
    void (*on_timer)(const wm_timer *timer, wm_key *key, const void *config, wm_out *out);
    const char *on_timer_name;
    void (*add)(const wm_batch *records, uint32_t start, uint32_t end, void *accumulator, const void *config);
    void (*merge)(void *left, const void *right, const void *config);
    void (*finish)(const wm_window *window, const void *accumulator, const void *config, wm_out *out);
} wm_plugin;

/* The plugin. */
extern const wm_plugin wm_the_plugin;

/* Stands for `on_timer` in a rule that sets no timers. */
#define wm_no_timer(timer, key, config, out) ((void)(timer), (void)(key), (void)(config), (void)(out))

#define WM_COMMON_(rule_, record_, config_)                                                                            \
    .rule = #rule_, .reads = record_##_fields, .read_count = record_##_field_count, .ports = wm_ports_,                \
    .port_count = wm_port_count_, .config = config_##_object

#define WM_TRANSFORM(rule_, record_, config_, ...)                                                                     \
    static WM_APART void wm_rows_(const wm_batch *batch_, const void *with_, wm_out *to_) {                            \
        const record_##_columns columns_ = record_##_columns_of(batch_);                                               \
        for (uint32_t at_ = 0, rows_ = batch_->rows; at_ < rows_; at_++) {                                             \
            const record_ one_ = record_##_at(&columns_, at_);                                                         \
            wm_row(to_, at_);                                                                                          \
            rule_(&one_, (const config_ *)with_, to_);                                                                 \
        }                                                                                                              \
    }                                                                                                                  \
    const wm_plugin wm_the_plugin = {                                                                                  \
        .kind = WM_IS_TRANSFORM, WM_COMMON_(rule_, record_, config_), .rows = wm_rows_, __VA_ARGS__};                  \
    WM_EXPORT_TRANSFORM_

#define WM_TRANSFORM_BATCH(rule_, record_, config_, ...)                                                               \
    static WM_APART void wm_rows_(const wm_batch *batch_, const void *with_, wm_out *to_) {                            \
        const record_##_columns columns_ = record_##_columns_of(batch_);                                               \
        rule_(&columns_, batch_->rows, (const config_ *)with_, to_);                                                   \
    }                                                                                                                  \
    const wm_plugin wm_the_plugin = {                                                                                  \
        .kind = WM_IS_TRANSFORM, WM_COMMON_(rule_, record_, config_), .rows = wm_rows_, __VA_ARGS__};                  \
    WM_EXPORT_TRANSFORM_

#define WM_KEYED(rule_, record_, form_, config_, on_timer_, ...)                                                       \
    static void wm_group_(const wm_batch *batch_, uint32_t start_, uint32_t end_, wm_key *key_, const void *with_,     \
                          wm_out *to_) {                                                                               \
        const record_##_columns columns_ = record_##_columns_of(batch_);                                               \
        for (uint32_t at_ = start_; at_ < end_; at_++) {                                                               \
            const record_ one_ = record_##_at(&columns_, at_);                                                         \
            wm_row(to_, at_);                                                                                          \
            rule_(&one_, key_, (const config_ *)with_, to_);                                                           \
        }                                                                                                              \
    }                                                                                                                  \
    WM_KEYED_PLUGIN_(rule_, record_, form_, config_, on_timer_, __VA_ARGS__)

#define WM_KEYED_BATCH(rule_, record_, form_, config_, on_timer_, ...)                                                 \
    static void wm_group_(const wm_batch *batch_, uint32_t start_, uint32_t end_, wm_key *key_, const void *with_,     \
                          wm_out *to_) {                                                                               \
        const record_##_columns columns_ = record_##_columns_of(batch_);                                               \
        wm_row(to_, end_ - 1);                                                                                         \
        rule_(&columns_, start_, end_, key_, (const config_ *)with_, to_);                                             \
    }                                                                                                                  \
    WM_KEYED_PLUGIN_(rule_, record_, form_, config_, on_timer_, __VA_ARGS__)

#define WM_KEYED_PLUGIN_(rule_, record_, form_, config_, on_timer_, ...)                                               \
    static void wm_on_timer_(const wm_timer *timer_, wm_key *key_, const void *with_, wm_out *to_) {                   \
        on_timer_(timer_, key_, (const config_ *)with_, to_);                                                          \
    }                                                                                                                  \
    const wm_plugin wm_the_plugin = {.kind = WM_IS_KEYED,                                                              \
                                     WM_COMMON_(rule_, record_, config_),                                              \
                                     .form = WM_FORM_##form_,                                                          \
                                     .group = wm_group_,                                                               \
                                     .on_timer = wm_on_timer_,                                                         \
                                     .on_timer_name = #on_timer_,                                                      \
                                     __VA_ARGS__};                                                                     \
    WM_EXPORT_KEYED_

#define WM_AGGREGATE(rule_, record_, form_, type_, config_, ...)                                                       \
    static void wm_add_(const wm_batch *batch_, uint32_t start_, uint32_t end_, void *into_, const void *with_) {      \
        const record_##_columns columns_ = record_##_columns_of(batch_);                                               \
        for (uint32_t at_ = start_; at_ < end_; at_++) {                                                               \
            const record_ one_ = record_##_at(&columns_, at_);                                                         \
            rule_##_add(&one_, (type_ *)into_, (const config_ *)with_);                                                \
        }                                                                                                              \
    }                                                                                                                  \
    static void wm_merge_(void *left_, const void *right_, const void *with_) {                                        \
        rule_##_merge((type_ *)left_, (const type_ *)right_, (const config_ *)with_);                                  \
    }                                                                                                                  \
    static void wm_finish_(const wm_window *window_, const void *of_, const void *with_, wm_out *to_) {                \
        rule_##_finish(window_, (const type_ *)of_, (const config_ *)with_, to_);                                      \
    }                                                                                                                  \
    const wm_plugin wm_the_plugin = {.kind = WM_IS_AGGREGATE,                                                          \
                                     WM_COMMON_(rule_, record_, config_),                                              \
                                     .form = WM_FORM_##form_,                                                          \
                                     .add = wm_add_,                                                                   \
                                     .merge = wm_merge_,                                                               \
                                     .finish = wm_finish_,                                                             \
                                     __VA_ARGS__};                                                                     \
    WM_EXPORT_AGGREGATE_

#endif
