package wasmill

import (
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"runtime"
	"strings"
	"unicode/utf8"
)

// reasonOf is an error as the reason of a dead letter. Where the system that is not there was asked for something, the reason says so.
func reasonOf(err error) string {
	reason := strings.ToValidUTF8(err.Error(), string(utf8.RuneError))
	if capability := capabilityOf(err); capability != "" {
		reason += " (" + capability + " are not available to a plugin)"
	}
	return reason
}

// capabilityOf is what an error of the standard library asked for in vain: files, sockets, or nothing of that kind.
func capabilityOf(err error) string {
	for ; err != nil; err = errors.Unwrap(err) {
		if _, ok := err.(*fs.PathError); ok {
			return "files"
		}
		// By name: to import package net would add a megabyte to every plugin.
		switch reflect.TypeOf(err).String() {
		case "*net.OpError", "*net.DNSError", "*net.AddrError":
			return "sockets"
		case "*exec.Error":
			return "processes"
		}
	}
	return ""
}

// capturePanic makes of a panic an error: message, type and the place in the author's code. To be deferred.
func capturePanic(err *error) {
	caught := recover()
	if caught == nil {
		return
	}
	*err = fmt.Errorf("panic: %s%s", messageOf(caught), placeOf())
}

// messageOf is what was panicked with, and its type where the message does not say it.
func messageOf(caught any) string {
	var message string
	if err, ok := caught.(error); ok {
		message = reasonOf(err)
	} else {
		message = strings.ToValidUTF8(fmt.Sprint(caught), string(utf8.RuneError))
	}
	return fmt.Sprintf("%s (%T)", message, caught)
}

// stackDepth is how many frames are searched for the author's.
const stackDepth = 64

// authorFolder is where the plugin is made, which is in the author's code.
var authorFolder string

// noteAuthor remembers the folder of the code that calls the function that calls noteAuthor.
func noteAuthor() {
	if _, file, _, ok := runtime.Caller(2); ok {
		authorFolder = file[:strings.LastIndexByte(file, '/')+1]
	}
}

// placeOf is " at FILE:LINE" of the innermost frame of the author's code, or else of the innermost that is not the runtime's.
func placeOf() string {
	counters := make([]uintptr, stackDepth)
	frames := runtime.CallersFrames(counters[:runtime.Callers(0, counters)])
	panicking, other := false, ""
	for {
		frame, more := frames.Next()
		place := fmt.Sprintf(" at %s:%d", frame.File, frame.Line)
		ours := strings.HasPrefix(frame.Function, "wasmill.dev/plugin.")
		switch {
		case frame.Function == "runtime.gopanic":
			panicking = true // What lies further out was running.
		case !panicking || ours || strings.HasPrefix(frame.Function, "runtime."):
		case authorFolder != "" && strings.HasPrefix(frame.File, authorFolder):
			return place
		case other == "":
			other = place
		}
		if !more {
			return other
		}
	}
}
