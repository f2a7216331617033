// Command example-rule is a wasmill plugin that alerts on transactions that are too large.
package main

import (
	"errors"

	wasmill "wasmill.dev/plugin"
)

// Txn is what the rule reads. No other field is decoded.
type Txn struct {
	CustomerID string  `wasmill:"customer_id"`
	Amount     float64 `wasmill:"amount"`
	Note       *string `wasmill:"note"` // May be missing. A record without the others goes to the dead letters.
}

// Alert is what it writes, in this order.
type Alert struct {
	CustomerID string  `wasmill:"customer_id"`
	Amount     float64 `wasmill:"amount"`
	Note       *string `wasmill:"note"`
}

// Config is the step's `config`. A wrong one is refused before anything starts.
type Config struct {
	// An amount above this is an alert.
	MaxAmount float64 `json:"max_amount"`
}

// SetDefaults is called before the keys of the step's `config` are read.
func (c *Config) SetDefaults() { c.MaxAmount = 10_000 }

// Rule is the plugin.
var Rule = wasmill.Transform(wasmill.Options{
	Name:        "example-rule",
	Version:     "0.1.0",
	Description: "Alerts on transactions that are too large.",
}, largeAmount)

func largeAmount(txn Txn, config *Config, out *wasmill.Output[Alert]) error {
	if txn.Amount < 0 {
		return errors.New("a negative amount") // To the dead letters, with this reason.
	}
	if txn.Amount > config.MaxAmount {
		out.Emit(Alert{txn.CustomerID, txn.Amount, txn.Note})
	}
	return nil
}

func main() {} // wasmill calls Rule.
