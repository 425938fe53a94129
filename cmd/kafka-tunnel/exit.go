package main

import (
	"errors"
	"strings"

	"github.com/kafka-tunnel/kafka-tunnel/internal/config"
	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// Exit statuses (sysexits.h). Cloud Foundry shows them to users, so each has one
// meaning.
const (
	exitOK          = 0
	exitFailed      = 1 // the command did what was requested, without success
	exitUsage       = 64
	exitUnavailable = 69 // a port is taken
	exitInternal    = 70
	exitConfig      = 78
)

// exitError is an error with an exit status of its own. Nothing is printed if err is nil:
// the command has printed the reason already.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// exitWith returns nil for status 0.
func exitWith(code int, err error) error {
	if code == exitOK && err == nil {
		return nil
	}
	return &exitError{code, err}
}

// exitCode returns the exit status for the error of a command.
func exitCode(err error) int {
	if err == nil {
		return exitOK
	}
	if e, ok := errors.AsType[*exitError](err); ok {
		return e.code
	}
	if _, ok := errors.AsType[*config.Error](err); ok {
		return exitConfig
	}
	if f, ok := failure.As(err); ok {
		switch {
		case f.Entry().Hop == failure.HopConfig:
			return exitConfig
		case f.Code == failure.PortTaken:
			return exitUnavailable
		default:
			return exitInternal
		}
	}
	// All other errors come from the parsing of the command line.
	return exitUsage
}

// message returns what the user reads: the error and the advice.
func message(err error) string {
	text := "kafka-tunnel: " + strings.TrimRight(err.Error(), "\n")
	if f, ok := failure.As(err); ok && f.Advice() != "" {
		text += "\n" + f.Advice()
	}
	return text
}
