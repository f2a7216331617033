package wasmill

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"unicode"

	"wasmill.dev/plugin/internal/wire"
)

// A field of an author's struct, and where its column comes from or goes to.
type member struct {
	slot   wire.Slot
	typ    reflect.Type
	offset uintptr
	// optional is said by the tag, of a column.
	optional bool
}

var rawMessage = reflect.TypeFor[json.RawMessage]()

// membersOf lists the fields of a struct that are columns.
func membersOf(record reflect.Type) ([]member, error) {
	if record.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%v is no struct: its fields say what is read or written", record)
	}
	var members []member
	names := map[wire.Slot]bool{}
	for field := range record.Fields() {
		tag, tagged := field.Tag.Lookup("wasmill")
		if tag == "-" || !tagged && !field.IsExported() {
			continue
		}
		tag, optional := strings.CutSuffix(tag, ",optional")
		slot, err := slotOf(field.Name, tag)
		if err != nil {
			return nil, fmt.Errorf("%v.%s: %w", record, field.Name, err)
		}
		if names[slot] {
			return nil, fmt.Errorf("%v.%s: %s is there twice", record, field.Name, describe(slot))
		}
		names[slot] = true
		members = append(members, member{slot, field.Type, field.Offset, optional})
	}
	return members, nil
}

var places = map[string]wire.Place{
	"key": wire.Key, "value": wire.Value, "time": wire.Time, "topic": wire.Topic, "partition": wire.Partition, "offset": wire.Offset,
}

// slotOf reads a tag: a name, or a comma and a place.
func slotOf(goName, tag string) (wire.Slot, error) {
	name, place, special := strings.Cut(tag, ",")
	switch {
	case !special && name == "":
		return wire.Slot{Place: wire.Field, Name: snakeCase(goName)}, nil
	case !special:
		return wire.Slot{Place: wire.Field, Name: name}, nil
	case name != "":
		return wire.Slot{}, fmt.Errorf("the tag %q has a name and a place: expected `wasmill:\"NAME\"` or `wasmill:\",PLACE\"`", tag)
	}
	if header, ok := strings.CutPrefix(place, "header="); ok && header != "" {
		return wire.Slot{Place: wire.Header, Name: header}, nil
	}
	if known, ok := places[place]; ok {
		return wire.Slot{Place: known}, nil
	}
	return wire.Slot{}, fmt.Errorf("%q is no place: expected key, value, time, header=NAME, topic, partition or offset", place)
}

// snakeCase is customer_id for CustomerID.
func snakeCase(name string) string {
	letters := []rune(name)
	var out strings.Builder
	for i, letter := range letters {
		if unicode.IsUpper(letter) && i > 0 {
			begins := i+1 < len(letters) && unicode.IsLower(letters[i+1])
			if !unicode.IsUpper(letters[i-1]) || begins {
				out.WriteByte('_')
			}
		}
		out.WriteRune(unicode.ToLower(letter))
	}
	return out.String()
}

// describe names a slot in messages.
func describe(slot wire.Slot) string {
	switch slot.Place {
	case wire.Field:
		return "`" + slot.Name + "`"
	case wire.Header:
		return "header `" + slot.Name + "`"
	default:
		return [...]string{"", "value", "key", "time", "", "topic", "partition", "offset", "window start", "window end"}[slot.Place]
	}
}

// checkPlace tells whether a slot's column can be of a kind.
func checkPlace(slot wire.Slot, kind wire.Kind) error {
	var allowed []wire.Kind
	switch slot.Place {
	case wire.Field:
		return nil
	case wire.Key:
		allowed = []wire.Kind{wire.Text, wire.Bytes}
	case wire.Value, wire.Header:
		allowed = []wire.Kind{wire.Bytes}
	case wire.Topic:
		allowed = []wire.Kind{wire.Text}
	default:
		allowed = []wire.Kind{wire.S64}
	}
	for _, it := range allowed {
		if it == kind {
			return nil
		}
	}
	return fmt.Errorf("a %s is %v, not %v", describe(slot), allowed[0], kind)
}
