package plugintest

import (
	"math"
	"slices"
	"testing"

	wasmill "wasmill.dev/plugin"
	"wasmill.dev/plugin/internal/wire"
)

// AggregateTest is a plugin that folds windows, opened with a configuration.
type AggregateTest struct{ host }

// Aggregate opens a plugin that [wasmill.Aggregate] made. The configuration is a JSON object; empty is {}.
func Aggregate(tb testing.TB, plugin *wasmill.Plugin, config string) *AggregateTest {
	tb.Helper()
	return &AggregateTest{open(tb, plugin, orEmpty(config))}
}

// Run folds the records, strings of JSON and [Row]s, into one window of a key, from start to end in milliseconds since the Unix epoch, and
// finishes it. The records are also folded in two halves and merged, wherever they can be cut; the test fails when that gives another
// result than adding them one after another.
func (t *AggregateTest) Run(key string, start, end int64, records ...any) *Run {
	t.tb.Helper()
	rows, run := rowsOf(t.tb, records), &Run{tb: t.tb}
	for i := range rows {
		rows[i].Key = []byte(key)
	}
	fitting, _ := run.admit(rows, t.spec.Reads)
	finished := t.finish(key, start, end, t.add(fitting, run), run)
	for cut := 1; cut < len(fitting); cut++ {
		unseen := &Run{tb: t.tb}
		left, right := t.add(fitting[:cut], unseen), t.add(fitting[cut:], unseen)
		merged := during(t.host, "merge", unseen, func() (*wire.Strings, error) { return t.plugin.Merge(left, right) })
		other := t.finish(key, start, end, kept(merged), unseen)
		if found, expected := other.String(), finished.String(); found != expected {
			t.tb.Errorf("records %d.. merged after those before give\n%s\nadded one after another\n%s", cut, found, expected)
		}
	}
	run.Emitted = finished.Emitted
	run.Rejects = append(run.Rejects, finished.Rejects...)
	return run
}

// add makes a new accumulator with these records.
func (t *AggregateTest) add(rows []*Row, run *Run) *wire.Strings {
	t.tb.Helper()
	batch := batchOf(rows, t.spec.Reads, math.MinInt64)
	none := columnOf(wire.Bytes, []cell{nil})
	after := during(t.host, "add", run, func() (*wire.Strings, error) {
		return t.plugin.Add(batch, []uint32{0, uint32(len(rows))}, &none)
	})
	return kept(after)
}

// kept is a copy: the plugin uses its memory again.
func kept(strings *wire.Strings) *wire.Strings {
	return &wire.Strings{Offsets: slices.Clone(strings.Offsets), Data: slices.Clone(strings.Data)}
}

func (t *AggregateTest) finish(key string, start, end int64, accumulator *wire.Strings, run *Run) *Run {
	t.tb.Helper()
	windows := keysOf(1, t.spec.Reads, end, func(field *wire.FieldSpec, _ int) cell {
		switch field.Slot.Place {
		case wire.Key:
			return []byte(key)
		case wire.WindowStart:
			return start
		case wire.WindowEnd:
			return end
		}
		return nil
	})
	produced := during(t.host, "finish", run, func() (*wire.Produced, error) { return t.plugin.Finish(windows, accumulator) })
	finished := &Run{tb: t.tb}
	finished.add(t.spec.Ports, produced, []int{0}, func(int) string { return "null" })
	return finished
}

// Merge merges two stored accumulators, and answers the stored result.
func Merge(tb testing.TB, plugin *wasmill.Plugin, left, right string) string {
	tb.Helper()
	host := open(tb, plugin, "{}")
	one := func(text string) *wire.Strings {
		strings := &wire.Strings{Offsets: []uint32{0}}
		strings.Add([]byte(text))
		return strings
	}
	merged := during(host, "merge", &Run{tb: tb}, func() (*wire.Strings, error) { return host.plugin.Merge(one(left), one(right)) })
	return string(merged.At(0))
}
