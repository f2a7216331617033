/* What a rule remembers of a key, and when it wants to be called again.
 *
 *     typedef struct activity { int64_t first, last, count; } activity;
 *
 *     static void velocity(const event *e, wm_key *key, const config *c, wm_out *out) {
 *         activity *a = wm_state(key);    // Zeroes, when the key had none.
 *         a->count++;
 *         wm_set_timer(key, 0, e->at + c->silence_ms);
 *     }
 *
 *     static void fell_silent(const wm_timer *timer, wm_key *key, const config *c, wm_out *out) {
 *         ...
 *         wm_forget(key);
 *     }
 *
 *     WM_KEYED(velocity, event, plain(activity), config, fell_silent, .state_version = 1);
 *
 * How the state is kept is the third argument:
 *
 * | form           | `wm_state` gives | kept as                                                                            |
 * |----------------|------------------|------------------------------------------------------------------------------------|
 * | `plain(type)`  | `type *`         | the struct's bytes. It holds no pointers; the layout is that of wasm32             |
 * | `json(type)`   | `type *`         | JSON, of a WM_OBJECT: readable, and a text may be in it                            |
 * | `raw`          | `wm_str *`       | the bytes that it points to when the rule returns                                  |
 *
 * The form is part of the deployment: whoever changes it raises `.state_version` and, to keep what there is, gives `.migrate`. */
#ifndef WASMILL_KEYED_H
#define WASMILL_KEYED_H

#include <wasmill/object.h>
#include <wasmill/output.h>
#include <wasmill/wire.h>

/* How a state lies in memory and in the store. */
typedef struct wm_form {
    size_t size;
    const wm_object *(*object)(void); /* Of json. */
    bool raw;
} wm_form;

/* A key of a batch: its state and its timers. */
typedef struct wm_key {
    void *state_;
    size_t size_;
    bool present_;
    uint32_t group_;
    int64_t watermark_;
    wm_timer_change *timers_;
    size_t timer_count_, timer_max_;
    const wm_out *out_;
    /* The last row that set a timer, and how many were set before it. */
    uint32_t timer_row_;
    size_t timer_mark_;
} wm_key;

/* A timer that is due. */
typedef struct wm_timer {
    uint32_t id; /* As it was set. */
    int64_t at;  /* The time that it was set to, milliseconds since the Unix epoch. */
    wm_str key;
} wm_timer;

/* Whether something is known of the key. */
WM_ALWAYS bool wm_has_state(const wm_key *key) {
    return key->present_;
}

/* The state, to read and to change in place. Where the key has none it gets one of zeroes. */
WM_ALWAYS void *wm_state(wm_key *key) {
    key->present_ = true; /* What is there without a state is zeroes. */
    return key->state_;
}

/* Deletes the state: what `wm_state` gave is zeroes then. Timers stay. */
WM_ALWAYS void wm_forget(wm_key *key) {
    memset(key->state_, 0, key->size_);
    key->present_ = false;
}

/* Sets timer `id` of the key to event time `at`, in milliseconds since the Unix epoch. A key has one timer of each id: this replaces it. It is due
 * once the watermark has passed `at`. */
void wm_set_timer(wm_key *key, uint32_t id, int64_t at);

/* Cancels timer `id`, if it is set. */
void wm_cancel_timer(wm_key *key, uint32_t id);

/* No record on time is older than this: milliseconds since the Unix epoch, INT64_MIN before the first watermark. */
WM_ALWAYS int64_t wm_watermark(const wm_key *key) {
    return key->watermark_;
}

#define WM_FORM_plain(type) {sizeof(type), NULL, false}
#define WM_FORM_json(type) {sizeof(type), type##_object, false}
#define WM_FORM_raw {sizeof(wm_str), NULL, true}

#endif
