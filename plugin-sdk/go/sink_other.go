//go:build !wasip1

package wasmill

import (
	"fmt"
	"os"

	"wasmill.dev/plugin/internal/native"
)

func sinkLog(level Level, context, message string) {
	if native.Sink == nil {
		fmt.Fprintf(os.Stderr, "%v %s: %s\n", level, context, message)
		return
	}
	native.Sink.Log(level.String(), message)
}

func sinkCount(name string, amount uint64) {
	if native.Sink != nil {
		native.Sink.Count(name, amount)
	}
}
