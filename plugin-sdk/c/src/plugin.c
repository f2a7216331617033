/* What a plugin says of itself, and its configuration. */
#include "sdk.h"

static void *config;

wm_str wm_plugin_name(void) {
    return wm_str_of(wm_the_plugin.name ? wm_the_plugin.name : wm_the_plugin.rule);
}

wm_str wm_plugin_schema(void) {
    return wm_object_schema(wm_the_plugin.config());
}

const void *wm_plugin_config(void) {
    return config;
}

wm_str wm_plugin_open(wm_str text) {
    const wm_object *object = wm_the_plugin.config();
    wm_memory = &wm_kept_memory; /* What the configuration points to stays. */
    void *opened = wm_alloc(object->size);
    wm_str error = wm_object_read(object, text, "config", opened);
    wm_str why = WM_STR("refused");
    if (wm_is_null(error) && wm_the_plugin.check && !wm_the_plugin.check(opened, &why))
        error = wm_format("config: %.*s", WM_ARG(why));
    if (wm_is_null(error))
        config = opened;
    wm_memory = &wm_call_memory;
    return error;
}

size_t wm_index_of_slot(const wm_field *fields, size_t count, uint8_t slot) {
    size_t i = 0;
    while (i < count && fields[i].slot != slot)
        i++;
    return i;
}

const wm_field *wm_plugin_reads(size_t *count) {
    const wm_plugin *plugin = &wm_the_plugin;
    static const uint8_t timer[] = {WM_SLOT_KEY, WM_SLOT_TIME};
    static const uint8_t window[] = {WM_SLOT_KEY, WM_SLOT_WINDOW_START, WM_SLOT_WINDOW_END};
    const bool timers = plugin->kind == WM_IS_KEYED && strcmp(plugin->on_timer_name, "wm_no_timer") != 0;
    const uint8_t *slots = timers ? timer : window;
    const size_t more = timers ? 2 : plugin->kind == WM_IS_AGGREGATE ? 3 : 0;
    wm_field *fields = wm_grow(plugin->reads, plugin->read_count * sizeof *fields,
                               (plugin->read_count + more) * sizeof *fields);
    *count = plugin->read_count;
    for (size_t i = 0; i < more; i++)
        if (wm_index_of_slot(fields, *count, slots[i]) == *count)
            fields[(*count)++] = (wm_field){.slot = slots[i], .kind = slots[i] == WM_SLOT_KEY ? WM_BYTES : WM_S64};
    return fields;
}

const wm_port_spec *wm_plugin_ports(size_t *count) {
    *count = wm_the_plugin.port_count;
    if (*count > 1)
        return wm_the_plugin.ports;
    wm_port_spec *only = wm_grow(wm_the_plugin.ports, sizeof *only, sizeof *only);
    only->name = WM_STR("out");
    return only;
}
