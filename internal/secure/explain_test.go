package secure

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/authority"
)

// broker is the other side of a TCP connection.
type broker func(conn net.Conn)

// handshake performs one against a broker; what is given up with the broker's name is
// the failure.
func handshake(ctx context.Context, t *testing.T, roots *x509.CertPool, b broker) (net.Conn, error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	near, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	done := make(chan struct{})
	go func() { defer close(done); b(far) }()
	t.Cleanup(func() { _ = near.Close(); _ = far.Close(); <-done })
	return Client(ctx, near, Config(roots), Peer{ServerName: "kafka-1.corp", Target: "v1:9093", LocationID: "LOC"})
}

// speaks is a broker with a certificate.
func speaks(cert tls.Certificate, change func(*tls.Config)) broker {
	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS10} //nolint:gosec // what old brokers speak
	if change != nil {
		change(config)
	}
	return func(conn net.Conn) { _ = tls.Server(conn, config).Handshake() }
}

func issue(t *testing.T, a *authority.Authority, r authority.Request) tls.Certificate {
	t.Helper()
	cert, err := a.Issue(r)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestHandshakes(t *testing.T) {
	company, err := authority.New("the company")
	if err != nil {
		t.Fatal(err)
	}
	other, err := authority.New("another authority")
	if err != nil {
		t.Fatal(err)
	}
	good := issue(t, company, authority.Request{Names: []string{"kafka-1.corp"}})
	many := make([]string, 30)
	for i := range many {
		many[i] = "k" + string(rune('a'+i%26)) + ".corp"
	}
	yesterday := time.Now().Add(-24 * time.Hour)
	tests := []struct {
		name   string
		broker broker
		code   failure.Code // "": it succeeds
		detail string       // a part of it
	}{
		{"TLS 1.3", speaks(good, nil), "", ""},
		{"TLS 1.2", speaks(good, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }), "", ""},
		{"TLS 1.1", speaks(good, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS11 }), failure.TLSRefused, "the broker's alert: protocol version not supported"},
		{"a wildcard", speaks(issue(t, company, authority.Request{Names: []string{"*.corp"}}), nil), "", ""},
		{"another authority", speaks(issue(t, other, authority.Request{Names: []string{"kafka-1.corp"}}), nil), failure.TLSUnknownAuthority, `certificate of "CN=kafka-1.corp", issued by "CN=another authority"`},
		{"another name", speaks(issue(t, company, authority.Request{Names: []string{"a.corp", "10.0.0.7"}}), nil), failure.TLSWrongName, "certificate for a.corp, 10.0.0.7, not for kafka-1.corp; to accept it: KAFKA_TUNNEL_TLS_SERVER_NAME=a.corp"},
		{"another wildcard", speaks(issue(t, company, authority.Request{Names: []string{"*.brokers.corp"}}), nil), failure.TLSWrongName, "to accept it: KAFKA_TUNNEL_TLS_SERVER_NAME=kafka-1.brokers.corp"},
		{"many names", speaks(issue(t, company, authority.Request{Names: many}), nil), failure.TLSWrongName, "kt.corp and 10 more, not for"},
		{"a name for the terminal", speaks(issue(t, company, authority.Request{Names: []string{"a'$(x)"}}), nil), failure.TLSWrongName, "certificate for a??(x), not for"},
		{"no name at all", speaks(issue(t, company, authority.Request{}), nil), failure.TLSWrongName, "without a subject alternative name"},
		{"expired", speaks(issue(t, company, authority.Request{Names: []string{"kafka-1.corp"}, Expired: yesterday}), nil), failure.TLSExpired, "expired at " + yesterday.UTC().Format("2006-01-02T15:04")},
		{"no cipher in common", speaks(good, func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}
		}), failure.TLSRefused, "the broker's alert: handshake failure"},
		{"a client certificate is wanted, TLS 1.2", speaks(good, func(c *tls.Config) { c.MaxVersion, c.ClientAuth = tls.VersionTLS12, tls.RequireAnyClientCert }), failure.TLSRefused, "the broker's alert: "},
		{"a plaintext broker", func(c net.Conn) { _, _ = c.Read(make([]byte, 4)); _ = c.Close() }, failure.TLSNotSpoken, "closed without an answer"},
		{"a reset", func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0); _ = c.Close() }, failure.TLSNotSpoken, "closed without an answer"},
		{"HTTP", func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }, failure.TLSNotSpoken, "first bytes 48 54 54 50 2f"},
		{"nobody", func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, failure.TLSSilent, ""},
		{"rubbish inside", func(c net.Conn) { _, _ = c.Write([]byte{22, 3, 3, 0, 5, 99, 0, 0, 1, 0}) }, failure.TLSFailed, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			limit := time.Minute
			if tt.code == failure.TLSSilent {
				limit = 50 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			conn, err := handshake(ctx, t, company.Roots(), tt.broker)
			if err == nil {
				_ = conn.Close()
			}
			f, ok := failure.As(err)
			if tt.code == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !ok || f.Code != tt.code || !strings.Contains(f.Detail, tt.detail) || f.Target != "v1:9093" || f.LocationID != "LOC" {
				t.Errorf("got %+v, want %s with %q", f, tt.code, tt.detail)
			}
			if f != nil && f.Entry().Retry != failure.RetryAddress {
				t.Errorf("%s does not pace its address", f.Code)
			}
		})
	}
}

