package listener

import (
	"slices"
	"testing"
)

func TestNewestFirst(t *testing.T) {
	processes := []string{"/proc/1", "/proc/99", "/proc/1000", "/proc/100", "/proc/9"}
	slices.SortFunc(processes, newestFirst)
	if want := []string{"/proc/1000", "/proc/100", "/proc/99", "/proc/9", "/proc/1"}; !slices.Equal(processes, want) {
		t.Errorf("%v, want %v", processes, want)
	}
}
