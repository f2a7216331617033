package main

import (
	"strings"
	"testing"

	"wasmill.dev/plugin/plugintest"
)

const combined = `203.0.113.7 - ann [10/Oct/2026:13:55:36 +0200] "GET /shop?item=7 HTTP/1.1" 200 2326 "https://example.com/" "Mozilla/5.0 \"x\""`

func TestALineOfEitherFormatIsParsed(t *testing.T) {
	plugintest.Transform(t, Rule, `{"internal": ["10.0.0.0/8", "fd00::/8"]}`).Run(
		combined,
		`::ffff:10.1.2.3 - - [01/Jan/2026:00:00:00 +0000] "POST /pay HTTP/2" 503 -`,
	).Expect(
		`requests time=1791633336000: {"at":1791633336000,"client":"203.0.113.7","internal":false,"user":"ann","method":"GET",`+
			`"path":"/shop","query":"item=7","status":200,"bytes":2326,"referer":"https://example.com/","agent":"Mozilla/5.0 \"x\""}`,
		`requests time=1767225600000: {"at":1767225600000,"client":"10.1.2.3","internal":true,"user":null,"method":"POST",`+
			`"path":"/pay","query":null,"status":503,"bytes":null,"referer":null,"agent":null}`,
		`failures: ::ffff:10.1.2.3 - - [01/Jan/2026:00:00:00 +0000] "POST /pay HTTP/2" 503 -`,
	)
}

func TestALineThatIsNoneIsRefusedWithWhatIsWrong(t *testing.T) {
	replaced := func(old, new string) string { return strings.Replace(combined, old, new, 1) }
	plugintest.Transform(t, Rule, "").Run(
		"hello",
		"",
		replaced("203.0.113.7", "example.com"),
		replaced("10/Oct/2026", "10/10/2026"),
		replaced("GET /shop?item=7 HTTP/1.1", "GET"),
		replaced(" 200 ", " 20x "),
		replaced("2326", "-1"),
		replaced(`"https`, `https`),
		strings.TrimSuffix(combined, `"`),
		replaced("ann", "a\xff"),
	).Expect(
		"reject 0: the line has no word at byte 5",
		"reject 1: the line has no word at byte 0",
		`reject 2: the client "example.com" is no IP address`,
		`reject 3: the time "10/10/2026:13:55:36 +0200" is not like "02/Jan/2006:15:04:05 -0700"`,
		`reject 4: the request "GET" is not a method and a path`,
		`reject 5: the status "20x" is not one from 100 to 599`,
		`reject 6: the size "-1" is no number of bytes`,
		"reject 7: the line has no quoted text at byte 84",
		"reject 8: the line has no closing quote at byte 107",
		"reject 9: the line is not UTF-8",
	)
}

func TestANetworkThatIsNoneRefusesTheDeployment(t *testing.T) {
	if found := plugintest.ConfigError(Rule, `{"internal": ["10.0.0.0"]}`); !strings.Contains(found, "netip.ParsePrefix") {
		t.Errorf("found %q", found)
	}
}

func FuzzNoLineBreaksTheParser(f *testing.F) {
	f.Add(combined)
	f.Fuzz(func(_ *testing.T, text string) { _, _, _ = parseLine(text) })
}
