package wasmill

import (
	"fmt"
	"reflect"
	"unsafe"

	"wasmill.dev/plugin/internal/wire"
)

// Batch is a call's records as columns. It is valid until the rule returns.
type Batch[Columns any] struct {
	// Rows is how many records there are; every column has as many values.
	Rows int
	// Columns are the author's: a struct whose fields are Int64s, Float64s, Bools, Texts and Blobs, with the tags of a record's fields. A
	// field that a record may lack has the tag `wasmill:"note,optional"`.
	Columns Columns

	outputs  *outputs
	rejected map[uint32]bool
}

// Reject refuses a row, once, and takes back what was emitted for it.
func (b *Batch[Columns]) Reject(row int, reason error) {
	if b.rejected == nil {
		b.rejected = map[uint32]bool{}
	}
	if !b.rejected[uint32(row)] {
		b.rejected[uint32(row)] = true
		b.outputs.produced.Rejects = append(b.outputs.produced.Rejects, wire.Reject{Row: uint32(row), Reason: reasonOf(reason)})
	}
}

// bind begins a call.
func (b *Batch[Columns]) bind(shape *shape, batch *wire.Batch) {
	b.Rows, b.rejected = batch.Rows, nil
	for i := range shape.reads {
		bindColumn(unsafe.Add(unsafe.Pointer(&b.Columns), shape.reads[i].offset), &batch.Columns[i])
	}
}

// settle takes back what was emitted for rows that were rejected.
func (b *Batch[Columns]) settle() {
	if b.rejected == nil {
		return
	}
	for _, port := range b.outputs.ports {
		port.forget(func(row uint32) bool { return b.rejected[row] })
	}
}

// Int64s is a column of integers (s64).
type Int64s struct {
	// Values has 0 where a row is null.
	Values []int64
	nulls  []byte
}

// Null tells whether a row is null, which only a column that is optional can be.
func (c *Int64s) Null(row int) bool { return len(c.nulls) != 0 && c.nulls[row] != 0 }

// Float64s is a column of numbers (f64).
type Float64s struct {
	// Values has 0 where a row is null.
	Values []float64
	nulls  []byte
}

// Null tells whether a row is null, which only a column that is optional can be.
func (c *Float64s) Null(row int) bool { return len(c.nulls) != 0 && c.nulls[row] != 0 }

// Bools is a column of truth values (boolean).
type Bools struct {
	values []byte
	nulls  []byte
}

// At is the value of a row; false where it is null.
func (c *Bools) At(row int) bool { return c.values[row] != 0 }

// Null tells whether a row is null, which only a column that is optional can be.
func (c *Bools) Null(row int) bool { return len(c.nulls) != 0 && c.nulls[row] != 0 }

// Texts is a column of text.
type Texts struct {
	offsets []uint32
	text    string
	nulls   []byte
}

// At is the text of a row, without a copy; "" where it is null. It may be kept; see the package about keeping it for long.
func (c *Texts) At(row int) string { return c.text[c.offsets[row]:c.offsets[row+1]] }

// Null tells whether a row is null, which only a column that is optional can be.
func (c *Texts) Null(row int) bool { return len(c.nulls) != 0 && c.nulls[row] != 0 }

// Blobs is a column of bytes: of a []byte field, a value, a header or a key.
type Blobs struct{ column wire.Column }

// At is the bytes of a row, without a copy, which must not be changed; nil where it is null.
func (c *Blobs) At(row int) []byte { return blob(&c.column, row) }

// Null tells whether a row is null.
func (c *Blobs) Null(row int) bool { return c.column.IsNull(row) }

// TransformColumns makes a plugin as [Transform] does, with a rule that is called once a batch, for all its records: to be used where a few
// nanoseconds a record count. The rule says which row it passes, emits for or rejects: [Output.PassRow], [Output.EmitRow],
// [Batch.Reject]. An error that it returns fails the call: wasmill finds the records that fail alone.
//
//	type Columns struct {
//		Amount wasmill.Float64s `wasmill:"amount"`
//	}
//
//	func large(batch *wasmill.Batch[Columns], config *Config, out *wasmill.Output[wasmill.Unchanged]) error {
//		for row, amount := range batch.Columns.Amount.Values {
//			if amount > config.MaxAmount {
//				out.PassRow(row)
//			}
//		}
//		return nil
//	}
func TransformColumns[Columns, Config, Out any](
	options Options, process func(batch *Batch[Columns], config *Config, out *Out) error,
) *Plugin {
	noteAuthor()
	return register(options, "transform", &transformColumns[Columns, Config, Out]{rule: process})
}

type transformColumns[Columns, Config, Out any] struct {
	core[Columns, Config, Out]
	rule  func(*Batch[Columns], *Config, *Out) error
	batch Batch[Columns]
}

func (t *transformColumns[Columns, Config, Out]) fresh() rule {
	return &transformColumns[Columns, Config, Out]{rule: t.rule}
}

func (t *transformColumns[Columns, Config, Out]) prepare() error {
	t.batch.outputs = &t.outputs
	return t.prepareColumns()
}

func (t *transformColumns[Columns, Config, Out]) process(batch *wire.Batch) (produced *wire.Produced, err error) {
	defer capturePanic(&err)
	if err := t.shape.check(batch); err != nil {
		return nil, err
	}
	t.outputs.reset()
	t.batch.bind(t.shape, batch)
	if err := t.rule(&t.batch, &t.config, &t.out); err != nil {
		return nil, err
	}
	t.batch.settle()
	return t.outputs.finish(), nil
}

// The author's field for a column of each kind.
var columnTypes = map[reflect.Type]wire.Kind{
	reflect.TypeFor[Int64s](): wire.S64, reflect.TypeFor[Float64s](): wire.F64, reflect.TypeFor[Bools](): wire.Boolean,
	reflect.TypeFor[Texts](): wire.Text, reflect.TypeFor[Blobs](): wire.Bytes,
}

// columnsOf works out a struct of columns.
func columnsOf(columns reflect.Type) (*shape, error) {
	members, err := membersOf(columns)
	if err != nil {
		return nil, err
	}
	out := &shape{size: columns.Size()}
	for _, it := range members {
		kind, ok := columnTypes[it.typ]
		if !ok {
			return nil, fmt.Errorf("%v: %s is a %v: expected wasmill.Int64s, Float64s, Bools, Texts or Blobs", columns, describe(it.slot), it.typ)
		}
		if err := checkPlace(it.slot, kind); err != nil {
			return nil, fmt.Errorf("%v: %w", columns, err)
		}
		out.reads = append(out.reads, reading{member: it, kind: kind, pointer: it.optional})
	}
	return out, nil
}

func bindColumn(field unsafe.Pointer, column *wire.Column) {
	switch column.Kind {
	case wire.S64:
		*(*Int64s)(field) = Int64s{column.Ints, column.Nulls}
	case wire.F64:
		*(*Float64s)(field) = Float64s{column.Floats, column.Nulls}
	case wire.Boolean:
		*(*Bools)(field) = Bools{column.Bools, column.Nulls}
	case wire.Text:
		data := column.Strings.Data
		*(*Texts)(field) = Texts{column.Strings.Offsets, unsafe.String(unsafe.SliceData(data), len(data)), column.Nulls}
	default:
		*(*Blobs)(field) = Blobs{*column}
	}
}
