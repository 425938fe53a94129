package main

import (
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestUnwritten: only mappings of the program that were not written to are released.
func TestUnwritten(t *testing.T) {
	const smaps = `00400000-00f17000 r-xp 00000000 fe:00 12345                      /app/kafka-tunnel
Size:              11356 kB
Rss:                7068 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
00f17000-01a75000 r--p 00b17000 fe:00 12345                      /app/kafka-tunnel
Anonymous:             0 kB
VmFlags: rd mr mw me
01a75000-01a80000 r--p 01675000 fe:00 12345                      /app/kafka-tunnel
Anonymous:            44 kB
VmFlags: rd mr mw me
01a80000-01ae9000 rw-p 01680000 fe:00 12345                      /app/kafka-tunnel
Anonymous:             0 kB
01ae9000-04064000 rw-p 00000000 00:00 0
Anonymous:             0 kB
7f0000000000-7f0000001000 r-xp 00000000 fe:00 99                 /lib/libc.so.6
Anonymous:             0 kB
zz-01 r-xp 00000000 fe:00 12345                                  /app/kafka-tunnel
Anonymous:             0 kB
05000000-04000000 r-xp 00000000 fe:00 12345                      /app/kafka-tunnel
Anonymous:             0 kB
06000000-07000000 r-xp 00000000 fe:00 12345                      /app/kafka-tunnel
`
	want := []mapping{{0x400000, 0xb17000}, {0xf17000, 0xb5e000}}
	if got := unwritten(strings.NewReader(smaps), "/app/kafka-tunnel"); !slices.Equal(got, want) {
		t.Errorf("%x", got)
	}
}

// TestTheStartIsGivenBack: a tunnel that has started keeps only a small part of the pages of
// its own file in memory. Most of the file is lab and tools, which are initialised with it.
func TestTheStartIsGivenBack(t *testing.T) {
	daemon, log, _ := startChild(t, "run", "--bootstrap", "127.0.0.1:1", "--connectivity-via", "direct", "--listen", "127.0.0.1:0",
		"--broker-ports", "0", "--admin-listen", "127.0.0.1:0")
	go func() { _, _ = io.Copy(io.Discard, log) }() // ends with the process
	info, err := os.Stat("/proc/self/exe")          // the same program
	if err != nil {
		t.Fatal(err)
	}
	// Before the release nearly two thirds of the program are resident.
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(time.Minute); ; {
		file := memory(t, daemon.Process.Pid, "RssFile")
		if int64(file) < info.Size()/3 && memory(t, daemon.Process.Pid, "VmHWM") > int(info.Size()/2) {
			t.Logf("%d KiB of files are resident, the program has %d", file>>10, info.Size()>>10)
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%d KiB of files are resident, the program has %d", file>>10, info.Size()>>10)
		}
	}
}
