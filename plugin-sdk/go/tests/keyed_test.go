package tests

import (
	"encoding/binary"
	"errors"
	"slices"
	"strconv"
	"testing"

	wasmill "wasmill.dev/plugin"
	"wasmill.dev/plugin/plugintest"
)

type timed struct {
	N  int64
	At int64 `wasmill:",time"`
}

type sum struct {
	Sum int64 `json:"sum"`
}

type total struct {
	Key string
	Sum int64
}

// Sums up by key; 0 forgets the key, -1 is refused after a timer was set, and a timer of 10 ms writes the sum.
var sums = wasmill.Keyed(wasmill.Options{Name: "sums", StateVersion: 3, Migrate: migrate},
	func(in timed, key *wasmill.Key[sum], _ *wasmill.NoConfig, out *wasmill.Output[total]) error {
		switch {
		case in.N == 0:
			key.State = nil
			key.CancelTimer(1)
			return nil
		case key.State == nil:
			key.State = &sum{}
		}
		key.SetTimer(1, in.At+10)
		if in.N == -1 {
			out.Emit(total{"never", 0})
			return errors.New("refused")
		}
		key.State.Sum += in.N
		return nil
	},
	func(timer wasmill.Timer, key *wasmill.Key[sum], _ *wasmill.NoConfig, out *wasmill.Output[total]) error {
		out.Emit(total{timer.KeyText(), key.State.Sum})
		if at, ok := key.Watermark(); ok && at > 1_000 {
			key.State = nil
		} else {
			key.SetTimer(2, timer.At+1_000)
		}
		return nil
	})

func migrate(from uint32, state []byte) ([]byte, error) {
	if from != 2 {
		return nil, errors.New("too old")
	}
	return append([]byte("new "), state...), nil
}

func event(key string, n, at int64) plugintest.Row {
	return plugintest.Row{Value: `{"n": ` + itoa(n) + `}`, Key: []byte(key), Time: at}
}

func itoa(n int64) string {
	return strconv.FormatInt(n, 10)
}

func TestStateAndTimersAreKeptByKey(t *testing.T) {
	test := plugintest.Keyed(t, sums, "")
	test.Run(event("bob", 1, 5), event("ann", 2, 1), event("bob", 4, 6), event("cid", -1, 1)).Expect("reject 3: refused")
	for key, expected := range map[string]string{"ann": `{"sum":2}`, "bob": `{"sum":5}`, "cid": `{"sum":0}`, "dan": ""} {
		if found := string(test.State(key)); found != expected {
			t.Errorf("%s: found %s, expected %s", key, found, expected)
		}
	}
	if timers := []plugintest.SetTimer{{Key: "ann", ID: 1, At: 11}, {Key: "bob", ID: 1, At: 16}}; !slices.Equal(test.Timers(), timers) {
		t.Errorf("found %v", test.Timers())
	}
	test.Run(event("ann", 0, 9), event("bob", 1, 2))
	test.Advance(100).Expect(`out: {"key":"bob","sum":6}`)
	test.Advance(2_000).Expect(`out: {"key":"bob","sum":6}`)
	if test.Keys() != 1 || len(test.Timers()) != 0 {
		t.Errorf("found %d keys, timers %v", test.Keys(), test.Timers())
	}
}

// A count that stores itself in eight bytes.
type count struct{ n uint64 }

func (c *count) AppendBinary(to []byte) ([]byte, error) {
	return binary.LittleEndian.AppendUint64(to, c.n), nil
}

func (c *count) UnmarshalBinary(bytes []byte) error {
	if len(bytes) != 8 {
		return errors.New("not eight bytes")
	}
	c.n = binary.LittleEndian.Uint64(bytes)
	return nil
}

func TestAStateOfBytesIsItsTypes(t *testing.T) {
	plugin := wasmill.Keyed[struct{}, count, wasmill.NoConfig, wasmill.Output[wasmill.Unchanged]](options,
		func(_ struct{}, key *wasmill.Key[count], _ *wasmill.NoConfig, _ *wasmill.Output[wasmill.Unchanged]) error {
			if key.State == nil {
				key.State = &count{}
			}
			key.State.n++
			return nil
		}, nil)
	test := plugintest.Keyed(t, plugin, "").KeyField("user")
	for range 3 {
		test.Run(`{"user": "ann"}`, `{"user": 7}`, `{"user": "ann"}`)
	}
	if string(test.State("ann")) != "\x06\x00\x00\x00\x00\x00\x00\x00" || test.State("7")[0] != 3 {
		t.Errorf("found %v and %v", test.State("ann"), test.State("7"))
	}
}

func TestAKeysRowsAreHandedOverAsColumns(t *testing.T) {
	type columns struct{ N wasmill.Int64s }
	plugin := wasmill.KeyedColumns(options,
		func(b *wasmill.Batch[columns], rows wasmill.Rows, key *wasmill.Key[sum], _ *wasmill.NoConfig, out *wasmill.Output[total]) error {
			if key.State == nil {
				key.State = &sum{}
			}
			for row := rows.From; row < rows.To; row++ {
				n := b.Columns.N.Values[row]
				key.State.Sum += n
				out.EmitRow(row, total{"", key.State.Sum})
				if n < 0 {
					b.Reject(row, errors.New("negative"))
				}
			}
			key.SetTimer(0, 10)
			return nil
		},
		func(timer wasmill.Timer, key *wasmill.Key[sum], _ *wasmill.NoConfig, out *wasmill.Output[total]) error {
			out.Emit(total{timer.KeyText(), key.State.Sum})
			return nil
		})
	test := plugintest.Keyed(t, plugin, "")
	test.Run(event("bob", 1, 0), event("ann", 2, 0), event("bob", -4, 0), event("ann", 8, 0)).Expect(
		`out: {"key":"","sum":2}`, `out: {"key":"","sum":10}`, `out: {"key":"","sum":1}`, "reject 2: negative")
	test.Advance(10).Expect(`out: {"key":"ann","sum":10}`, `out: {"key":"bob","sum":-3}`)
}
