package tests

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"

	wasmill "wasmill.dev/plugin"
	"wasmill.dev/plugin/plugintest"
)

// A witness is a test that notes its failure.
type witness struct {
	testing.TB
	message string
}

func (w *witness) Fatalf(format string, args ...any) {
	w.message = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// failure runs a rule that is to fail, and answers what the test was told.
func failure(t *testing.T, rule func(amount) error) string {
	t.Helper()
	plugin := wasmill.Transform(options, func(in amount, _ *wasmill.NoConfig, _ *wasmill.Output[wasmill.Unchanged]) error {
		return rule(in)
	})
	witness := &witness{TB: t}
	done := make(chan bool)
	go func() {
		defer close(done)
		plugintest.Transform(witness, plugin, "").Run(`{"amount": 1}`)
	}()
	<-done
	return witness.message
}

type oddity struct{ n int }

func TestAPanicIsAnErrorWithMessageTypeAndPlace(t *testing.T) {
	var none []int
	var nobody *oddity
	for expected, rule := range map[string]func(amount) error{
		"panic: runtime error: index out of range [3] with length 0 (runtime.boundsError) at ":              func(amount) error { none[3]++; return nil },
		"panic: runtime error: invalid memory address or nil pointer dereference (runtime.errorString) at ": func(amount) error { nobody.n++; return nil },
		"panic: no such thing (*errors.errorString) at ":                                                    func(amount) error { panic(errors.New("no such thing")) },
		"panic: {7} (tests.oddity) at ":                                                                     func(amount) error { panic(oddity{7}) },
		"panic: strings: negative Repeat count (string) at ":                                                func(amount) error { _ = strings.Repeat("x", -1); return nil },
	} {
		found := failure(t, rule)
		if !strings.HasPrefix(found, "the plugin failed process: "+expected) || !strings.Contains(found, "failure_test.go:") {
			t.Errorf("found %q, expected %q and this file", found, expected)
		}
	}
}

func TestAnErrorNamesTheCapabilityThatIsNotThere(t *testing.T) {
	plugin := wasmill.Transform(options, func(in amount, _ *wasmill.NoConfig, _ *wasmill.Output[wasmill.Unchanged]) error {
		if in.Amount == 1 {
			_, err := os.Open("/no/such/file")
			return err
		}
		return fmt.Errorf("asking: %w", &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("refused")})
	})
	run := plugintest.Transform(t, plugin, "").Run(`{"amount": 1}`, `{"amount": 2}`)
	run.Expect(
		"reject 0: open /no/such/file: no such file or directory (files are not available to a plugin)",
		"reject 1: asking: dial tcp: refused (sockets are not available to a plugin)",
	)
}

func TestATransformIsNoOtherKind(t *testing.T) {
	witness := &witness{TB: t}
	done := make(chan bool)
	go func() {
		defer close(done)
		plugintest.Keyed(witness, reading[amount](), "").Run(`{"amount": 1}`)
	}()
	<-done
	if !strings.HasSuffix(witness.message, `not a call for a plugin of kind "transform"`) {
		t.Errorf("found %q", witness.message)
	}
}
