//go:build !wasip1

package wasmill

import (
	"fmt"

	"wasmill.dev/plugin/internal/native"
	"wasmill.dev/plugin/internal/wire"
)

func init() {
	native.Of = func(plugin any) native.Plugin {
		original := plugin.(*Plugin)
		return &driver{Plugin{options: original.options, kind: original.kind, defect: original.defect, rule: original.rule.fresh()}}
	}
}

// A driver is one instance of a plugin, in a test.
type driver struct{ plugin Plugin }

func (d *driver) Open(config []byte) (*wire.Spec, error) {
	if d.plugin.defect != nil {
		return nil, d.plugin.defect
	}
	if err := d.plugin.rule.prepare(); err != nil {
		return nil, err
	}
	return d.plugin.open(config)
}

func (d *driver) Process(batch *wire.Batch) (*wire.Produced, error) {
	rule, err := opened[transformRule](&d.plugin)
	if err != nil {
		return nil, err
	}
	return rule.process(batch)
}

func (d *driver) ProcessKeyed(batch *wire.Batch, groups *wire.Groups) (*wire.KeyedOutput, error) {
	rule, err := opened[keyedRule](&d.plugin)
	if err != nil {
		return nil, err
	}
	return rule.process(batch, groups)
}

func (d *driver) OnTimers(due *wire.Batch, ids []uint32, groups *wire.Groups) (*wire.KeyedOutput, error) {
	rule, err := opened[keyedRule](&d.plugin)
	if err != nil {
		return nil, err
	}
	return rule.onTimers(due, ids, groups)
}

func (d *driver) Add(batch *wire.Batch, bounds []uint32, accumulators *wire.Column) (*wire.Strings, error) {
	rule, err := opened[aggregateRule](&d.plugin)
	if err != nil {
		return nil, err
	}
	return rule.add(batch, bounds, accumulators)
}

func (d *driver) Merge(left, right *wire.Strings) (*wire.Strings, error) {
	rule, err := opened[aggregateRule](&d.plugin)
	if err != nil {
		return nil, err
	}
	return rule.merge(left, right)
}

func (d *driver) Finish(windows *wire.Batch, accumulators *wire.Strings) (*wire.Produced, error) {
	rule, err := opened[aggregateRule](&d.plugin)
	if err != nil {
		return nil, err
	}
	return rule.finish(windows, accumulators)
}

func (d *driver) Migrate(from uint32, states *wire.Strings) (*wire.Strings, error) {
	if d.plugin.kind == "transform" {
		return nil, fmt.Errorf("a plugin of kind %q has no state", d.plugin.kind)
	}
	return d.plugin.migrate(from, states)
}
