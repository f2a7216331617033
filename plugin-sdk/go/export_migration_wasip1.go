//go:build wasmill_keyed || wasmill_aggregate

package wasmill

import "wasmill.dev/plugin/internal/wire"

//go:wasmexport wasmill:plugin/migration@0.1.0#migrate
func exportMigrate(from, offsets, offsetsLength, data, dataLength uint32) uint32 {
	states := wire.TakeStrings(offsets, offsetsLength, data, dataLength)
	wire.Taken()
	return answerStrings(registered.migrate(from, &states))
}

//go:wasmexport cabi_post_wasmill:plugin/migration@0.1.0#migrate
func releaseMigrate(uint32) { wire.Release() }

func answerStrings(strings *wire.Strings, err error) uint32 {
	if err != nil {
		return failed(err)
	}
	return wire.AnswerStrings(strings)
}
