/* A plugin that takes all records of a key at once, and sums them up. */
#include <wasmill.h>

WM_RECORD(payment, s64(amount), optional(text, note));
WM_ROW(total, s64(records), s64(sum));
WM_PORTS(total);

static void rule(const payment_columns *p, uint32_t start, uint32_t end, wm_key *key, const wm_no_config *c, wm_out *out) {
    (void)c;
    int64_t *sum = wm_state(key);
    for (uint32_t row = start; row < end; row++) {
        if (wm_equal(wm_at(p->note, row), WM_STR("void"))) {
            wm_row(out, row);
            wm_reject(out, "void");
        } else {
            *sum += p->amount[row];
        }
    }
    wm_row(out, end - 1);
    if (*sum > 0)
        WM_EMIT(out, total, .records = end - start, .sum = *sum);
}

WM_KEYED_BATCH(rule, payment, plain(int64_t), wm_no_config, wm_no_timer, .state_version = 1);
