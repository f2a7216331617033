/* What the host keeps for the keys of a keyed plugin: states and timers. */
#include "driver.h"

/* What is kept for a key. */
typedef struct kept {
    wm_str key, state; /* A state of NULL is none. */
    struct kept *next;
} kept;

typedef struct timer {
    wm_str key;
    uint32_t id;
    int64_t at;
    struct timer *next;
} timer;

static kept *states;
static timer *timers;

void kept_reset(void) {
    states = NULL;
    timers = NULL;
}

int compare_texts(wm_str a, wm_str b) {
    const size_t len = a.len < b.len ? a.len : b.len;
    const int order = len ? memcmp(a.ptr, b.ptr, len) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static kept *found(wm_str key) {
    for (kept *at = states; at; at = at->next)
        if (wm_equal(at->key, key))
            return at;
    return NULL;
}

static void keep(wm_str key, wm_str state) {
    kept *at = found(key);
    if (!at) {
        at = wm_alloc(sizeof *at);
        *at = (kept){key, state, states};
        states = at;
    }
    at->state = state;
}

wm_str kept_state(wm_str key) {
    const kept *known = found(key);
    return known ? known->state : (wm_str){NULL, 0};
}

void kept_apply(const wm_keyed_output *output, const wm_str *keys, size_t groups) {
    for (size_t i = 0; i < groups; i++) {
        const bool null = output->states.null_count && output->states.nulls[i];
        keep(keys[i], null ? (wm_str){NULL, 0} : wm_string_at(&output->states.values.strings, i));
    }
    for (size_t i = 0; i < output->timer_count; i++) {
        const wm_timer_change *change = &output->timers[i];
        timer **at = &timers;
        while (*at && !(wm_equal((*at)->key, keys[change->group]) && (*at)->id == change->id))
            at = &(*at)->next;
        if (*at)
            *at = (*at)->next;
        if (change->set) {
            timer *set = wm_alloc(sizeof *set);
            *set = (timer){keys[change->group], change->id, change->at, timers};
            timers = set;
        }
    }
}

static timer **next_due(int64_t watermark) {
    timer **found = NULL;
    for (timer **at = &timers; *at; at = &(*at)->next)
        if ((*at)->at <= watermark && (!found || (*at)->at < (*found)->at ||
                                       ((*at)->at == (*found)->at && compare_texts((*at)->key, (*found)->key) < 0)))
            found = at;
    return found;
}

bool kept_fire(int64_t watermark, wm_timer *fired) {
    timer **due = next_due(watermark);
    if (!due)
        return false;
    *fired = (wm_timer){(*due)->id, (*due)->at, (*due)->key};
    *due = (*due)->next;
    return true;
}

const void *wm_test_state(const char *key) {
    const wm_str stored = kept_state(wm_str_of(key));
    if (wm_is_null(stored))
        return NULL;
    void *state = wm_alloc(wm_the_plugin.form.size);
    const wm_str error = wm_state_read(&wm_the_plugin.form, stored, state);
    if (!wm_is_null(error))
        test_fail("the state cannot be read: %.*s", WM_ARG(error));
    return state;
}

size_t wm_test_keys(void) {
    size_t count = 0;
    for (const kept *at = states; at; at = at->next)
        count += !wm_is_null(at->state);
    return count;
}

/* Keys in order, then ids. */
static bool before(const timer *a, const timer *b) {
    const int order = compare_texts(a->key, b->key);
    return order < 0 || (order == 0 && a->id < b->id);
}

const char *wm_test_timers(void) {
    lines all = {{NULL, 0}};
    for (const timer *printed = NULL;;) {
        const timer *next = NULL;
        for (const timer *at = timers; at; at = at->next)
            if ((!printed || before(printed, at)) && (!next || before(at, next)))
                next = at;
        if (!next)
            return lines_text(&all);
        lines_add(&all, "%.*s %u %lld", WM_ARG(next->key), next->id, (long long)next->at);
        printed = next;
    }
}
