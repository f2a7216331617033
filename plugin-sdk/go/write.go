package wasmill

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"unicode/utf8"
	"unsafe"

	"wasmill.dev/plugin/internal/wire"
)

// A layout is what the fields of a struct that is emitted are, worked out once.
type layout struct {
	writes []writing
	size   uintptr
}

// A writing makes one column of one field of a struct.
type writing struct {
	member
	kind    wire.Kind
	pointer bool // null for nil
	encode  bool // by encoding/json
}

// layoutOf works out a struct that a rule emits.
func layoutOf(row reflect.Type) (*layout, error) {
	members, err := membersOf(row)
	if err != nil {
		return nil, err
	}
	out := &layout{size: row.Size()}
	for _, it := range members {
		write := writing{member: it}
		typ := it.typ
		if it.optional {
			return nil, fmt.Errorf("%v: %s is optional by its tag, which is for columns: use a pointer", row, describe(it.slot))
		}
		if typ.Kind() == reflect.Pointer {
			write.pointer, typ = true, typ.Elem()
		}
		switch typ.Kind() {
		case reflect.Int64, reflect.Int, reflect.Int32, reflect.Int16, reflect.Int8, reflect.Uint32, reflect.Uint16, reflect.Uint8:
			write.kind = wire.S64
		case reflect.Float64, reflect.Float32:
			write.kind = wire.F64
		case reflect.Bool:
			write.kind = wire.Boolean
		case reflect.String:
			write.kind = wire.Text
		case reflect.Uint, reflect.Uint64, reflect.Uintptr, reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
			return nil, fmt.Errorf("%v: %s cannot be written from %v: use an integer up to int64 or uint32, float64, bool, string, "+
				"[]byte, json.RawMessage, a pointer to one of them, or what encoding/json writes", row, describe(it.slot), it.typ)
		default:
			switch {
			case typ == rawMessage:
				write.kind = wire.JSON
			case typ.Kind() == reflect.Slice && typ.Elem().Kind() == reflect.Uint8:
				write.kind = wire.Bytes
			default:
				write.kind, write.encode, write.pointer = wire.JSON, true, false
			}
		}
		if err := checkPlace(it.slot, write.kind); err != nil {
			return nil, fmt.Errorf("%v: %w", row, err)
		}
		if it.slot.Place > wire.Header {
			return nil, fmt.Errorf("%v: %s can be read, not written", row, describe(it.slot))
		}
		out.writes = append(out.writes, write)
	}
	return out, nil
}

// fields are the port's, in the order of the struct.
func (l *layout) fields() []wire.FieldSpec {
	fields := make([]wire.FieldSpec, len(l.writes))
	for i, write := range l.writes {
		nullable := write.pointer || write.kind == wire.Bytes || write.typ == rawMessage
		fields[i] = wire.FieldSpec{Slot: write.slot, Kind: write.kind, Required: !nullable}
	}
	return fields
}

// A rowError is a row that cannot be written, counted within its table.
type rowError struct {
	row int
	err error
}

// write makes columns of rows, the first of which rows points to. Columns keep their memory from one call to the next.
func (l *layout) write(columns []wire.Column, rows unsafe.Pointer, count int) ([]wire.Column, *rowError) {
	if columns == nil {
		columns = make([]wire.Column, len(l.writes))
	}
	for i := range l.writes {
		write, column := &l.writes[i], &columns[i]
		column.Kind, column.Nulls = write.kind, column.Nulls[:0]
		column.Ints, column.Floats, column.Bools = column.Ints[:0], column.Floats[:0], column.Bools[:0]
		column.Strings.Reset()
		if failed := write.write(column, unsafe.Add(rows, write.offset), l.size, count); failed != nil {
			failed.err = fmt.Errorf("%s: %w", describe(write.slot), failed.err)
			return columns, failed
		}
	}
	return columns, nil
}

// intKind is the integer that an int is: 64 bits in a plugin, 32 in a test on a small machine.
var intKind = map[int]reflect.Kind{32: reflect.Int32, 64: reflect.Int64}[strconv.IntSize]

func (w *writing) write(column *wire.Column, at unsafe.Pointer, size uintptr, count int) *rowError {
	if w.encode {
		return w.writeEncoded(column, at, size, count)
	}
	typ := w.typ
	if w.pointer {
		typ = typ.Elem()
	}
	kind := typ.Kind()
	if kind == reflect.Int {
		kind = intKind
	}
	switch kind {
	case reflect.Int64:
		column.Ints = appendNumbers[int64](w, column, column.Ints, at, size, count)
	case reflect.Int32:
		column.Ints = appendNumbers[int32](w, column, column.Ints, at, size, count)
	case reflect.Int16:
		column.Ints = appendNumbers[int16](w, column, column.Ints, at, size, count)
	case reflect.Int8:
		column.Ints = appendNumbers[int8](w, column, column.Ints, at, size, count)
	case reflect.Uint32:
		column.Ints = appendNumbers[uint32](w, column, column.Ints, at, size, count)
	case reflect.Uint16:
		column.Ints = appendNumbers[uint16](w, column, column.Ints, at, size, count)
	case reflect.Uint8:
		column.Ints = appendNumbers[uint8](w, column, column.Ints, at, size, count)
	case reflect.Float64:
		column.Floats = appendNumbers[float64](w, column, column.Floats, at, size, count)
	case reflect.Float32:
		column.Floats = appendNumbers[float32](w, column, column.Floats, at, size, count)
	case reflect.Bool:
		w.writeBools(column, at, size, count)
	default:
		return w.writeStrings(column, at, size, count)
	}
	return nil
}

