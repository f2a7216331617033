// Package tests drives the SDK as an author does.
package tests

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	wasmill "wasmill.dev/plugin"
	"wasmill.dev/plugin/plugintest"
)

var options = wasmill.Options{Name: "test", StateVersion: 2}

type place struct {
	Country string `json:"country"`
	Zip     int    `json:"zip"`
}

type everything struct {
	CustomerID string // Snake case, without a tag.
	Amount     float64
	Count      int
	Open       bool
	Raw        []byte `wasmill:"blob"`
	Country    string `wasmill:"card.country"`
	Tags       []string
	Where      place
	Any        json.RawMessage
	Note       *string
	Limit      *float64
	Times      *int64
	Seen       *bool
	Extra      *json.RawMessage
	Skipped    func() `wasmill:"-"`
}

const full = `{"customer_id": "ann", "amount": 1, "count": -7, "open": true, "blob": "bytes", "card": {"country": "NO"},
	"tags": ["a", "b"], "where": {"country": "SE", "zip": 5}, "any": {"x": [1]}, "note": "é", "limit": 2.5, "times": 3, "seen": false,
	"extra": [1, 2]}`

func TestARecordOfEveryTypeIsReadAndWritten(t *testing.T) {
	plugin := wasmill.Transform(options, func(in everything, _ *wasmill.NoConfig, out *wasmill.Output[everything]) error {
		out.Emit(in)
		return nil
	})
	plugintest.Transform(t, plugin, "").Run(full,
		`{"customer_id": "", "amount": 0.1, "count": 0, "open": false, "blob": "", "card": {"country": ""}, "tags": [], "where": {}, "any": 1}`,
	).Expect(
		`out: {"customer_id":"ann","amount":1.0,"count":-7,"open":true,"blob":"bytes","card.country":"NO","tags":["a","b"],`+
			`"where":{"country":"SE","zip":5},"any":{"x":[1]},"note":"é","limit":2.5,"times":3,"seen":false,"extra":[1,2]}`,
		`out: {"customer_id":"","amount":0.1,"count":0,"open":false,"blob":"","card.country":"","tags":[],`+
			`"where":{"country":"","zip":0},"any":1,"note":null,"limit":null,"times":null,"seen":null,"extra":null}`,
	)
}

type numbers struct {
	A int8
	B int16
	C int32
	D uint8
	E uint16
	F uint32
	G float32
	H *int32
}

func TestNumbersOfEverySizeAreWritten(t *testing.T) {
	plugin := wasmill.Transform(options, func(_ struct{}, _ *wasmill.NoConfig, out *wasmill.Output[numbers]) error {
		out.Emit(numbers{-128, -32768, -2147483648, 255, 65535, 4294967295, 0.5, nil})
		return nil
	})
	plugintest.Transform(t, plugin, "").Run(`{}`).Expect(
		`out: {"a":-128,"b":-32768,"c":-2147483648,"d":255,"e":65535,"f":4294967295,"g":0.5,"h":null}`,
	)
}

type slots struct {
	Key       []byte `wasmill:",key"`
	Value     []byte `wasmill:",value"`
	Time      int64  `wasmill:",time"`
	Trace     []byte `wasmill:",header=trace"`
	Topic     string `wasmill:",topic"`
	Partition int64  `wasmill:",partition"`
	Offset    int64  `wasmill:",offset"`
}

type placed struct {
	Key   string `wasmill:",key"`
	Time  int64  `wasmill:",time"`
	Trace []byte `wasmill:",header=trace"`
	Text  string
}

func TestWhatIsBesideTheValueIsReadAndWritten(t *testing.T) {
	plugin := wasmill.Transform(options, func(in slots, _ *wasmill.NoConfig, out *wasmill.Output[placed]) error {
		text := fmt.Sprintf("%s %v %s:%d:%d", in.Value, in.Key == nil, in.Topic, in.Partition, in.Offset)
		out.Emit(placed{"k:" + string(in.Key), in.Time + 1, in.Trace, text})
		return nil
	})
	row := plugintest.Row{
		Value: `{"a":1}`, Key: []byte("ann"), Time: 41, Headers: map[string]string{"trace": "xyz"}, Topic: "t", Partition: 2, Offset: 3,
	}
	plugintest.Transform(t, plugin, "").Run(row, plugintest.Row{Time: 7}).Expect(
		`out key=k:ann time=42: {"header trace":"xyz","text":"{\"a\":1} false t:2:3"}`,
		`out key=k: time=8: {"header trace":null,"text":" true :0:0"}`,
	)
}

