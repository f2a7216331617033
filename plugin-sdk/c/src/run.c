/* Drives a rule over what the host hands over. */
#include "sdk.h"

wm_str wm_run_transform(const wm_batch *records, wm_produced *produced) {
    wm_out out;
    wm_out_begin(&out, records->rows);
    wm_the_plugin.rows(records, wm_plugin_config(), &out);
    *produced = wm_out_end(&out);
    return (wm_str){NULL, 0};
}

static wm_str passed_on(const char *call) {
    return wm_format("%s passed a record on, but is not called for one: emit a row instead", call);
}

/* A call over groups: the state at hand, and those that were answered. */
typedef struct keyed_run {
    wm_out out;
    wm_key key;
    wm_states after;
} keyed_run;

static void keyed_begin(keyed_run *run, const wm_batch *records, size_t groups) {
    const size_t size = wm_the_plugin.form.size;
    wm_out_begin(&run->out, records->rows);
    run->key = (wm_key){.state_ = wm_alloc(size), .size_ = size, .watermark_ = records->watermark};
    run->out.key = &run->key;
    run->key.out_ = &run->out;
    run->key.timer_row_ = UINT32_MAX;
    wm_states_begin(&run->after, groups);
}

/* Makes `group` the one at hand. */
static wm_str keyed_group(keyed_run *run, const wm_groups *groups, uint32_t group) {
    const wm_column *states = &groups->states;
    run->key.group_ = group;
    run->key.present_ = !(states->null_count && states->nulls[group]);
    if (!run->key.present_) {
        memset(run->key.state_, 0, run->key.size_);
        return (wm_str){NULL, 0};
    }
    return wm_state_read(&wm_the_plugin.form, wm_string_at(&states->values.strings, group), run->key.state_);
}

static void keyed_answer(keyed_run *run) {
    wm_states_put(&run->after, &wm_the_plugin.form, run->key.present_ ? run->key.state_ : NULL);
}

static void keyed_end(keyed_run *run, wm_keyed_output *output) {
    *output = (wm_keyed_output){wm_out_end(&run->out), wm_states_column(&run->after), run->key.timers_, run->key.timer_count_};
}

wm_str wm_run_keyed(const wm_batch *records, const wm_groups *groups, wm_keyed_output *output) {
    keyed_run run;
    const uint32_t count = (uint32_t)groups->bound_count - 1;
    keyed_begin(&run, records, count);
    for (uint32_t group = 0; group < count; group++) {
        const wm_str error = keyed_group(&run, groups, group);
        if (!wm_is_null(error))
            return error;
        const uint32_t start = groups->bounds[group], end = groups->bounds[group + 1];
        wm_the_plugin.group(records, start, end, &run.key, wm_plugin_config(), &run.out);
        keyed_answer(&run);
    }
    keyed_end(&run, output);
    return (wm_str){NULL, 0};
}

/* Row `row` of the column of this slot, which a rule of this kind reads. */
static wm_str text_of(const wm_batch *rows, size_t column, uint32_t row) {
    const wm_column *from = &rows->columns[column];
    const bool null = from->null_count && from->nulls[row];
    return null ? WM_STR("") : wm_string_at(&from->values.strings, row);
}

static int64_t number_of(const wm_batch *rows, size_t column, uint32_t row) {
    return ((const int64_t *)rows->columns[column].values.list.ptr)[row];
}

wm_str wm_run_timers(const wm_batch *due, const uint32_t *ids, size_t id_count, const wm_groups *groups,
                     wm_keyed_output *output) {
    keyed_run run;
    size_t count;
    const wm_field *fields = wm_plugin_reads(&count);
    const size_t key = wm_index_of_slot(fields, count, WM_SLOT_KEY), time = wm_index_of_slot(fields, count, WM_SLOT_TIME);
    if (time == count)
        return WM_STR("a timer fired, but the plugin has no on_timer");
    keyed_begin(&run, due, id_count);
    for (uint32_t row = 0; row < id_count; row++) {
        const wm_str error = keyed_group(&run, groups, row);
        if (!wm_is_null(error))
            return error;
        const wm_timer timer = {ids[row], number_of(due, time, row), text_of(due, key, row)};
        wm_row(&run.out, row);
        wm_the_plugin.on_timer(&timer, &run.key, wm_plugin_config(), &run.out);
        keyed_answer(&run);
    }
    if (wm_out_passed(&run.out))
        return passed_on("on_timer");
    keyed_end(&run, output);
    return (wm_str){NULL, 0};
}

