// Command example-rule is a wasmill plugin that counts and sums up the orders of each window.
package main

import wasmill "wasmill.dev/plugin"

// Order is what the rule reads. Key and window are told to finish.
type Order struct {
	Amount float64 `wasmill:"amount"`
}

// Takings is what is known of a window so far. Whoever changes its form raises StateVersion.
type Takings struct {
	Orders  int64   `json:"orders"`
	Revenue float64 `json:"revenue"`
}

// Row is written for each window, in this order.
type Row struct {
	Seller      string  `wasmill:"seller"`
	WindowStart int64   `wasmill:"window_start"`
	WindowEnd   int64   `wasmill:"window_end"`
	Orders      int64   `wasmill:"orders"`
	Revenue     float64 `wasmill:"revenue"`
}

// Rule is the plugin.
var Rule = wasmill.Aggregate(wasmill.Options{
	Name:         "example-rule",
	Version:      "0.1.0",
	Description:  "Counts and sums up the orders of each window.",
	StateVersion: 1,
}, add, merge, finish)

func add(order Order, takings *Takings, _ *wasmill.NoConfig) {
	takings.Orders++
	takings.Revenue += order.Amount
}

func merge(left, right *Takings, _ *wasmill.NoConfig) {
	left.Orders += right.Orders
	left.Revenue += right.Revenue
}

func finish(window wasmill.Window, takings *Takings, _ *wasmill.NoConfig, out *wasmill.Output[Row]) error {
	out.Emit(Row{window.KeyText(), window.Start, window.End, takings.Orders, takings.Revenue})
	return nil
}

func main() {} // wasmill calls Rule.
