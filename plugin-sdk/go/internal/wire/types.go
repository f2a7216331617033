// Package wire is the boundary of wit/wasmill.wit as Go values: what the host hands over and what it is handed back.
//
// The types have no pointers into a record of their own; columns are slices, without a copy, over what the host wrote.
package wire

// Kind is the type of a column's values.
type Kind uint8

// The kinds, numbered as in the WIT.
const (
	S64 Kind = iota
	F64
	Boolean
	Text
	Bytes
	JSON
)

// String is the kind's name in pipeline files.
func (k Kind) String() string {
	return [...]string{"s64", "f64", "boolean", "text", "bytes", "json"}[k]
}

// Place is where a column's values come from, or go to.
type Place uint8

// The places, numbered as in the WIT.
const (
	Field Place = iota
	Value
	Key
	Time
	Header
	Topic
	Partition
	Offset
	WindowStart
	WindowEnd
)

// Slot is a place, with the name of the field or of the header.
type Slot struct {
	Place Place
	Name  string
}

// FieldSpec is a column that is read or written.
type FieldSpec struct {
	Slot     Slot
	Kind     Kind
	Required bool
}

// Port is an output.
type Port struct {
	Name   string
	Fields []FieldSpec
}

// Info says what a plugin is.
type Info struct {
	Name, Version, Description, ConfigSchema string
}

// Spec says what a plugin reads and writes.
type Spec struct {
	Reads        []FieldSpec
	Ports        []Port
	StateVersion uint32
}

// Strings are byte strings end to end: string i is Data[Offsets[i]:Offsets[i+1]].
type Strings struct {
	Offsets []uint32
	Data    []byte
}

// Len is how many there are.
func (s *Strings) Len() int { return max(len(s.Offsets)-1, 0) }

// At is string i, without a copy.
func (s *Strings) At(i int) []byte { return s.Data[s.Offsets[i]:s.Offsets[i+1]] }

// Add appends a string.
func (s *Strings) Add(bytes []byte) {
	s.Data = append(s.Data, bytes...)
	s.Offsets = append(s.Offsets, uint32(len(s.Data)))
}

// Reset leaves none, and keeps the memory.
func (s *Strings) Reset() {
	s.Offsets, s.Data = append(s.Offsets[:0], 0), s.Data[:0]
}

// Column holds the values of its kind, in the slice that belongs to it.
type Column struct {
	Kind Kind
	// Ints of kind S64.
	Ints []int64
	// Floats of kind F64.
	Floats []float64
	// Bools of kind Boolean: one byte a row.
	Bools []byte
	// Strings of kinds Text, Bytes and JSON.
	Strings Strings
	// Nulls is empty, or one byte a row: 1 for null.
	Nulls []byte
}

// Len is how many rows the column has.
func (c *Column) Len() int {
	switch c.Kind {
	case S64:
		return len(c.Ints)
	case F64:
		return len(c.Floats)
	case Boolean:
		return len(c.Bools)
	default:
		return c.Strings.Len()
	}
}

// IsNull tells whether row i is null.
func (c *Column) IsNull(i int) bool { return len(c.Nulls) != 0 && c.Nulls[i] != 0 }

// Batch is the records of a call, in the order of Spec.Reads.
type Batch struct {
	Rows      int
	Columns   []Column
	Watermark int64
}

// Table is output for one port. Without Columns the rows are their origins, unchanged.
type Table struct {
	Port      uint32
	Origins   []uint32
	Unchanged bool
	Columns   []Column
}

// Reject is an input row that is dead-lettered.
type Reject struct {
	Row    uint32
	Reason string
}

// Produced is the output of a call.
type Produced struct {
	Tables  []Table
	Rejects []Reject
}

// Groups are the rows of each key, Bounds[i] to Bounds[i+1], and its state.
type Groups struct {
	Bounds []uint32
	States Column
}

// Timer is set for a group, or cancelled.
type Timer struct {
	Group, ID uint32
	Cancel    bool
	At        int64
}

// KeyedOutput is the output of a call of a keyed plugin.
type KeyedOutput struct {
	Produced Produced
	States   Column
	Timers   []Timer
}
