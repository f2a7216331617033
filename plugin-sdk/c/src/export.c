/* The module's side of the boundary: what every plugin exports, and what it imports. Natively this file is empty. */
#include "sdk.h"

#ifdef __wasm__

WM_INTERFACE_LIFECYCLE;

__attribute__((import_module("wasmill:plugin/logging@0.1.0"), import_name("log"))) void
wm_import_log(uint32_t level, const char *context, size_t context_len, const char *message, size_t message_len);

__attribute__((import_module("wasmill:plugin/metrics@0.1.0"), import_name("count"))) void
wm_import_count(const char *name, size_t name_len, uint64_t amount);

void wm_host_log(wm_level level, wm_str message) {
    wm_import_log(level, "", 0, message.ptr, message.len);
}

void wm_host_count(wm_str name, uint64_t amount) {
    wm_import_count(name.ptr, name.len, amount);
}

_Noreturn void wm_host_stop(void) {
    __builtin_trap();
}

/* The host writes arguments here. They go when the call is answered, with all that it made. */
WM_EXPORT_("cabi_realloc") void *wm_export_realloc(void *old, size_t old_bytes, size_t align, size_t bytes) {
    void *place = wm_arena_take(&wm_call_memory, bytes, align);
    if (old_bytes)
        memcpy(place, old, old_bytes < bytes ? old_bytes : bytes);
    return place;
}

void wm_answered(void *answer) {
    (void)answer;
    wm_arena_reset(&wm_call_memory);
}

/* An answer of `result<T, string>`. */
typedef struct answer {
    uint8_t failed;
    union {
        wm_str error;
        wm_produced produced;
        wm_keyed_output keyed;
        wm_strings strings;
        struct {
            const wm_field *reads;
            size_t read_count;
            const wm_port_spec *ports;
            size_t port_count;
            uint32_t state_version;
        } spec;
    } as;
} answer;

static answer the_answer;

static void *answered(wm_str error) {
    the_answer.failed = !wm_is_null(error);
    if (the_answer.failed)
        the_answer.as.error = wm_is_utf8(error) ? error : WM_STR("failed, with a message that is not UTF-8");
    return &the_answer;
}

WM_EXPORT_("wasmill:plugin/lifecycle@0.1.0#describe") void *wm_export_describe(void) {
    static wm_str info[4];
    info[0] = wm_plugin_name();
    info[1] = wm_str_of(wm_the_plugin.version ? wm_the_plugin.version : "0.1.0");
    info[2] = wm_str_of(wm_the_plugin.description ? wm_the_plugin.description : "");
    info[3] = wm_plugin_schema();
    return info;
}

WM_EXPORT_("cabi_post_wasmill:plugin/lifecycle@0.1.0#describe") void wm_exported_describe(void *info) {
    wm_answered(info);
}

WM_EXPORT_("wasmill:plugin/lifecycle@0.1.0#open") void *wm_export_open(const char *config, size_t len) {
    const wm_str error = wm_plugin_open((wm_str){config, len});
    if (wm_is_null(error)) {
        the_answer.as.spec.reads = wm_plugin_reads(&the_answer.as.spec.read_count);
        the_answer.as.spec.ports = wm_plugin_ports(&the_answer.as.spec.port_count);
        the_answer.as.spec.state_version = wm_the_plugin.state_version;
    }
    return answered(error);
}

WM_EXPORT_("cabi_post_wasmill:plugin/lifecycle@0.1.0#open") void wm_exported_open(void *spec) {
    wm_answered(spec);
}

void *wm_answer_process(const wm_batch *records) {
    return answered(wm_run_transform(records, &the_answer.as.produced));
}

void *wm_answer_keyed(const wm_batch *records, const wm_groups *groups) {
    return answered(wm_run_keyed(records, groups, &the_answer.as.keyed));
}

void *wm_answer_timers(const wm_batch *due, const uint32_t *ids, size_t id_count, const wm_groups *groups) {
    return answered(wm_run_timers(due, ids, id_count, groups, &the_answer.as.keyed));
}

void *wm_answer_add(const wm_batch *records, const uint32_t *bounds, size_t bound_count, const wm_column *accumulators) {
    return answered(wm_run_add(records, bounds, bound_count, accumulators, &the_answer.as.strings));
}

void *wm_answer_merge(wm_strings left, wm_strings right) {
    return answered(wm_run_merge(left, right, &the_answer.as.strings));
}

void *wm_answer_finish(const wm_batch *windows, wm_strings accumulators) {
    return answered(wm_run_finish(windows, accumulators, &the_answer.as.produced));
}

void *wm_answer_migrate(uint32_t from_version, wm_strings states) {
    return answered(wm_run_migrate(from_version, states, &the_answer.as.strings));
}

#endif
