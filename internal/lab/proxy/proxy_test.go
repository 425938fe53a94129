package proxy_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/connector"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/port"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/proxy"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/socksclient"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/tokenservice"
)

const (
	tenant   = "zone-1"
	location = "LOC1"
	clientID = "sb-a!b1|connectivity!b2"
)

// A fixture is a proxy with a token service behind it, a Cloud Connector and an
// echo server as the broker.
type fixture struct {
	set    *faults.Set
	tokens *tokenservice.Service
	proxy  *proxy.Proxy
	cc     *connector.Connector
	broker *port.Port
	token  string
	hello  chan string // what the broker says first, at each connection; empty: nothing
}

// newFixture starts one for the time of a test.
func newFixture(t *testing.T) *fixture {
	t.Helper()
	x := &fixture{set: &faults.Set{}, broker: listen(t), hello: make(chan string, 10)}
	var err error
	x.tokens, err = tokenservice.Start(tokenservice.Options{ClientID: clientID, Tenant: tenant, Faults: x.set})
	if err != nil {
		t.Fatal(err)
	}
	registry := connector.New(connector.Options{Faults: x.set})
	to := uint16(x.broker.Addr().(*net.TCPAddr).Port)
	dead := listen(t)
	if err := dead.SetDown(true); err != nil {
		t.Fatal(err)
	}
	x.cc, err = registry.Add(tenant, location,
		connector.Entry{Host: "kafka", First: 9092, Internal: "127.0.0.1", InternalFirst: to},
		connector.Entry{Host: "10.0.0.7", First: 9092, Internal: "127.0.0.1", InternalFirst: to},
		connector.Entry{Host: "dead", First: 9092, Internal: "127.0.0.1", InternalFirst: uint16(dead.Addr().(*net.TCPAddr).Port)})
	if err != nil {
		t.Fatal(err)
	}
	x.proxy, err = proxy.Start(proxy.Options{
		Network: registry,
		Verifier: proxy.Verifier{
			Key: x.tokens.Key(), Issuers: []string{x.tokens.Issuer()}, ClientIDs: []string{clientID}, Tenants: []string{tenant, "zone-2"}, Revoked: x.tokens.Revoked,
		},
		Faults: x.set,
	})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go x.serveBroker(served)
	if x.token, err = x.tokens.Issue(tokenservice.Mint{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		registry.Close()
		if err := errors.Join(x.proxy.Close(), x.tokens.Close()); err != nil {
			t.Error(err)
		}
		x.broker.Close()
		<-served
		x.set.Close()
	})
	return x
}

