package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafka-tunnel/kafka-tunnel/internal/procfs"
)

// bomb returns a Produce request with one batch, whose only record has size bytes decompressed.
// The frame has 14 KB.
func bomb(size int) []byte {
	record := append([]byte{0, 0, 0, 1}, binary.AppendVarint(nil, int64(size))...) // no key
	record = append(binary.AppendVarint(nil, int64(len(record)+size+1)), record...)
	// A frame of zstd (RFC 8878): a raw block, and blocks of one byte that is repeated.
	const largest, raw, repeated, last = 128 << 10, 0, 1, 1
	block := func(b []byte, size, kind, flags int) []byte {
		head := size<<3 | kind<<1 | flags
		return append(b, byte(head), byte(head>>8), byte(head>>16))
	}
	body := []byte{0x28, 0xb5, 0x2f, 0xfd, 0, 13 << 3} // the magic, no size, a window of 8 MiB
	body = append(block(body, len(record), raw, 0), record...)
	for ; size > 0; size -= largest {
		body = append(block(body, min(size, largest), repeated, 0), 0)
	}
	body = append(block(body, 1, repeated, last), 0) // no headers
	const head = 61
	batch := make([]byte, head+len(body))
	copy(batch[head:], body)
	batch[16], batch[22], batch[60] = 2, 4, 1 // magic, zstd, one record
	binary.BigEndian.PutUint32(batch[8:], uint32(len(batch)-12))
	return produceFrame(batch, 14_000)
}

// produceFrame returns a request of size bytes; the client id is as long as it takes.
func produceFrame(records []byte, size int) []byte {
	m := kmsg.NewPtrProduceRequest()
	m.Version, m.Acks, m.TimeoutMillis = 9, 1, 1000
	m.Topics = []kmsg.ProduceRequestTopic{{Topic: "orders", Partitions: []kmsg.ProduceRequestTopicPartition{{Records: records}}}}
	frame := func(clientID string) []byte {
		return kmsg.NewRequestFormatter(kmsg.FormatterClientID(clientID)).AppendRequest(nil, m, 7)
	}
	return frame(strings.Repeat("c", max(size-len(frame("")), 0)))
}

// produceBroker answers Produce requests of version 9 until its listener is closed.
func produceBroker(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		in := bufio.NewReader(conn)
		for {
			var head [12]byte
			if _, err := io.ReadFull(in, head[:]); err != nil {
				return
			}
			if _, err := io.CopyN(io.Discard, in, int64(binary.BigEndian.Uint32(head[:]))-8); err != nil {
				return
			}
			response := append([]byte{0, 0, 0, 11}, head[8:12]...) // the correlation id
			if _, err := conn.Write(append(response, 0, 1, 0, 0, 0, 0, 0)); err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return l.Addr().String()
}

// startChild starts the program with the arguments, and ends it with the test.
func startChild(t *testing.T, args ...string) (cmd *exec.Cmd, stdout, stderr *bufio.Reader) {
	t.Helper()
	cmd = exec.CommandContext(t.Context(), "kafka-tunnel", args...)
	cmd.Env = append(os.Environ(), "KAFKA_TUNNEL_ADMIN_TAP=true")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	errs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd, bufio.NewReader(out), bufio.NewReader(errs)
}

// memory returns a field of /proc/PID/status in bytes.
func memory(t *testing.T, pid int, field string) int {
	t.Helper()
	n, err := procfs.Bytes(pid, "status", field)
	if err != nil {
		t.Skipf("the memory is unknown: %v", err)
	}
	return int(n)
}

// TestAWatchedBombCostsTheDaemonNothing: a frame of 14 KB that means 128 MiB is shown with its
// records, and the daemon's peak of resident memory grows by 2 MiB at most. The viewer reports
// its limit.
func TestAWatchedBombCostsTheDaemonNothing(t *testing.T) {
	daemon, log, _ := startChild(t, "run", "--bootstrap", produceBroker(t), "--connectivity-via", "direct", "--listen", "127.0.0.1:0",
		"--broker-ports", "0", "--admin-listen", "127.0.0.1:0")
	var listen, admin string
	for listen == "" {
		line, err := log.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if found := regexp.MustCompile(`listen=(\S+:\d+) .*admin=http://(\S+:\d+)`).FindStringSubmatch(line); found != nil {
			listen, admin = found[1], found[2]
		}
	}
	go func() { _, _ = io.Copy(io.Discard, log) }() // ends with the process
	_, events, said := startChild(t, "tap", "--bodies", "--records", "--json", "--api", "Produce", "--admin-listen", admin)
	if line, err := said.ReadString('\n'); err != nil || !strings.HasPrefix(line, "watching") {
		t.Fatalf("%q %v", line, err)
	}
	conn, err := net.Dial("tcp", listen)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// pass returns what the viewer prints about a request.
	pass := func(frame []byte) string {
		t.Helper()
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		if _, err := conn.Write(frame); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, make([]byte, 4+11)); err != nil {
			t.Fatal(err)
		}
		request, err := events.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if _, err := events.ReadString('\n'); err != nil { // the response
			t.Fatal(err)
		}
		return request
	}
	for range 200 { // the daemon's memory is that of one which is watched
		pass(produceFrame(nil, 14_000))
	}
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", daemon.Process.Pid), []byte("5"), 0); err != nil {
		t.Skipf("the peak of the resident memory cannot be reset: %v", err)
	}
	before := memory(t, daemon.Process.Pid, "VmRSS")
	frame := bomb(128 << 20)
	if line := pass(frame); !strings.Contains(line, "decompressed records larger than 1 MiB are not decoded here") {
		t.Errorf("the viewer prints %.500s", line)
	}
	grown := memory(t, daemon.Process.Pid, "VmHWM") - before
	t.Logf("%d KiB before, the peak is %d KiB above it", before>>10, grown>>10)
	if grown > 2<<20 {
		t.Errorf("the peak of the daemon's resident memory is %d KiB above the %d KiB before", grown>>10, before>>10)
	}
}
