package admin

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const (
	probeRequest = "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
	halfRequest  = "GET /livez HTTP/1.1\r\nHost: localhost\r\nX: "
	keepRequest  = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
	readyRequest = "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"
	largeRequest = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
)

// large is an answer that no socket buffer holds. It counts the handlers that are running.
type large struct{ running atomic.Int64 }

func (l *large) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	l.running.Add(1)
	defer l.running.Add(-1)
	part := make([]byte, 1<<20)
	for range 64 {
		if _, err := w.Write(part); err != nil {
			return
		}
	}
}

// hogs are the clients that take all connections, each of a kind that does nothing more.
var hogs = []struct {
	name, request string
	answer        bool // it reads one, and stays
}{
	{"silent", "", false},
	{"half a request", halfRequest, false},
	{"idle", keepRequest, true},
	{"does not read", largeRequest, false},
	{"does not read a small answer", readyRequest, false},
}

func probe(c net.Conn) (string, error) {
	if _, err := io.WriteString(c, probeRequest); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(c)
	return string(answer), err
}

// TestAProbeIsAnsweredAtOnce: in virtual time, which passes only when nothing else happens.
func TestAProbeIsAnsweredAtOnce(t *testing.T) {
	for _, hog := range hogs {
		t.Run(hog.name, func(t *testing.T) {
			virtual(t, &Server{Source: trouble(), Metrics: new(large)}, func(l *pipeListener) {
				var open []net.Conn
				for range maxConnections {
					c := l.dial()
					open = append(open, c)
					io.WriteString(c, hog.request)
					if hog.answer {
						http.ReadResponse(bufio.NewReader(c), nil)
					}
				}
				synctest.Wait()
				start := time.Now()
				for range 10 {
					if answer, err := probe(l.dial()); !strings.Contains(answer, " 200 OK") {
						t.Fatalf("%q %v", answer, err)
					}
				}
				if took := time.Since(start); took != 0 {
					t.Errorf("the probes took %v", took)
				}
				for _, c := range open {
					c.Close()
				}
			})
		})
	}
}

// TestAProbeIsAnsweredBesideHogs: over real sockets, while the connections of the others are
// open. Each probe may cost one of them its connection, and no time-out ends any.
func TestAProbeIsAnsweredBesideHogs(t *testing.T) {
	for _, hog := range hogs {
		t.Run(hog.name, func(t *testing.T) {
			metrics := new(large)
			address := strings.TrimPrefix(serve(t, &Server{Source: trouble(), Metrics: metrics}), "http://")
			var ended atomic.Int64
			var readers sync.WaitGroup
			var open []net.Conn
			dial := func() net.Conn {
				c, err := net.Dial("tcp", address)
				if err != nil {
					t.Fatal(err)
				}
				return c
			}
			for range maxConnections {
				c := dial()
				open = append(open, c)
				io.WriteString(c, hog.request)
				r := bufio.NewReader(c)
				if hog.answer {
					if _, err := http.ReadResponse(r, nil); err != nil {
						ended.Add(1)
						continue
					}
				}
				if hog.request == largeRequest || hog.request == readyRequest {
					continue
				}
				readers.Go(func() {
					io.Copy(io.Discard, r)
					ended.Add(1)
				})
			}
			for range 3 {
				c := dial()
				if answer, err := probe(c); !strings.Contains(answer, " 200 OK") {
					t.Fatalf("%q %v", answer, err)
				}
				c.Close()
			}
			most := int64(3)
			if hog.answer {
				most += maxConnections - maxIdle
			}
			if n := ended.Load(); n > most {
				t.Errorf("%d connections have ended before the probes were answered, want at most %d", n, most)
			}
			if n := metrics.running.Load(); n > maxAnswers {
				t.Errorf("%d large answers are being written", n)
			}
			for _, c := range open {
				c.Close()
			}
			readers.Wait()
		})
	}
}

