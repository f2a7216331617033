package tests

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"testing"

	wasmill "wasmill.dev/plugin"
	"wasmill.dev/plugin/plugintest"
)

type flat struct {
	N    int64   `json:"n"`
	X    float64 `json:"x"`
	Text string
	Open bool `json:"open"`
}

type nested struct {
	Flat flat           `json:"flat"`
	List []int          `json:"list,omitempty"`
	Map  map[string]int `json:"map"`
}

// kept stores a state, and has it handed over again.
func kept[State any](t *testing.T, state State) (stored []byte, read State) {
	t.Helper()
	plugin := wasmill.Keyed[struct{}, State, wasmill.NoConfig, wasmill.Output[wasmill.Unchanged]](options,
		func(_ struct{}, key *wasmill.Key[State], _ *wasmill.NoConfig, _ *wasmill.Output[wasmill.Unchanged]) error {
			if key.State == nil {
				key.State = &state
			} else {
				read = *key.State
			}
			return nil
		}, nil)
	test := plugintest.Keyed(t, plugin, "")
	for range 3 {
		test.Run(plugintest.Row{Key: []byte("k")})
	}
	return test.State("k"), read
}

func checkState[State any](t *testing.T, state State) {
	t.Helper()
	var expected bytes.Buffer
	encoder := json.NewEncoder(&expected)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(state); err != nil {
		t.Fatal(err)
	}
	stored, read := kept(t, state)
	if text := bytes.TrimSpace(expected.Bytes()); !bytes.Equal(stored, text) || !reflect.DeepEqual(read, state) {
		t.Errorf("%+v: stored %s and read %+v, expected %s", state, stored, read, text)
	}
}

func TestAStateIsStoredAsJSONWritesItAndReadAgain(t *testing.T) {
	for _, x := range []float64{0, 1, -1.5, 0.1, 1e-6, 1e-7, 1e20, 1e21, -1e300, math.SmallestNonzeroFloat64, math.MaxFloat64, 1.0 / 3} {
		checkState(t, flat{X: x})
	}
	for _, n := range []int64{math.MinInt64, -1, 7, math.MaxInt64} {
		checkState(t, flat{N: n, Open: n > 0})
	}
	for _, text := range []string{"", "a b", "<&>", `"`, `\`, "é", "\n", "\u2028", "a,b}", `{"n":1}`} {
		checkState(t, flat{Text: text})
	}
	checkState(t, nested{Flat: flat{Text: "x"}, List: []int{1}, Map: map[string]int{"b": 1, "a": 2}})
	checkState(t, nested{})
	checkState(t, map[string]int{"a": 1})
	checkState(t, 7)
}

func TestAStateThatSomebodyElseWroteIsReadToo(t *testing.T) {
	plugin := wasmill.Aggregate(options,
		func(struct{}, *flat, *wasmill.NoConfig) {},
		func(left, right *flat, _ *wasmill.NoConfig) { left.N += right.N },
		func(wasmill.Window, *flat, *wasmill.NoConfig, *wasmill.Output[wasmill.Unchanged]) error { return nil })
	for text, expected := range map[string]string{
		`{ "x": 1.5e0, "n": 2 }`: `{"n":4,"x":1.5,"Text":"","open":false}`,
		`{}`:                     `{"n":0,"x":0,"Text":"","open":false}`,
		`{"n":1,"x":2,"Text":"\u0041","open":true}`:     `{"n":2,"x":2,"Text":"A","open":true}`,
		`{"n":1,"x":2,"Text":"a","open":true,"more":1}`: `{"n":2,"x":2,"Text":"a","open":true}`,
	} {
		if found := plugintest.Merge(t, plugin, text, text); found != expected {
			t.Errorf("%s: found %s, expected %s", text, found, expected)
		}
	}
}
