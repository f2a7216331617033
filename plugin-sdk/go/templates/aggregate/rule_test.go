package main

import (
	"testing"

	"wasmill.dev/plugin/plugintest"
)

func TestOrdersAreCountedAndSummedUp(t *testing.T) {
	plugintest.Aggregate(t, Rule, "").Run("shop", 0, 60_000, `{"amount": 10.125}`, `{"amount": 5}`).Expect(
		`out: {"seller":"shop","window_start":0,"window_end":60000,"orders":2,"revenue":15.125}`,
	)
}
