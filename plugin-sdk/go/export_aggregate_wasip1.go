//go:build wasmill_aggregate

package wasmill

import "wasmill.dev/plugin/internal/wire"

const exportedKind = "aggregate"

//go:wasmexport wasmill:plugin/aggregate@0.1.0#add
func exportAdd(
	rows, columns, length uint32, watermark int64, bounds, boundsLength uint32,
	kind, offsets, offsetsLength, data, dataLength, nulls, nullsLength uint32,
) uint32 {
	batch := wire.TakeBatch(rows, columns, length, watermark)
	groups := wire.Ints32(bounds, boundsLength)
	accumulators := wire.TakeColumn(kind, offsets, offsetsLength, data, dataLength, nulls, nullsLength)
	wire.Taken()
	rule, err := opened[aggregateRule](registered)
	if err != nil {
		return failed(err)
	}
	return answerStrings(rule.add(batch, groups, &accumulators))
}

//go:wasmexport wasmill:plugin/aggregate@0.1.0#merge
func exportMerge(
	leftOffsets, leftOffsetsLength, leftData, leftDataLength uint32,
	rightOffsets, rightOffsetsLength, rightData, rightDataLength uint32,
) uint32 {
	left := wire.TakeStrings(leftOffsets, leftOffsetsLength, leftData, leftDataLength)
	right := wire.TakeStrings(rightOffsets, rightOffsetsLength, rightData, rightDataLength)
	wire.Taken()
	rule, err := opened[aggregateRule](registered)
	if err != nil {
		return failed(err)
	}
	return answerStrings(rule.merge(&left, &right))
}

//go:wasmexport wasmill:plugin/aggregate@0.1.0#finish
func exportFinish(
	rows, columns, length uint32, watermark int64, offsets, offsetsLength, data, dataLength uint32,
) uint32 {
	windows := wire.TakeBatch(rows, columns, length, watermark)
	accumulators := wire.TakeStrings(offsets, offsetsLength, data, dataLength)
	wire.Taken()
	rule, err := opened[aggregateRule](registered)
	if err != nil {
		return failed(err)
	}
	produced, err := rule.finish(windows, &accumulators)
	if err != nil {
		return failed(err)
	}
	return wire.AnswerProduced(produced)
}

//go:wasmexport cabi_post_wasmill:plugin/aggregate@0.1.0#add
func releaseAdd(uint32) { wire.Release() }

//go:wasmexport cabi_post_wasmill:plugin/aggregate@0.1.0#merge
func releaseMerge(uint32) { wire.Release() }

//go:wasmexport cabi_post_wasmill:plugin/aggregate@0.1.0#finish
func releaseFinish(uint32) { wire.Release() }
