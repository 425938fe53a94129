package wire

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func broker(t *testing.T, opts ...kfake.Opt) string {
	t.Helper()
	c, err := kfake.NewCluster(append(opts, kfake.NumBrokers(1), kfake.SeedTopics(3, "seeded"))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c.ListenAddrs()[0]
}

func dial(t *testing.T, address string, o DialOptions) *Conn {
	t.Helper()
	c, err := Dial(t.Context(), address, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// metadata requests the topics of the broker.
func metadata(ctx context.Context, c *Conn) (topics []string, err error) {
	version, err := c.Version(3)
	if err != nil {
		return nil, err
	}
	request := kmsg.NewPtrMetadataRequest()
	request.Version = version
	answer, err := c.Request(ctx, request)
	if err != nil {
		return nil, err
	}
	for _, topic := range answer.(*kmsg.MetadataResponse).Topics {
		topics = append(topics, *topic.Topic)
	}
	return topics, nil
}

// TestConn: each of many concurrent requests gets its own response, also with TLS and
// SASL.
func TestConn(t *testing.T) {
	web := httptest.NewTLSServer(nil) // for its certificate, which is for 127.0.0.1
	defer web.Close()
	secure := kfake.TLS(&tls.Config{Certificates: web.TLS.Certificates, MinVersion: tls.VersionTLS12})
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	trusting := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	user := kfake.Superuser("PLAIN", "alice", "sesame")
	for _, tt := range []struct {
		name   string
		broker []kfake.Opt
		o      DialOptions
	}{
		{"plain", nil, DialOptions{}},
		{"TLS", []kfake.Opt{secure}, DialOptions{TLS: trusting}},
		{"PLAIN over TLS", []kfake.Opt{secure, kfake.EnableSASL(), user}, DialOptions{TLS: trusting, SASL: plain.Auth{User: "alice", Pass: "sesame"}.AsMechanism()}},
		{"PLAIN", []kfake.Opt{kfake.EnableSASL(), user}, DialOptions{SASL: plain.Auth{User: "alice", Pass: "sesame"}.AsMechanism()}},
		{"SCRAM", []kfake.Opt{kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-256", "alice", "sesame")}, DialOptions{SASL: scram.Auth{User: "alice", Pass: "sesame"}.AsSha256Mechanism()}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := dial(t, broker(t, tt.broker...), tt.o)
			var work sync.WaitGroup
			for range 8 {
				work.Go(func() {
					for range 20 {
						if topics, err := metadata(t.Context(), c); err != nil || strings.Join(topics, ",") != "seeded" {
							t.Errorf("%q %v", topics, err)
						}
					}
				})
			}
			work.Wait()
		})
	}
}

// TestRefused: when the broker refuses the authentication, the error gives the reason
// and never the password.
func TestRefused(t *testing.T) {
	address := broker(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "alice", "sesame"))
	for _, tt := range []struct {
		name, want string
		mechanism  sasl.Mechanism
	}{
		{"a wrong password", "wire: SASL PLAIN: ", plain.Auth{User: "alice", Pass: "barley"}.AsMechanism()},
		{"an unsupported mechanism", "UNSUPPORTED_SASL_MECHANISM", mechanism("GSSAPI")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Dial(t.Context(), address, DialOptions{SASL: tt.mechanism})
			if err == nil {
				c.Close()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "barley") {
				t.Errorf("%v", err)
			}
		})
	}
}

// mechanism is a SASL mechanism that has only a name.
type mechanism string

func (m mechanism) Name() string { return string(m) }

func (m mechanism) Authenticate(context.Context, string) (sasl.Session, []byte, error) {
	return nil, nil, errors.New("called")
}

// TestNoAnswer: a request ends with its context, and the connection can still be used.
func TestNoAnswer(t *testing.T) {
	server := newScript(t)
	c := dial(t, server.address, DialOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	asked := make(chan struct{})
	server.hold = func() { close(asked) }
	go func() {
		<-asked
		cancel()
	}()
	if _, err := c.Request(ctx, kmsg.NewPtrHeartbeatRequest()); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	server.release <- struct{}{}
	if answer, err := c.Request(t.Context(), kmsg.NewPtrHeartbeatRequest()); err != nil || answer.(*kmsg.HeartbeatResponse).ErrorCode != 0 {
		t.Errorf("%+v %v", answer, err)
	}
}

// TestBroken: when the connection ends, waiting and later requests fail.
func TestBroken(t *testing.T) {
	server := newScript(t)
	c := dial(t, server.address, DialOptions{})
	var asked sync.WaitGroup
	asked.Add(1)
	server.hold = asked.Done
	failed := make(chan error)
	go func() {
		_, err := c.Request(t.Context(), kmsg.NewPtrHeartbeatRequest())
		failed <- err
	}()
	asked.Wait()
	server.conn.Close()
	close(server.release)
	if err := <-failed; !errors.Is(err, io.EOF) {
		t.Errorf("%v", err)
	}
	if _, err := c.Request(t.Context(), kmsg.NewPtrHeartbeatRequest()); !errors.Is(err, io.EOF) {
		t.Errorf("%v", err)
	}
}

// TestOldBroker: the connection works with a broker that supports only version 0 of
// ApiVersions.
func TestOldBroker(t *testing.T) {
	server := newScript(t)
	c := dial(t, server.address, DialOptions{})
	if r, ok := c.Versions(12); !ok || r != (Range{0, 2}) {
		t.Errorf("%+v %v", r, ok)
	}
	if version, err := c.Version(12); err != nil || version != 2 {
		t.Errorf("%d %v", version, err)
	}
	for key, want := range map[int16]string{3: "the broker does not have Metadata", 95: "no API has the key 95", 1: "the broker has Fetch from version 19 on, and 18 is the newest"} {
		if _, err := c.Version(key); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v", err)
		}
	}
}

// TestNames: only the names that the caller sets are sent.
func TestNames(t *testing.T) {
	for _, tt := range []struct {
		name string
		o    DialOptions
		want kmsg.ApiVersionsRequest
	}{
		{"none", DialOptions{}, kmsg.ApiVersionsRequest{Version: 2}},
		{"client id", DialOptions{ClientID: "app"}, kmsg.ApiVersionsRequest{Version: 2}},
		{"software", DialOptions{ClientID: "app", SoftwareName: "app.go", SoftwareVersion: "1.2"}, kmsg.ApiVersionsRequest{Version: 4, ClientSoftwareName: "app.go", ClientSoftwareVersion: "1.2"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := newScript(t)
			dial(t, server.address, tt.o)
			var codec Codec
			for request := range 2 {
				h, m, err := codec.ParseRequest(<-server.requests)
				if err != nil {
					t.Fatal(err)
				}
				if (h.ClientID == nil) != (tt.o.ClientID == "") || h.ClientID != nil && *h.ClientID != tt.o.ClientID {
					t.Errorf("client id %v", h.ClientID)
				}
				want := tt.want
				if request > 0 { // the script supports only version 0
					want.Version, want.ClientSoftwareName, want.ClientSoftwareVersion = 0, "", ""
				}
				if got := *m.(*kmsg.ApiVersionsRequest); got.Version != want.Version || got.ClientSoftwareName != want.ClientSoftwareName || got.ClientSoftwareVersion != want.ClientSoftwareVersion {
					t.Errorf("request %d: %+v, want %+v", request, got, want)
				}
			}
		})
	}
}

// A script is an old broker for one connection. It supports ApiVersions in version 0 and Heartbeat.
type script struct {
	address  string
	conn     net.Conn
	hold     func()        // called when a Heartbeat was read; it is answered after release
	release  chan struct{} // closed or sent to, to release the answer
	requests chan []byte   // the frames that were read; dropped when full
}

func newScript(t *testing.T) *script {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &script{address: l.Addr().String(), release: make(chan struct{}, 1), requests: make(chan []byte, 10)}
	var serving sync.WaitGroup
	serving.Go(func() {
		if s.conn, err = l.Accept(); err == nil {
			s.serve(s.conn)
		}
	})
	t.Cleanup(func() {
		l.Close()
		serving.Wait()
	})
	return s
}

func (s *script) serve(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	var frames Frames
	buffer := make([]byte, 1000)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		_, _ = frames.Write(buffer[:n])
		for frame, _ := frames.Next(); frame != nil; frame, _ = frames.Next() {
			select {
			case s.requests <- bytes.Clone(frame):
			default:
			}
			s.answer(conn, binary.BigEndian.Uint16(frame), binary.BigEndian.Uint16(frame[2:]), int32(binary.BigEndian.Uint32(frame[4:])))
		}
	}
}

func (s *script) answer(conn net.Conn, key, version uint16, id int32) {
	if key == 12 {
		if s.hold != nil {
			s.hold()
			s.hold = nil
			<-s.release
		}
		_, _ = conn.Write(responseFrame(kmsg.NewPtrHeartbeatResponse(), id))
		return
	}
	versions := kmsg.NewPtrApiVersionsResponse()
	if version > 0 {
		versions.ErrorCode = kerr.UnsupportedVersion.Code
	}
	for key, r := range map[int16]Range{12: {0, 2}, 1: {19, 20}} {
		k := kmsg.NewApiVersionsResponseApiKey()
		k.ApiKey, k.MinVersion, k.MaxVersion = key, r.Min, r.Max
		versions.ApiKeys = append(versions.ApiKeys, k)
	}
	_, _ = conn.Write(responseFrame(versions, id))
}

func BenchmarkRequest(b *testing.B) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		b.Fatal(err)
	}
	defer cluster.Close()
	c, err := Dial(b.Context(), cluster.ListenAddrs()[0], DialOptions{})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	for b.Loop() {
		if _, err := metadata(b.Context(), c); err != nil {
			b.Fatal(err)
		}
	}
}
