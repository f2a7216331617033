/* Passes half of the records on. */
#include <wasmill.h>

WM_RECORD(payment, f64(amount), optional(text, customer));
WM_PASSED(out);
WM_PORTS(out);

static void rule(const payment *p, const wm_no_config *c, wm_out *out) {
    (void)c;
    if (p->amount > 10000)
        wm_pass(out);
}

WM_TRANSFORM(rule, payment, wm_no_config, .name = "filter", .version = "0.1.0", .description = "Passes half of the records on.");
