/* A plugin that does what its record's `ops` say: `p` passes, `s` passes to the side, `e` emits, `n` emits nulls, `x` refuses, `f` fails, `l` logs. */
#include <wasmill.h>

WM_RECORD(input,
    text(ops),
    optional(s64, n),
    optional(f64, x),
    optional(boolean, flag),
    optional(text, note),
    optional_field(text, country, "card.country"),
    optional(json, tags),
    key(name),
    time(at),
    header(trace, "trace-id"),
    topic(topic_name),
    partition(part),
    offset(place)
);

WM_ROW(main_row,
    field(text, op, "op"),
    optional(s64, n),
    optional(f64, x),
    optional(boolean, flag),
    optional(text, note),
    optional_field(text, country, "card.country"),
    optional(json, tags)
);
WM_PASSED(side);
WM_ROW(placed, key(name), time(at), header(trace, "trace-id"), text(from), s64(place));
WM_PORTS(main_row, side, placed);

WM_OBJECT(limits, s64(low, 1), s64(high));
WM_CONFIG(config,
    f64(max, 10.5),
    boolean(strict, false),
    text(currency, "eur"),
    optional(s64, silence),
    json(anything, [1, 2]),
    object(limits, limits, {"high": 9})
);

static bool check(const void *of, wm_str *why) {
    const config *c = of;
    *why = wm_format("limits.low = %lld must be at most limits.high = %lld", (long long)c->limits.low, (long long)c->limits.high);
    return c->limits.low <= c->limits.high;
}

static void rule(const input *i, const config *c, wm_out *out) {
    for (size_t op = 0; op < i->ops.len; op++) {
        const wm_str name = wm_slice(i->ops, op, op + 1);
        switch (name.ptr[0]) {
        case 'p':
            wm_pass(out);
            break;
        case 's':
            wm_pass_to(out, WM_PORT(side));
            break;
        case 'e':
            WM_EMIT(out, main_row, .op = name, .n = i->n, .x = i->x, .flag = i->flag, .note = i->note, .country = i->country,
                    .tags = i->tags);
            break;
        case 'n':
            WM_EMIT(out, main_row, .op = name);
            break;
        case 'a':
            WM_EMIT(out, placed, .name = i->name, .at = i->at, .trace = i->trace,
                    .from = wm_format("%.*s-%lld", WM_ARG(i->topic_name), (long long)i->part), .place = i->place);
            break;
        case 'x':
            wm_reject(out, "refused at %zu", op);
            break;
        case 'l':
            wm_warn("max is %.1f %.*s", c->max, WM_ARG(c->currency));
            wm_count("logged", 2);
            break;
        case 'u':
            WM_EMIT(out, main_row, .op = {"\xff", 1});
            break;
        default:
            WM_FAIL("no such op: %.*s", WM_ARG(name));
        }
    }
}

WM_TRANSFORM(rule, input, config, .check = check);
