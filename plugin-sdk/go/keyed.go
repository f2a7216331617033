package wasmill

import (
	"math"
	"unicode/utf8"
	"unsafe"

	"wasmill.dev/plugin/internal/wire"
)

// Key is what is kept for the key of the record, or of the timer, at hand.
type Key[State any] struct {
	// State is nil for a key without one. Set it to a state to keep one, and to nil to forget the key. It is stored when the call
	// ends, so it may be changed in place; it must not be kept past the rule's return.
	State *State

	group     uint32
	watermark int64
	timers    []wire.Timer
}

// SetTimer has the plugin's timer function called for this key once the watermark has passed `at`, in milliseconds since the Unix epoch.
// A key has one timer of each id: setting one replaces it.
func (k *Key[State]) SetTimer(id uint32, at int64) {
	k.timers = append(k.timers, wire.Timer{Group: k.group, ID: id, At: at})
}

// CancelTimer cancels the key's timer of that id, if it has one.
func (k *Key[State]) CancelTimer(id uint32) {
	k.timers = append(k.timers, wire.Timer{Group: k.group, ID: id, Cancel: true})
}

// Watermark is the time, in milliseconds since the Unix epoch, that no record on time is older than; ok is false before the first.
func (k *Key[State]) Watermark() (at int64, ok bool) {
	return k.watermark, k.watermark != math.MinInt64
}

// Timer is one that has fired.
type Timer struct {
	// ID says which of the key's timers it is.
	ID uint32
	// At is the event time that it was set for, in milliseconds since the Unix epoch.
	At int64
	// Key is the key's bytes; empty for the null key.
	Key []byte
}

// KeyText is the key as text. A byte that is not UTF-8 becomes U+FFFD.
func (t Timer) KeyText() string { return textOf(t.Key) }

func textOf(key []byte) string {
	if utf8.Valid(key) {
		return string(key)
	}
	return toText(string(key))
}

// Keyed makes a plugin that remembers something for each key: the host hands the state over with the key's records, and keeps it.
//
// process is called for each record, in order of arrival within a key. onTimer, which may be nil, is called for each timer that the
// watermark has passed. The state of a key is stored as JSON, or by its own methods where *State implements
// encoding.BinaryUnmarshaler and encoding.BinaryAppender (or BinaryMarshaler).
//
// A function that returns an error rejects the record: what it emitted and the timers that it set are taken back. What it did to the
// state stays: look first, change then.
func Keyed[In, State, Config, Out any](
	options Options,
	process func(record In, key *Key[State], config *Config, out *Out) error,
	onTimer func(timer Timer, key *Key[State], config *Config, out *Out) error,
) *Plugin {
	noteAuthor()
	return register(options, "keyed", &keyed[In, State, Config, Out]{rule: process, timer: onTimer})
}

// Rows are those of a key: From <= row < To.
type Rows struct{ From, To int }

// KeyedColumns makes a plugin as [Keyed] does, with a rule that is called once a key, for all its records of the batch: to be used where a
// few nanoseconds a record count. Columns are as for [TransformColumns]; [Batch.Reject] refuses a row, and an error fails the call.
func KeyedColumns[Columns, State, Config, Out any](
	options Options,
	process func(batch *Batch[Columns], rows Rows, key *Key[State], config *Config, out *Out) error,
	onTimer func(timer Timer, key *Key[State], config *Config, out *Out) error,
) *Plugin {
	noteAuthor()
	return register(options, "keyed", &keyed[Columns, State, Config, Out]{columnRule: process, timer: onTimer})
}

// In is a record, or a struct of columns.
type keyed[In, State, Config, Out any] struct {
	core[In, Config, Out]
	// One of the two is there.
	rule       func(In, *Key[State], *Config, *Out) error
	columnRule func(*Batch[In], Rows, *Key[State], *Config, *Out) error
	batch      Batch[In]
	// filled is how many rows of the batch are records already.
	filled int
	timer  func(Timer, *Key[State], *Config, *Out) error
	codec  codec[State]
	key    Key[State]
	state  State
	output wire.KeyedOutput
	fields []wire.FieldSpec
	// The columns that onTimer is told of.
	keyColumn, timeColumn int
}

func (k *keyed[In, State, Config, Out]) fresh() rule {
	return &keyed[In, State, Config, Out]{rule: k.rule, columnRule: k.columnRule, timer: k.timer}
}

func (k *keyed[In, State, Config, Out]) prepare() error {
	prepare := k.core.prepare
	if k.columnRule != nil {
		prepare, k.batch.outputs = k.prepareColumns, &k.outputs
	}
	if err := prepare(); err != nil {
		return err
	}
	k.codec.prepare(&k.state)
	k.fields = k.shape.fields()
	if k.timer != nil {
		k.fields, k.keyColumn = slotColumn(k.fields, wire.Key, wire.Bytes)
		k.fields, k.timeColumn = slotColumn(k.fields, wire.Time, wire.S64)
	}
	return nil
}

