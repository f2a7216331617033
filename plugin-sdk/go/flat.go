package wasmill

import (
	"encoding"
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"strings"
	"unsafe"
)

// A flat is a struct of numbers, truth values and text, which most states are. It is written as encoding/json writes it, and what was
// written so is read without encoding/json: a state costs a tenth. What is not as expected is left to encoding/json.
type flat struct {
	members []flatMember
}

type flatMember struct {
	prefix string // `{"name":` or `,"name":`.
	offset uintptr
	kind   reflect.Kind
}

// flatOf works out a struct; nil where it is of another form.
func flatOf(typ reflect.Type) *flat {
	if typ.Kind() != reflect.Struct || typ.NumField() == 0 || writesItself(typ) {
		return nil
	}
	out := &flat{}
	mark := "{"
	for field := range typ.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" {
			name = field.Name
		}
		if field.Anonymous || !field.IsExported() || name == "-" || options != "" || !isPlain(name) || writesItself(field.Type) {
			return nil
		}
		switch kind := field.Type.Kind(); {
		case kind == reflect.Int && field.Type.Size() == 8, kind == reflect.Int64:
		case kind == reflect.Float64, kind == reflect.Bool, kind == reflect.String:
		default:
			return nil
		}
		out.members = append(out.members, flatMember{mark + `"` + name + `":`, field.Offset, field.Type.Kind()})
		mark = ","
	}
	return out
}

func writesItself(typ reflect.Type) bool {
	pointer := reflect.PointerTo(typ)
	for _, it := range []reflect.Type{
		reflect.TypeFor[json.Marshaler](), reflect.TypeFor[json.Unmarshaler](),
		reflect.TypeFor[encoding.TextMarshaler](), reflect.TypeFor[encoding.TextUnmarshaler](),
	} {
		if pointer.Implements(it) {
			return true
		}
	}
	return false
}

// isPlain tells text that JSON has as it is.
func isPlain(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' || text[i] == '"' || text[i] == '\\' {
			return false
		}
	}
	return true
}

// write adds a struct to text; false, and text to be thrown away, where encoding/json must write it.
func (f *flat) write(text []byte, from unsafe.Pointer) ([]byte, bool) {
	for i := range f.members {
		it := &f.members[i]
		text = append(text, it.prefix...)
		value := unsafe.Add(from, it.offset)
		switch it.kind {
		case reflect.Int64, reflect.Int:
			text = strconv.AppendInt(text, *(*int64)(value), 10)
		case reflect.Bool:
			text = strconv.AppendBool(text, *(*bool)(value))
		case reflect.Float64:
			number := *(*float64)(value)
			// Beyond these encoding/json writes an exponent, in a form of its own.
			if size := math.Abs(number); size != 0 && !(size >= 1e-6 && size < 1e21) {
				return text, false
			}
			text = strconv.AppendFloat(text, number, 'f', -1, 64)
		default:
			if !isPlain(*(*string)(value)) {
				return text, false
			}
			text = append(append(append(text, '"'), *(*string)(value)...), '"')
		}
	}
	return append(text, '}'), true
}

// read reads what write wrote; false, and a struct to be zeroed, where encoding/json must read it.
func (f *flat) read(text []byte, to unsafe.Pointer) bool {
	rest := unsafe.String(unsafe.SliceData(text), len(text))
	for i := range f.members {
		it := &f.members[i]
		if !strings.HasPrefix(rest, it.prefix) {
			return false
		}
		rest = rest[len(it.prefix):]
		field := unsafe.Add(to, it.offset)
		if it.kind == reflect.String {
			end := strings.IndexByte(rest[min(len(rest), 1):], '"')
			if end < 0 || rest[0] != '"' || !isPlain(rest[1:end+1]) {
				return false
			}
			// A copy: the state may outlive the call's memory by far.
			*(*string)(field), rest = strings.Clone(rest[1:end+1]), rest[end+2:]
			continue
		}
		end := strings.IndexAny(rest, ",}")
		if end <= 0 || !it.readWord(rest[:end], field) {
			return false
		}
		rest = rest[end:]
	}
	return rest == "}"
}

// readWord reads a number or a truth value. Go takes forms that JSON does not, but nothing wrote them.
func (m *flatMember) readWord(word string, field unsafe.Pointer) bool {
	var err error
	switch m.kind {
	case reflect.Bool:
		*(*bool)(field) = word == "true"
		return word == "true" || word == "false"
	case reflect.Float64:
		*(*float64)(field), err = strconv.ParseFloat(word, 64)
	default:
		*(*int64)(field), err = strconv.ParseInt(word, 10, 64)
	}
	return err == nil
}
