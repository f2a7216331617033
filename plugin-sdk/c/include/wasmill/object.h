/* Structs that are JSON objects: a step's configuration, and a state that is kept as JSON.
 *
 *     WM_CONFIG(config,
 *         f64(max_amount, 10000),        // A number, 10000 where the configuration has none.
 *         text(currency, "eur"),
 *         s64(max_count),                // Must be given.
 *         optional(s64, silence_ms),     // wm_opt_s64: may be missing.
 *         object(limits, limits)         // A nested struct, of a WM_OBJECT before this one.
 *     );
 *
 * | item                    | member                                    | JSON                                                        |
 * |-------------------------|-------------------------------------------|-------------------------------------------------------------|
 * | `s64(n)`                | `int64_t`                                 | a number without a fraction, of 64 bits                     |
 * | `f64(n)`                | `double`                                  | any number; NaN and infinities cannot be kept               |
 * | `boolean(n)`            | `bool`                                    | `true` or `false`                                           |
 * | `text(n)`               | `wm_str`                                  | a string                                                    |
 * | `json(n)`               | `wm_str`                                  | any value, as its text                                      |
 * | `optional(kind, n)`     | as in wasmill/record.h                    | the same, or null, or missing                               |
 * | `object(type, n)`       | `type`                                    | an object                                                   |
 *
 * A second argument is what stands for a missing member, as JSON. An unknown key is refused, with the names that there are; so is a
 * value of another kind. The message begins with the path of the key: `config.max_amount: invalid type: string "a", expected f64`. */
#ifndef WASMILL_OBJECT_H
#define WASMILL_OBJECT_H

#include <stddef.h>
#include <wasmill/each.h>
#include <wasmill/json.h>
#include <wasmill/record.h>

struct wm_object;

typedef struct wm_member {
    const char *name;
    uint8_t kind; /* WM_S64 and its like, or WM_NESTED. */
    bool optional;
    size_t offset;
    const char *otherwise; /* JSON for a missing one; empty when it must be there. */
    const struct wm_object *(*nested)(void);
} wm_member;

typedef struct wm_object {
    const wm_member *members;
    size_t count;
    size_t size; /* Of the struct. */
} wm_object;

enum { WM_NESTED = WM_JSON + 1 };

/* Reads `json` into the struct at `into`; `path` begins the message. The error, or null. */
wm_str wm_object_read(const wm_object *object, wm_str json, const char *path, void *into);

/* Writes the struct. */
void wm_object_write(const wm_object *object, const void *from, wm_json_writer *writer);

/* The JSON Schema of the struct. */
wm_str wm_object_schema(const wm_object *object);

#define WM_OBJECT(type_, ...)                                                                                          \
    typedef struct type_ {                                                                                             \
        WM_EACH(WM_VALUE_, __VA_ARGS__)                                                                                \
    } type_;                                                                                                           \
    __attribute__((unused)) static const wm_object *type_##_object(void) {                                             \
        typedef type_ here_;                                                                                           \
        static const wm_member members_[] = {WM_EACH(WM_OF_, __VA_ARGS__)};                                            \
        static const wm_object object_ = {members_, sizeof(members_) / sizeof(wm_member), sizeof(here_)};              \
        return &object_;                                                                                               \
    }                                                                                                                  \
    enum { type_##_is_an_object }

/* A step's configuration; another name for the same. */
#define WM_CONFIG(type, ...) WM_OBJECT(type, __VA_ARGS__)

/* The configuration of a plugin that has none: any key is refused. */
typedef struct wm_no_config {
    char nothing;
} wm_no_config;
const wm_object *wm_no_config_object(void);

#define WM_VALUE_s64(n, ...) int64_t n;
#define WM_VALUE_f64(n, ...) double n;
#define WM_VALUE_boolean(n, ...) bool n;
#define WM_VALUE_text(n, ...) wm_str n;
#define WM_VALUE_json(n, ...) wm_str n;
#define WM_VALUE_optional(kind, n) WM_OPTIONAL_##kind n;
#define WM_VALUE_object(type, n, ...) type n;

#define WM_OF_ONE_(n, kind, optional, otherwise, nested) {#n, kind, optional, offsetof(here_, n), otherwise, nested},
#define WM_OF_s64(n, ...) WM_OF_ONE_(n, WM_S64, false, "" #__VA_ARGS__, NULL)
#define WM_OF_f64(n, ...) WM_OF_ONE_(n, WM_F64, false, "" #__VA_ARGS__, NULL)
#define WM_OF_boolean(n, ...) WM_OF_ONE_(n, WM_BOOLEAN, false, "" #__VA_ARGS__, NULL)
#define WM_OF_text(n, ...) WM_OF_ONE_(n, WM_TEXT, false, "" #__VA_ARGS__, NULL)
#define WM_OF_json(n, ...) WM_OF_ONE_(n, WM_JSON, false, "" #__VA_ARGS__, NULL)
#define WM_OF_optional(kind, n) WM_OF_ONE_(n, WM_KIND_##kind, true, "null", NULL)
#define WM_OF_object(type, n, ...) WM_OF_ONE_(n, WM_NESTED, false, "" #__VA_ARGS__, type##_object)

#endif
