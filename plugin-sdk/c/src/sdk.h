/* What the files of the library have of each other. Nothing of it is for a plugin. */
#ifndef WASMILL_SDK_H
#define WASMILL_SDK_H

#include <wasmill.h>

/* Memory that is given back all at once. */
typedef struct wm_arena {
    char *at, *end;
    struct wm_chunk *chunks;
    size_t bytes; /* Of all chunks. */
} wm_arena;

/* `bytes`, not zeroed, at a multiple of `align`. */
void *wm_arena_take(wm_arena *arena, size_t bytes, size_t align);

/* Forgets all that was taken. What one call needed at most is kept as one piece for the next, so memory does not grow from call to call. */
void wm_arena_reset(wm_arena *arena);

/* What lasts until a call is answered, and what lasts as long as the instance. */
extern wm_arena wm_call_memory, wm_kept_memory;

/* Where `wm_alloc` takes from: one of the two. */
extern wm_arena *wm_memory;

/* As `wm_alloc`, not zeroed. */
void *wm_take(size_t bytes);

/* `old`, of `used` bytes, in a place of `bytes`. */
void *wm_grow(const void *old, size_t used, size_t bytes);

/* A failed assertion of libc, a message of the host's: what the two homes of the library do in their own ways. */
void wm_host_log(wm_level level, wm_str message);
void wm_host_count(wm_str name, uint64_t amount);
_Noreturn void wm_host_stop(void);

/* The plugin's life. Errors are null when there is none. */
wm_str wm_plugin_open(wm_str config);
wm_str wm_plugin_name(void);
wm_str wm_plugin_schema(void);
const void *wm_plugin_config(void);

/* The fields read: the record's, and what `on_timer` or `finish` is told. */
const wm_field *wm_plugin_reads(size_t *count);
const wm_port_spec *wm_plugin_ports(size_t *count);

/* The index of the field of this slot, or the count when none is. */
size_t wm_index_of_slot(const wm_field *fields, size_t count, uint8_t slot);

wm_str wm_run_transform(const wm_batch *records, wm_produced *produced);
wm_str wm_run_keyed(const wm_batch *records, const wm_groups *groups, wm_keyed_output *output);
wm_str wm_run_timers(const wm_batch *due, const uint32_t *ids, size_t id_count, const wm_groups *groups,
                     wm_keyed_output *output);
wm_str wm_run_add(const wm_batch *records, const uint32_t *bounds, size_t bound_count, const wm_column *accumulators,
                  wm_strings *added);
wm_str wm_run_merge(wm_strings left, wm_strings right, wm_strings *merged);
wm_str wm_run_finish(const wm_batch *windows, wm_strings accumulators, wm_produced *produced);
wm_str wm_run_migrate(uint32_t from_version, wm_strings states, wm_strings *migrated);

/* Takes back the timers of the row at hand. */
void wm_forget_timers(wm_key *key);

/* A call's output. */
void wm_out_begin(wm_out *out, uint32_t rows);
wm_produced wm_out_end(wm_out *out);
/* Whether a record was passed on by a call that has none. */
bool wm_out_passed(const wm_out *out);

/* States as the store has them, growing. */
typedef struct wm_states {
    uint32_t *offsets;
    size_t count;
    char *data;
    size_t bytes, bytes_max;
    uint8_t *nulls;
    size_t count_max;
} wm_states;

void wm_states_begin(wm_states *states, size_t count);
void wm_states_put(wm_states *states, const wm_form *form, const void *state); /* NULL deletes. */
wm_strings wm_states_strings(const wm_states *states);
wm_column wm_states_column(const wm_states *states);

/* Reads a stored state. The error, or null. */
wm_str wm_state_read(const wm_form *form, wm_str stored, void *into);

/* String `i`. */
WM_ALWAYS wm_str wm_string_at(const wm_strings *strings, size_t i) {
    const uint32_t from = strings->offsets[i];
    return (wm_str){strings->data ? strings->data + from : "", strings->offsets[i + 1] - from};
}

#endif
