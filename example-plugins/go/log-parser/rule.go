// Command log-parser is a plugin that makes columns of the lines of a web server's access log, in the common or the combined format:
//
//	203.0.113.7 - ann [10/Oct/2026:13:55:36 +0200] "GET /shop?item=7 HTTP/1.1" 200 2326 "https://example.com/" "Mozilla/5.0"
//
// The whole value of a record is a line. Answers of the server's own failing (5xx) go to the side output `failures` as well, the line as
// it was.
package main

import (
	"net/netip"

	wasmill "wasmill.dev/plugin"
)

// Line is what the rule reads: the value, undecoded.
type Line struct {
	Text []byte `wasmill:",value"`
}

// Request is a line, parsed. Its event time is the line's.
type Request struct {
	Time     int64   `wasmill:",time"`
	At       int64   `wasmill:"at"` // As Time, in the value too: milliseconds since the Unix epoch.
	Client   string  `wasmill:"client"`
	Internal bool    `wasmill:"internal"`
	User     *string `wasmill:"user"`
	Method   string  `wasmill:"method"`
	Path     string  `wasmill:"path"`
	Query    *string `wasmill:"query"`
	Status   int64   `wasmill:"status"`
	Bytes    *int64  `wasmill:"bytes"`
	Referer  *string `wasmill:"referer"`
	Agent    *string `wasmill:"agent"`
}

// Outputs are the requests, and the lines of those that failed.
type Outputs struct {
	Requests wasmill.Output[Request]
	Failures wasmill.Output[wasmill.Unchanged]
}

// Config is the step's `config`.
type Config struct {
	// Networks whose clients are internal, such as "10.0.0.0/8".
	Internal []netip.Prefix `json:"internal"`
}

// Rule parses lines.
var Rule = wasmill.Transform(wasmill.Options{
	Name:        "log-parser",
	Version:     "1.0.0",
	Description: "Makes columns of the lines of a web server's access log.",
}, parse)

func parse(line Line, config *Config, out *Outputs) error {
	request, client, err := parseLine(string(line.Text))
	if err != nil {
		return err
	}
	for _, network := range config.Internal {
		request.Internal = request.Internal || network.Contains(client)
	}
	out.Requests.Emit(request)
	if request.Status >= 500 {
		out.Failures.Pass()
	}
	return nil
}

func main() {} // wasmill calls Rule.
