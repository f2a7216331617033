package wasmill

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"

	"wasmill.dev/plugin/internal/wire"
)

// A codec turns a state or an accumulator into bytes and back: by the type's own methods where *State has them
// (encoding.BinaryUnmarshaler with encoding.BinaryAppender or BinaryMarshaler), else as JSON, which a person can read.
type codec[State any] struct {
	binary  bool
	buffer  bytes.Buffer
	encoder *json.Encoder
}

func (c *codec[State]) prepare() {
	var state State
	_, reads := any(&state).(encoding.BinaryUnmarshaler)
	_, appends := any(&state).(encoding.BinaryAppender)
	_, marshals := any(&state).(encoding.BinaryMarshaler)
	c.binary = reads && (appends || marshals)
	c.encoder = json.NewEncoder(&c.buffer)
	c.encoder.SetEscapeHTML(false)
}

// decode reads a state into one that is zero.
func (c *codec[State]) decode(text []byte, state *State) (err error) {
	if c.binary {
		err = any(state).(encoding.BinaryUnmarshaler).UnmarshalBinary(text)
	} else {
		err = json.Unmarshal(text, state)
	}
	if err != nil {
		return fmt.Errorf("the stored state is not what this version of the plugin writes (%w): raise StateVersion and migrate it", err)
	}
	return nil
}

// encode adds a state to strings.
func (c *codec[State]) encode(state *State, to *wire.Strings) (err error) {
	if c.binary {
		if appender, ok := any(state).(encoding.BinaryAppender); ok {
			to.Data, err = appender.AppendBinary(to.Data)
		} else {
			var text []byte
			text, err = any(state).(encoding.BinaryMarshaler).MarshalBinary()
			to.Data = append(to.Data, text...)
		}
	} else {
		c.buffer.Reset()
		err = c.encoder.Encode(state)
		to.Data = append(to.Data, bytes.TrimSuffix(c.buffer.Bytes(), []byte("\n"))...)
	}
	if err != nil {
		return fmt.Errorf("a state that cannot be stored: %w", err)
	}
	to.Offsets = append(to.Offsets, uint32(len(to.Data)))
	return nil
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
