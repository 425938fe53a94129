package main

import (
	"errors"
	"strings"

	"github.com/kafka-tunnel/kafka-tunnel/internal/config"
	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// Exit statuses (sysexits.h). Cloud Foundry shows them to users, so each means
// one thing.
const (
	exitOK          = 0
	exitFailed      = 1 // what was asked for was tried and did not work
	exitUsage       = 64
	exitUnavailable = 69 // a port is taken
	exitInternal    = 70
	exitConfig      = 78
)

// exitError is an error with an exit status of its own. Without err nothing is
// printed: what there is to say has been said.
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

// exitCode returns the status for what a command returned.
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
	// What is left comes from the parsing of the command line.
	return exitUsage
}

// message is what the user reads: the error, and what to do about it.
func message(err error) string {
	text := "kafka-tunnel: " + strings.TrimRight(err.Error(), "\n")
	if f, ok := failure.As(err); ok && f.Advice() != "" {
		text += "\n" + f.Advice()
	}
	return text
}
