// Command columns-rows is a rule that scripts/bench-plugins.sh measures: it writes half of the records as two columns.
package main

import wasmill "wasmill.dev/plugin"

// Payment is what is read.
type Payment struct {
	Amount   float64 `wasmill:"amount"`
	Customer *string `wasmill:"customer"`
}

// Alert is a row.
type Alert struct {
	Customer *string `wasmill:"customer"`
	Amount   float64 `wasmill:"amount"`
}

// Rule is the plugin.
var Rule = wasmill.Transform(wasmill.Options{Name: "columns-rows"}, columns)

func columns(payment Payment, _ *wasmill.NoConfig, out *wasmill.Output[Alert]) error {
	if payment.Amount > 10_000 {
		out.Emit(Alert{payment.Customer, payment.Amount})
	}
	return nil
}

func main() {} // wasmill calls Rule.
