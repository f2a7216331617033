/* States and accumulators as the store has them. */
#include "sdk.h"

void wm_states_begin(wm_states *states, size_t count) {
    *states = (wm_states){.offsets = wm_take((count + 1) * sizeof(uint32_t)), .count_max = count};
    states->offsets[0] = 0;
}

static void put_bytes(wm_states *states, const void *bytes, size_t len) {
    if (len > states->bytes_max - states->bytes) {
        const size_t needed = states->bytes + len, all = states->count_max * len;
        size_t max = states->bytes_max ? 2 * states->bytes_max : all; /* States are most often of one size. */
        max = max > needed ? max : needed;
        states->data = wm_grow(states->data, states->bytes, max);
        states->bytes_max = max;
    }
    memcpy(states->data + states->bytes, bytes, len);
    states->bytes += len;
}

void wm_states_put(wm_states *states, const wm_form *form, const void *state) {
    if (!state) {
        if (!states->nulls)
            states->nulls = wm_alloc(states->count_max);
        states->nulls[states->count] = 1;
    } else if (form->raw) {
        const wm_str bytes = *(const wm_str *)state;
        put_bytes(states, bytes.ptr ? bytes.ptr : "", bytes.len);
    } else if (form->object) {
        wm_json_writer writer = {0};
        wm_object_write(form->object(), state, &writer);
        put_bytes(states, writer.ptr, writer.len);
    } else {
        put_bytes(states, state, form->size);
    }
    states->offsets[++states->count] = (uint32_t)states->bytes;
}

wm_strings wm_states_strings(const wm_states *states) {
    return (wm_strings){states->offsets, states->count + 1, states->data, states->bytes};
}

wm_column wm_states_column(const wm_states *states) {
    return (wm_column){WM_BYTES,
                       {.strings = wm_states_strings(states)},
                       states->nulls,
                       states->nulls ? states->count : 0};
}

wm_str wm_state_read(const wm_form *form, wm_str stored, void *into) {
    static const char advice[] = "raise .state_version and give .migrate";
    if (form->raw) {
        *(wm_str *)into = stored;
        return (wm_str){NULL, 0};
    }
    if (form->object) {
        const wm_str error = wm_object_read(form->object(), stored, "state", into);
        if (wm_is_null(error))
            return error;
        return wm_format("the stored state is not what this version of the plugin writes (%.*s): %s", WM_ARG(error), advice);
    }
    if (stored.len != form->size)
        return wm_format("the stored state is not what this version of the plugin writes (%zu bytes, expected %zu): %s",
                         stored.len, form->size, advice);
    memcpy(into, stored.ptr, form->size);
    return (wm_str){NULL, 0};
}
