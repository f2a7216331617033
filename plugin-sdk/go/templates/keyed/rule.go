// Command example-rule is a wasmill plugin that counts the records of each key, and says so when a key falls silent.
package main

import (
	"errors"
	"math"

	wasmill "wasmill.dev/plugin"
)

// Event is what the rule reads: nothing of the value, only the event time.
type Event struct {
	At int64 `wasmill:",time"` // Milliseconds since the Unix epoch.
}

// Activity is what is remembered of a key. The host keeps it, checkpoints it and gives it back; whoever changes its form raises
// StateVersion.
type Activity struct {
	Last  int64 `json:"last"`
	Count int64 `json:"count"`
}

// Summary is written once for each time that a key was active.
type Summary struct {
	Key   string `wasmill:"key"`
	Last  int64  `wasmill:"last"`
	Count int64  `wasmill:"count"`
}

// Config is the step's `config`. A wrong one is refused before anything starts.
type Config struct {
	// A key without a record for this long is silent, in milliseconds of event time.
	SilenceMs int64 `json:"silence_ms"`
}

// SetDefaults is called before the keys of the step's `config` are read.
func (c *Config) SetDefaults() { c.SilenceMs = 300_000 }

// silence is the only timer; a key holds at most one of each number.
const silence = 0

// Rule is the plugin.
var Rule = wasmill.Keyed(wasmill.Options{
	Name:         "example-rule",
	Version:      "0.1.0",
	Description:  "Counts the records of each key, and sums up when a key falls silent.",
	StateVersion: 1,
}, seen, fellSilent)

func seen(event Event, key *wasmill.Key[Activity], config *Config, _ *wasmill.Output[Summary]) error {
	if event.At > math.MaxInt64-config.SilenceMs {
		return errors.New("the time is out of range")
	}
	if key.State == nil {
		key.State = &Activity{Last: event.At}
	}
	key.State.Count++
	if event.At >= key.State.Last {
		key.State.Last = event.At
		key.SetTimer(silence, event.At+config.SilenceMs) // Replaces the one before.
	}
	return nil
}

// fellSilent sums up and forgets the key.
func fellSilent(timer wasmill.Timer, key *wasmill.Key[Activity], _ *Config, out *wasmill.Output[Summary]) error {
	if key.State != nil {
		out.Emit(Summary{timer.KeyText(), key.State.Last, key.State.Count})
		key.State = nil
	}
	return nil
}

func main() {} // wasmill calls Rule.
