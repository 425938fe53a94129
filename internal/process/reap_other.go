//go:build !linux

package process

import (
	"log/slog"
	"os"
)

// reaper does nothing: containers in which this could be process 1 run Linux.
type reaper struct {
	ended chan os.Signal // always nil
}

func newReaper(bool, *slog.Logger) *reaper { return &reaper{} }

func (*reaper) stop() {}

func (*reaper) reap(int) {}
