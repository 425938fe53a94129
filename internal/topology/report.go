package topology

import (
	"fmt"
	"strings"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
)

// shownRefused is how many further addresses a failure names that concerns several.
const shownRefused = 4

// A report collects what one response has to tell, while locks are held. It is sent when
// none is: one failure per code, however many addresses were hidden.
type report struct {
	refused []*refusal
	hidden  int
	lines   []func() // log lines
}

// A refusal is why addresses were hidden.
type refusal struct {
	first *failure.Failure
	more  int
	also  []string // the first targets of the others
}

// hide hides an address.
func (r *report) hide(e *kafka.Endpoint, why *failure.Failure) {
	e.Hidden = true
	r.hidden++
	for _, one := range r.refused {
		if one.first.Code == why.Code {
			one.more++
			if len(one.also) < shownRefused && why.Target != "" {
				one.also = append(one.also, why.Target)
			}
			return
		}
	}
	r.refused = append(r.refused, &refusal{first: why})
}

// send reports. The caller holds no lock.
func (r *report) send(o *Options) {
	for _, line := range r.lines {
		line()
	}
	for _, one := range r.refused {
		o.Report(one.failure())
	}
	if r.hidden > 0 {
		o.Unmapped(r.hidden)
	}
}

// failure names the first address and some of the others.
func (one *refusal) failure() *failure.Failure {
	f := one.first
	if one.more == 0 {
		return f
	}
	also := fmt.Sprintf("and %d more", one.more)
	if len(one.also) > 0 {
		also = "also " + strings.Join(one.also, ", ")
		if rest := one.more - len(one.also); rest > 0 {
			also += fmt.Sprintf(" and %d more", rest)
		}
	}
	if f.Detail != "" {
		also = f.Detail + "; " + also
	}
	return f.With(also)
}
