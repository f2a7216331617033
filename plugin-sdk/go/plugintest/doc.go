// Package plugintest runs a plugin natively, as wasmill runs it: records go in as JSON and out as columns, through all that the
// SDK does, without WebAssembly.
//
//	func TestOnlyALargeAmountIsAnAlert(t *testing.T) {
//		run := plugintest.Transform(t, Rule, `{"max_amount": 100}`).Run(`{"customer_id": "ann", "amount": 101}`)
//		run.Expect(`out: {"customer_id":"ann","amount":101.0}`)
//	}
//
// A [Run] prints one line for each thing that happened; its fields suit other assertions. A plugin that refuses its configuration
// or fails a call fails the test.
package plugintest

import (
	"sync"
	"testing"

	wasmill "wasmill.dev/plugin"
	"wasmill.dev/plugin/internal/native"
	"wasmill.dev/plugin/internal/wire"
)

// ConfigError is why the plugin refuses this configuration, a JSON object; empty when it takes it.
func ConfigError(plugin *wasmill.Plugin, config string) string {
	if _, err := native.Of(plugin).Open([]byte(config)); err != nil {
		return err.Error()
	}
	return ""
}

// A host is a plugin that was opened, and the test that it runs in.
type host struct {
	tb     testing.TB
	plugin native.Plugin
	spec   *wire.Spec
}

func open(tb testing.TB, plugin *wasmill.Plugin, config string) host {
	tb.Helper()
	instance := native.Of(plugin)
	spec, err := instance.Open([]byte(config))
	if err != nil {
		tb.Fatalf("the plugin refuses its configuration: %v", err)
	}
	return host{tb, instance, spec}
}

// calls has what a plugin logs go to the run of the test that called it, also where tests run at the same time.
var calls sync.Mutex

// during runs a call, and adds to run what it logged and counted.
func during[T any](h host, name string, run *Run, call func() (T, error)) T {
	h.tb.Helper()
	calls.Lock()
	native.Sink = run
	answer, err := call()
	native.Sink = nil
	calls.Unlock()
	if err != nil {
		h.tb.Fatalf("the plugin failed %s: %v", name, err)
	}
	return answer
}

// Migrate brings a state of an older version to the plugin's own, or answers why it cannot.
func Migrate(tb testing.TB, plugin *wasmill.Plugin, fromVersion uint32, state string) string {
	tb.Helper()
	states := &wire.Strings{Offsets: []uint32{0}}
	states.Add([]byte(state))
	migrated, err := native.Of(plugin).Migrate(fromVersion, states)
	if err != nil {
		return err.Error()
	}
	return string(migrated.At(0))
}
