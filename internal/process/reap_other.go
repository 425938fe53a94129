//go:build !linux

package process

import (
	"log/slog"
	"os"
)

// reaper does nothing: containers whose process 1 this could be are Linux.
type reaper struct {
	ended chan os.Signal // always nil
}

func newReaper(bool, *slog.Logger) *reaper { return &reaper{} }

func (*reaper) stop() {}

func (*reaper) reap(int) {}
