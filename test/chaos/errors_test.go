package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestClassify(t *testing.T) {
	reset := &net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	for _, tt := range []struct {
		err  error
		want Class
	}{
		{io.EOF, Transport},
		{&kgo.ErrFirstReadEOF{}, Transport},
		{fmt.Errorf("fetch: %w", reset), Transport},
		{&net.OpError{Op: "dial", Err: errors.New("refused")}, Transport},
		{context.DeadlineExceeded, Transport},
		{fmt.Errorf("x: %w", kerr.RebalanceInProgress), Membership},
		{kerr.NotCoordinator, Coordinator},
		{kerr.ProducerFenced, Transaction},
		{kerr.CorruptMessage, Protocol},
		{errors.New("correlation ID mismatch"), Protocol},
		{errors.New("response did not contain enough data to be valid"), Protocol},
		{kerr.OffsetOutOfRange, "OFFSET_OUT_OF_RANGE"},
		{&kgo.ErrDataLoss{}, DataLoss},
		{errors.New("something new"), "something new"},
		{kgo.ErrClientClosed, ""},
		{context.Canceled, ""},
	} {
		if got := Classify(tt.err); got != tt.want {
			t.Errorf("%v is %q, want %q", tt.err, got, tt.want)
		}
	}
}

func TestCompare(t *testing.T) {
	var tunnel, direct Errors
	tunnel.Add(kindIdempotent, "produce", io.EOF)
	tunnel.Add(kindIdempotent, "produce", io.EOF)
	tunnel.Add(kindGroup, "commit", kerr.RebalanceInProgress) // weather
	tunnel.Add(kindGroup, "fetch", kerr.OffsetOutOfRange)
	tunnel.Add(kindGroup, "fetch", context.Canceled)
	tunnel.GiveUp(kindTransactions, "transaction", kerr.ProducerFenced) // weather
	tunnel.GiveUp(kindTransactions, "transaction", kerr.UnknownServerError)
	if got := tunnel.All()[kindIdempotent][Transport]; got.Count != 2 || got.First != "produce: EOF" {
		t.Errorf("%+v", got)
	}
	problems := Compare(tunnel.All(), direct.All())
	if len(problems) != 3 || !strings.Contains(problems[0], "OFFSET_OUT_OF_RANGE") ||
		!strings.HasPrefix(problems[1], "idempotent: connection") || !strings.HasPrefix(problems[2], "transactions: given up") {
		t.Errorf("%q", problems)
	}
	direct.Add(kindIdempotent, "produce", io.EOF)
	direct.Add(kindAcks1, "fetch", kerr.OffsetOutOfRange) // of another workload
	direct.GiveUp(kindTransactions, "transaction", kerr.UnknownServerError)
	if problems := Compare(tunnel.All(), direct.All()); len(problems) != 1 {
		t.Errorf("%q", problems)
	}
}