func (k *keyed[In, State, Config, Out]) reads() []wire.FieldSpec { return k.fields }

func (k *keyed[In, State, Config, Out]) process(batch *wire.Batch, groups *wire.Groups) (output *wire.KeyedOutput, err error) {
	defer capturePanic(&err)
	if err := k.shape.check(batch); err != nil {
		return nil, err
	}
	if err := checkGroups(batch.Rows, groups.Bounds, &groups.States); err != nil {
		return nil, err
	}
	k.begin(batch)
	if k.filled = 0; k.columnRule != nil {
		k.batch.bind(k.shape, batch)
	}
	for group := range groups.Bounds[1:] {
		if err := k.load(groups, group); err != nil {
			return nil, err
		}
		rows := Rows{int(groups.Bounds[group]), int(groups.Bounds[group+1])}
		if k.columnRule == nil {
			k.eachRow(batch, rows)
		} else if err := k.columnRule(&k.batch, rows, &k.key, &k.config, &k.out); err != nil {
			return nil, err
		}
		if err := k.store(group, groups); err != nil {
			return nil, err
		}
	}
	k.batch.settle()
	return k.answer(k.outputs.finish()), nil
}

// eachRow calls the rule for the rows of a key.
func (k *keyed[In, State, Config, Out]) eachRow(batch *wire.Batch, rows Rows) {
	for row := rows.From; row < rows.To; row++ {
		if row == k.filled {
			k.filled = min(k.filled+blockRows, batch.Rows)
			k.shape.fill(batch, row, k.filled, unsafe.Pointer(unsafe.SliceData(k.records)))
		}
		k.outputs.call.row = uint32(row)
		before := len(k.key.timers)
		err := k.shape.rejected(row)
		if err == nil {
			err = k.rule(k.records[row%blockRows], &k.key, &k.config, &k.out)
		}
		if err != nil {
			k.key.timers = k.key.timers[:before]
			k.outputs.refuse(err)
		}
	}
}

func (k *keyed[In, State, Config, Out]) onTimers(due *wire.Batch, ids []uint32, groups *wire.Groups) (output *wire.KeyedOutput, err error) {
	defer capturePanic(&err)
	if k.timer == nil || len(due.Columns) != len(k.fields) || len(ids) != due.Rows || len(groups.Bounds) != due.Rows+1 {
		return nil, errGroups
	}
	if err := checkGroups(due.Rows, groups.Bounds, &groups.States); err != nil {
		return nil, err
	}
	k.begin(due)
	keys, times := &due.Columns[k.keyColumn], &due.Columns[k.timeColumn]
	for row, id := range ids {
		if err := k.load(groups, row); err != nil {
			return nil, err
		}
		k.outputs.call.row = uint32(row)
		before := len(k.key.timers)
		timer := Timer{ID: id, At: times.Ints[row], Key: blob(keys, row)}
		if err := k.timer(timer, &k.key, &k.config, &k.out); err != nil {
			k.key.timers = k.key.timers[:before]
			k.outputs.refuse(err)
		}
		if err := k.store(row, groups); err != nil {
			return nil, err
		}
	}
	produced, err := k.outputs.finishWithoutRecords("the timer function")
	if err != nil {
		return nil, err
	}
	return k.answer(produced), nil
}

func (k *keyed[In, State, Config, Out]) begin(batch *wire.Batch) {
	k.outputs.reset()
	k.key.watermark, k.key.timers = batch.Watermark, k.key.timers[:0]
	states := &k.output.States
	states.Kind, states.Nulls = wire.Bytes, states.Nulls[:0]
	states.Strings.Reset()
}

// load hands over the state of a group.
func (k *keyed[In, State, Config, Out]) load(groups *wire.Groups, group int) error {
	var zero State
	k.state, k.key.State, k.key.group = zero, nil, uint32(group)
	if groups.States.IsNull(group) {
		return nil
	}
	k.key.State = &k.state
	return k.codec.decode(groups.States.Strings.At(group))
}

// store takes the state of a group back.
func (k *keyed[In, State, Config, Out]) store(group int, groups *wire.Groups) error {
	states := &k.output.States
	if k.key.State != nil {
		return k.codec.encode(k.key.State, &states.Strings)
	}
	null(states, group, len(groups.Bounds)-1)
	states.Strings.Add(nil)
	return nil
}

func (k *keyed[In, State, Config, Out]) answer(produced *wire.Produced) *wire.KeyedOutput {
	k.output.Produced, k.output.Timers = *produced, k.key.timers
	return &k.output
}
