/* The longest word and the mean length of a window's words; `broken` makes merging lose a record. */
#include <wasmill.h>

WM_RECORD(input, text(word));
WM_OBJECT(words, s64(count), f64(letters), text(longest));
WM_ROW(row, text(of), s64(start), s64(end), text(longest), f64(mean));
WM_PORTS(row);
WM_CONFIG(config, boolean(broken, false));

static void rule_add(const input *i, words *w, const config *c) {
    (void)c;
    w->count++;
    w->letters += i->word.len;
    if (i->word.len > w->longest.len)
        w->longest = i->word;
}

static void rule_merge(words *left, const words *right, const config *c) {
    left->count += right->count - c->broken;
    left->letters += right->letters;
    if (right->longest.len > left->longest.len)
        left->longest = right->longest;
}

static void rule_finish(const wm_window *window, const words *w, const config *c, wm_out *out) {
    (void)c;
    if (w->count == 0)
        wm_reject(out, "an empty window");
    WM_EMIT(out, row, .of = window->key, .start = window->start, .end = window->end, .longest = w->longest,
            .mean = w->letters / w->count);
    if (w->count > 100)
        wm_pass(out);
}

WM_AGGREGATE(rule, input, json(words), words, config, .state_version = 1);
