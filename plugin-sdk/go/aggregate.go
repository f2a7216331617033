package wasmill

import (
	"unsafe"

	"wasmill.dev/plugin/internal/wire"
)

// Window is one window of one key: Start <= t < End, in milliseconds since the Unix epoch.
type Window struct {
	// Key is the key's bytes; empty for the null key.
	Key []byte
	// Start is the first millisecond.
	Start int64
	// End is the millisecond after the last.
	End int64
}

// KeyText is the key as text. A byte that is not UTF-8 becomes U+FFFD.
func (w Window) KeyText() string { return textOf(w.Key) }

// Aggregate makes a plugin that folds the records of a window into an accumulator.
//
// The host assigns windows, stores accumulators and merges them: those of sessions that meet, and those of the panes that a window
// consists of. So merge must be associative, and adding records to two accumulators and merging them must give what adding all of them
// to one gives; package plugintest checks it. A new accumulator is the zero value. It is stored as [Keyed] stores a state.
//
// add adds a record; merge adds what right knows to left; finish emits what the window amounts to, and may be called more than once for
// a window, when it is updated. An error of finish rejects the window's output.
func Aggregate[In, Acc, Config, Out any](
	options Options,
	add func(record In, acc *Acc, config *Config),
	merge func(left, right *Acc, config *Config),
	finish func(window Window, acc *Acc, config *Config, out *Out) error,
) *Plugin {
	noteAuthor()
	return register(options, "aggregate", &aggregate[In, Acc, Config, Out]{rule: add, join: merge, emit: finish})
}

type aggregate[In, Acc, Config, Out any] struct {
	core[In, Config, Out]
	rule   func(In, *Acc, *Config)
	join   func(left, right *Acc, config *Config)
	emit   func(Window, *Acc, *Config, *Out) error
	codec  codec[Acc]
	others codec[Acc]
	acc    Acc
	other  Acc
	after  wire.Strings
	fields []wire.FieldSpec
	// The columns that finish is told of.
	keyColumn, startColumn, endColumn int
}

func (a *aggregate[In, Acc, Config, Out]) fresh() rule {
	return &aggregate[In, Acc, Config, Out]{rule: a.rule, join: a.join, emit: a.emit}
}

func (a *aggregate[In, Acc, Config, Out]) prepare() error {
	if err := a.core.prepare(); err != nil {
		return err
	}
	a.codec.prepare(&a.acc)
	a.others.prepare(&a.other)
	a.fields, a.keyColumn = slotColumn(a.shape.fields(), wire.Key, wire.Bytes)
	a.fields, a.startColumn = slotColumn(a.fields, wire.WindowStart, wire.S64)
	a.fields, a.endColumn = slotColumn(a.fields, wire.WindowEnd, wire.S64)
	return nil
}

func (a *aggregate[In, Acc, Config, Out]) reads() []wire.FieldSpec { return a.fields }

func (a *aggregate[In, Acc, Config, Out]) add(batch *wire.Batch, bounds []uint32, accumulators *wire.Column) (after *wire.Strings, err error) {
	defer capturePanic(&err)
	if err := a.shape.check(batch); err != nil {
		return nil, err
	}
	if err := checkGroups(batch.Rows, bounds, accumulators); err != nil {
		return nil, err
	}
	var zero Acc
	a.after.Reset()
	filled := 0 // The rows before are records already.
	for group := range bounds[1:] {
		a.acc = zero
		if !accumulators.IsNull(group) {
			if err := a.codec.decode(accumulators.Strings.At(group)); err != nil {
				return nil, err
			}
		}
		for row := int(bounds[group]); row < int(bounds[group+1]); row++ {
			if row == filled {
				filled = min(filled+blockRows, batch.Rows)
				a.shape.fill(batch, row, filled, unsafe.Pointer(unsafe.SliceData(a.records)))
			}
			if err := a.shape.rejected(row); err != nil {
				return nil, err // There is nothing to reject one with: the host finds the record by itself.
			}
			a.rule(a.records[row%blockRows], &a.acc, &a.config)
		}
		if err := a.codec.encode(&a.acc, &a.after); err != nil {
			return nil, err
		}
	}
	return &a.after, nil
}

func (a *aggregate[In, Acc, Config, Out]) merge(left, right *wire.Strings) (merged *wire.Strings, err error) {
	defer capturePanic(&err)
	if left.Len() != right.Len() {
		return nil, errGroups
	}
	var zero Acc
	a.after.Reset()
	for i := range left.Len() {
		a.acc, a.other = zero, zero
		if err := a.codec.decode(left.At(i)); err != nil {
			return nil, err
		}
		if err := a.others.decode(right.At(i)); err != nil {
			return nil, err
		}
		a.join(&a.acc, &a.other, &a.config)
		if err := a.codec.encode(&a.acc, &a.after); err != nil {
			return nil, err
		}
	}
	return &a.after, nil
}

func (a *aggregate[In, Acc, Config, Out]) finish(windows *wire.Batch, accumulators *wire.Strings) (produced *wire.Produced, err error) {
	defer capturePanic(&err)
	if len(windows.Columns) != len(a.fields) || accumulators.Len() != windows.Rows {
		return nil, errGroups
	}
	keys, starts, ends := &windows.Columns[a.keyColumn], &windows.Columns[a.startColumn], &windows.Columns[a.endColumn]
	var zero Acc
	a.outputs.reset()
	for row := range windows.Rows {
		a.acc = zero
		if err := a.codec.decode(accumulators.At(row)); err != nil {
			return nil, err
		}
		a.outputs.call.row = uint32(row)
		window := Window{Key: blob(keys, row), Start: starts.Ints[row], End: ends.Ints[row]}
		if err := a.emit(window, &a.acc, &a.config, &a.out); err != nil {
			a.outputs.refuse(err)
		}
	}
	return a.outputs.finishWithoutRecords("finish")
}
