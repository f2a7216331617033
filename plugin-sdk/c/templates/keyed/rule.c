/* Counts the records of each key, and says so when a key falls silent. */
#include <wasmill.h>

/* What the rule reads: nothing of the value, only the event time, in milliseconds since the Unix epoch. */
WM_RECORD(event,
    time(at)
);

/* What is remembered of a key, as JSON. The host keeps it, checkpoints it and gives it back; whoever changes its form raises
 * `.state_version`. */
WM_OBJECT(activity,
    s64(last),
    s64(count)
);

/* Written once for each time that a key was active. */
WM_ROW(summary,
    field(text, name, "key"),
    s64(last),
    s64(count)
);
WM_PORTS(summary);

/* The step's `config`. A wrong one is refused before anything starts. */
WM_CONFIG(config,
    s64(silence_ms, 300000) /* A key without a record for this long is silent, in milliseconds of event time. */
);

/* The only timer; a key holds at most one of each number. */
enum { SILENCE };

static void rule(const event *e, wm_key *key, const config *c, wm_out *out) {
    if (e->at > INT64_MAX - c->silence_ms) {
        wm_reject(out, "the time is out of range");
        return;
    }
    const bool fresh = !wm_has_state(key);
    activity *a = wm_state(key);
    a->count++;
    if (fresh || e->at >= a->last) {
        a->last = e->at;
        wm_set_timer(key, SILENCE, e->at + c->silence_ms); /* Replaces the one before. */
    }
}

/* Sums up and forgets the key. */
static void fell_silent(const wm_timer *timer, wm_key *key, const config *c, wm_out *out) {
    (void)c;
    if (!wm_has_state(key))
        return;
    const activity *a = wm_state(key);
    WM_EMIT(out, summary, .name = timer->key, .last = a->last, .count = a->count);
    wm_forget(key);
}

WM_KEYED(rule, event, json(activity), config, fell_silent,
    .name = "example-rule",
    .version = "0.1.0",
    .description = "Counts the records of each key, and sums up when a key falls silent.",
    .state_version = 1);
