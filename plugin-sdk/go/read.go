package wasmill

import (
	"encoding/json"
	"fmt"
	"reflect"
	"unsafe"

	"wasmill.dev/plugin/internal/wire"
)

// blockRows is how many records are made of columns at once: the work of choosing what to do is done once a block and field.
const blockRows = 64

// A shape is what the fields of a struct that is read are, worked out once.
type shape struct {
	reads []reading
	size  uintptr
	// bad holds, of the block at hand, the rows that are rejected before the rule sees them; nil for none.
	bad map[int]error
}

// rejected is why a row is rejected before the rule sees it.
func (s *shape) rejected(row int) error {
	if s.bad == nil {
		return nil // To look into a map costs more than most rules do.
	}
	return s.bad[row]
}

// A reading fills one field of a struct from one column.
type reading struct {
	member
	kind    wire.Kind
	pointer bool // nil for null
	decode  bool // by encoding/json
}

// shapeOf works out a struct that a rule reads.
func shapeOf(record reflect.Type) (*shape, error) {
	members, err := membersOf(record)
	if err != nil {
		return nil, err
	}
	out := &shape{size: record.Size()}
	for _, it := range members {
		read := reading{member: it}
		typ := it.typ
		if it.optional {
			return nil, fmt.Errorf("%v: %s is optional by its tag, which is for columns: use a pointer", record, describe(it.slot))
		}
		if typ.Kind() == reflect.Pointer {
			read.pointer, typ = true, typ.Elem()
		}
		switch {
		case typ == rawMessage:
			read.kind = wire.JSON
		case typ.Kind() == reflect.Int64 || typ.Kind() == reflect.Int && typ.Size() == 8:
			read.kind = wire.S64
		case typ.Kind() == reflect.Float64:
			read.kind = wire.F64
		case typ.Kind() == reflect.Bool:
			read.kind = wire.Boolean
		case typ.Kind() == reflect.String:
			read.kind = wire.Text
		case typ.Kind() == reflect.Slice && typ.Elem().Kind() == reflect.Uint8:
			read.kind = wire.Bytes
		case !read.pointer && (typ.Kind() == reflect.Slice || typ.Kind() == reflect.Map || typ.Kind() == reflect.Struct):
			read.kind, read.decode = wire.JSON, true
		default:
			return nil, fmt.Errorf("%v: %s cannot be read into %v: use int64, float64, bool, string, []byte, json.RawMessage, "+
				"a pointer to one of them, or a slice, map or struct for JSON", record, describe(it.slot), it.typ)
		}
		if err := checkPlace(it.slot, read.kind); err != nil {
			return nil, fmt.Errorf("%v: %w", record, err)
		}
		out.reads = append(out.reads, read)
	}
	return out, nil
}

// fields are the columns to ask the host for, in the order of the struct. A []byte has a place for null: only a field must be there.
func (s *shape) fields() []wire.FieldSpec {
	fields := make([]wire.FieldSpec, len(s.reads))
	for i, read := range s.reads {
		nullable := read.pointer || read.kind == wire.Bytes && read.slot.Place != wire.Field
		fields[i] = wire.FieldSpec{Slot: read.slot, Kind: read.kind, Required: !nullable}
	}
	return fields
}

// check tells whether a batch begins with the columns that were asked for.
func (s *shape) check(batch *wire.Batch) error {
	if len(batch.Columns) < len(s.reads) {
		return fmt.Errorf("the host handed over %d columns for %d fields", len(batch.Columns), len(s.reads))
	}
	for i := range s.reads {
		column := &batch.Columns[i]
		if column.Kind != s.reads[i].kind || column.Len() != batch.Rows || len(column.Nulls) != 0 && len(column.Nulls) != batch.Rows {
			return fmt.Errorf("column %d (%s): the host handed over %d rows of %v for %d of %v",
				i, describe(s.reads[i].slot), column.Len(), column.Kind, batch.Rows, s.reads[i].kind)
		}
	}
	return nil
}

