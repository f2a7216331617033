package wasmill

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// Defaults is implemented by a configuration with values of its own for keys that are not there.
type Defaults interface {
	// SetDefaults is called before the keys that are there are read.
	SetDefaults()
}

// Validator is implemented by a configuration that checks itself.
type Validator interface {
	// Validate is called when all keys are read. The error refuses the deployment, and should name the key.
	Validate() error
}

// readConfig reads a step's config, a JSON object, into the author's type. The error names the key, as a path from config.
//
// A struct's keys are those of encoding/json; a key that the struct lacks is refused, and so is one missing that the struct marks with
// `wasmill:"required"`.
func readConfig(text []byte, config any) error {
	if defaults, ok := config.(Defaults); ok {
		defaults.SetDefaults()
	}
	if err := checkKeys("config", text, reflect.TypeOf(config).Elem()); err != nil {
		return err
	}
	if err := json.Unmarshal(text, config); err != nil {
		if mistyped, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			path := "config"
			if mistyped.Field != "" {
				path += "." + mistyped.Field
			}
			return fmt.Errorf("%s: expected %s, found %s", path, expected(mistyped.Type), mistyped.Value)
		}
		return fmt.Errorf("config: %w", err)
	}
	if validator, ok := config.(Validator); ok {
		if err := validator.Validate(); err != nil {
			return fmt.Errorf("config: %w", err)
		}
	}
	return nil
}

func expected(typ reflect.Type) string {
	switch typ.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Float64, reflect.Float32:
		return "a number"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "a table"
	case reflect.Int64, reflect.Int, reflect.Uint64, reflect.Uint:
		return "an integer"
	default:
		return "a " + typ.String()
	}
}

// checkKeys finds keys that a struct does not have, at any depth, and keys that it must have. What is of another form than the
// type is left to encoding/json.
func checkKeys(path string, text []byte, typ reflect.Type) error {
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if pointer := reflect.PointerTo(typ); pointer.Implements(reflect.TypeFor[json.Unmarshaler]()) ||
		pointer.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return nil // It has keys, if any, that only its own code knows.
	}
	switch typ.Kind() {
	case reflect.Slice, reflect.Array:
		return checkItems(path, text, typ.Elem())
	case reflect.Map:
		return checkEntries(path, text, typ.Elem())
	case reflect.Struct:
		return checkStruct(path, text, typ)
	default:
		return nil
	}
}

func checkItems(path string, text []byte, item reflect.Type) error {
	var items []json.RawMessage
	if json.Unmarshal(text, &items) != nil {
		return nil
	}
	for i, it := range items {
		if err := checkKeys(fmt.Sprintf("%s[%d]", path, i), it, item); err != nil {
			return err
		}
	}
	return nil
}

func checkEntries(path string, text []byte, entry reflect.Type) error {
	var entries map[string]json.RawMessage
	if json.Unmarshal(text, &entries) != nil {
		return nil
	}
	for key, it := range entries {
		if err := checkKeys(path+"."+key, it, entry); err != nil {
			return err
		}
	}
	return nil
}

func checkStruct(path string, text []byte, typ reflect.Type) error {
	var entries map[string]json.RawMessage
	if json.Unmarshal(text, &entries) != nil || bytes.Equal(bytes.TrimSpace(text), []byte("null")) {
		return nil
	}
	names, required := keysOf(typ)
	known := map[string]reflect.Type{}
	for _, it := range names {
		known[it.name] = it.typ
	}
	for _, key := range inOrder(text) {
		member, ok := known[key]
		if !ok {
			return fmt.Errorf("%s: unknown key `%s`, expected %s", path, key, listed(names))
		}
		if err := checkKeys(path+"."+key, entries[key], member); err != nil {
			return err
		}
	}
	for _, key := range required {
		if _, ok := entries[key]; !ok {
			return fmt.Errorf("%s.%s is missing", path, key)
		}
	}
	return nil
}

type key struct {
	name string
	typ  reflect.Type
}

// keysOf lists a struct's keys as encoding/json knows them, and those that must be there.
func keysOf(typ reflect.Type) (keys []key, required []string) {
	for field := range typ.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		embedded := field.Anonymous && name == "" && field.Type.Kind() == reflect.Struct
		switch {
		case embedded:
			inner, innerRequired := keysOf(field.Type)
			keys, required = append(keys, inner...), append(required, innerRequired...)
			continue
		case field.Tag.Get("json") == "-" || !field.IsExported():
			continue
		case name == "":
			name = field.Name
		}
		keys = append(keys, key{name, field.Type})
		if field.Tag.Get("wasmill") == "required" {
			required = append(required, name)
		}
	}
	return keys, required
}

// inOrder lists the keys of a JSON object as they are written, so that the first one that is wrong is named.
func inOrder(text []byte) []string {
	decoder := json.NewDecoder(bytes.NewReader(text))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return nil
	}
	var keys []string
	for decoder.More() {
		token, err := decoder.Token()
		name, ok := token.(string)
		var value json.RawMessage
		if err != nil || !ok || decoder.Decode(&value) != nil {
			return keys
		}
		keys = append(keys, name)
	}
	return keys
}

func listed(keys []key) string {
	names := make([]string, len(keys))
	for i, it := range keys {
		names[i] = "`" + it.name + "`"
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
