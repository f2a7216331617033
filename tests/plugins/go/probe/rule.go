// Command probe is a wasmill plugin that tries what a plugin may not, and fails in the ways that Go can: one for each `try` of a record.
package main

import (
	crypto "crypto/rand"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	wasmill "wasmill.dev/plugin"
)

// Attempt says what is tried.
type Attempt struct {
	Try string `wasmill:"try"`
}

// Answer says what came of it.
type Answer struct {
	Try    string `wasmill:"try"`
	Answer string `wasmill:"answer"`
}

// Refusal is an error of the author's own.
type Refusal struct{ Length int }

func (r *Refusal) Error() string { return fmt.Sprintf("cannot go on with %d", r.Length) }

// Rule is the plugin.
var Rule = wasmill.Transform(wasmill.Options{Name: "probe"}, probe)

func probe(attempt Attempt, _ *wasmill.NoConfig, out *wasmill.Output[Answer]) error {
	answer, err := tried(attempt.Try)
	if err != nil {
		return err
	}
	out.Emit(Answer{attempt.Try, answer})
	return nil
}

var kept []string

func tried(what string) (string, error) {
	if strings.HasPrefix(what, "keep ") {
		kept = append(kept, strings.Clone(what))
		return "kept", nil
	}
	switch what {
	case "read":
		text, err := os.ReadFile("/etc/passwd")
		return string(text), err
	case "socket":
		connection, err := net.Dial("tcp", "127.0.0.1:1")
		return fmt.Sprint(connection), err
	case "environment":
		if home, ok := os.LookupEnv("HOME"); ok {
			return home, nil
		}
		return "none", nil
	case "clock":
		return strconv.FormatInt(time.Now().UnixNano(), 10), nil
	case "random":
		return fmt.Sprintf("%d %s", rand.Uint64(), crypto.Text()), nil
	case "error":
		_, err := strconv.Atoi(what)
		return "", err
	case "raise":
		panic(&Refusal{len(what)})
	case "divide":
		return strconv.Itoa(7 / (len(what) - len("divide"))), nil
	case "index":
		return string([]byte("ab")[len(what)]), nil
	}
	return "nothing", nil
}

func main() {} // wasmill calls Rule.
