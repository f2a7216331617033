package wasmill

import "wasmill.dev/plugin/internal/wire"

// Options says what a plugin is.
type Options struct {
	// Name of the plugin.
	Name string
	// Version is semantic: "1.0.0".
	Version string
	// Description in a sentence.
	Description string
	// ConfigSchema is the JSON Schema of the configuration, or empty.
	ConfigSchema string
	// StateVersion is the version of the form of the state, or of the accumulator: whoever changes it raises this number.
	StateVersion uint32
	// Migrate brings stored state of an older version to StateVersion. The error refuses the deployment. Without it there is no
	// migration. Not for transforms.
	Migrate func(fromVersion uint32, state []byte) ([]byte, error)
}

func (o *Options) info() *wire.Info {
	version := o.Version
	if version == "" {
		version = "0.1.0"
	}
	return &wire.Info{Name: o.Name, Version: version, Description: o.Description, ConfigSchema: o.ConfigSchema}
}

// NoConfig is the configuration of a plugin that has none: any key is refused.
type NoConfig struct{}