// listen opens a port for the time of a test.
func listen(t *testing.T) *port.Port {
	t.Helper()
	p, err := port.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// serveBroker is the goroutine of a broker that echoes, one connection at a
// time.
func (x *fixture) serveBroker(served chan<- struct{}) {
	defer close(served)
	for {
		conn, err := x.broker.AcceptTCP()
		if err != nil {
			return
		}
		select {
		case hello := <-x.hello:
			conn.Write([]byte(hello))
		default:
		}
		io.Copy(conn, conn)
		conn.Close()
		x.broker.Release(conn)
	}
}

// target is a good one.
func (x *fixture) target() socksclient.Target {
	return socksclient.Target{Proxy: x.proxy.Addr().String(), Token: x.token, LocationID: location, Host: "kafka", Port: 9092}
}

// add adds a fault.
func (x *fixture) add(t *testing.T, f faults.Fault) string {
	t.Helper()
	f, err := x.set.Add(f)
	if err != nil {
		t.Fatal(err)
	}
	return f.ID
}

// echo checks that an open connection works and closes it.
func echo(t *testing.T, conn net.Conn) {
	t.Helper()
	defer conn.Close()
	if _, err := conn.Write([]byte("ping")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 4)
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != "ping" {
		t.Fatalf("%q, %v", got, err)
	}
}

// dial opens a connection through the proxy.
func dial(t *testing.T, to socksclient.Target) (*net.TCPConn, error) {
	t.Helper()
	conn, err := socksclient.Dial(t.Context(), to)
	if err == nil {
		t.Cleanup(func() { conn.Close() })
	}
	return conn, err
}

// last returns the newest record.
func last(t *testing.T, p *proxy.Proxy) proxy.Connect {
	t.Helper()
	list := p.Connects()
	if len(list) == 0 {
		t.Fatal("no record")
	}
	return list[len(list)-1]
}

func TestGranted(t *testing.T) {
	x := newFixture(t)
	tests := map[string]func(*socksclient.Target){
		"as documented":   func(*socksclient.Target) {},
		"two methods":     func(to *socksclient.Target) { to.Greeting = []byte{5, 2, 0, 0x80} },
		"four methods":    func(to *socksclient.Target) { to.Greeting = []byte{5, 4, 0, 1, 2, 0x80} },
		"upper case":      func(to *socksclient.Target) { to.Host = "KAFKA" },
		"IPv4":            func(to *socksclient.Target) { to.Host = "10.0.0.7" },
		"IPv4 as domain":  func(to *socksclient.Target) { to.Host, to.Domain = "10.0.0.7", true },
		"token of 40 KB":  func(to *socksclient.Target) { to.Token, _ = x.tokens.Issue(tokenservice.Mint{Bytes: 40 << 10}) },
		"token of 200 KB": func(to *socksclient.Target) { to.Token, _ = x.tokens.Issue(tokenservice.Mint{Bytes: 200 << 10}) },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			to := x.target()
			change(&to)
			conn, err := dial(t, to)
			if err != nil {
				t.Fatal(err)
			}
			r := last(t, x.proxy)
			if r.Result != proxy.Granted || r.Tenant != tenant || r.LocationID != location || r.Internal != x.broker.String() ||
				!strings.HasSuffix(r.Target, ":9092") || r.Took <= 0 {
				t.Errorf("record %+v", r)
			}
			echo(t, conn)
		})
	}
	if got := x.proxy.Counts()[proxy.Granted]; got != len(tests) {
		t.Errorf("%d granted", got)
	}
	if v := x.proxy.Violations(); len(v) != 0 {
		t.Errorf("violations %q", v)
	}
}

func TestReplies(t *testing.T) {
	x := newFixture(t)
	other, _ := x.tokens.Issue(tokenservice.Mint{Tenant: "zone-2"})
	tests := []struct {
		name   string
		change func(*socksclient.Target)
		fault  faults.Fault
		code   byte
	}{
		{"no entry", func(to *socksclient.Target) { to.Port = 9093 }, faults.Fault{}, 2},
		{"unknown Location ID", func(to *socksclient.Target) { to.LocationID = "LOC2" }, faults.Fault{}, 3},
		{"no Location ID", func(to *socksclient.Target) { to.LocationID = "" }, faults.Fault{}, 3},
		{"tenant without connector", func(to *socksclient.Target) { to.Token = other }, faults.Fault{}, 3},
		{"broker down", func(to *socksclient.Target) { to.Host = "dead" }, faults.Fault{}, 4},
		{"connector away", nil, faults.Fault{Kind: faults.ConnectorAway}, 3},
		{"entry removed", nil, faults.Fault{Kind: faults.AccessRemoved}, 2},
		{"reply 1", nil, faults.Fault{Kind: faults.ConnectReply, Reply: 1, Target: "kafka:9092"}, 1},
		{"reply 6", nil, faults.Fault{Kind: faults.ConnectReply, Reply: 6}, 6},
		{"reply 200", nil, faults.Fault{Kind: faults.ConnectReply, Reply: 200}, 200},
	}
	for _, tt := range tests {
		for _, short := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, short=%v", tt.name, short), func(t *testing.T) {
				defer x.set.Clear()
				if tt.fault.Kind != "" {
					x.add(t, tt.fault)
				}
				if short {
					x.add(t, faults.Fault{Kind: faults.ShortReply})
				}
				to := x.target()
				if tt.change != nil {
					tt.change(&to)
				}
				_, err := dial(t, to)
				refused, ok := errors.AsType[*socksclient.Refused](err)
				if !ok || refused.Step != "connect" || refused.Code != tt.code {
					t.Fatalf("%v, want reply %02x", err, tt.code)
				}
				if r := last(t, x.proxy); r.Result != proxy.Reply(tt.code) || r.Reason == "" {
					t.Errorf("record %+v", r)
				}
			})
		}
	}
	for n, message := range map[int][]byte{
		7: {5, 2, 0, 1, 10, 0, 0, 7, 0x23, 0x84},
		8: append([]byte{5, 1, 0, 4}, make([]byte, 18)...),
	} {
		conn := authenticated(t, x)
		conn.Write(message)
		answer, err := io.ReadAll(conn)
		if want := []byte{5, byte(n), 0, 1, 0, 0, 0, 0, 0, 0}; err != nil || !slices.Equal(answer, want) {
			t.Errorf("% x, %v, want % x", answer, err, want)
		}
	}
}