static void change_timer(wm_key *key, wm_timer_change change) {
    if (key->timer_row_ != key->out_->row) {
        key->timer_row_ = key->out_->row;
        key->timer_mark_ = key->timer_count_;
    }
    if (key->timer_count_ == key->timer_max_) {
        const size_t max = key->timer_max_ ? 2 * key->timer_max_ : 64;
        key->timers_ = wm_grow(key->timers_, key->timer_count_ * sizeof change, max * sizeof change);
        key->timer_max_ = max;
    }
    key->timers_[key->timer_count_++] = change;
}

void wm_forget_timers(wm_key *key) {
    if (key->timer_row_ == key->out_->row)
        key->timer_count_ = key->timer_mark_;
}

void wm_set_timer(wm_key *key, uint32_t id, int64_t at) {
    change_timer(key, (wm_timer_change){key->group_, id, true, at});
}

void wm_cancel_timer(wm_key *key, uint32_t id) {
    change_timer(key, (wm_timer_change){key->group_, id, false, 0});
}

wm_str wm_run_add(const wm_batch *records, const uint32_t *bounds, size_t bound_count, const wm_column *accumulators,
                  wm_strings *added) {
    const wm_form *form = &wm_the_plugin.form;
    wm_states after;
    wm_states_begin(&after, bound_count - 1);
    void *accumulator = wm_alloc(form->size);
    for (size_t i = 0; i + 1 < bound_count; i++) {
        wm_str error = {NULL, 0};
        if (accumulators->null_count && accumulators->nulls[i])
            memset(accumulator, 0, form->size);
        else
            error = wm_state_read(form, wm_string_at(&accumulators->values.strings, i), accumulator);
        if (!wm_is_null(error))
            return error;
        wm_the_plugin.add(records, bounds[i], bounds[i + 1], accumulator, wm_plugin_config());
        wm_states_put(&after, form, accumulator);
    }
    *added = wm_states_strings(&after);
    return (wm_str){NULL, 0};
}

wm_str wm_run_merge(wm_strings left, wm_strings right, wm_strings *merged) {
    const wm_form *form = &wm_the_plugin.form;
    const size_t count = left.offset_count - 1;
    wm_states after;
    wm_states_begin(&after, count);
    void *one = wm_alloc(form->size), *other = wm_alloc(form->size);
    for (size_t i = 0; i < count; i++) {
        wm_str error = wm_state_read(form, wm_string_at(&left, i), one);
        if (wm_is_null(error))
            error = wm_state_read(form, wm_string_at(&right, i), other);
        if (!wm_is_null(error))
            return error;
        wm_the_plugin.merge(one, other, wm_plugin_config());
        wm_states_put(&after, form, one);
    }
    *merged = wm_states_strings(&after);
    return (wm_str){NULL, 0};
}

wm_str wm_run_finish(const wm_batch *windows, wm_strings accumulators, wm_produced *produced) {
    const wm_form *form = &wm_the_plugin.form;
    size_t count;
    const wm_field *fields = wm_plugin_reads(&count);
    const size_t key = wm_index_of_slot(fields, count, WM_SLOT_KEY);
    const size_t start = wm_index_of_slot(fields, count, WM_SLOT_WINDOW_START);
    const size_t end = wm_index_of_slot(fields, count, WM_SLOT_WINDOW_END);
    wm_out out;
    wm_out_begin(&out, windows->rows);
    void *accumulator = wm_alloc(form->size);
    for (uint32_t row = 0; row < windows->rows; row++) {
        const wm_str error = wm_state_read(form, wm_string_at(&accumulators, row), accumulator);
        if (!wm_is_null(error))
            return error;
        const wm_window window = {text_of(windows, key, row), number_of(windows, start, row), number_of(windows, end, row)};
        wm_row(&out, row);
        wm_the_plugin.finish(&window, accumulator, wm_plugin_config(), &out);
    }
    if (wm_out_passed(&out))
        return passed_on("finish");
    *produced = wm_out_end(&out);
    return (wm_str){NULL, 0};
}

wm_str wm_run_migrate(uint32_t from_version, wm_strings states, wm_strings *migrated) {
    const wm_plugin *plugin = &wm_the_plugin;
    const size_t count = states.offset_count - 1;
    if (!plugin->migrate)
        return wm_format("no migration from state version %u", from_version);
    wm_states after;
    wm_states_begin(&after, count);
    void *state = wm_alloc(plugin->form.size);
    for (size_t i = 0; i < count; i++) {
        wm_str why = WM_STR("no reason was given");
        memset(state, 0, plugin->form.size);
        if (!plugin->migrate(from_version, wm_string_at(&states, i), state, &why))
            return wm_format("state %zu of version %u cannot become version %u: %.*s", i, from_version,
                             plugin->state_version, WM_ARG(why));
        wm_states_put(&after, &plugin->form, state);
    }
    *migrated = wm_states_strings(&after);
    return (wm_str){NULL, 0};
}
