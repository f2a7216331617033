package main

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// timeLayout is that of the common log format.
const timeLayout = "02/Jan/2006:15:04:05 -0700"

// parseLine reads a line. The client is also answered as an address, an IPv4 one that is mapped into IPv6 as itself.
func parseLine(text string) (request Request, client netip.Addr, err error) {
	if !utf8.ValidString(text) {
		return request, client, fmt.Errorf("the line is not UTF-8")
	}
	rest := scanner{text: strings.TrimRight(text, "\r\n")}
	host, _, user := rest.word(), rest.word(), rest.word()
	at, line := rest.between('[', ']'), rest.quoted()
	status, size := rest.word(), rest.word()
	if rest.failed != "" {
		return request, client, fmt.Errorf("the line has no %s at byte %d", rest.failed, rest.at)
	}
	if client, err = netip.ParseAddr(host); err != nil {
		return request, client, fmt.Errorf("the client %q is no IP address", host)
	}
	client = client.Unmap().WithZone("")
	request.Client, request.User = client.String(), known(user)

	moment, err := time.Parse(timeLayout, at)
	if err != nil {
		return request, client, fmt.Errorf("the time %q is not like %q", at, timeLayout)
	}
	request.At = moment.UnixMilli()
	request.Time = request.At

	method, target, hasTarget := strings.Cut(line, " ")
	target, _, _ = strings.Cut(target, " ")
	if !hasTarget || method == "" || target == "" {
		return request, client, fmt.Errorf("the request %q is not a method and a path", line)
	}
	path, query, hasQuery := strings.Cut(target, "?")
	if request.Method, request.Path = method, path; hasQuery {
		request.Query = &query
	}
	if request.Status, err = strconv.ParseInt(status, 10, 64); err != nil || request.Status < 100 || request.Status > 599 {
		return request, client, fmt.Errorf("the status %q is not one from 100 to 599", status)
	}
	if size != "-" {
		bytes, err := strconv.ParseInt(size, 10, 64)
		if err != nil || bytes < 0 {
			return request, client, fmt.Errorf("the size %q is no number of bytes", size)
		}
		request.Bytes = &bytes
	}
	if !rest.done() { // The combined format has two more.
		request.Referer, request.Agent = known(rest.quoted()), known(rest.quoted())
		if rest.failed != "" {
			return request, client, fmt.Errorf("the line has no %s at byte %d", rest.failed, rest.at)
		}
	}
	return request, client, nil
}

// known is nil for the dash that stands for what is not known.
func known(text string) *string {
	if text == "-" || text == "" {
		return nil
	}
	return &text
}

// A scanner takes a line apart from the left. After a failure it answers nothing more.
type scanner struct {
	text string
	at   int
	// failed is what was expected at `at`.
	failed string
}

// word is what goes on to the next space.
func (s *scanner) word() string {
	end := strings.IndexByte(s.text[s.at:], ' ')
	if end < 0 {
		end = len(s.text) - s.at
	}
	if end == 0 || s.failed != "" {
		s.fail("word")
		return ""
	}
	return s.take(s.at, s.at+end, s.at+end)
}

// between is what lies between two marks.
func (s *scanner) between(open, end byte) string {
	length := strings.IndexByte(s.text[s.at:], end)
	if s.failed != "" || length < 0 || s.text[s.at] != open {
		s.fail(fmt.Sprintf("`%c`..`%c`", open, end))
		return ""
	}
	return s.take(s.at+1, s.at+length, s.at+length+1)
}

// quoted is what lies between two double quotes, where `\"` is a quote and `\\` a backslash.
func (s *scanner) quoted() string {
	if s.failed != "" || s.at >= len(s.text) || s.text[s.at] != '"' {
		s.fail("quoted text")
		return ""
	}
	for end := s.at + 1; end < len(s.text); end++ {
		switch s.text[end] {
		case '\\':
			end++
		case '"':
			text := s.take(s.at+1, end, end+1)
			if strings.IndexByte(text, '\\') < 0 {
				return text
			}
			return unescape.Replace(text)
		}
	}
	s.fail("closing quote")
	return ""
}

var unescape = strings.NewReplacer(`\"`, `"`, `\\`, `\`)

// take answers a part, and goes on behind `next` and a space.
func (s *scanner) take(from, to, next int) string {
	if s.at = next; s.at < len(s.text) && s.text[s.at] == ' ' {
		s.at++
	}
	return s.text[from:to]
}

func (s *scanner) done() bool { return s.at >= len(s.text) }

func (s *scanner) fail(expected string) {
	if s.failed == "" {
		s.failed = expected
	}
}
