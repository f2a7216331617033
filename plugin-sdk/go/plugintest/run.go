package plugintest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"wasmill.dev/plugin/internal/wire"
)

// Run is what a plugin did with the records, keys or windows that a test handed to it, in order.
//
// As text it is one line for each emitted row (`PORT: JSON`), then `reject ROW: REASON`, log lines and counters.
type Run struct {
	// Emitted are the rows of all ports.
	Emitted []Emitted
	// Rejects are the records refused, by the plugin or, not fitting what it reads, before it.
	Rejects []Rejected
	// Logs are the lines logged.
	Logs []Line
	// Counts are the counters, in the order of their first count.
	Counts []Counted

	tb testing.TB
}

// Emitted is a row that came out.
type Emitted struct {
	// Port is its name.
	Port string
	// Origin is the index of the record, the timer or the window that the row was made from.
	Origin int
	// Passed tells a record that was passed on as it was.
	Passed bool
	// Text is the value as JSON, with the fields in the plugin's order.
	Text string
	// Key is the key that the row sets, or nil.
	Key []byte
	// Time is the event time that the row sets, or nil.
	Time *int64
}

// Rejected is a record that was refused.
type Rejected struct {
	Row    int
	Reason string
}

// Line is a line of the log.
type Line struct{ Level, Message string }

// Counted is a counter.
type Counted struct {
	Name   string
	Amount uint64
}

// Log keeps a line.
func (r *Run) Log(level, message string) { r.Logs = append(r.Logs, Line{level, message}) }

// Count keeps a count.
func (r *Run) Count(name string, amount uint64) {
	for i := range r.Counts {
		if r.Counts[i].Name == name {
			r.Counts[i].Amount += amount
			return
		}
	}
	r.Counts = append(r.Counts, Counted{name, amount})
}

// Expect fails the test where the run's text is not these lines.
func (r *Run) Expect(lines ...string) {
	r.tb.Helper()
	if found, expected := r.String(), strings.Join(lines, "\n"); found != expected {
		r.tb.Errorf("the run gave\n%s\nexpected\n%s", found, expected)
	}
}

// Rows reads the rows of a port, or of all ports where it is empty, into T by encoding/json.
func Rows[T any](run *Run, port string) []T {
	run.tb.Helper()
	var rows []T
	for _, it := range run.Emitted {
		if port != "" && it.Port != port {
			continue
		}
		var row T
		if err := json.Unmarshal([]byte(it.Text), &row); err != nil {
			run.tb.Fatalf("%s is no %T: %v", it.Text, row, err)
		}
		rows = append(rows, row)
	}
	return rows
}

// String is a line for each thing that happened.
func (r *Run) String() string {
	var lines []string
	for _, it := range r.Emitted {
		line := it.Port
		if it.Key != nil {
			line += " key=" + string(it.Key)
		}
		if it.Time != nil {
			line += fmt.Sprint(" time=", *it.Time)
		}
		lines = append(lines, line+": "+it.Text)
	}
	for _, it := range r.Rejects {
		lines = append(lines, fmt.Sprintf("reject %d: %s", it.Row, it.Reason))
	}
	for _, it := range r.Logs {
		lines = append(lines, it.Level+": "+it.Message)
	}
	for _, it := range r.Counts {
		lines = append(lines, fmt.Sprintf("count %s: %d", it.Name, it.Amount))
	}
	return strings.Join(lines, "\n")
}

// admit sorts out the records that fit what the plugin reads; origins are their indexes.
func (r *Run) admit(rows []Row, fields []wire.FieldSpec) (fitting []*Row, origins []int) {
	for i := range rows {
		if reason := rows[i].misfit(fields); reason != "" {
			r.Rejects = append(r.Rejects, Rejected{i, reason})
			continue
		}
		fitting, origins = append(fitting, &rows[i]), append(origins, i)
	}
	return fitting, origins
}

// add adds an answer; origins[i] is the index of the record that the plugin knew as row i, and record its value.
func (r *Run) add(ports []wire.Port, produced *wire.Produced, origins []int, record func(origin int) string) {
	for _, table := range produced.Tables {
		port := &ports[table.Port]
		for i, row := range table.Origins {
			emitted := Emitted{Port: port.Name, Origin: origins[row], Passed: table.Unchanged}
			if table.Unchanged {
				emitted.Text = string(compact([]byte(record(emitted.Origin))))
			} else {
				emitted.fill(port, table.Columns, i)
			}
			r.Emitted = append(r.Emitted, emitted)
		}
	}
	for _, it := range produced.Rejects {
		r.Rejects = append(r.Rejects, Rejected{origins[it.Row], it.Reason})
	}
	slices.SortStableFunc(r.Rejects, func(a, b Rejected) int { return cmp.Compare(a.Row, b.Row) })
}

// fill reads row i of the columns.
func (e *Emitted) fill(port *wire.Port, columns []wire.Column, i int) {
	var members []string
	for at, field := range port.Fields {
		column := &columns[at]
		switch field.Slot.Place {
		case wire.Field:
			members = append(members, quoted(field.Slot.Name)+":"+textAt(column, i))
		case wire.Key:
			if !column.IsNull(i) {
				e.Key = slices.Clone(column.Strings.At(i))
			}
		case wire.Time:
			if !column.IsNull(i) {
				e.Time = &column.Ints[i]
			}
		case wire.Header:
			members = append(members, quoted("header "+field.Slot.Name)+":"+textAt(column, i))
		default:
			members = append(members, quoted("value")+":"+textAt(column, i))
		}
	}
	if e.Time != nil {
		time := *e.Time
		e.Time = &time
	}
	e.Text = "{" + strings.Join(members, ",") + "}"
}

// textAt is the value of row i as JSON.
func textAt(column *wire.Column, i int) string {
	if column.IsNull(i) {
		return "null"
	}
	switch column.Kind {
	case wire.S64:
		return strconv.FormatInt(column.Ints[i], 10)
	case wire.F64:
		return floatText(column.Floats[i])
	case wire.Boolean:
		return strconv.FormatBool(column.Bools[i] != 0)
	case wire.JSON:
		return string(column.Strings.At(i))
	default:
		return quoted(string(column.Strings.At(i)))
	}
}

func quoted(text string) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(text) != nil {
		return "null"
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// floatText is a number as the host writes it: with a point where it is a whole one, and an exponent where it is very large or small.
func floatText(value float64) string {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return "null"
	}
	text := strconv.FormatFloat(value, 'e', -1, 64)
	mantissa, exponentText, _ := strings.Cut(text, "e")
	exponent, _ := strconv.Atoi(exponentText)
	if value != 0 && (exponent < -5 || exponent > 15) {
		return mantissa + "e" + strconv.Itoa(exponent)
	}
	if text = strconv.FormatFloat(value, 'f', -1, 64); !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}
