// Command count-rows is a rule that scripts/bench-plugins.sh measures: it counts the records of each key, and writes every sixteenth count of a key.
package main

import wasmill "wasmill.dev/plugin"

// Payment is what is read.
type Payment struct {
	Amount   float64 `wasmill:"amount"`
	Customer *string `wasmill:"customer"`
}

// Count is a row.
type Count struct {
	Count int64 `wasmill:"count"`
}

// Rule is the plugin.
var Rule = wasmill.Keyed(wasmill.Options{Name: "count-rows", StateVersion: 1}, count, nil)

func count(_ Payment, key *wasmill.Key[int64], _ *wasmill.NoConfig, out *wasmill.Output[Count]) error {
	if key.State == nil {
		key.State = new(int64)
	}
	*key.State++
	if *key.State%16 == 0 {
		out.Emit(Count{*key.State})
	}
	return nil
}

func main() {} // wasmill calls Rule.
