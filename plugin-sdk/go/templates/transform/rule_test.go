package main

import (
	"testing"

	"wasmill.dev/plugin/plugintest"
)

func TestOnlyALargeAmountIsAnAlert(t *testing.T) {
	plugintest.Transform(t, Rule, `{"max_amount": 100}`).Run(
		`{"customer_id": "ann", "amount": 100}`,
		`{"customer_id": "bob", "amount": 101}`,
	).Expect(
		`out: {"customer_id":"bob","amount":101.0,"note":null}`,
	)
}