// fill makes records of rows from to to; records points to the first of them.
func (s *shape) fill(batch *wire.Batch, from, to int, records unsafe.Pointer) {
	s.bad = nil
	for i := range s.reads {
		s.reads[i].fill(s, &batch.Columns[i], from, to, unsafe.Add(records, s.reads[i].offset))
	}
}

func (r *reading) fill(s *shape, column *wire.Column, from, to int, at unsafe.Pointer) {
	switch {
	case r.decode:
		r.fillDecoded(s, column, from, to, at)
	case r.pointer:
		r.fillPointers(s, column, from, to, at)
	default:
		r.fillValues(s, column, from, to, at)
	}
}

// set stores values one struct apart.
func set[T any](at unsafe.Pointer, size uintptr, values []T) {
	for i := range values {
		*(*T)(at) = values[i]
		at = unsafe.Add(at, size)
	}
}

func (r *reading) fillValues(s *shape, column *wire.Column, from, to int, at unsafe.Pointer) {
	switch r.kind {
	case wire.S64:
		set(at, s.size, column.Ints[from:to])
	case wire.F64:
		set(at, s.size, column.Floats[from:to])
	case wire.Boolean:
		for _, it := range column.Bools[from:to] {
			*(*bool)(at) = it != 0
			at = unsafe.Add(at, s.size)
		}
	case wire.Text:
		text := unsafe.String(unsafe.SliceData(column.Strings.Data), len(column.Strings.Data))
		offsets := column.Strings.Offsets[from : to+1]
		start := offsets[0]
		for _, end := range offsets[1:] {
			*(*string)(at) = text[start:end]
			at, start = unsafe.Add(at, s.size), end
		}
	default:
		for row := from; row < to; row++ {
			*(*[]byte)(at) = blob(column, row)
			at = unsafe.Add(at, s.size)
		}
	}
}

// blob is the bytes of a row, which nothing can be appended to; nil for null.
func blob(column *wire.Column, row int) []byte {
	if column.IsNull(row) {
		return nil
	}
	start, end := column.Strings.Offsets[row], column.Strings.Offsets[row+1]
	return column.Strings.Data[start:end:end]
}

// fillPointers points numbers into the column; what is not there as Go has it gets memory of its own.
func (r *reading) fillPointers(s *shape, column *wire.Column, from, to int, at unsafe.Pointer) {
	switch r.kind {
	case wire.S64:
		setPointers(at, s.size, column, from, column.Ints[from:to])
	case wire.F64:
		setPointers(at, s.size, column, from, column.Floats[from:to])
	case wire.Boolean:
		values := make([]bool, to-from)
		for i := range values {
			values[i] = column.Bools[from+i] != 0
		}
		setPointers(at, s.size, column, from, values)
	case wire.Text:
		values := make([]string, to-from)
		for i := range values {
			bytes := column.Strings.At(from + i)
			values[i] = unsafe.String(unsafe.SliceData(bytes), len(bytes))
		}
		setPointers(at, s.size, column, from, values)
	default:
		values := make([][]byte, to-from)
		for i := range values {
			values[i] = blob(column, from+i)
		}
		setPointers(at, s.size, column, from, values)
	}
}

func setPointers[T any](at unsafe.Pointer, size uintptr, column *wire.Column, from int, values []T) {
	for i := range values {
		if column.IsNull(from + i) {
			*(**T)(at) = nil
		} else {
			*(**T)(at) = &values[i]
		}
		at = unsafe.Add(at, size)
	}
}

func (r *reading) fillDecoded(s *shape, column *wire.Column, from, to int, at unsafe.Pointer) {
	for row := from; row < to; row++ {
		value := reflect.NewAt(r.typ, at)
		value.Elem().SetZero() // The record before is still there, and encoding/json adds to what it finds.
		if err := json.Unmarshal(column.Strings.At(row), value.Interface()); err != nil {
			if s.bad == nil {
				s.bad = map[int]error{}
			}
			s.bad[row] = fmt.Errorf("%s: %w", describe(r.slot), err)
		}
		at = unsafe.Add(at, s.size)
	}
}
