/* Counts the records of each key, and writes a row for each key of a batch. */
#include <wasmill.h>

WM_RECORD(payment, f64(amount), optional(text, customer));
WM_ROW(row, s64(count));
WM_PORTS(row);

static void rule(const payment_columns *p, uint32_t start, uint32_t end, wm_key *key, const wm_no_config *c, wm_out *out) {
    (void)p;
    (void)c;
    int64_t *count = wm_state(key);
    *count += end - start;
    WM_EMIT(out, row, .count = *count);
}

WM_KEYED_BATCH(rule, payment, plain(int64_t), wm_no_config, wm_no_timer, .name = "count", .version = "0.1.0",
    .description = "Counts the records of each key.", .state_version = 1);
