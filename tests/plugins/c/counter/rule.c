/* Counts the records of each key. Version 1 of its state was the count as eight bytes, the lowest first. */
#include <string.h>
#include <wasmill.h>

WM_RECORD(event, s64(id));
WM_OBJECT(seen, s64(count));
WM_ROW(counted, s64(count));
WM_PORTS(counted);

static void rule(const event *e, wm_key *key, const wm_no_config *c, wm_out *out) {
    (void)e, (void)c;
    seen *s = wm_state(key);
    s->count++;
    WM_EMIT(out, counted, .count = s->count);
}

static bool migrate(uint32_t from_version, wm_str old, void *state, wm_str *why) {
    if (from_version != 1 || old.len != sizeof(int64_t)) {
        *why = wm_format("there is no way from %u bytes of version %u", (unsigned)old.len, from_version);
        return false;
    }
    memcpy(&((seen *)state)->count, old.ptr, sizeof(int64_t));
    return true;
}

WM_KEYED(rule, event, json(seen), wm_no_config, wm_no_timer, .name = "counter", .state_version = 2, .migrate = migrate);
