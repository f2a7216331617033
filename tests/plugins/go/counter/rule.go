// Command counter is a wasmill plugin that counts the records of each key. Version 1 of its state was the count as eight bytes, the
// lowest first.
package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	wasmill "wasmill.dev/plugin"
)

// Event is what the rule reads.
type Event struct {
	ID int64 `wasmill:"id"`
}

// Seen is what is remembered of a key, and what is written.
type Seen struct {
	Count int64 `json:"count" wasmill:"count"`
}

// Rule is the plugin.
var Rule = wasmill.Keyed(wasmill.Options{Name: "counter", StateVersion: 2, Migrate: migrate}, count, nil)

func count(_ Event, key *wasmill.Key[Seen], _ *wasmill.NoConfig, out *wasmill.Output[Seen]) error {
	if key.State == nil {
		key.State = &Seen{}
	}
	key.State.Count++
	out.Emit(*key.State)
	return nil
}

func migrate(version uint32, state []byte) ([]byte, error) {
	if version != 1 || len(state) != 8 {
		return nil, fmt.Errorf("there is no way from %d bytes of version %d", len(state), version)
	}
	return json.Marshal(Seen{int64(binary.LittleEndian.Uint64(state))})
}

func main() {} // wasmill calls Rule.
