package wasmill

import "wasmill.dev/plugin/internal/wire"

func sinkLog(level Level, context, message string) { wire.Log(int32(level), context, message) }

func sinkCount(name string, amount uint64) { wire.Count(name, amount) }
