package wasmill

import (
	"runtime/debug"

	"wasmill.dev/plugin/internal/wire"
)

// What every plugin exports. The other files export_*.go are for one kind each, by a build tag that `wasmill plugin build` sets to what
// plugin.toml says.

//go:wasmexport wasmill:plugin/lifecycle@0.1.0#describe
func exportDescribe() uint32 {
	wire.Taken()
	if registered == nil {
		return wire.AnswerInfo(&wire.Info{Name: "none", Version: "0.0.0"})
	}
	return wire.AnswerInfo(registered.options.info())
}

//go:wasmexport wasmill:plugin/lifecycle@0.1.0#open
func exportOpen(config, length uint32) uint32 {
	text := wire.TakenBytes(config, length)
	wire.Taken()
	if err := registered.check(exportedKind); err != nil {
		return failed(err)
	}
	spec, err := registered.open(text)
	if err != nil {
		return failed(err)
	}
	return wire.AnswerSpec(spec)
}

func failed(err error) uint32 {
	return wire.Failed(reasonOf(err))
}

//go:wasmexport cabi_post_wasmill:plugin/lifecycle@0.1.0#describe
func releaseDescribe(uint32) { wire.Release() }

//go:wasmexport cabi_post_wasmill:plugin/lifecycle@0.1.0#open
func releaseOpen(uint32) { wire.Release() }

// A panic that is not this package's to catch, in a goroutine of its own, prints the trace of that goroutine to the log, and no other's.
func init() { debug.SetTraceback("single") }