// null marks row i null. The marks begin with the first null.
func null(column *wire.Column, i, count int) {
	if len(column.Nulls) == 0 {
		column.Nulls = append(column.Nulls, make([]byte, count)...)
	}
	column.Nulls[i] = 1
}

// value is where the pointer that a field holds leads, or the field itself.
func (w *writing) value(field unsafe.Pointer) unsafe.Pointer {
	if w.pointer {
		return *(*unsafe.Pointer)(field)
	}
	return field
}

func appendNumbers[T int64 | int32 | int16 | int8 | uint32 | uint16 | uint8 | float64 | float32, C int64 | float64](
	w *writing, column *wire.Column, to []C, at unsafe.Pointer, size uintptr, count int,
) []C {
	for i := range count {
		value := w.value(unsafe.Add(at, uintptr(i)*size))
		if value == nil {
			null(column, i, count)
			to = append(to, 0)
			continue
		}
		to = append(to, C(*(*T)(value)))
	}
	return to
}

func (w *writing) writeBools(column *wire.Column, at unsafe.Pointer, size uintptr, count int) {
	for i := range count {
		value := w.value(unsafe.Add(at, uintptr(i)*size))
		switch {
		case value == nil:
			null(column, i, count)
			column.Bools = append(column.Bools, 0)
		case *(*bool)(value):
			column.Bools = append(column.Bools, 1)
		default:
			column.Bools = append(column.Bools, 0)
		}
	}
}

var errNotUTF8 = errors.New("not UTF-8: emit it as []byte, or clean it with strings.ToValidUTF8")

func (w *writing) writeStrings(column *wire.Column, at unsafe.Pointer, size uintptr, count int) *rowError {
	data, offsets := column.Strings.Data, column.Strings.Offsets
	for i := range count {
		value := w.value(unsafe.Add(at, uintptr(i)*size))
		switch {
		case value == nil:
			null(column, i, count)
		case w.kind == wire.Text:
			data = append(data, *(*string)(value)...)
		case *(*[]byte)(value) == nil:
			null(column, i, count)
		default:
			data = append(data, *(*[]byte)(value)...)
		}
		offsets = append(offsets, uint32(len(data)))
	}
	column.Strings.Data, column.Strings.Offsets = data, offsets
	if w.kind == wire.Bytes {
		return nil
	}
	return w.checkStrings(column, count)
}

// checkStrings finds text that is none. The whole column is looked at first, which is fast.
func (w *writing) checkStrings(column *wire.Column, count int) *rowError {
	if w.kind == wire.Text && utf8.Valid(column.Strings.Data) && w.cutsCharacters(column) == nil {
		return nil
	}
	for i := range count {
		if column.IsNull(i) {
			continue
		}
		text := column.Strings.At(i)
		if w.kind == wire.Text && !utf8.Valid(text) {
			return &rowError{i, errNotUTF8}
		}
		if w.kind == wire.JSON && !json.Valid(text) {
			return &rowError{i, fmt.Errorf("not JSON: %.40q", text)}
		}
	}
	return nil
}

// cutsCharacters tells of a string that begins within a character, which the text of all of them may hide.
func (w *writing) cutsCharacters(column *wire.Column) *rowError {
	data := column.Strings.Data
	for i, offset := range column.Strings.Offsets {
		if int(offset) < len(data) && !utf8.RuneStart(data[offset]) {
			return &rowError{i, errNotUTF8}
		}
	}
	return nil
}

func (w *writing) writeEncoded(column *wire.Column, at unsafe.Pointer, size uintptr, count int) *rowError {
	buffer := bytes.NewBuffer(column.Strings.Data)
	encoder := json.NewEncoder(buffer)
	encoder.SetEscapeHTML(false)
	for i := range count {
		value := reflect.NewAt(w.typ, unsafe.Add(at, uintptr(i)*size)).Elem()
		if err := encoder.Encode(value.Interface()); err != nil {
			return &rowError{i, err}
		}
		buffer.Truncate(buffer.Len() - 1) // The encoder's new line.
		column.Strings.Offsets = append(column.Strings.Offsets, uint32(buffer.Len()))
	}
	column.Strings.Data = buffer.Bytes()
	return nil
}