// TestAClientThatLeaves: its end is no failure of the broker.
func TestAClientThatLeaves(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	_, err := handshake(ctx, t, nil, func(c net.Conn) {
		_, _ = c.Read(make([]byte, 4))
		cancel()
		_, _ = io.Copy(io.Discard, c)
	})
	if _, classified := failure.As(err); classified || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestRefusalAfterTheHandshake: in TLS 1.3 a broker finds only then that it wants a
// certificate.
func TestRefusalAfterTheHandshake(t *testing.T) {
	a, err := authority.New("the company")
	if err != nil {
		t.Fatal(err)
	}
	cert := issue(t, a, authority.Request{Names: []string{"kafka-1.corp"}})
	conn, err := handshake(t.Context(), t, a.Roots(), speaks(cert, func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert }))
	if err != nil {
		t.Fatal(err)
	}
	_, err = conn.Read(make([]byte, 1))
	if f := Refusal(err); f == nil || f.Code != failure.TLSRefused || f.Detail != "the broker's alert: certificate required" {
		t.Errorf("%v is told as %v", err, f)
	}
	if f := Refusal(io.EOF); f != nil {
		t.Errorf("an end is told as %v", f)
	}
}

// TestASecondHandshakeIsShorter: brokers that clients return to know the session.
func TestASecondHandshakeIsShorter(t *testing.T) {
	a, err := authority.New("the company")
	if err != nil {
		t.Fatal(err)
	}
	server := &tls.Config{Certificates: []tls.Certificate{issue(t, a, authority.Request{Names: []string{"kafka-1.corp"}})}, MinVersion: tls.VersionTLS12}
	config := Config(a.Roots())
	for i := range 2 {
		near, far := net.Pipe()
		done := make(chan bool)
		go func() {
			over := tls.Server(far, server)
			_, _ = over.Write([]byte("x")) // behind it the client has read the ticket
			done <- over.ConnectionState().DidResume
			_ = far.Close()
		}()
		conn, err := Client(t.Context(), near, config, Peer{ServerName: "kafka-1.corp"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		if resumed := <-done; resumed != (i == 1) {
			t.Errorf("handshake %d: resumed is %v", i, resumed)
		}
		_ = near.Close()
	}
}

func TestParseRoots(t *testing.T) {
	a, err := authority.New("the company")
	if err != nil {
		t.Fatal(err)
	}
	cert := string(a.PEM())
	key := "-----BEGIN EC PRIVATE KEY-----\nMAo=\n-----END EC PRIVATE KEY-----\n"
	for _, tt := range []struct{ name, text, wrong string }{
		{"one", cert, ""},
		{"with words around it", "the company\n" + cert + "\n" + cert, ""},
		{"with a key", key + cert, ""},
		{"nothing", "", "contains no certificate in PEM form"},
		{"a key alone", key, "contains no certificate, but a ec private key"},
		{"broken", "-----BEGIN CERTIFICATE-----\nMAo=\n-----END CERTIFICATE-----\n", "certificate 1 cannot be read"},
	} {
		pool, err := ParseRoots([]byte(tt.text))
		switch {
		case tt.wrong == "" && (err != nil || !pool.Equal(a.Roots())):
			t.Errorf("%s: %v", tt.name, err)
		case tt.wrong != "" && (err == nil || !strings.Contains(err.Error(), tt.wrong)):
			t.Errorf("%s: %v, want %q", tt.name, err, tt.wrong)
		}
	}
}
