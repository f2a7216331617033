// Command count is a rule that scripts/bench-plugins.sh measures: it counts the records of each key, and writes a row for each key of a batch.
package main

import (
	"encoding/binary"
	"errors"

	wasmill "wasmill.dev/plugin"
)

// Columns are what is read.
type Columns struct {
	Amount   wasmill.Float64s `wasmill:"amount"`
	Customer wasmill.Texts    `wasmill:"customer,optional"`
}

// Count is a row.
type Count struct {
	Count int64 `wasmill:"count"`
}

// Counted is the state, of eight bytes.
type Counted int64

// AppendBinary writes it.
func (c *Counted) AppendBinary(to []byte) ([]byte, error) {
	return binary.LittleEndian.AppendUint64(to, uint64(*c)), nil
}

// UnmarshalBinary reads it.
func (c *Counted) UnmarshalBinary(bytes []byte) error {
	if len(bytes) != 8 {
		return errors.New("not eight bytes")
	}
	*c = Counted(binary.LittleEndian.Uint64(bytes))
	return nil
}

// Rule is the plugin.
var Rule = wasmill.KeyedColumns(wasmill.Options{Name: "count", StateVersion: 1}, count, nil)

func count(
	_ *wasmill.Batch[Columns], rows wasmill.Rows, key *wasmill.Key[Counted], _ *wasmill.NoConfig, out *wasmill.Output[Count],
) error {
	if key.State == nil {
		key.State = new(Counted)
	}
	*key.State += Counted(rows.To - rows.From)
	out.EmitRow(rows.To-1, Count{int64(*key.State)})
	return nil
}

func main() {} // wasmill calls Rule.
