package wasmill

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"unsafe"

	"wasmill.dev/plugin/internal/wire"
)

// Unchanged is the row of an output to which records are only passed on: Output[Unchanged].
type Unchanged struct{}

// Output takes the rows of a port. A rule with one output has a *Output[Row]; one with several has a pointer to a struct of them:
//
//	type Outputs struct {
//		Alerts wasmill.Output[Alert]             // The first is the default output, which a pipeline names by the step.
//		Audit  wasmill.Output[Entry]             // A side output: `rules.audit`.
//		Rest   wasmill.Output[wasmill.Unchanged] `wasmill:"others"` // With a name of its own.
//	}
//
// An Output belongs to its rule, and to the call at hand: it is not for other goroutines.
type Output[Row any] struct {
	call    *call
	origins []uint32
	// The rows emitted, of all segments; a row passed on has none.
	rows     []Row
	segments []segment
	// passing is the sort of the last segment.
	passing bool
	layout  *layout
	name    string
	// The columns of each segment, for their memory.
	columns [][]wire.Column
}

// A segment is a run of rows that are all emitted or all passed on: one table.
type segment struct {
	passed bool
	rows   int
}

// What all outputs of a call share.
type call struct {
	// row is the input row that is emitted for.
	row uint32
}

// Emit adds a row made from the record at hand. It has the record's key and time unless it sets its own.
func (o *Output[Row]) Emit(row Row) {
	o.add(o.call.row, false)
	o.rows = append(o.rows, row)
}

// EmitRow adds a row made from row `origin` of a batch: what Emit is to [TransformColumns].
func (o *Output[Row]) EmitRow(origin int, row Row) {
	o.add(uint32(origin), false)
	o.rows = append(o.rows, row)
}

// Pass adds the record at hand as it is, byte for byte. Without a record (a timer, a finished window) there is nothing to pass: the call
// fails.
func (o *Output[Row]) Pass() { o.add(o.call.row, true) }

// PassRow adds row `origin` of a batch as it is: what Pass is to [TransformColumns].
func (o *Output[Row]) PassRow(origin int) { o.add(uint32(origin), true) }

// add notes the origin of a row, in a segment of its sort.
func (o *Output[Row]) add(origin uint32, passed bool) {
	o.origins = append(o.origins, origin)
	if o.passing != passed || len(o.segments) == 0 {
		o.begin(passed)
	}
	o.segments[len(o.segments)-1].rows++
}

func (o *Output[Row]) begin(passed bool) {
	o.passing = passed
	o.segments = append(o.segments, segment{passed: passed})
}

// A port is an Output of any row.
type port interface {
	bind(call *call, name string) error
	spec() wire.Port
	reset()
	forgetLast(row uint32)
	forget(gone func(row uint32) bool)
	passes() bool
	finish(index uint32, to *wire.Produced) *rejection
}

// A rejection is an input row that is refused, and why.
type rejection struct {
	row    uint32
	reason error
}

func (o *Output[Row]) bind(call *call, name string) (err error) {
	o.call, o.name = call, name
	o.layout, err = layoutOf(reflect.TypeFor[Row]())
	return err
}

func (o *Output[Row]) spec() wire.Port {
	return wire.Port{Name: o.name, Fields: o.layout.fields()}
}

// reset begins a call. What the rows before pointed to is let go of.
func (o *Output[Row]) reset() {
	clear(o.rows)
	o.origins, o.rows, o.segments = o.origins[:0], o.rows[:0], o.segments[:0]
}

func (o *Output[Row]) passes() bool {
	return slices.ContainsFunc(o.segments, func(it segment) bool { return it.passed })
}

// forgetLast takes back what was made from row, which is the last that anything was made from.
func (o *Output[Row]) forgetLast(row uint32) {
	for len(o.origins) > 0 && o.origins[len(o.origins)-1] == row {
		o.origins = o.origins[:len(o.origins)-1]
		last := &o.segments[len(o.segments)-1]
		if !last.passed {
			o.rows = o.rows[:len(o.rows)-1]
		}
		if last.rows--; last.rows == 0 {
			o.segments = o.segments[:len(o.segments)-1]
			o.passing = len(o.segments) > 0 && o.segments[len(o.segments)-1].passed
		}
	}
}

