package proxy_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/proxy"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/socksclient"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/tokenservice"
)

func TestStatusOfABadToken(t *testing.T) {
	x := newFixture(t)
	for _, want := range []byte{1, 2, 0x80, 255} {
		f := faults.Fault{Kind: faults.AuthRefused, Count: 1}
		if want > 1 {
			f.Reply = int(want)
		}
		x.add(t, f)
		_, err := dial(t, x.target())
		if r, ok := errors.AsType[*socksclient.Refused](err); !ok || r.Code != want {
			t.Errorf("%v, want status %d", err, want)
		}
		x.set.Clear()
	}
}

func TestTokensWithinTheLimit(t *testing.T) {
	x := newFixture(t)
	x.add(t, faults.Fault{Kind: faults.TokenLimit, Bytes: int64(len(x.token))})
	conn, err := dial(t, x.target())
	if err != nil {
		t.Fatal(err)
	}
	echo(t, conn)
}

// TestCutWithTheToken: an open connection ends when its token does.
func TestCutWithTheToken(t *testing.T) {
	x := newFixture(t)
	x.add(t, faults.Fault{Kind: faults.ExpiryCut})
	token, err := x.tokens.Issue(tokenservice.Mint{Life: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	to := x.target()
	to.Token = token
	conn, err := dial(t, to)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); err != nil || len(got) != 0 {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := dial(t, to); err == nil {
		t.Error("the token is still good")
	}
}

func TestConnectionLimit(t *testing.T) {
	x := newFixture(t)
	id := x.add(t, faults.Fault{Kind: faults.ConnectionLimit, Limit: 1})
	if _, err := dial(t, x.target()); err != nil {
		t.Fatal(err)
	}
	_, err := dial(t, x.target())
	if r, ok := errors.AsType[*socksclient.Refused](err); !ok || r.Step != "connect" || r.Code != 1 {
		t.Errorf("%v, want reply 01", err)
	}
	x.set.Remove(id)
	if _, err := dial(t, x.target()); err != nil {
		t.Error(err)
	}
}

func TestSilenceOfOneTarget(t *testing.T) {
	x := newFixture(t)
	for _, mode := range []string{faults.ModeAccept, faults.ModeGreet, faults.ModeAuth} {
		x.add(t, faults.Fault{Kind: faults.ProxySilent, Mode: mode, Target: "kafka:9092"}) // not known yet
	}
	x.add(t, faults.Fault{Kind: faults.ProxySilent, Mode: faults.ModeConnect, Target: "dead:9092"})
	conn, err := dial(t, x.target())
	if err != nil {
		t.Fatal(err)
	}
	echo(t, conn)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() {
		to := x.target()
		to.Host = "dead"
		_, err := socksclient.Dial(ctx, to)
		result <- err
	}()
	if err := x.proxy.Await(t.Context(), proxy.Silent, 1); err != nil {
		t.Fatal(err)
	}
	cancel()
	<-result
}