type amount struct{ Amount float64 }

type ports struct {
	Large wasmill.Output[amount]
	Audit wasmill.Output[struct{ Text string }] `wasmill:"audit-log"`
	Rest  wasmill.Output[wasmill.Unchanged]
}

func TestPortsKeepTheirOrderAndARejectedRecordLeavesNone(t *testing.T) {
	plugin := wasmill.Transform(options, func(in amount, _ *wasmill.NoConfig, out *ports) error {
		out.Audit.Emit(struct{ Text string }{fmt.Sprint(in.Amount)})
		out.Large.Pass()
		if in.Amount > 2 {
			out.Large.Emit(in)
		}
		out.Rest.Pass()
		if in.Amount == 3 {
			return errors.New("three")
		}
		return nil
	})
	plugintest.Transform(t, plugin, "").Run(`{"amount": 1}`, `{"amount": 3}`, `{"amount": 4}`, `{"amount": "x"}`).Expect(
		`large: {"amount":1}`, `large: {"amount":4}`, `large: {"amount":4.0}`,
		`audit-log: {"text":"1"}`, `audit-log: {"text":"4"}`,
		`rest: {"amount":1}`, `rest: {"amount":4}`,
		"reject 1: three", "reject 3: `amount` is \"x\": expected f64",
	)
}

type wild struct {
	Text string
	Any  any
}

func TestARowThatCannotBeWrittenIsRejectedAndTheOthersGoOut(t *testing.T) {
	plugin := wasmill.Transform(options, func(in amount, _ *wasmill.NoConfig, out *wasmill.Output[wild]) error {
		row := wild{"fine", in.Amount}
		switch in.Amount {
		case 2:
			row.Text = "a\xffb"
		case 3:
			row.Any = func() {}
		case 4:
			out.Emit(row)
			out.Emit(wild{"\xc3", 1})
			row.Text = "\xa9" // Together with the one before it would be a character.
		}
		out.Emit(row)
		return nil
	})
	plugintest.Transform(t, plugin, "").Run(
		`{"amount": 1}`, `{"amount": 2}`, `{"amount": 3}`, `{"amount": 4}`, `{"amount": 5}`,
	).Expect(
		`out: {"text":"fine","any":1}`, `out: {"text":"fine","any":5}`,
		"reject 1: `text`: not UTF-8: emit it as []byte, or clean it with strings.ToValidUTF8",
		"reject 2: `any`: json: unsupported type: func()",
		"reject 3: `text`: not UTF-8: emit it as []byte, or clean it with strings.ToValidUTF8",
	)
}

func TestJSONThatDoesNotFitIsRejectedBeforeTheRule(t *testing.T) {
	plugin := wasmill.Transform(options, func(in struct{ Where place }, _ *wasmill.NoConfig, out *wasmill.Output[place]) error {
		out.Emit(in.Where)
		return nil
	})
	run := plugintest.Transform(t, plugin, "").Run(
		`{"where": {"country": "NO", "zip": 1}}`, `{"where": {"zip": "x"}}`, `{"where": {"zip": 2}}`)
	run.Expect(
		`out: {"country":"NO","zip":1}`, `out: {"country":"","zip":2}`,
		"reject 1: `where`: json: cannot unmarshal string into Go struct field place.zip of type int",
	)
	if rows := plugintest.Rows[place](run, "out"); len(rows) != 2 || rows[0] != (place{"NO", 1}) {
		t.Errorf("found %v", rows)
	}
}

func TestManyRecordsAreEachTheirOwn(t *testing.T) {
	plugin := wasmill.Transform(options, func(in struct {
		ID   int64
		Name string
		Half *float64
	}, _ *wasmill.NoConfig, out *wasmill.Output[struct{ Text string }]) error {
		half := "none"
		if in.Half != nil {
			half = fmt.Sprint(*in.Half)
		}
		out.Emit(struct{ Text string }{fmt.Sprint(in.ID, " ", in.Name, " ", half)})
		return nil
	})
	var records []any
	var expected []string
	for i := range 200 {
		half, text := "null", "none"
		if i%3 == 0 {
			half, text = fmt.Sprint(i)+".5", fmt.Sprint(i)+".5"
		}
		records = append(records, fmt.Sprintf(`{"id": %d, "name": "n%d", "half": %s}`, i, i*i, half))
		expected = append(expected, fmt.Sprintf(`out: {"text":"%d n%d %s"}`, i, i*i, text))
	}
	plugintest.Transform(t, plugin, "").Run(records...).Expect(expected...)
}