// forget takes back what was made from the rows that are gone, wherever it is.
func (o *Output[Row]) forget(gone func(row uint32) bool) {
	origins, rows, segments := slices.Clone(o.origins), slices.Clone(o.rows), slices.Clone(o.segments)
	at := 0
	o.origins, o.rows, o.segments = o.origins[:0], o.rows[:0], o.segments[:0]
	for _, segment := range segments {
		for range segment.rows {
			switch kept := !gone(origins[at]); {
			case kept && segment.passed:
				o.PassRow(int(origins[at]))
			case kept:
				o.EmitRow(int(origins[at]), rows[0])
			}
			if !segment.passed {
				rows = rows[1:]
			}
			at++
		}
	}
}

// finish adds the tables. A row that cannot be written is a rejection; the tables are not to be used then.
func (o *Output[Row]) finish(index uint32, to *wire.Produced) *rejection {
	origins, rows := o.origins, o.rows
	for i, segment := range o.segments {
		table := wire.Table{Port: index, Origins: origins[:segment.rows], Unchanged: segment.passed}
		origins = origins[segment.rows:]
		if !segment.passed {
			if i >= len(o.columns) {
				o.columns = append(o.columns, make([][]wire.Column, i+1-len(o.columns))...)
			}
			columns, failed := o.layout.write(o.columns[i], unsafe.Pointer(unsafe.SliceData(rows)), segment.rows)
			if failed != nil {
				return &rejection{table.Origins[failed.row], failed.err}
			}
			o.columns[i], table.Columns = columns, columns
			rows = rows[segment.rows:]
		}
		to.Tables = append(to.Tables, table)
	}
	return nil
}

// Outputs are the ports of a rule's output type, which is an Output or a struct of them.
type outputs struct {
	call     call
	ports    []port
	produced wire.Produced
}

func (o *outputs) bind(out any) error {
	if single, ok := out.(port); ok {
		o.ports = []port{single}
		return single.bind(&o.call, "out")
	}
	value := reflect.ValueOf(out).Elem()
	if value.Kind() != reflect.Struct || value.NumField() == 0 {
		return fmt.Errorf("%v is no output: expected wasmill.Output[Row], or a struct of them", value.Type())
	}
	for field, member := range value.Fields() {
		if !field.IsExported() {
			return fmt.Errorf("%v.%s: an output has a name that is exported", value.Type(), field.Name)
		}
		port, ok := member.Addr().Interface().(port)
		if !ok {
			return fmt.Errorf("%v.%s is no output: expected wasmill.Output[Row]", value.Type(), field.Name)
		}
		name := field.Tag.Get("wasmill")
		if name == "" {
			name = snakeCase(field.Name)
		}
		if err := port.bind(&o.call, name); err != nil {
			return err
		}
		o.ports = append(o.ports, port)
	}
	return nil
}

func (o *outputs) specs() []wire.Port {
	specs := make([]wire.Port, len(o.ports))
	for i, port := range o.ports {
		specs[i] = port.spec()
	}
	return specs
}

func (o *outputs) reset() {
	for _, port := range o.ports {
		port.reset()
	}
	clear(o.produced.Rejects)
	o.produced.Tables, o.produced.Rejects = o.produced.Tables[:0], o.produced.Rejects[:0]
}

// refuse rejects the row at hand, once, and takes back what was emitted for it.
func (o *outputs) refuse(reason error) {
	for _, port := range o.ports {
		port.forgetLast(o.call.row)
	}
	last := len(o.produced.Rejects) - 1
	if last < 0 || o.produced.Rejects[last].Row != o.call.row {
		o.produced.Rejects = append(o.produced.Rejects, wire.Reject{Row: o.call.row, Reason: reasonOf(reason)})
	}
}

// finish is the whole output. A row that cannot be written is rejected, with all that was emitted for its origin.
func (o *outputs) finish() *wire.Produced {
	for {
		o.produced.Tables = o.produced.Tables[:0]
		var failed *rejection
		for i, port := range o.ports {
			if failed = port.finish(uint32(i), &o.produced); failed != nil {
				break
			}
		}
		if failed == nil {
			return &o.produced
		}
		for _, port := range o.ports {
			port.forget(func(row uint32) bool { return row == failed.row })
		}
		o.produced.Rejects = append(o.produced.Rejects, wire.Reject{Row: failed.row, Reason: reasonOf(failed.reason)})
	}
}

var errPassed = errors.New("passed a record on, but is not called for one: emit a row instead")

// finishWithoutRecords is finish for rows that stand for no record.
func (o *outputs) finishWithoutRecords(call string) (*wire.Produced, error) {
	for _, port := range o.ports {
		if port.passes() {
			return nil, fmt.Errorf("%s %w", call, errPassed)
		}
	}
	return o.finish(), nil
}
