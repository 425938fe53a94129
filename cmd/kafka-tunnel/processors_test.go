package main

import (
	"runtime"
	"testing"
)

func TestProcessors(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	for _, test := range []struct {
		env        string
		host, want int
	}{
		{"", 64, maxProcessors},
		{"", 2, 2},
		{"", maxProcessors, maxProcessors},
		{"16", 16, 16},
	} {
		runtime.GOMAXPROCS(test.host)
		limitProcessors(func(string) string { return test.env })
		if got := runtime.GOMAXPROCS(0); got != test.want {
			t.Errorf("GOMAXPROCS=%q on a host of %d: %d processors, want %d", test.env, test.host, got, test.want)
		}
	}
}
