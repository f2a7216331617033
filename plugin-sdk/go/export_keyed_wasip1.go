//go:build wasmill_keyed

package wasmill

import "wasmill.dev/plugin/internal/wire"

const exportedKind = "keyed"

//go:wasmexport wasmill:plugin/keyed@0.1.0#process
func exportProcess(
	rows, columns, length uint32, watermark int64, bounds, boundsLength uint32,
	kind, offsets, offsetsLength, data, dataLength, nulls, nullsLength uint32,
) uint32 {
	batch := wire.TakeBatch(rows, columns, length, watermark)
	groups := wire.Groups{
		Bounds: wire.Ints32(bounds, boundsLength),
		States: wire.TakeColumn(kind, offsets, offsetsLength, data, dataLength, nulls, nullsLength),
	}
	wire.Taken()
	rule, err := opened[keyedRule](registered)
	if err != nil {
		return failed(err)
	}
	return answerKeyed(rule.process(batch, &groups))
}

//go:wasmexport wasmill:plugin/keyed@0.1.0#on-timers
func exportOnTimers(
	rows, columns, length uint32, watermark int64, ids, idsLength, bounds, boundsLength uint32,
	kind, offsets, offsetsLength, data, dataLength, nulls, nullsLength uint32,
) uint32 {
	due := wire.TakeBatch(rows, columns, length, watermark)
	numbers := wire.Ints32(ids, idsLength)
	groups := wire.Groups{
		Bounds: wire.Ints32(bounds, boundsLength),
		States: wire.TakeColumn(kind, offsets, offsetsLength, data, dataLength, nulls, nullsLength),
	}
	wire.Taken()
	rule, err := opened[keyedRule](registered)
	if err != nil {
		return failed(err)
	}
	return answerKeyed(rule.onTimers(due, numbers, &groups))
}

func answerKeyed(output *wire.KeyedOutput, err error) uint32 {
	if err != nil {
		return failed(err)
	}
	return wire.AnswerKeyed(output)
}

//go:wasmexport cabi_post_wasmill:plugin/keyed@0.1.0#process
func releaseProcess(uint32) { wire.Release() }

//go:wasmexport cabi_post_wasmill:plugin/keyed@0.1.0#on-timers
func releaseOnTimers(uint32) { wire.Release() }
