package plugintest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"wasmill.dev/plugin/internal/wire"
)

// Row is a record for a test: its value, and what a broker keeps beside it. A string is a record with nothing beside it.
type Row struct {
	// Value is JSON, or any text where the plugin reads no field of it; empty for a tombstone.
	Value string
	// Key is nil for the null key.
	Key []byte
	// Time is the event time in milliseconds since the Unix epoch.
	Time int64
	// Headers by name.
	Headers map[string]string
	// Topic, Partition and Offset say where the record comes from.
	Topic             string
	Partition, Offset int64
}

// rowsOf takes a test's records: strings and Rows.
func rowsOf(tb testing.TB, records []any) []Row {
	tb.Helper()
	rows := make([]Row, len(records))
	for i, record := range records {
		switch it := record.(type) {
		case string:
			rows[i].Value = it
		case Row:
			rows[i] = it
		default:
			tb.Fatalf("record %d is a %T: expected a string of JSON or a plugintest.Row", i, record)
		}
	}
	return rows
}

// A cell is one value of a record; nil is null.
type cell = any

// misfit is why the host would dead-letter the record before a plugin that reads these fields sees it; empty when it fits. Nobody asks
// for JSON where no field is read.
func (r *Row) misfit(fields []wire.FieldSpec) string {
	inValue := func(it wire.FieldSpec) bool { return it.Slot.Place == wire.Field }
	if r.Value != "" && slices.ContainsFunc(fields, inValue) && !json.Valid([]byte(r.Value)) {
		return fmt.Sprintf("the value is not JSON: %.40q", r.Value)
	}
	for i := range fields {
		field := &fields[i]
		value, found := r.cell(field)
		switch {
		case found != "":
			return fmt.Sprintf("%s is %s: expected %v", nameOf(field.Slot), found, field.Kind)
		case value == nil && field.Required:
			return fmt.Sprintf("%s is missing: expected %v", nameOf(field.Slot), field.Kind)
		}
	}
	return ""
}

// cell is the record's value for a field, or what was found instead of one of its kind.
func (r *Row) cell(field *wire.FieldSpec) (value cell, found string) {
	switch field.Slot.Place {
	case wire.Field:
		return jsonCell(at([]byte(r.Value), field.Slot.Name), field.Kind)
	case wire.Value:
		if r.Value != "" {
			return []byte(r.Value), ""
		}
	case wire.Key:
		if r.Key != nil {
			return r.Key, ""
		}
	case wire.Time:
		return r.Time, ""
	case wire.Header:
		if header, ok := r.Headers[field.Slot.Name]; ok {
			return []byte(header), ""
		}
	case wire.Topic:
		return []byte(r.Topic), ""
	case wire.Partition:
		return r.Partition, ""
	case wire.Offset:
		return r.Offset, ""
	}
	return nil, ""
}

// at is the value at a path of names joined by dots; nil when there is none.
func at(value json.RawMessage, path string) json.RawMessage {
	for name := range strings.SplitSeq(path, ".") {
		var members map[string]json.RawMessage
		if json.Unmarshal(value, &members) != nil {
			return nil
		}
		value = members[name]
	}
	return value
}

func jsonCell(value json.RawMessage, kind wire.Kind) (cell, string) {
	value = compact(value)
	if len(value) == 0 || string(value) == "null" {
		return nil, ""
	}
	number := value[0] == '-' || value[0] >= '0' && value[0] <= '9'
	switch {
	case kind == wire.JSON:
		return []byte(value), ""
	case kind == wire.S64 && number:
		if integer, err := strconv.ParseInt(string(value), 10, 64); err == nil {
			return integer, ""
		}
	case kind == wire.F64 && number:
		if float, err := strconv.ParseFloat(string(value), 64); err == nil {
			return float, ""
		}
	case kind == wire.Boolean && (value[0] == 't' || value[0] == 'f'):
		return value[0] == 't', ""
	case (kind == wire.Text || kind == wire.Bytes) && value[0] == '"':
		var text string
		if json.Unmarshal(value, &text) == nil {
			return []byte(text), ""
		}
	}
	return nil, string(value)
}

func compact(value json.RawMessage) []byte {
	var out bytes.Buffer
	if json.Compact(&out, value) != nil {
		return value
	}
	return out.Bytes()
}

func nameOf(slot wire.Slot) string {
	switch slot.Place {
	case wire.Field:
		return "`" + slot.Name + "`"
	case wire.Header:
		return "header `" + slot.Name + "`"
	default:
		return [...]string{"", "value", "key", "time", "", "topic", "partition", "offset", "window start", "window end"}[slot.Place]
	}
}

// columnOf makes a column of cells that fit.
func columnOf(kind wire.Kind, cells []cell) wire.Column {
	column := wire.Column{Kind: kind, Strings: wire.Strings{Offsets: []uint32{0}}}
	nulls := make([]byte, len(cells))
	for i, value := range cells {
		if value == nil {
			nulls[i] = 1
		}
		integer, _ := value.(int64)
		float, _ := value.(float64)
		text, _ := value.([]byte)
		truth := byte(0)
		if value == true {
			truth = 1
		}
		switch kind {
		case wire.S64:
			column.Ints = append(column.Ints, integer)
		case wire.F64:
			column.Floats = append(column.Floats, float)
		case wire.Boolean:
			column.Bools = append(column.Bools, truth)
		default:
			column.Strings.Add(text)
		}
	}
	if slices.Contains(nulls, 1) {
		column.Nulls = nulls
	}
	return column
}

// batchOf makes the columns that the host would make of rows, all of which fit.
func batchOf(rows []*Row, fields []wire.FieldSpec, watermark int64) *wire.Batch {
	return keysOf(len(rows), fields, watermark, func(field *wire.FieldSpec, row int) cell {
		value, _ := rows[row].cell(field)
		return value
	})
}

// keysOf makes a batch of cells that are worked out.
func keysOf(rows int, fields []wire.FieldSpec, watermark int64, filled func(*wire.FieldSpec, int) cell) *wire.Batch {
	batch := &wire.Batch{Rows: rows, Watermark: watermark}
	for i := range fields {
		cells := make([]cell, rows)
		for row := range cells {
			cells[row] = filled(&fields[i], row)
		}
		batch.Columns = append(batch.Columns, columnOf(fields[i].Kind, cells))
	}
	return batch
}
