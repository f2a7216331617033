// Command filter is a rule that scripts/bench-plugins.sh measures: it passes half of the records on.
package main

import wasmill "wasmill.dev/plugin"

// Columns are what is read.
type Columns struct {
	Amount   wasmill.Float64s `wasmill:"amount"`
	Customer wasmill.Texts    `wasmill:"customer,optional"`
}

// Rule is the plugin.
var Rule = wasmill.TransformColumns(wasmill.Options{Name: "filter"}, filter)

func filter(batch *wasmill.Batch[Columns], _ *wasmill.NoConfig, out *wasmill.Output[wasmill.Unchanged]) error {
	for row, amount := range batch.Columns.Amount.Values {
		if amount > 10_000 {
			out.PassRow(row)
		}
	}
	return nil
}

func main() {} // wasmill calls Rule.
