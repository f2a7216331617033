/* Structs that are JSON objects. */
#include "sdk.h"

static const char *const kind_names[] = {"s64", "f64", "boolean", "text", "bytes", "JSON", "an object"};

const wm_object *wm_no_config_object(void) {
    static const wm_object none = {NULL, 0, sizeof(wm_no_config)};
    return &none;
}

static wm_str read_object(const wm_object *object, const wm_json *json, wm_str path, char *into);

static wm_str wrong_type(const wm_member *member, const wm_json *json, wm_str path) {
    const wm_str found = wm_json_describe(json);
    return wm_format("%.*s: invalid type: %.*s, expected %s", WM_ARG(path), WM_ARG(found), kind_names[member->kind]);
}

/* Reads a value that is of the member's kind into `at`; false when it is of another. */
static bool read_plain(const wm_member *member, const wm_json *json, void *at) {
    switch (member->kind) {
    case WM_S64:
        *(int64_t *)at = json->s64;
        return json->kind == WM_JSON_S64;
    case WM_F64:
        *(double *)at = json->f64;
        return json->kind == WM_JSON_S64 || json->kind == WM_JSON_F64;
    case WM_BOOLEAN:
        *(bool *)at = json->boolean;
        return json->kind == WM_JSON_BOOLEAN;
    case WM_JSON:
        *(wm_str *)at = wm_copy(json->raw);
        return true;
    default:
        *(wm_str *)at = wm_copy(json->text);
        return json->kind == WM_JSON_TEXT;
    }
}

/* As read_plain, for a member that may be null. */
static bool read_optional(const wm_member *member, const wm_json *json, void *at) {
    const bool some = json->kind != WM_JSON_NULL;
    switch (member->kind) {
    case WM_S64:
        ((wm_opt_s64 *)at)->some = some;
        return !some || read_plain(member, json, &((wm_opt_s64 *)at)->value);
    case WM_F64:
        ((wm_opt_f64 *)at)->some = some;
        return !some || read_plain(member, json, &((wm_opt_f64 *)at)->value);
    case WM_BOOLEAN:
        ((wm_opt_boolean *)at)->some = some;
        return !some || read_plain(member, json, &((wm_opt_boolean *)at)->value);
    default:
        *(wm_str *)at = (wm_str){NULL, 0};
        return !some || read_plain(member, json, at);
    }
}

static wm_str read_member(const wm_member *member, const wm_json *json, wm_str path, char *into) {
    void *at = into + member->offset;
    if (member->kind == WM_NESTED)
        return json->kind == WM_JSON_OBJECT ? read_object(member->nested(), json, path, at) : wrong_type(member, json, path);
    const bool fits = member->optional ? read_optional(member, json, at) : read_plain(member, json, at);
    return fits ? (wm_str){NULL, 0} : wrong_type(member, json, path);
}

/* What stands for a missing member, as JSON; empty when it must be there. */
static wm_str otherwise(const wm_member *member) {
    /* <stdbool.h> may have made numbers of the author's words. */
    if (member->kind == WM_BOOLEAN && strcmp(member->otherwise, "0") == 0)
        return WM_STR("false");
    if (member->kind == WM_BOOLEAN && strcmp(member->otherwise, "1") == 0)
        return WM_STR("true");
    return wm_str_of(member->otherwise);
}

/* "`a`, `b` or `c`". */
static wm_str names_of(const wm_object *object) {
    wm_str names = WM_STR("there are no fields");
    for (size_t i = 0; i < object->count; i++) {
        const char *name = object->members[i].name;
        const char *between = i + 1 == object->count ? " or " : ", ";
        names = i == 0 ? wm_format("expected `%s`", name) : wm_format("%.*s%s`%s`", WM_ARG(names), between, name);
    }
    return names;
}

static const wm_member *member_named(const wm_object *object, wm_str name) {
    for (size_t i = 0; i < object->count; i++)
        if (wm_equal(wm_str_of(object->members[i].name), name))
            return &object->members[i];
    return NULL;
}

