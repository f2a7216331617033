// Command columns is a rule that scripts/bench-plugins.sh measures: it writes half of the records as two columns.
package main

import wasmill "wasmill.dev/plugin"

// Columns are what is read.
type Columns struct {
	Amount   wasmill.Float64s `wasmill:"amount"`
	Customer wasmill.Texts    `wasmill:"customer,optional"`
}

// Alert is a row.
type Alert struct {
	Customer string  `wasmill:"customer"`
	Amount   float64 `wasmill:"amount"`
}

// Rule is the plugin.
var Rule = wasmill.TransformColumns(wasmill.Options{Name: "columns"}, columns)

func columns(batch *wasmill.Batch[Columns], _ *wasmill.NoConfig, out *wasmill.Output[Alert]) error {
	customers := &batch.Columns.Customer
	for row, amount := range batch.Columns.Amount.Values {
		if amount > 10_000 {
			out.EmitRow(row, Alert{customers.At(row), amount})
		}
	}
	return nil
}

func main() {} // wasmill calls Rule.
