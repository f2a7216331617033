package tests

import (
	"testing"

	wasmill "wasmill.dev/plugin"
	"wasmill.dev/plugin/plugintest"
)

func TestStatesOfAnOlderVersionAreMigratedOrRefused(t *testing.T) {
	for _, it := range []struct {
		plugin   *wasmill.Plugin
		version  uint32
		expected string
	}{
		{sums, 2, "new old"},
		{sums, 1, "state 0 of version 1 cannot become version 3: too old"},
		{added, 1, "no migration from state version 1"},
	} {
		if found := plugintest.Migrate(t, it.plugin, it.version, "old"); found != it.expected {
			t.Errorf("version %d: found %q, expected %q", it.version, found, it.expected)
		}
	}
}