// TestConnectionsAreBounded: however many clients connect, the number of open connections is
// limited, and the oldest is closed.
func TestConnectionsAreBounded(t *testing.T) {
	virtual(t, &Server{Source: trouble()}, func(l *pipeListener) {
		const all = 5 * maxConnections
		var ended [all]atomic.Bool
		var open []net.Conn
		for i := range all {
			c := l.dial()
			open = append(open, c)
			go func() {
				io.WriteString(c, halfRequest)
				io.Copy(io.Discard, c)
				ended[i].Store(true)
			}()
			synctest.Wait()
			time.Sleep(time.Millisecond) // synctest: the order of their ages
		}
		for i := range all {
			if got, want := ended[i].Load(), i < all-maxConnections; got != want {
				t.Fatalf("connection %d has ended: %t", i, got)
			}
		}
		for _, c := range open {
			c.Close()
		}
	})
}

// TestIdleConnectionsAreBounded: the oldest ends when there is one too many.
func TestIdleConnectionsAreBounded(t *testing.T) {
	virtual(t, &Server{Source: trouble()}, func(l *pipeListener) {
		var ended [maxIdle + 2]atomic.Bool
		var open []net.Conn
		for i := range ended {
			c := l.dial()
			open = append(open, c)
			io.WriteString(c, keepRequest)
			r := bufio.NewReader(c)
			if _, err := http.ReadResponse(r, nil); err != nil {
				t.Fatal(err)
			}
			go func() {
				io.Copy(io.Discard, r)
				ended[i].Store(true)
			}()
			synctest.Wait()
			time.Sleep(time.Millisecond) // synctest
		}
		for i := range ended {
			if got := ended[i].Load(); got != (i < 2) {
				t.Errorf("connection %d has ended: %t", i, got)
			}
		}
		for _, c := range open {
			c.Close()
		}
	})
}

// TestAnAnswerIsReadInTimeOrNotAtAll: a client that does not read holds it for writeTimeout.
func TestAnAnswerIsReadInTimeOrNotAtAll(t *testing.T) {
	metrics := new(large)
	virtual(t, &Server{Source: trouble(), Metrics: metrics}, func(l *pipeListener) {
		c := l.dial()
		defer c.Close()
		io.WriteString(c, largeRequest)
		time.Sleep(writeTimeout - time.Second) // synctest
		synctest.Wait()
		if got := metrics.running.Load(); got != 1 {
			t.Error("it was cut early")
		}
		time.Sleep(2 * time.Second) // synctest
		synctest.Wait()
		if got := metrics.running.Load(); got != 0 {
			t.Errorf("%d answers are left", got)
		}
	})
}

// TestLargeAnswersAreMadeAFewAtATime: the others wait, and get an error after a time. A slot
// that is free again is used.
func TestLargeAnswersAreMadeAFewAtATime(t *testing.T) {
	virtual(t, &Server{Source: trouble(), Metrics: new(large)}, func(l *pipeListener) {
		var open []net.Conn
		for range maxAnswers {
			c := l.dial()
			open = append(open, c)
			io.WriteString(c, largeRequest)
		}
		synctest.Wait()
		ask := func() int {
			c := l.dial()
			open = append(open, c)
			io.WriteString(c, "GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n")
			response, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			return response.StatusCode
		}
		if got := ask(); got != http.StatusServiceUnavailable {
			t.Errorf("while all are taken: %d", got)
		}
		open[0].Close()
		if got := ask(); got != http.StatusOK {
			t.Errorf("with a free one: %d", got)
		}
		for _, c := range open {
			c.Close()
		}
	})
}

// TestServeEndsWhileAConnectionWaits: to be accepted.
func TestServeEndsWhileAConnectionWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		l := newPipeListener()
		stuck := make(chan struct{})
		metrics := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stuck })
		done := make(chan error, 1)
		go func() { done <- (&Server{Source: trouble(), Metrics: metrics}).Serve(ctx, l) }()
		var open []net.Conn
		for range maxConnections + reserve + 1 {
			c := l.dial()
			open = append(open, c)
			go io.WriteString(c, largeRequest)
			synctest.Wait()
		}
		cancel()
		synctest.Wait()
		close(stuck)
		for _, c := range open {
			c.Close()
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