static wm_str read_object(const wm_object *object, const wm_json *json, wm_str path, char *into) {
    for (const wm_json *member = json->first; member; member = member->next)
        if (!member_named(object, member->name)) {
            const wm_str name = member->name, known = names_of(object);
            return wm_format("%.*s.%.*s: unknown field `%.*s`, %.*s", WM_ARG(path), WM_ARG(name), WM_ARG(name),
                             WM_ARG(known));
        }
    for (size_t i = 0; i < object->count; i++) {
        const wm_member *member = &object->members[i];
        const wm_json *value = wm_json_get(json, member->name);
        wm_str why = {"", 0};
        if (!value && !*member->otherwise)
            return wm_format("%.*s: missing field `%s`", WM_ARG(path), member->name);
        if (!value && !(value = wm_json_parse(otherwise(member), &why)))
            return wm_format("%.*s.%s: what stands for a missing one, `%s`, is no JSON: %.*s", WM_ARG(path), member->name,
                             member->otherwise, WM_ARG(why));
        const wm_str error = read_member(member, value, wm_format("%.*s.%s", WM_ARG(path), member->name), into);
        if (!wm_is_null(error))
            return error;
    }
    return (wm_str){NULL, 0};
}

wm_str wm_object_read(const wm_object *object, wm_str json, const char *path, void *into) {
    wm_str why;
    const wm_json *value = wm_json_parse(json, &why);
    if (!value)
        return wm_format("%s: no JSON: %.*s", path, WM_ARG(why));
    if (value->kind != WM_JSON_OBJECT) {
        why = wm_json_describe(value);
        return wm_format("%s: invalid type: %.*s, expected an object", path, WM_ARG(why));
    }
    return read_object(object, value, wm_str_of(path), into);
}

static void write_member(const wm_member *member, const char *from, wm_json_writer *writer) {
    const void *at = from + member->offset;
    const bool optional = member->optional;
    switch (member->kind) {
    case WM_S64:
        if (optional && !((const wm_opt_s64 *)at)->some)
            break;
        wm_json_put_s64(writer, optional ? ((const wm_opt_s64 *)at)->value : *(const int64_t *)at);
        return;
    case WM_F64:
        if (optional && !((const wm_opt_f64 *)at)->some)
            break;
        wm_json_put_f64(writer, optional ? ((const wm_opt_f64 *)at)->value : *(const double *)at);
        return;
    case WM_BOOLEAN:
        if (optional && !((const wm_opt_boolean *)at)->some)
            break;
        wm_json_put_boolean(writer, optional ? ((const wm_opt_boolean *)at)->value : *(const bool *)at);
        return;
    case WM_NESTED:
        wm_object_write(member->nested(), at, writer);
        return;
    default: {
        const wm_str text = *(const wm_str *)at;
        if (wm_is_null(text) && (optional || member->kind == WM_JSON))
            break;
        if (member->kind == WM_JSON)
            wm_json_put_raw(writer, text);
        else
            wm_json_put_text(writer, text);
        return;
    }
    }
    wm_json_put_null(writer);
}

void wm_object_write(const wm_object *object, const void *from, wm_json_writer *writer) {
    wm_json_begin_object(writer);
    for (size_t i = 0; i < object->count; i++) {
        wm_json_put_name(writer, wm_str_of(object->members[i].name));
        write_member(&object->members[i], from, writer);
    }
    wm_json_end_object(writer);
}

static void put_schema(const wm_object *object, wm_json_writer *writer) {
    static const char *const types[] = {"integer", "number", "boolean", "string", "string"};
    wm_json_begin_object(writer);
    wm_json_put_name(writer, WM_STR("type"));
    wm_json_put_text(writer, WM_STR("object"));
    wm_json_put_name(writer, WM_STR("additionalProperties"));
    wm_json_put_boolean(writer, false);
    wm_json_put_name(writer, WM_STR("properties"));
    wm_json_begin_object(writer);
    for (size_t i = 0; i < object->count; i++) {
        const wm_member *member = &object->members[i];
        wm_json_put_name(writer, wm_str_of(member->name));
        if (member->kind == WM_NESTED) {
            put_schema(member->nested(), writer);
            continue;
        }
        wm_json_begin_object(writer);
        if (member->kind < WM_JSON) {
            wm_json_put_name(writer, WM_STR("type"));
            wm_json_put_text(writer, wm_str_of(types[member->kind]));
        }
        if (*member->otherwise && !member->optional) {
            wm_json_put_name(writer, WM_STR("default"));
            wm_json_put_raw(writer, otherwise(member));
        }
        wm_json_end_object(writer);
    }
    wm_json_end_object(writer);
    wm_json_put_name(writer, WM_STR("required"));
    wm_json_begin_array(writer);
    for (size_t i = 0; i < object->count; i++)
        if (!*object->members[i].otherwise)
            wm_json_put_text(writer, wm_str_of(object->members[i].name));
    wm_json_end_array(writer);
    wm_json_end_object(writer);
}

wm_str wm_object_schema(const wm_object *object) {
    wm_json_writer writer = {0};
    put_schema(object, &writer);
    return wm_json_done(&writer);
}
