package plugintest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"testing"

	wasmill "wasmill.dev/plugin"
	"wasmill.dev/plugin/internal/wire"
)

// KeyedTest is a plugin with state, opened with a configuration, and what is kept for it from one run to the next.
type KeyedTest struct {
	host
	key       string
	states    map[string][]byte
	timers    map[timerOf]int64
	watermark int64
}

type timerOf struct {
	key string
	id  uint32
}

// SetTimer is a timer that is set.
type SetTimer struct {
	Key string
	ID  uint32
	At  int64
}

// Keyed opens a plugin that [wasmill.Keyed] made. The configuration is a JSON object; empty is {}.
func Keyed(tb testing.TB, plugin *wasmill.Plugin, config string) *KeyedTest {
	tb.Helper()
	return &KeyedTest{
		host: open(tb, plugin, orEmpty(config)), states: map[string][]byte{}, timers: map[timerOf]int64{}, watermark: math.MinInt64,
	}
}

// KeyField keys records by this field, as `key = "FIELD"` of the step does, unless a [Row] has a key.
func (t *KeyedTest) KeyField(name string) *KeyedTest {
	t.key = name
	return t
}

// Run hands the records, strings of JSON and [Row]s, over as one batch, grouped by key.
func (t *KeyedTest) Run(records ...any) *Run {
	t.tb.Helper()
	rows, run := rowsOf(t.tb, records), &Run{tb: t.tb}
	for i := range rows {
		t.giveKey(&rows[i])
	}
	fitting, origins := run.admit(rows, t.spec.Reads)
	order := make([]int, len(fitting))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return bytes.Compare(fitting[a].Key, fitting[b].Key) })
	var grouped []*Row
	var groupedOrigins []int
	var keys []string
	bounds := []uint32{}
	for i, at := range order {
		key := string(fitting[at].Key)
		if i == 0 || keys[len(keys)-1] != key {
			keys, bounds = append(keys, key), append(bounds, uint32(i))
		}
		grouped, groupedOrigins = append(grouped, fitting[at]), append(groupedOrigins, origins[at])
	}
	bounds = append(bounds, uint32(len(grouped)))
	batch, groups := batchOf(grouped, t.spec.Reads, t.watermark), t.groups(keys, bounds)
	output := during(t.host, "process", run, func() (*wire.KeyedOutput, error) { return t.plugin.ProcessKeyed(batch, groups) })
	t.apply(run, output, keys, groupedOrigins, func(origin int) string { return rows[origin].Value })
	return run
}

// Advance moves the watermark to a time, in milliseconds since the Unix epoch, and fires the timers that it passes, in the order of their
// times. In the run, an origin counts the timers.
func (t *KeyedTest) Advance(watermark int64) *Run {
	t.tb.Helper()
	t.watermark = watermark
	run := &Run{tb: t.tb}
	for fired := 0; ; fired++ {
		due := slices.DeleteFunc(t.Timers(), func(it SetTimer) bool { return it.At > watermark })
		if len(due) == 0 {
			return run
		}
		timer := slices.MinFunc(due, func(a, b SetTimer) int {
			return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Key, b.Key), cmp.Compare(a.ID, b.ID))
		})
		delete(t.timers, timerOf{timer.Key, timer.ID})
		batch := keysOf(1, t.spec.Reads, watermark, func(field *wire.FieldSpec, _ int) cell {
			switch field.Slot.Place {
			case wire.Key:
				return []byte(timer.Key)
			case wire.Time:
				return timer.At
			}
			return nil
		})
		keys := []string{timer.Key}
		groups := t.groups(keys, []uint32{0, 1})
		output := during(t.host, "on-timers", run, func() (*wire.KeyedOutput, error) {
			return t.plugin.OnTimers(batch, []uint32{timer.ID}, groups)
		})
		t.apply(run, output, keys, []int{fired}, func(int) string { return "null" })
	}
}

// State is the stored state of a key, nil for a key without one.
func (t *KeyedTest) State(key string) []byte { return t.states[key] }

// StateJSON reads the state of a key, stored as JSON, into state; false for a key without one.
func (t *KeyedTest) StateJSON(key string, state any) bool {
	t.tb.Helper()
	text, ok := t.states[key]
	if !ok {
		return false
	}
	if err := json.Unmarshal(text, state); err != nil {
		t.tb.Fatalf("the state of %s is no %T: %v", key, state, err)
	}
	return true
}

// Keys is how many keys have a state.
func (t *KeyedTest) Keys() int { return len(t.states) }

// Timers are those that are set, by key and id.
func (t *KeyedTest) Timers() []SetTimer {
	var timers []SetTimer
	for timer, at := range maps.All(t.timers) {
		timers = append(timers, SetTimer{timer.key, timer.id, at})
	}
	slices.SortFunc(timers, func(a, b SetTimer) int { return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.ID, b.ID)) })
	return timers
}

func (t *KeyedTest) giveKey(row *Row) {
	if t.key == "" || row.Key != nil {
		return
	}
	value := at([]byte(row.Value), t.key)
	if text, found := jsonCell(value, wire.Text); found == "" {
		row.Key, _ = text.([]byte)
	} else {
		row.Key = compact(value)
	}
}

func (t *KeyedTest) groups(keys []string, bounds []uint32) *wire.Groups {
	cells := make([]cell, len(keys))
	for i, key := range keys {
		if state, ok := t.states[key]; ok {
			cells[i] = state
		}
	}
	return &wire.Groups{Bounds: bounds, States: columnOf(wire.Bytes, cells)}
}

func (t *KeyedTest) apply(run *Run, output *wire.KeyedOutput, keys []string, origins []int, record func(int) string) {
	t.tb.Helper()
	if output.States.Len() != len(keys) {
		t.tb.Fatalf("%d states for %d keys", output.States.Len(), len(keys))
	}
	for i, key := range keys {
		if output.States.IsNull(i) {
			delete(t.states, key)
		} else {
			t.states[key] = slices.Clone(output.States.Strings.At(i))
		}
	}
	for _, timer := range output.Timers {
		if at := (timerOf{keys[timer.Group], timer.ID}); timer.Cancel {
			delete(t.timers, at)
		} else {
			t.timers[at] = timer.At
		}
	}
	run.add(t.spec.Ports, &output.Produced, origins, record)
}