// authenticated returns a connection after the authentication.
func authenticated(t *testing.T, x *fixture) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", x.proxy.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	for _, step := range []struct{ send, want []byte }{
		{[]byte{5, 1, 0x80}, []byte{5, 0x80}},
		{socksclient.Authentication(x.token, location), []byte{1, 0}},
	} {
		conn.Write(step.send)
		got := make([]byte, 2)
		if _, err := io.ReadFull(conn, got); err != nil || !slices.Equal(got, step.want) {
			t.Fatalf("% x, %v, want % x", got, err, step.want)
		}
	}
	return conn
}

// signed returns a token with these claims, signed with the key.
func signed(t *testing.T, key any, alg jose.SignatureAlgorithm, claims map[string]any) string {
	t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(s).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestBadTokens(t *testing.T) {
	x := newFixture(t)
	issue := func(m tokenservice.Mint) string {
		token, err := x.tokens.Issue(m)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	good := map[string]any{"iss": x.tokens.Issuer(), "zid": tenant, "client_id": clientID, "exp": time.Now().Add(time.Hour).Unix()}
	revoked := issue(tokenservice.Mint{})
	x.tokens.RevokeAll()
	x.token = issue(tokenservice.Mint{})
	tampered := []byte(x.token)
	tampered[len(tampered)-10] ^= 1
	tokens := map[string]string{
		"not a JWT":       "abc",
		"expired":         issue(tokenservice.Mint{Life: -time.Hour}),
		"wrong signature": signed(t, stranger, jose.RS256, good),
		"tampered":        string(tampered),
		"other algorithm": signed(t, stranger, jose.RS512, good),
		"symmetric":       signed(t, []byte(strings.Repeat("k", 32)), jose.HS256, good),
		"wrong issuer":    issue(tokenservice.Mint{Issuer: "https://elsewhere"}),
		"wrong client":    issue(tokenservice.Mint{ClientID: "somebody"}),
		"unknown tenant":  issue(tokenservice.Mint{Tenant: "zone-9"}),
		"revoked":         revoked,
	}
	for name, token := range tokens {
		t.Run(name, func(t *testing.T) {
			to := x.target()
			to.Token = token
			_, err := dial(t, to)
			if refused, ok := errors.AsType[*socksclient.Refused](err); !ok || refused.Step != "authentication" {
				t.Errorf("%v", err)
			}
			r := last(t, x.proxy)
			if r.Result != proxy.AuthStatus || r.Reason == "" || strings.Contains(r.Reason, token) {
				t.Errorf("record %+v", r)
			}
		})
	}
	if conn, err := dial(t, x.target()); err != nil {
		t.Errorf("a good token: %v", err)
	} else {
		echo(t, conn)
	}
}

func TestHowABadTokenIsAnswered(t *testing.T) {
	x := newFixture(t)
	tests := []struct {
		mode   string
		result string
		check  func(error) bool
	}{
		{faults.ModeStatus, proxy.AuthStatus, func(err error) bool {
			r, ok := errors.AsType[*socksclient.Refused](err)
			return ok && r.Step == "authentication"
		}},
		{faults.ModeReply, proxy.Reply(5), func(err error) bool {
			r, ok := errors.AsType[*socksclient.Refused](err)
			return ok && r.Step == "connect" && r.Code == 5
		}},
		{faults.ModeEOF, proxy.AuthEOF, func(err error) bool { return errors.Is(err, io.EOF) }},
		{faults.ModeReset, proxy.AuthReset, func(err error) bool {
			_, refused := errors.AsType[*socksclient.Refused](err)
			return err != nil && !refused && !errors.Is(err, io.EOF)
		}},
	}
	for _, tt := range tests {
		for kind, token := range map[faults.Kind]string{faults.BadToken: "bad", faults.AuthRefused: x.token, faults.TokenLimit: x.token} {
			t.Run(fmt.Sprintf("%s %s", kind, tt.mode), func(t *testing.T) {
				defer x.set.Clear()
				f := faults.Fault{Kind: kind, Mode: tt.mode, Count: 1}
				if kind == faults.TokenLimit {
					f.Bytes = int64(len(token)) - 1
				}
				x.add(t, f)
				to := x.target()
				to.Token = token
				if _, err := dial(t, to); !tt.check(err) {
					t.Errorf("%v", err)
				}
				if r := last(t, x.proxy); r.Result != tt.result {
					t.Errorf("record %+v", r)
				}
				// bad_token leaves good ones alone, the others are used up.
				conn, err := dial(t, x.target())
				if err != nil {
					t.Fatal(err)
				}
				echo(t, conn)
			})
		}
	}
}

func TestPayloadBeforeTheReply(t *testing.T) {
	x := newFixture(t)
	handshake := slices.Concat([]byte{5, 1, 0x80}, socksclient.Authentication(x.token, location), socksclient.Request(x.target()))
	violations := 0
	expectViolation := func(what string) {
		t.Helper()
		violations++
		if err := x.proxy.Await(t.Context(), proxy.Violation, violations); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	// All at once.
	conn, err := net.Dial("tcp", x.proxy.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.Write(handshake)
	expectViolation("all at once")
	io.Copy(io.Discard, conn)

	// Payload right behind the request.
	conn = authenticated(t, x)
	conn.Write(append(socksclient.Request(x.target()), "payload"...))
	expectViolation("behind the request")
	io.Copy(io.Discard, conn)

	// Payload while the proxy takes its time with the reply.
	id := x.add(t, faults.Fault{Kind: faults.HandshakeSlow, Count: 1})
	conn, err = net.Dial("tcp", x.proxy.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.Write([]byte{5, 1, 0x80})
	if err := x.set.Wait(t.Context(), id, 1); err != nil {
		t.Fatal(err)
	}
	conn.Write([]byte{1})
	expectViolation("during the wait")
	io.Copy(io.Discard, conn)
	if v := x.proxy.Violations(); len(v) != 3 {
		t.Errorf("%q", v)
	}
}

func TestClientLeaves(t *testing.T) {
	x := newFixture(t)
	// During each step.
	whole := slices.Concat([]byte{5, 1, 0x80})
	for n := range len(whole) {
		conn, err := net.Dial("tcp", x.proxy.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conn.Write(whole[:n])
		conn.Close()
		if err := x.proxy.Await(t.Context(), proxy.ClientGone, n+1); err != nil {
			t.Fatal(err)
		}
	}
	// While the connector's dial hangs: the dial is cancelled.
	gone := x.proxy.Counts()[proxy.ClientGone]
	hanging := make(chan struct{})
	p, err := proxy.Start(proxy.Options{Network: hangingNetwork{hanging}, Verifier: proxy.Verifier{Key: x.tokens.Key()}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() {
		to := x.target()
		to.Proxy = p.Addr().String()
		_, err := socksclient.Dial(ctx, to)
		result <- err
	}()
	<-hanging
	cancel()
	if err := <-result; err == nil {
		t.Error("granted")
	}
	if err := p.Await(t.Context(), proxy.ClientGone, 1); err != nil {
		t.Error(err)
	}
	if got := x.proxy.Counts()[proxy.ClientGone]; got != gone {
		t.Errorf("the other proxy counted %d more", got-gone)
	}
}

// hangingNetwork connects until the attempt is cancelled.
type hangingNetwork struct{ begun chan struct{} }

// Connect waits for the end of ctx.
func (h hangingNetwork) Connect(ctx context.Context, _ connector.Target) (*connector.Link, error) {
	close(h.begun)
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestVariantsOfAGoodAnswer(t *testing.T) {
	x := newFixture(t)
	for _, f := range []faults.Fault{
		{Kind: faults.BindAddress, Mode: faults.ModeDomain},
		{Kind: faults.BindAddress, Mode: faults.ModeIPv6},
		{Kind: faults.HandshakeTrickle},
		{Kind: faults.HandshakeTrickle, Delay: faults.Duration(100 * time.Microsecond)},
		{Kind: faults.HandshakeSlow, Delay: faults.Duration(time.Millisecond)},
		{Kind: faults.Coalesce, Delay: faults.Duration(time.Millisecond)},
	} {
		t.Run(fmt.Sprint(f.Kind, f.Mode), func(t *testing.T) {
			defer x.set.Clear()
			x.add(t, f)
			conn, err := dial(t, x.target())
			if err != nil {
				t.Fatal(err)
			}
			echo(t, conn)
		})
	}
}

func TestCoalescedPayloadIsNotLost(t *testing.T) {
	x := newFixture(t)
	x.add(t, faults.Fault{Kind: faults.Coalesce, Delay: faults.Duration(time.Minute)})
	x.hello <- "220 hello"
	conn := authenticated(t, x)
	conn.Write(socksclient.Request(x.target()))
	want := "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00220 hello"
	// One write on loopback is one read.
	got := make([]byte, 100)
	n, err := conn.Read(got)
	if err != nil || string(got[:n]) != want {
		t.Errorf("%q, %v", got[:n], err)
	}
	echo(t, conn)
}

func TestSilence(t *testing.T) {
	x := newFixture(t)
	for i, mode := range []string{faults.ModeAccept, faults.ModeGreet, faults.ModeAuth, faults.ModeConnect} {
		id := x.add(t, faults.Fault{Kind: faults.ProxySilent, Mode: mode, Count: 1})
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 1)
		go func() {
			_, err := socksclient.Dial(ctx, x.target())
			result <- err
		}()
		if err := x.proxy.Await(t.Context(), proxy.Silent, i+1); err != nil {
			t.Fatal(err)
		}
		x.set.Remove(id)
		select {
		case err := <-result:
			t.Errorf("%s: answered with %v", mode, err)
		default:
		}
		cancel()
		if err := <-result; !errors.Is(err, context.Canceled) && err == nil {
			t.Errorf("%s: %v", mode, err)
		}
		if r := last(t, x.proxy); r.Result != proxy.Silent || r.Reason != mode {
			t.Errorf("record %+v", r)
		}
	}
}

func TestRefusedMethodAndRubbish(t *testing.T) {
	x := newFixture(t)
	ask := func(greeting []byte) string {
		conn, err := net.Dial("tcp", x.proxy.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.Write(greeting)
		answer, err := io.ReadAll(conn)
		if err != nil {
			t.Errorf("% x: %v", greeting, err)
		}
		return string(answer)
	}
	for _, greeting := range [][]byte{{5, 1, 0}, {5, 2, 0, 2}} {
		if got := ask(greeting); got != "\x05\xff" {
			t.Errorf("% x: %q", greeting, got)
		}
	}
	x.add(t, faults.Fault{Kind: faults.MethodRefused, Count: 1})
	if got := ask([]byte{5, 1, 0x80}); got != "\x05\xff" {
		t.Errorf("%q", got)
	}
	x.add(t, faults.Fault{Kind: faults.ProxyRubbish, Count: 1})
	if got := ask([]byte{5, 1, 0x80}); !strings.HasPrefix(got, "HTTP/1.1 400") {
		t.Errorf("%q", got)
	}
	if c := x.proxy.Counts(); c[proxy.MethodRefused] != 3 || c[proxy.Rubbish] != 1 {
		t.Errorf("%v", c)
	}
}

func TestProxyDownAndBack(t *testing.T) {
	x := newFixture(t)
	conn, err := dial(t, x.target())
	if err != nil {
		t.Fatal(err)
	}
	id := x.add(t, faults.Fault{Kind: faults.ProxyDown})
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("open connection: %v, want a reset", err)
	}
	if _, err := dial(t, x.target()); err == nil {
		t.Error("a proxy that is down took a connection")
	}
	x.set.Remove(id)
	if conn, err = dial(t, x.target()); err != nil {
		t.Fatal(err)
	}
	echo(t, conn)
}

func TestHalfCloseThroughTheProxy(t *testing.T) {
	x := newFixture(t)
	conn, err := dial(t, x.target())
	if err != nil {
		t.Fatal(err)
	}
	conn.Write([]byte("last"))
	conn.CloseWrite()
	if got, err := io.ReadAll(conn); err != nil || string(got) != "last" {
		t.Errorf("%q, %v", got, err)
	}
}
