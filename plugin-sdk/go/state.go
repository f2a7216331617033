package wasmill

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"unsafe"

	"wasmill.dev/plugin/internal/wire"
)

// A codec turns a state or an accumulator into bytes and back: by the type's own methods where *State has them
// (encoding.BinaryUnmarshaler with encoding.BinaryAppender or BinaryMarshaler), else as JSON, which a person can read.
//
// What it reads goes into one place, whose methods are found once.
type codec[State any] struct {
	state    *State
	reader   encoding.BinaryUnmarshaler // nil for JSON
	appender encoding.BinaryAppender
	flat     *flat // nil where encoding/json does it all
	buffer   bytes.Buffer
	encoder  *json.Encoder
}

func (c *codec[State]) prepare(state *State) {
	c.state = state
	reader, reads := any(state).(encoding.BinaryUnmarshaler)
	if appender := appenderOf(state); reads && appender != nil {
		c.reader, c.appender = reader, appender
	}
	c.flat = flatOf(reflect.TypeFor[State]())
	c.encoder = json.NewEncoder(&c.buffer)
	c.encoder.SetEscapeHTML(false)
}

// appenderOf finds how a type writes itself; nil where it does not.
func appenderOf(state any) encoding.BinaryAppender {
	switch it := state.(type) {
	case encoding.BinaryAppender:
		return it
	case encoding.BinaryMarshaler:
		return marshaler{it}
	default:
		return nil
	}
}

type marshaler struct{ encoding.BinaryMarshaler }

func (m marshaler) AppendBinary(to []byte) ([]byte, error) {
	text, err := m.MarshalBinary()
	return append(to, text...), err
}

// decode reads a state into its place, which is zero.
func (c *codec[State]) decode(text []byte) (err error) {
	if c.reader != nil {
		err = c.reader.UnmarshalBinary(text)
	} else if c.flat == nil || !c.flat.read(text, unsafe.Pointer(c.state)) {
		var zero State
		*c.state = zero
		err = json.Unmarshal(text, c.state)
	}
	if err != nil {
		return fmt.Errorf("the stored state is not what this version of the plugin writes (%w): raise StateVersion and migrate it", err)
	}
	return nil
}

// encode adds a state, which may be one of the author's own, to strings.
func (c *codec[State]) encode(state *State, to *wire.Strings) (err error) {
	switch {
	case c.reader == nil:
		to.Data, err = c.encodeJSON(state, to.Data)
	case state == c.state:
		to.Data, err = c.appender.AppendBinary(to.Data)
	default:
		to.Data, err = appenderOf(state).AppendBinary(to.Data)
	}
	if err != nil {
		return fmt.Errorf("a state that cannot be stored: %w", err)
	}
	to.Offsets = append(to.Offsets, uint32(len(to.Data)))
	return nil
}

func (c *codec[State]) encodeJSON(state *State, to []byte) ([]byte, error) {
	if c.flat != nil {
		if text, ok := c.flat.write(to, unsafe.Pointer(state)); ok {
			return text, nil
		}
	}
	c.buffer.Reset()
	err := c.encoder.Encode(state)
	return append(to, bytes.TrimSuffix(c.buffer.Bytes(), []byte("\n"))...), err
}

var errGroups = errors.New("the host handed over groups that do not fit together")

// checkGroups tells whether groups cover the rows of a batch, and have a state each.
func checkGroups(rows int, bounds []uint32, states *wire.Column) error {
	if len(bounds) == 0 || states.Kind < wire.Text || states.Len() != len(bounds)-1 || bounds[0] != 0 || int(bounds[len(bounds)-1]) != rows {
		return errGroups
	}
	for i := range bounds[1:] {
		if bounds[i] > bounds[i+1] {
			return errGroups
		}
	}
	return nil
}
