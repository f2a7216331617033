// Command fraud-rules is a plugin that looks at one record and its configuration.
//
// A built-in step before it, `window = { rolling = "5m" }` with `txn_count = "count()"`, adds how many transactions the customer made
// in the five minutes up to this one. Without that step only the amount counts.
package main

import (
	"fmt"

	wasmill "wasmill.dev/plugin"
)

// Txn is what the rule reads. The host decodes these fields and no others; a record that lacks one that is no pointer, or holds another
// kind there, is dead-lettered before it gets here.
type Txn struct {
	CustomerID    string  `wasmill:"customer_id"`
	TransactionID string  `wasmill:"transaction_id"`
	Amount        float64 `wasmill:"amount"`
	Timestamp     string  `wasmill:"timestamp"` // As RFC 3339. It only goes through, so it stays text.
	TxnCount      *int64  `wasmill:"txn_count"`
}

// Alert is what the rule says, in this order.
type Alert struct {
	CustomerID    string   `wasmill:"customer_id"`
	TransactionID string   `wasmill:"transaction_id"`
	Amount        float64  `wasmill:"amount"`
	Alerts        []string `wasmill:"alerts"`
	Timestamp     string   `wasmill:"timestamp"`
}

// Config is the step's `config`. An unknown key refuses the deployment.
type Config struct {
	// An amount above this is an alert.
	MaxAmount float64 `json:"max_amount"`
	// More transactions than this in five minutes are an alert.
	MaxCount int64 `json:"max_count"`
}

// SetDefaults is called before the keys of the step's `config` are read.
func (c *Config) SetDefaults() {
	c.MaxAmount, c.MaxCount = 10_000, 5
}

// Rule alerts on transactions of a customer that are too many in five minutes or too large.
var Rule = wasmill.Transform(wasmill.Options{
	Name:        "fraud-rules",
	Version:     "0.1.0",
	Description: "Alerts on transactions of a customer that are too many in five minutes or too large.",
}, rule)

func rule(txn Txn, config *Config, out *wasmill.Output[Alert]) error {
	var count int64
	if txn.TxnCount != nil {
		count = *txn.TxnCount
	}
	if count <= config.MaxCount && txn.Amount <= config.MaxAmount {
		return nil // Most records end here, without having cost an allocation.
	}
	var alerts []string
	if count > config.MaxCount {
		alerts = append(alerts, fmt.Sprintf("High velocity: %d transactions in 5 min", count))
	}
	if txn.Amount > config.MaxAmount {
		alerts = append(alerts, fmt.Sprintf("High amount: %.2f", txn.Amount))
	}
	out.Emit(Alert{txn.CustomerID, txn.TransactionID, txn.Amount, alerts, txn.Timestamp})
	return nil
}

func main() {}
