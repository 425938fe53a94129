package socksclient

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestGolden(t *testing.T) {
	for _, tt := range []struct {
		got  []byte
		want string
	}{
		{Authentication("a.b.c", ""), "\x01\x00\x00\x00\x05a.b.c\x00"},
		{Authentication("a.b.c", "LOC1"), "\x01\x00\x00\x00\x05a.b.c\x08TE9DMQ=="},
		{Request(Target{Host: "kafka", Port: 9092}), "\x05\x01\x00\x03\x05kafka\x23\x84"},
		{Request(Target{Host: "10.0.0.7", Port: 9092}), "\x05\x01\x00\x01\x0a\x00\x00\x07\x23\x84"},
		{Request(Target{Host: "10.0.0.7", Port: 9092, Domain: true}), "\x05\x01\x00\x03\x0810.0.0.7\x23\x84"},
	} {
		if string(tt.got) != tt.want {
			t.Errorf("% x, want % x", tt.got, tt.want)
		}
	}
}

// script is a connection that answers as written.
type script struct {
	net.Conn
	in  io.Reader
	out bytes.Buffer
}

// Read reads the answers.
func (s *script) Read(p []byte) (int, error) { return s.in.Read(p) }

// Write keeps what was sent.
func (s *script) Write(p []byte) (int, error) { return s.out.Write(p) }

func TestAnswers(t *testing.T) {
	const granted = "\x05\x80\x01\x00\x05\x00\x00"
	tests := []struct {
		answers string
		err     string // "" good
	}{
		{granted + "\x01\x00\x00\x00\x00\x00\x00", ""},
		{granted + "\x03\x02ab\x00\x00", ""},
		{granted + "\x04" + strings.Repeat("\x00", 18), ""},
		{granted + "\x02\x00\x00\x00\x00\x00\x00", "address type"},
		{"\x05\xff", "method refused: 0xff"},
		{"HT", "begins with 0x48"},
		{"\x05\x80\x01\x07", "authentication refused: 0x07"},
		{"\x05\x80\x01\x00\x05\x02", "connect refused: 0x02"},
	}
	for _, tt := range tests {
		conn := &script{in: strings.NewReader(tt.answers + "payload")}
		err := handshake(conn, Target{Token: "a.b.c", Host: "kafka", Port: 1})
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%q: %v, want %q", tt.answers, err, tt.err)
			}
			continue
		}
		rest, _ := io.ReadAll(conn.in)
		if err != nil || string(rest) != "payload" {
			t.Errorf("%q: %v, and %q is left", tt.answers, err, rest)
		}
		for n := range len(tt.answers) {
			conn := &script{in: strings.NewReader(tt.answers[:n])}
			if err := handshake(conn, Target{Token: "a.b.c", Host: "kafka", Port: 1}); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("end after %d bytes: %v", n, err)
			}
		}
	}
}

func TestDialIsCancelled(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() {
		_, err := Dial(ctx, Target{Proxy: ln.Addr().String(), Host: "h"})
		result <- err
	}()
	conn, err := ln.Accept() // and does not answer
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	cancel()
	if err := <-result; err == nil {
		t.Error("connected")
	}
}
