// Package native joins a plugin to its tests, which run without WebAssembly.
package native

import "wasmill.dev/plugin/internal/wire"

// Plugin is what the host would call, of a plugin of any kind. Calls of another kind than the plugin's fail.
type Plugin interface {
	Open(config []byte) (*wire.Spec, error)
	Process(batch *wire.Batch) (*wire.Produced, error)
	ProcessKeyed(batch *wire.Batch, groups *wire.Groups) (*wire.KeyedOutput, error)
	OnTimers(due *wire.Batch, ids []uint32, groups *wire.Groups) (*wire.KeyedOutput, error)
	Add(batch *wire.Batch, bounds []uint32, accumulators *wire.Column) (*wire.Strings, error)
	Merge(left, right *wire.Strings) (*wire.Strings, error)
	Finish(windows *wire.Batch, accumulators *wire.Strings) (*wire.Produced, error)
	Migrate(from uint32, states *wire.Strings) (*wire.Strings, error)
}

// Sink catches what a plugin logs and counts while a test runs it; nil otherwise.
var Sink interface {
	Log(level, message string)
	Count(name string, amount uint64)
}

// Of is the plugin that a *wasmill.Plugin is, with a configuration of its own.
var Of func(plugin any) Plugin
