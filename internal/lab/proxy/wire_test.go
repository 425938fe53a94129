package proxy

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// readerOf returns a reader over bytes.
func readerOf(b []byte) *reader { return &reader{src: bytes.NewReader(b)} }

func TestGreetingsOfPublishedClients(t *testing.T) {
	for _, g := range [][]byte{{5, 1, 0x80}, {5, 2, 0, 0x80}, {5, 4, 0, 1, 2, 0x80}, {5, 1, 0}} {
		methods, err := readerOf(g).readGreeting()
		if err != nil || !bytes.Equal(methods, g[2:]) {
			t.Errorf("% x: % x, %v", g, methods, err)
		}
	}
}

// TestGolden compares the messages with the bytes in the documentation.
func TestGolden(t *testing.T) {
	for _, tt := range []struct {
		message  string
		location string
	}{
		{"\x01\x00\x00\x00\x05a.b.c\x00", ""},
		{"\x01\x00\x00\x00\x05a.b.c\x08TE9DMQ==", "LOC1"},
	} {
		a, err := readerOf([]byte(tt.message)).readAuthentication()
		if err != nil || a.token != "a.b.c" || a.location != tt.location {
			t.Errorf("%+v, %v", a, err)
		}
	}
	for _, tt := range []struct {
		message string
		want    string
	}{
		{"\x05\x01\x00\x01\x0a\x00\x00\x07\x23\x84", "10.0.0.7:9092"},
		{"\x05\x01\x00\x03\x05kafka\x23\x84", "kafka:9092"},
		{"\x05\x01\x00\x04" + strings.Repeat("\x00", 15) + "\x01\x23\x84", "[::1]:9092"},
	} {
		q, err := readerOf([]byte(tt.message)).readRequest()
		if err != nil || q.address() != tt.want || q.command != cmdConnect {
			t.Errorf("%+v, %v", q, err)
		}
	}
}

// messages are good ones, with the function that reads them.
func messages() map[string]struct {
	bytes []byte
	read  func(*reader) error
} {
	greeting := func(r *reader) error { _, err := r.readGreeting(); return err }
	authentication := func(r *reader) error { _, err := r.readAuthentication(); return err }
	request := func(r *reader) error { _, err := r.readRequest(); return err }
	token := strings.Repeat("t", 70000)
	location := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("L", 189)))
	long := append(binary.BigEndian.AppendUint32([]byte{1}, uint32(len(token))), token...)
	long = append(append(long, byte(len(location))), location...)
	return map[string]struct {
		bytes []byte
		read  func(*reader) error
	}{
		"greeting":            {[]byte{5, 2, 0, 0x80}, greeting},
		"authentication":      {[]byte("\x01\x00\x00\x00\x05a.b.c\x08TE9DMQ=="), authentication},
		"long authentication": {long, authentication},
		"request, IPv4":       {[]byte("\x05\x01\x00\x01\x0a\x00\x00\x07\x23\x84"), request},
		"request, domain":     {[]byte("\x05\x01\x00\x03\x05kafka\x23\x84"), request},
	}
}

func TestMessagesInPieces(t *testing.T) {
	for name, m := range messages() {
		t.Run(name, func(t *testing.T) {
			if err := m.read(&reader{src: iotest.OneByteReader(bytes.NewReader(m.bytes))}); err != nil {
				t.Errorf("byte by byte: %v", err)
			}
			if err := m.read(&reader{src: iotest.DataErrReader(bytes.NewReader(m.bytes))}); err != nil {
				t.Errorf("with the end at once: %v", err)
			}
			// An early end at each offset of the first and last 300.
			for n := range m.bytes {
				if n > 300 && n < len(m.bytes)-300 {
					continue
				}
				err := m.read(readerOf(m.bytes[:n]))
				if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Fatalf("end after %d bytes: %v", n, err)
				}
			}
			err := m.read(readerOf(append(bytes.Clone(m.bytes), 'x')))
			if _, ok := errors.AsType[*violation](err); !ok {
				t.Errorf("a byte too many: %v", err)
			}
		})
	}
}

