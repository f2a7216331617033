package wasmill

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Level is how grave a line of the log is.
type Level uint8

// The levels.
const (
	Trace    Level = iota // For following single records.
	Debug                 // For the author.
	Info                  // For the operator.
	Warn                  // Something to look at.
	Error                 // Something failed. A call that fails takes its last such lines to the dead letter.
	Critical              // The plugin cannot go on.
)

// String is the level's name, in lower case.
func (l Level) String() string {
	return [...]string{"trace", "debug", "info", "warn", "error", "critical"}[l]
}

// Log writes a line to wasmill's log. The host bounds how much is logged a call. What is written to standard output and error, by
// package log for example, arrives there too, line by line, at levels info and warn.
func Log(level Level, context, message string) {
	sinkLog(level, toText(context), toText(message))
}

// Debugf logs at level debug, formatted as by fmt.Sprintf.
func Debugf(format string, args ...any) { Log(Debug, "", fmt.Sprintf(format, args...)) }

// Infof logs at level info, formatted as by fmt.Sprintf.
func Infof(format string, args ...any) { Log(Info, "", fmt.Sprintf(format, args...)) }

// Warnf logs at level warn, formatted as by fmt.Sprintf.
func Warnf(format string, args ...any) { Log(Warn, "", fmt.Sprintf(format, args...)) }

// Errorf logs at level error, formatted as by fmt.Sprintf. To reject a record, a rule returns an error instead.
func Errorf(format string, args ...any) { Log(Error, "", fmt.Sprintf(format, args...)) }

// Count adds to a counter, which wasmill exports as `wasmill_plugin_NAME_total`. The name is of letters, digits and underscores. Counts
// of a call that fails are not added.
func Count(name string, amount uint64) {
	sinkCount(toText(name), amount)
}

func toText(text string) string {
	return strings.ToValidUTF8(text, string(utf8.RuneError))
}
