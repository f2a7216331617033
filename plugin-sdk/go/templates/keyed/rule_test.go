package main

import (
	"testing"

	"wasmill.dev/plugin/plugintest"
)

func TestAKeyIsSummedUpWhenItFallsSilent(t *testing.T) {
	test := plugintest.Keyed(t, Rule, `{"silence_ms": 100}`)
	test.Run(
		plugintest.Row{Value: `{}`, Key: []byte("ann"), Time: 10},
		plugintest.Row{Value: `{}`, Key: []byte("ann"), Time: 50},
	)
	var activity Activity
	if test.StateJSON("ann", &activity); activity != (Activity{Last: 50, Count: 2}) {
		t.Errorf("found %+v", activity)
	}
	test.Advance(150).Expect(`out: {"key":"ann","last":50,"count":2}`)
	if test.Keys() != 0 {
		t.Error("the key is remembered")
	}
}
