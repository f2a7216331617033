package plugintest

import (
	"math"
	"testing"

	wasmill "wasmill.dev/plugin"
	"wasmill.dev/plugin/internal/wire"
)

// TransformTest is a plugin without state, opened with a configuration.
type TransformTest struct{ host }

// Transform opens a plugin that [wasmill.Transform] made. The configuration is a JSON object; empty is {}.
func Transform(tb testing.TB, plugin *wasmill.Plugin, config string) *TransformTest {
	tb.Helper()
	return &TransformTest{open(tb, plugin, orEmpty(config))}
}

func orEmpty(config string) string {
	if config == "" {
		return "{}"
	}
	return config
}

// Run hands the records, strings of JSON and [Row]s, over as one batch.
func (t *TransformTest) Run(records ...any) *Run {
	t.tb.Helper()
	rows, run := rowsOf(t.tb, records), &Run{tb: t.tb}
	fitting, origins := run.admit(rows, t.spec.Reads)
	batch := batchOf(fitting, t.spec.Reads, math.MinInt64)
	produced := during(t.host, "process", run, func() (*wire.Produced, error) { return t.plugin.Process(batch) })
	run.add(t.spec.Ports, produced, origins, func(origin int) string { return rows[origin].Value })
	return run
}
