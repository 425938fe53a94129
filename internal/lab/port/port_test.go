package port

import (
	"errors"
	"io"
	"net"
	"runtime"
	"syscall"
	"testing"
)

// listen opens a port for the time of a test.
func listen(t *testing.T) *Port {
	t.Helper()
	p, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// connect opens a connection and returns both ends.
func connect(t *testing.T, p *Port) (client, server *net.TCPConn) {
	t.Helper()
	conn, err := net.Dial("tcp", p.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	server, err = p.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return conn.(*net.TCPConn), server
}

func TestDownRefusesAndResets(t *testing.T) {
	p := listen(t)
	for range 3 {
		client, _ := connect(t, p)
		if err := p.SetDown(true); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("open connection: %v, want a reset", err)
		}
		if conn, err := net.Dial("tcp", p.String()); err == nil {
			conn.Close()
			t.Error("a port that is down took a connection")
		}
		if n := p.Open(); n != 0 {
			t.Errorf("%d connections open", n)
		}
		if err := p.SetDown(false); err != nil {
			t.Fatal(err)
		}
		client, server := connect(t, p)
		if _, err := client.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := server.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNumberIsHeld opens as many sockets as it takes to make the kernel give
// every free number away once: none may get the number of a port that is down.
func TestNumberIsHeld(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux holds the number")
	}
	p := listen(t)
	if err := p.SetDown(true); err != nil {
		t.Fatal(err)
	}
	var open []net.Listener
	defer func() {
		for _, ln := range open {
			ln.Close()
		}
	}()
	for range 500 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, ln)
		if ln.Addr().String() == p.String() {
			t.Fatalf("the kernel gave %s away", p)
		}
	}
	// A connection that asks for exactly this source port does not get it.
	d := net.Dialer{LocalAddr: p.Addr()}
	if conn, err := d.Dial("tcp", open[0].Addr().String()); err == nil {
		conn.Close()
		t.Error("a connection got the held number as its source")
	} else if !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("dial from the held number: %v", err)
	}
	if err := p.SetDown(false); err != nil {
		t.Fatal(err)
	}
}

func TestAcceptWaitsWhileDown(t *testing.T) {
	p := listen(t)
	if err := p.SetDown(true); err != nil {
		t.Fatal(err)
	}
	accepted := make(chan error, 1)
	go acceptOne(p, accepted)
	if err := p.SetDown(false); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", p.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := <-accepted; err != nil {
		t.Fatal(err)
	}
}

// acceptOne accepts one connection through the net.Listener form and closes it.
func acceptOne(p *Port, result chan<- error) {
	conn, err := p.Accept()
	if err == nil {
		err = conn.Close()
	}
	result <- err
}

func TestCloseEndsAccept(t *testing.T) {
	for _, down := range []bool{false, true} {
		p := listen(t)
		if err := p.SetDown(down); err != nil {
			t.Fatal(err)
		}
		accepted := make(chan error, 1)
		go acceptOne(p, accepted)
		p.Close()
		if err := <-accepted; !errors.Is(err, net.ErrClosed) {
			t.Errorf("accept after Close with down=%v: %v", down, err)
		}
		if err := p.SetDown(!down); err != nil {
			t.Errorf("SetDown after Close: %v", err)
		}
	}
}

func TestTakenPort(t *testing.T) {
	p := listen(t)
	if q, err := Listen(p.String()); err == nil {
		q.Close()
		t.Error("two ports on one address")
	}
}
