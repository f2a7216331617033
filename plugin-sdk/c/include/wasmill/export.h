/* What a module exports for the interface of its kind. The functions of every plugin (`describe`, `open`, memory) are in
 * src/export.c; these stand in the plugin's own file, because a module exports what is compiled into it. Natively nothing is exported.
 *
 * Names, order and meaning of the parameters are the canonical ABI's for wit/wasmill.wit: a list is a place and a length, a variant its
 * case and the largest of its cases. */
#ifndef WASMILL_EXPORT_H
#define WASMILL_EXPORT_H

#include <wasmill/interfaces.h>
#include <wasmill/wire.h>

#ifdef __wasm__

#define WM_EXPORT_(name) __attribute__((export_name(name)))
#define WM_BATCH_PARAMS_ uint32_t rows, const wm_column *columns, size_t count, int64_t watermark
#define WM_BATCH_ (&(wm_batch){rows, columns, count, watermark})
#define WM_STRINGS_PARAMS_(s) const uint32_t *s##_offsets, size_t s##_count, const char *s##_data, size_t s##_bytes
#define WM_STRINGS_(s) ((wm_strings){s##_offsets, s##_count, s##_data, s##_bytes})
#define WM_COLUMN_PARAMS_(c) uint32_t c##_kind, WM_STRINGS_PARAMS_(c), const uint8_t *c##_nulls, size_t c##_null_count
#define WM_COLUMN_OF_(c) ((wm_column){c##_kind, {.strings = WM_STRINGS_(c)}, c##_nulls, c##_null_count})
#define WM_LIST_PARAMS_(l) const uint32_t *l, size_t l##_count

void *wm_answer_process(const wm_batch *records);
void *wm_answer_keyed(const wm_batch *records, const wm_groups *groups);
void *wm_answer_timers(const wm_batch *due, const uint32_t *ids, size_t id_count, const wm_groups *groups);
void *wm_answer_add(const wm_batch *records, const uint32_t *bounds, size_t bound_count, const wm_column *accumulators);
void *wm_answer_merge(wm_strings left, wm_strings right);
void *wm_answer_finish(const wm_batch *windows, wm_strings accumulators);
void *wm_answer_migrate(uint32_t from_version, wm_strings states);
void wm_answered(void *answer);

/* A function of an interface, and what is called once its answer was read. */
#define WM_EXPORT_FUNCTION_(interface, function, symbol, params, answer)                                                \
    WM_EXPORT_("wasmill:plugin/" interface "@0.1.0#" function) void *wm_export_##symbol params { return answer; }       \
    WM_EXPORT_("cabi_post_wasmill:plugin/" interface "@0.1.0#" function)                                                \
    void wm_exported_##symbol(void *answer_) { wm_answered(answer_); }

#define WM_EXPORT_MIGRATION_                                                                                            \
    WM_INTERFACE_MIGRATION;                                                                                             \
    WM_EXPORT_FUNCTION_("migration", "migrate", migrate, (uint32_t from_version, WM_STRINGS_PARAMS_(states)),           \
                        wm_answer_migrate(from_version, WM_STRINGS_(states)))                                           \
    enum { wm_is_exported }

#define WM_EXPORT_TRANSFORM_                                                                                            \
    WM_INTERFACE_TRANSFORM;                                                                                             \
    WM_EXPORT_FUNCTION_("transform", "process", process, (WM_BATCH_PARAMS_), wm_answer_process(WM_BATCH_))              \
    enum { wm_is_exported }

#define WM_GROUPS_PARAMS_ WM_LIST_PARAMS_(bounds), WM_COLUMN_PARAMS_(states)
#define WM_GROUPS_ (&(wm_groups){bounds, bounds_count, WM_COLUMN_OF_(states)})
#define WM_EXPORT_KEYED_                                                                                                \
    WM_INTERFACE_KEYED;                                                                                                 \
    WM_EXPORT_FUNCTION_("keyed", "process", process, (WM_BATCH_PARAMS_, WM_GROUPS_PARAMS_),                             \
                        wm_answer_keyed(WM_BATCH_, WM_GROUPS_))                                                         \
    WM_EXPORT_FUNCTION_("keyed", "on-timers", on_timers, (WM_BATCH_PARAMS_, WM_LIST_PARAMS_(ids), WM_GROUPS_PARAMS_),   \
                        wm_answer_timers(WM_BATCH_, ids, ids_count, WM_GROUPS_))                                        \
    WM_EXPORT_MIGRATION_

#define WM_EXPORT_AGGREGATE_                                                                                            \
    WM_INTERFACE_AGGREGATE;                                                                                             \
    WM_EXPORT_FUNCTION_("aggregate", "add", add,                                                                        \
                        (WM_BATCH_PARAMS_, WM_LIST_PARAMS_(bounds), WM_COLUMN_PARAMS_(accumulators)),                   \
                        wm_answer_add(WM_BATCH_, bounds, bounds_count, &WM_COLUMN_OF_(accumulators)))                   \
    WM_EXPORT_FUNCTION_("aggregate", "merge", merge, (WM_STRINGS_PARAMS_(left), WM_STRINGS_PARAMS_(right)),             \
                        wm_answer_merge(WM_STRINGS_(left), WM_STRINGS_(right)))                                         \
    WM_EXPORT_FUNCTION_("aggregate", "finish", finish, (WM_BATCH_PARAMS_, WM_STRINGS_PARAMS_(accumulators)),            \
                        wm_answer_finish(WM_BATCH_, WM_STRINGS_(accumulators)))                                         \
    WM_EXPORT_MIGRATION_

#else

#define WM_EXPORT_TRANSFORM_ enum { wm_is_exported }
#define WM_EXPORT_KEYED_ enum { wm_is_exported }
#define WM_EXPORT_AGGREGATE_ enum { wm_is_exported }

#endif

#endif