func TestViolations(t *testing.T) {
	greeting, authentication, request := messages()["greeting"].read, messages()["authentication"].read, messages()["request, IPv4"].read
	tests := []struct {
		name    string
		message string
		read    func(*reader) error
	}{
		{"SOCKS4", "\x04\x01\x80", greeting},
		{"HTTP", "GET / HTTP/1.1", greeting},
		{"no methods", "\x05\x00", greeting},
		{"wrong authentication version", "\x05\x00\x00\x00\x05a.b.c\x00", authentication},
		{"no token", "\x01\x00\x00\x00\x00\x00", authentication},
		{"token too long", "\x01\x00\x10\x00\x00\x00", authentication},
		{"length little endian", "\x01\x05\x00\x00\x00a.b.c\x00", authentication},
		{"Bearer", "\x01\x00\x00\x00\x0cBearer a.b.c\x00", authentication},
		{"trailing NUL", "\x01\x00\x00\x00\x06a.b.c\x00\x00", authentication},
		{"trailing newline", "\x01\x00\x00\x00\x06a.b.c\n\x00", authentication},
		{"Location ID as it is", "\x01\x00\x00\x00\x05a.b.c\x05LOC_1", authentication},
		{"Location ID without padding", "\x01\x00\x00\x00\x05a.b.c\x06TE9DMQ", authentication},
		{"Location ID with line break", "\x01\x00\x00\x00\x05a.b.c\x09TE9DMQ==\n", authentication},
		{"Location ID with stray bits", "\x01\x00\x00\x00\x05a.b.c\x08TE9DMR==", authentication},
		{"request version", "\x04\x01\x00\x01\x0a\x00\x00\x07\x23\x84", request},
		{"reserved", "\x05\x01\x01\x01\x0a\x00\x00\x07\x23\x84", request},
		{"address type", "\x05\x01\x00\x02\x0a\x00\x00\x07\x23\x84", request},
		{"empty domain", "\x05\x01\x00\x03\x00\x23\x84", request},
		{"blank in domain", "\x05\x01\x00\x03\x03a b\x23\x84", request},
		{"NUL in domain", "\x05\x01\x00\x03\x03ab\x00\x23\x84", request},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.read(readerOf([]byte(tt.message)))
			if _, ok := errors.AsType[*violation](err); !ok {
				t.Errorf("%v", err)
			}
		})
	}
}

// FuzzMessages reads anything as each of the messages: no panic, and what is
// taken is exactly one message, which written again gives the bytes read so far.
func FuzzMessages(f *testing.F) {
	for _, m := range messages() {
		if len(m.bytes) < 1000 {
			f.Add(m.bytes)
		}
	}
	f.Add([]byte("\x05\x01\x00\x04" + strings.Repeat("\x00", 18)))
	// A message that ends where the first read does: what follows it is found by
	// whoever reads the next one.
	f.Add([]byte("\x05\x3f" + strings.Repeat("0", 80)))
	f.Fuzz(func(t *testing.T, data []byte) {
		// read lets a function read the data and returns the part it took.
		read := func(f func(*reader) error) ([]byte, bool) {
			src := bytes.NewReader(data)
			err := f(&reader{src: src})
			return data[:len(data)-src.Len()], err == nil
		}
		var methods []byte
		if got, ok := read(func(r *reader) (err error) { methods, err = r.readGreeting(); return err }); ok {
			if want := append([]byte{5, byte(len(methods))}, methods...); !bytes.Equal(want, got) {
				t.Errorf("greeting % x from % x", want, got)
			}
		}
		var a authentication
		if got, ok := read(func(r *reader) (err error) { a, err = r.readAuthentication(); return err }); ok {
			location := base64.StdEncoding.EncodeToString([]byte(a.location))
			want := binary.BigEndian.AppendUint32([]byte{1}, uint32(len(a.token)))
			want = append(append(want, a.token...), byte(len(location)))
			if want = append(want, location...); !bytes.Equal(want, got) {
				t.Errorf("authentication % x from % x", want, got)
			}
		}
		var q request
		if got, ok := read(func(r *reader) (err error) { q, err = r.readRequest(); return err }); ok {
			if len(got) < 7 || got[1] != q.command || got[3] != q.atyp || binary.BigEndian.Uint16(got[len(got)-2:]) != q.port {
				t.Errorf("request %+v from % x", q, got)
			}
			if q.atyp == atypDomain && q.host != string(got[5:len(got)-2]) {
				t.Errorf("host %q from % x", q.host, got)
			}
		}
	})
}
