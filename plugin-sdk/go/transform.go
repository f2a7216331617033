package wasmill

import (
	"unsafe"

	"wasmill.dev/plugin/internal/wire"
)

// Transform makes a plugin that looks at one record at a time, without state: it filters, maps, splits or routes.
//
// The rule is called for each record, in order. Out is an [Output] or a struct of them; Config is read by encoding/json, and may
// implement [Defaults] and [Validator]. A rule that returns an error rejects the record, and nothing that it emitted for it goes out.
func Transform[In, Config, Out any](options Options, process func(record In, config *Config, out *Out) error) *Plugin {
	noteAuthor()
	return register(options, "transform", &transform[In, Config, Out]{rule: process})
}

type transform[In, Config, Out any] struct {
	core[In, Config, Out]
	rule func(In, *Config, *Out) error
}

func (t *transform[In, Config, Out]) fresh() rule { return &transform[In, Config, Out]{rule: t.rule} }

func (t *transform[In, Config, Out]) process(batch *wire.Batch) (produced *wire.Produced, err error) {
	defer capturePanic(&err)
	if err := t.shape.check(batch); err != nil {
		return nil, err
	}
	t.outputs.reset()
	for from := 0; from < batch.Rows; from += blockRows {
		to := min(from+blockRows, batch.Rows)
		t.shape.fill(batch, from, to, unsafe.Pointer(unsafe.SliceData(t.records)))
		for i := range t.records[:to-from] {
			t.outputs.call.row = uint32(from + i)
			err := t.shape.rejected(from + i)
			if err == nil {
				err = t.rule(t.records[i], &t.config, &t.out)
			}
			if err != nil {
				t.outputs.refuse(err)
			}
		}
	}
	return t.outputs.finish(), nil
}
