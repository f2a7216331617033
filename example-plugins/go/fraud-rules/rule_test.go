package main

import (
	"fmt"
	"strings"
	"testing"

	"wasmill.dev/plugin/plugintest"
)

func txn(n int, amount string, count string) string {
	return fmt.Sprintf(
		`{"transaction_id": "t%d", "customer_id": "ann", "amount": %s, "timestamp": "2026-01-01T00:00:00Z", "txn_count": %s}`,
		n, amount, count,
	)
}

func TestATransactionOverALimitIsAnAlertAndOneAtItIsNot(t *testing.T) {
	plugintest.Transform(t, Rule, "").Run(
		txn(0, "10000", "5"), txn(1, "12000", "1"), txn(2, "20.5", "6"), txn(3, "10000.01", "7"),
	).Expect(
		`out: {"customer_id":"ann","transaction_id":"t1","amount":12000.0,"alerts":["High amount: 12000.00"],"timestamp":"2026-01-01T00:00:00Z"}`,
		`out: {"customer_id":"ann","transaction_id":"t2","amount":20.5,"alerts":["High velocity: 6 transactions in 5 min"],"timestamp":"2026-01-01T00:00:00Z"}`,
		`out: {"customer_id":"ann","transaction_id":"t3","amount":10000.01,"alerts":["High velocity: 7 transactions in 5 min","High amount: 10000.01"],"timestamp":"2026-01-01T00:00:00Z"}`,
	)
}

func TestWithoutACountOnlyTheAmountDecides(t *testing.T) {
	plugintest.Transform(t, Rule, `{"max_count": 0}`).Run(txn(0, "5", "null")).Expect()
}

func TestTheLimitsComeFromTheConfiguration(t *testing.T) {
	plugintest.Transform(t, Rule, `{"max_amount": 4, "max_count": 1}`).Run(txn(0, "5", "2")).Expect(
		`out: {"customer_id":"ann","transaction_id":"t0","amount":5.0,"alerts":["High velocity: 2 transactions in 5 min","High amount: 5.00"],"timestamp":"2026-01-01T00:00:00Z"}`,
	)
}

func TestARecordWithoutAnAmountNeverReachesTheRule(t *testing.T) {
	plugintest.Transform(t, Rule, "").Run(
		`{"transaction_id": "t", "customer_id": "ann", "timestamp": ""}`,
		`{"transaction_id": "t", "customer_id": 7, "timestamp": "", "amount": 1}`,
	).Expect(
		"reject 0: `amount` is missing: expected f64",
		"reject 1: `customer_id` is 7: expected text",
	)
}

func TestAWrongConfigurationIsRefusedWithTheKey(t *testing.T) {
	for config, expected := range map[string]string{
		`{"max_amount": "a lot"}`: "config.max_amount: expected a number, found string",
		`{"max_amont": 1}`:        "config: unknown key `max_amont`, expected `max_amount`, `max_count`",
	} {
		if found := plugintest.ConfigError(Rule, config); !strings.Contains(found, expected) {
			t.Errorf("%s: found %q, expected %q", config, found, expected)
		}
	}
}
