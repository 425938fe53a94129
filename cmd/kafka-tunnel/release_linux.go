package main

import (
	"bufio"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// releaseMemory returns memory to the system that an idle tunnel does not need: garbage, and the
// pages of the program's own file (code and constants). At the start the runtime initialises every
// linked package, also those of the lab and of the tools, and the kernel maps the pages around each
// page that is used. A page that is used again is mapped again, from the page cache. Errors are
// ignored: the memory then remains resident.
func releaseMemory() {
	debug.FreeOSMemory()
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer maps.Close()
	for _, m := range unwritten(maps, self) {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.start, m.length, unix.MADV_DONTNEED)
	}
}

// A mapping is a range of addresses.
type mapping struct{ start, length uintptr }

// unwritten returns the mappings of a file that contain only pages of the file. All others would
// lose what was written to them, such as the relocated constants of a position-independent program.
//
//	00400000-00f17000 r-xp 00000000 fe:00 12345   /app/kafka-tunnel
//	...
//	Anonymous:             0 kB
func unwritten(smaps io.Reader, file string) (all []mapping) {
	var m mapping
	for lines := bufio.NewScanner(smaps); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) == 6 && fields[5] == file && (fields[1] == "r-xp" || fields[1] == "r--p"):
			m = rangeOf(fields[0])
		case len(fields) == 3 && fields[0] == "Anonymous:":
			if fields[1] == "0" && m.length > 0 {
				all = append(all, m)
			}
			m = mapping{}
		case len(fields) > 1 && !strings.HasSuffix(fields[0], ":"): // another mapping
			m = mapping{}
		}
	}
	return all
}

// rangeOf parses two addresses; the length is 0 if they are malformed.
func rangeOf(text string) mapping {
	from, to, _ := strings.Cut(text, "-")
	start, err := strconv.ParseUint(from, 16, 64)
	end, err2 := strconv.ParseUint(to, 16, 64)
	if err != nil || err2 != nil || end <= start {
		return mapping{}
	}
	return mapping{uintptr(start), uintptr(end - start)}
}
