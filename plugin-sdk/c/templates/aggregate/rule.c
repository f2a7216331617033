/* Counts and sums up the orders of each window. */
#include <wasmill.h>

/* What the rule reads. Key and window are told to `rule_finish`. */
WM_RECORD(order,
    f64(amount)
);

/* What is known of a window so far, kept as its bytes; a new one is zeroes. Whoever changes its form raises `.state_version`. */
typedef struct takings {
    int64_t orders;
    double revenue;
} takings;

/* Written for each window, in this order. */
WM_ROW(row,
    text(seller),
    s64(window_start),
    s64(window_end),
    s64(orders),
    f64(revenue)
);
WM_PORTS(row);

static void rule_add(const order *o, takings *t, const wm_no_config *c) {
    (void)c;
    t->orders++;
    t->revenue += o->amount;
}

static void rule_merge(takings *left, const takings *right, const wm_no_config *c) {
    (void)c;
    left->orders += right->orders;
    left->revenue += right->revenue;
}

static void rule_finish(const wm_window *window, const takings *t, const wm_no_config *c, wm_out *out) {
    (void)c;
    WM_EMIT(out, row,
        .seller = window->key,
        .window_start = window->start,
        .window_end = window->end,
        .orders = t->orders,
        .revenue = t->revenue);
}

WM_AGGREGATE(rule, order, plain(takings), takings, wm_no_config,
    .name = "example-rule",
    .version = "0.1.0",
    .description = "Counts and sums up the orders of each window.",
    .state_version = 1);
