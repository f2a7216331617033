//go:build wasmill_transform

package wasmill

import "wasmill.dev/plugin/internal/wire"

const exportedKind = "transform"

//go:wasmexport wasmill:plugin/transform@0.1.0#process
func exportProcess(rows, columns, length uint32, watermark int64) uint32 {
	batch := wire.TakeBatch(rows, columns, length, watermark)
	wire.Taken()
	rule, err := opened[transformRule](registered)
	if err != nil {
		return failed(err)
	}
	produced, err := rule.process(batch)
	if err != nil {
		return failed(err)
	}
	return wire.AnswerProduced(produced)
}

//go:wasmexport cabi_post_wasmill:plugin/transform@0.1.0#process
func releaseProcess(uint32) { wire.Release() }
