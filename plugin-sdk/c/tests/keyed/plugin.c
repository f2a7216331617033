/* A plugin that keeps the last notes of a key as raw bytes, and does what a record's `ops` say. */
#include <wasmill.h>

WM_RECORD(input, text(ops));
WM_ROW(told, text(notes), s64(id), s64(at));
WM_PORTS(told);

static void rule(const input *i, wm_key *key, const wm_no_config *c, wm_out *out) {
    (void)c;
    for (size_t op = 0; op < i->ops.len; op++) {
        const char name = i->ops.ptr[op];
        if (name >= '0' && name <= '9') {
            wm_set_timer(key, name - '0', 10 * (name - '0'));
        } else if (name == 'c') {
            wm_cancel_timer(key, 1);
        } else if (name == 'd') {
            wm_forget(key);
        } else if (name == 'x') {
            wm_reject(out, "refused");
        } else {
            wm_str *notes = wm_state(key);
            *notes = wm_format("%.*s%c", WM_ARG(*notes), name);
        }
    }
}

static void fired(const wm_timer *timer, wm_key *key, const wm_no_config *c, wm_out *out) {
    (void)c;
    if (timer->id == 9) {
        wm_pass(out);
        return;
    }
    const bool known = wm_has_state(key);
    const wm_str notes = known ? *(wm_str *)wm_state(key) : WM_STR("(nothing)");
    WM_EMIT(out, told, .notes = notes, .id = timer->id, .at = timer->at);
    wm_forget(key);
}

static bool migrate(uint32_t from_version, wm_str old, void *state, wm_str *why) {
    *why = wm_format("version %u is too old", from_version);
    *(wm_str *)state = wm_format("%.*s!", WM_ARG(old));
    return from_version == 2;
}

WM_KEYED(rule, input, raw, wm_no_config, fired, .state_version = 3, .migrate = migrate);