func TestColumnsPassEmitAndReject(t *testing.T) {
	type columns struct {
		ID   wasmill.Texts
		N    wasmill.Int64s   `wasmill:"n,optional"`
		X    wasmill.Float64s `wasmill:"x"`
		Open wasmill.Bools    `wasmill:"open,optional"`
		Key  wasmill.Blobs    `wasmill:",key"`
	}
	plugin := wasmill.TransformColumns(options, func(b *wasmill.Batch[columns], _ *wasmill.NoConfig, out *ports) error {
		in := &b.Columns
		for row, x := range in.X.Values {
			out.Large.EmitRow(row, amount{x + float64(in.N.Values[row])})
			if in.N.Null(row) && in.Key.Null(row) {
				out.Rest.PassRow(row)
			}
			if in.Open.At(row) {
				b.Reject(row, errors.New("open: "+in.ID.At(row)))
				b.Reject(row, errors.New("again"))
			}
		}
		return nil
	})
	plugintest.Transform(t, plugin, "").Run(
		`{"id": "a", "n": 1, "x": 2}`, `{"id": "b", "x": 3, "open": true}`, `{"id": "c", "x": 4, "open": false}`, `{"id": "d"}`,
	).Expect(
		`large: {"amount":3.0}`, `large: {"amount":4.0}`, `rest: {"id":"c","x":4,"open":false}`,
		"reject 1: open: b", "reject 3: `x` is missing: expected f64",
	)
}

func TestLogsAndCountsAreCaught(t *testing.T) {
	plugin := wasmill.Transform(options, func(in amount, _ *wasmill.NoConfig, _ *wasmill.Output[wasmill.Unchanged]) error {
		wasmill.Infof("saw %v", in.Amount)
		wasmill.Log(wasmill.Error, "here", "a\xff")
		wasmill.Count("seen", 2)
		return nil
	})
	plugintest.Transform(t, plugin, "").Run(`{"amount": 1}`, `{"amount": 2}`).Expect(
		"info: saw 1", "error: a\ufffd", "info: saw 2", "error: a\ufffd", "count seen: 4")
}

func TestTypesThatAreNoColumnsRefuseTheDeployment(t *testing.T) {
	type out = wasmill.Output[wasmill.Unchanged]
	refuse := func(plugin *wasmill.Plugin, expected string) {
		t.Helper()
		if found := plugintest.ConfigError(plugin, "{}"); !strings.Contains(found, expected) {
			t.Errorf("found %q, expected %q", found, expected)
		}
	}
	refuse(reading[struct{ A uint64 }](), "`a` cannot be read into uint64: use int64")
	refuse(reading[struct{ A, B int64 }](), "") // For comparison: it opens.
	refuse(reading[string](), "string is no struct")
	refuse(reading[struct {
		A int64 `wasmill:"x"`
		B int64 `wasmill:"x"`
	}](), "`x` is there twice")
	refuse(reading[struct {
		A int64 `wasmill:",keys"`
	}](), `"keys" is no place: expected key, value`)
	refuse(reading[struct {
		A string `wasmill:",time"`
	}](), "a time is s64, not text")
	refuse(reading[struct {
		A int64 `wasmill:"a,optional"`
	}](), "use a pointer")
	refuse(writing[struct{ A chan int }](), "`a` cannot be written from chan int")
	refuse(writing[struct {
		A int64 `wasmill:",offset"`
	}](), "offset can be read, not written")
	refuse(wasmill.Transform(options, func(amount, *wasmill.NoConfig, *int) error { return nil }), "int is no output")
	refuse(wasmill.Transform(wasmill.Options{}, func(amount, *wasmill.NoConfig, *out) error { return nil }), "set Options.Name")
}

func reading[In any]() *wasmill.Plugin {
	return wasmill.Transform(options, func(In, *wasmill.NoConfig, *wasmill.Output[wasmill.Unchanged]) error { return nil })
}

func writing[Row any]() *wasmill.Plugin {
	return wasmill.Transform(options, func(amount, *wasmill.NoConfig, *wasmill.Output[Row]) error { return nil })
}
