package wasmill

import (
	"errors"
	"fmt"
	"reflect"

	"wasmill.dev/plugin/internal/wire"
)

// Plugin is what [Transform], [Keyed] and [Aggregate] make, and register. An author keeps it in a variable, for the tests.
type Plugin struct {
	options Options
	kind    string
	// defect is what is wrong with the types of the rule; it refuses the deployment.
	defect error
	opened bool
	rule   rule
}

// A rule is the part of a plugin that knows the author's types.
type rule interface {
	// prepare works out the types.
	prepare() error
	// configure reads the step's config.
	configure(config []byte) error
	reads() []wire.FieldSpec
	ports() []wire.Port
	// fresh is the same rule with nothing in it: another instance.
	fresh() rule
}

type transformRule interface {
	process(batch *wire.Batch) (*wire.Produced, error)
}

type keyedRule interface {
	process(batch *wire.Batch, groups *wire.Groups) (*wire.KeyedOutput, error)
	onTimers(due *wire.Batch, ids []uint32, groups *wire.Groups) (*wire.KeyedOutput, error)
}

type aggregateRule interface {
	add(batch *wire.Batch, bounds []uint32, accumulators *wire.Column) (*wire.Strings, error)
	merge(left, right *wire.Strings) (*wire.Strings, error)
	finish(windows *wire.Batch, accumulators *wire.Strings) (*wire.Produced, error)
}

// registered is the plugin of this program, and others how many more were made, which only tests may do.
var (
	registered *Plugin
	others     int
)

func register(options Options, kind string, rule rule) *Plugin {
	plugin := &Plugin{options: options, kind: kind, rule: rule}
	if plugin.defect = rule.prepare(); options.Name == "" {
		plugin.defect = errors.New("the plugin has no name: set Options.Name")
	}
	if registered != nil {
		others++
		return plugin
	}
	registered = plugin
	return plugin
}

// open reads the configuration. The error refuses the deployment.
func (p *Plugin) open(config []byte) (spec *wire.Spec, err error) {
	defer capturePanic(&err)
	if p.opened {
		return nil, errors.New("open was called twice on one instance")
	}
	if err := p.rule.configure(config); err != nil {
		return nil, err
	}
	p.opened = true
	return &wire.Spec{Reads: p.rule.reads(), Ports: p.rule.ports(), StateVersion: p.options.StateVersion}, nil
}

// check tells whether a plugin is there, and of the kind that the program exports.
func (p *Plugin) check(exported string) error {
	switch {
	case p == nil:
		return errors.New("the program holds no plugin: keep what wasmill.Transform, Keyed or Aggregate returns in a variable of package main")
	case p.defect != nil:
		return p.defect
	case others != 0:
		return fmt.Errorf("the program holds %d plugins, of which %s is the first: make a project for each", others+1, p.options.Name)
	case p.kind != exported:
		return fmt.Errorf("plugin.toml says kind = %q, but the code makes a plugin of kind %q", exported, p.kind)
	default:
		return nil
	}
}

// opened is the plugin's rule as what the host takes it for.
func opened[Rule any](p *Plugin) (Rule, error) {
	var none Rule
	if p == nil || !p.opened {
		return none, errors.New("called before open")
	}
	rule, ok := p.rule.(Rule)
	if !ok {
		return none, fmt.Errorf("not a call for a plugin of kind %q", p.kind)
	}
	return rule, nil
}

// migrate brings states of an older version to the current one.
func (p *Plugin) migrate(from uint32, states *wire.Strings) (migrated *wire.Strings, err error) {
	defer capturePanic(&err)
	if p.options.Migrate == nil {
		return nil, fmt.Errorf("no migration from state version %d", from)
	}
	migrated = &wire.Strings{Offsets: []uint32{0}}
	for i := range states.Len() {
		state, err := p.options.Migrate(from, states.At(i))
		if err != nil {
			return nil, fmt.Errorf("state %d of version %d cannot become version %d: %s", i, from, p.options.StateVersion, reasonOf(err))
		}
		migrated.Add(state)
	}
	return migrated, nil
}

// What all rules have: the configuration, the records and the outputs.
type core[In, Config, Out any] struct {
	config  Config
	out     Out
	outputs outputs
	shape   *shape
	// A row more than a block has: a pointer that has gone past the last record still points to memory of this slice.
	records []In
}

func (c *core[In, Config, Out]) prepare() (err error) {
	if c.shape, err = shapeOf(reflect.TypeFor[In]()); err != nil {
		return err
	}
	c.records = make([]In, blockRows+1)
	return c.outputs.bind(&c.out)
}

// prepareColumns is prepare for a rule over columns.
func (c *core[In, Config, Out]) prepareColumns() (err error) {
	if c.shape, err = columnsOf(reflect.TypeFor[In]()); err != nil {
		return err
	}
	return c.outputs.bind(&c.out)
}

func (c *core[In, Config, Out]) configure(config []byte) error {
	return readConfig(config, &c.config)
}

func (c *core[In, Config, Out]) reads() []wire.FieldSpec { return c.shape.fields() }

func (c *core[In, Config, Out]) ports() []wire.Port { return c.outputs.specs() }

// slotColumn is the index of the column of a place, which is asked for where the author's struct does not read it.
func slotColumn(fields []wire.FieldSpec, place wire.Place, kind wire.Kind) ([]wire.FieldSpec, int) {
	for i := range fields {
		if fields[i].Slot.Place == place {
			return fields, i
		}
	}
	return append(fields, wire.FieldSpec{Slot: wire.Slot{Place: place}, Kind: kind}), len(fields)
}
