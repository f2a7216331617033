// Command filter-rows is a rule that scripts/bench-plugins.sh measures: it passes half of the records on.
package main

import wasmill "wasmill.dev/plugin"

// Payment is what is read.
type Payment struct {
	Amount   float64 `wasmill:"amount"`
	Customer *string `wasmill:"customer"`
}

// Rule is the plugin.
var Rule = wasmill.Transform(wasmill.Options{Name: "filter-rows"}, filter)

func filter(payment Payment, _ *wasmill.NoConfig, out *wasmill.Output[wasmill.Unchanged]) error {
	if payment.Amount > 10_000 {
		out.Pass()
	}
	return nil
}

func main() {} // wasmill calls Rule.
