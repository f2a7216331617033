/* Writes half of the records as two columns. */
#include <wasmill.h>

WM_RECORD(payment, f64(amount), optional(text, customer));
WM_ROW(alert, optional(text, customer), f64(amount));
WM_PORTS(alert);

static void rule(const payment *p, const wm_no_config *c, wm_out *out) {
    (void)c;
    if (p->amount > 10000)
        WM_EMIT(out, alert, .customer = p->customer, .amount = p->amount);
}

WM_TRANSFORM(rule, payment, wm_no_config, .name = "columns", .version = "0.1.0", .description = "Writes half of the records.");
