package tests

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	wasmill "wasmill.dev/plugin"
	"wasmill.dev/plugin/plugintest"
)

type window struct {
	Key        string
	Start, End int64
	Sum        int64
}

func summing(merge func(left, right *sum, _ *wasmill.NoConfig)) *wasmill.Plugin {
	return wasmill.Aggregate(options,
		func(in struct{ N int64 }, acc *sum, _ *wasmill.NoConfig) { acc.Sum += in.N },
		merge,
		func(it wasmill.Window, acc *sum, _ *wasmill.NoConfig, out *wasmill.Output[window]) error {
			if acc.Sum < 0 {
				return fmt.Errorf("a negative sum: %d", acc.Sum)
			}
			out.Emit(window{it.KeyText(), it.Start, it.End, acc.Sum})
			return nil
		})
}

var added = summing(func(left, right *sum, _ *wasmill.NoConfig) { left.Sum += right.Sum })

func TestAWindowIsFoldedMergedAndFinished(t *testing.T) {
	test := plugintest.Aggregate(t, added, "")
	test.Run("shop", 0, 60, `{"n": 1}`, `{"n": 2}`, `{}`, `{"n": 4}`).Expect(
		`out: {"key":"shop","start":0,"end":60,"sum":7}`, "reject 2: `n` is missing: expected s64")
	test.Run("shop", 60, 90).Expect(`out: {"key":"shop","start":60,"end":90,"sum":0}`)
	test.Run("shop", 0, 60, `{"n": -3}`).Expect("reject 0: a negative sum: -3")
}

// A complaint notes that a test failed.
type complaint struct {
	testing.TB
	message string
}

func (c *complaint) Errorf(format string, args ...any) { c.message += fmt.Sprintf(format, args...) }

func (c *complaint) Fatalf(format string, args ...any) {
	c.Errorf(format, args...)
	runtime.Goexit()
}

func TestAMergeThatLosesRecordsIsFound(t *testing.T) {
	complaint := &complaint{TB: t}
	lossy := summing(func(left, right *sum, _ *wasmill.NoConfig) { left.Sum = max(left.Sum, right.Sum) })
	plugintest.Aggregate(complaint, lossy, "").Run("shop", 0, 60, `{"n": 1}`, `{"n": 2}`)
	if !strings.Contains(complaint.message, "records 1.. merged after those before give") {
		t.Errorf("found %q", complaint.message)
	}
}
