package destination

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/token"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// purse gives tokens that are numbered.
type purse struct {
	number  int
	refused []string
	err     error
}

func (p *purse) Token(context.Context) (string, error) {
	return fmt.Sprintf("token-%d", p.number), p.err
}

func (p *purse) Invalidate(value string) {
	p.refused = append(p.refused, value)
	p.number++
}

func TestFind(t *testing.T) {
	const good = `{"owner":{"SubaccountId":"x"},"destinationConfiguration":{"Name":"my kafka","Type":"TCP","Address":"a:1","tcp.nodelay":true,"tcp.timeout":5,"nested":{"a":1}}}`
	for name, test := range map[string]struct {
		status int
		header map[string]string
		body   string
		code   failure.Code
		text   string
		wait   time.Duration
	}{
		"found":          {status: 200, body: good},
		"not there":      {status: 404, body: `{"ErrorMessage":"s3cr3t"}`, code: failure.DestinationNotFound, text: "the destination my kafka does not exist"},
		"refused":        {status: 401, code: failure.DestinationRejected, text: "status 401"},
		"forbidden":      {status: 403, code: failure.DestinationRejected, text: "status 403"},
		"error":          {status: 500, body: "s3cr3t", code: failure.DestinationStatus, text: "status 500"},
		"limited":        {status: 429, header: map[string]string{"Retry-After": "7"}, code: failure.DestinationStatus, text: "status 429", wait: 7 * time.Second},
		"elsewhere":      {status: 302, header: map[string]string{"Location": "http://s3cr3t.invalid/"}, code: failure.DestinationStatus, text: "status 302"},
		"a page":         {status: 200, body: "<html>s3cr3t</html>", code: failure.DestinationMalformed, text: "destinationConfiguration"},
		"something":      {status: 200, body: `{"a":"s3cr3t"}`, code: failure.DestinationMalformed, text: "destinationConfiguration"},
		"too much":       {status: 200, body: strings.Repeat(" ", maxBody+1), code: failure.DestinationMalformed, text: "more than"},
		"half of it":     {status: 200, header: map[string]string{"Content-Length": "1000"}, body: good[:20], code: failure.DestinationUnreachable},
		"nothing at all": {code: failure.DestinationUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			var paths, authorized []string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				paths, authorized = append(paths, r.URL.EscapedPath()), append(authorized, r.Header.Get("Authorization"))
				for key, value := range test.header {
					w.Header().Set(key, value)
				}
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.body))
			}))
			defer server.Close()
			if test.status == 0 {
				server.Close()
			}
			own := &purse{}
			said, err := (&Client{URI: server.URL, Tokens: own, Transport: &http.Transport{DisableKeepAlives: true}}).Find(t.Context(), "my kafka")
			if test.code == "" {
				want := map[string]string{"Name": "my kafka", "Type": "TCP", "Address": "a:1", "tcp.nodelay": "true", "tcp.timeout": "5"}
				if err != nil || !maps.Equal(said, want) {
					t.Errorf("%v, %v", said, err)
				}
			} else if !failure.Is(err, test.code) || !strings.Contains(err.Error(), test.text) || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("%v, want %s %q", err, test.code, test.text)
			}
			asked, ok := errors.AsType[*token.RetryAfterError](err)
			if ok != (test.wait > 0) || ok && asked.Wait != test.wait {
				t.Errorf("Retry-After: %v", asked)
			}
			want := 1
			switch {
			case test.code == failure.DestinationRejected:
				want = 2
				if len(own.refused) != 2 || authorized[1] != "Bearer token-1" {
					t.Errorf("refused %q, asked with %q", own.refused, authorized)
				}
			case test.status == 0:
				want = 0
			}
			if len(paths) != want || want > 0 && (paths[0] != "/destination-configuration/v1/destinations/my%20kafka" || authorized[0] != "Bearer token-0") {
				t.Errorf("%q %q", paths, authorized)
			}
		})
	}
}

// TestFindWithoutAToken: the token's failure is the one that is told.
func TestFindWithoutAToken(t *testing.T) {
	refused := failure.New(failure.TokenRejected, nil).For("https://uaa", "")
	_, err := (&Client{URI: "http://127.0.0.1:1", Tokens: &purse{err: refused}}).Find(t.Context(), "kafka")
	if !failure.Is(err, failure.TokenRejected) || !strings.Contains(err.Error(), "for the destination service") {
		t.Error(err)
	}
}
