package token

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

const (
	testID     = "sb-clone-1!b23|connectivity!b4"
	testSecret = "s3cr&t!+|/= %§"
	bodyMark   = "FROM-THE-BODY" // must never be found in an error
)

// uaa starts a token service.
func uaa(t *testing.T, serve http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(serve)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	server.Start()
	t.Cleanup(server.Close)
	return server
}

func fetcherFor(t *testing.T, base string) Fetcher {
	t.Helper()
	fetch, err := ClientCredentials(Credentials{URL: base, ClientID: testID, ClientSecret: testSecret})
	if err != nil {
		t.Fatal(err)
	}
	return fetch
}

// answer serves one answer.
func answer(status int, contentType, text string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
}

// noSecrets checks that a text contains neither the secret nor a response body.
func noSecrets(t *testing.T, text string) {
	t.Helper()
	for _, secret := range []string{
		testSecret, url.QueryEscape(testSecret), base64.StdEncoding.EncodeToString([]byte(testSecret)), bodyMark,
	} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is in %q", secret, text)
		}
	}
}

// fetchFails checks the failure of a fetch.
func fetchFails(t *testing.T, fetch Fetcher, code failure.Code, detail string) *failure.Failure {
	t.Helper()
	got, err := fetch(t.Context())
	f, ok := failure.As(err)
	if !ok || got.Value != "" {
		t.Fatalf("%v, %v, want failure %s", got, err, code)
	}
	if f.Code != code || !strings.Contains(f.Detail, detail) {
		t.Errorf("%s with detail %q (%v), want %s with %q", f.Code, f.Detail, err, code, detail)
	}
	if !strings.HasSuffix(f.Target, "/oauth/token") {
		t.Errorf("target %q", f.Target)
	}
	for e := err; e != nil; e = errors.Unwrap(e) {
		noSecrets(t, e.Error())
	}
	noSecrets(t, fmt.Sprintf("%+v", f))
	noSecrets(t, f.Advice())
	if len(err.Error()) > 600 {
		t.Errorf("the error has %d bytes", len(err.Error()))
	}
	return f
}

func TestTheTokenRequest(t *testing.T) {
	for _, path := range []string{"", "/", "/oauth/token", "/oauth/token/"} {
		t.Run(path, func(t *testing.T) {
			server := uaa(t, func(w http.ResponseWriter, r *http.Request) {
				text, _ := io.ReadAll(r.Body)
				form, err := url.ParseQuery(string(text))
				if r.Method != http.MethodPost || r.URL.String() != "/oauth/token" || err != nil || len(form) != 3 ||
					form.Get("grant_type") != "client_credentials" ||
					form.Get("client_id") != testID || form.Get("client_secret") != testSecret {
					t.Errorf("%s %s %q", r.Method, r.URL, text)
				}
				if !r.Close {
					t.Error("the request keeps the connection open, possibly for hours")
				}
				for name, want := range map[string]string{
					"Content-Type":  "application/x-www-form-urlencoded",
					"Accept":        "application/json",
					"User-Agent":    "kafka-tunnel/1.2.3",
					"Authorization": "",
				} {
					if got := r.Header.Get(name); got != want {
						t.Errorf("%s: %q, want %q", name, got, want)
					}
				}
				answer(200, "application/json;charset=UTF-8",
					`{"access_token":"a.b.c","token_type":"bearer","expires_in":43199,"scope":"uaa.resource","jti":"1"}`)(w, r)
			})
			fetch, err := ClientCredentials(Credentials{
				URL: server.URL + path, ClientID: testID, ClientSecret: testSecret, UserAgent: "kafka-tunnel/1.2.3",
			})
			if err != nil {
				t.Fatal(err)
			}
			got, err := fetch(t.Context())
			if err != nil || got.Value != "a.b.c" || got.ExpiresAt.Sub(got.ReceivedAt) != 43199*time.Second {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

func TestLifeOfFetchedTokens(t *testing.T) {
	jwt := "e30." + base64.RawURLEncoding.EncodeToString([]byte(fmt.Sprintf(`{"exp":%d}`, time.Now().Add(time.Hour).Unix()))) + ".c2ln"
	for text, want := range map[string]time.Duration{
		`{"access_token":"a.b.c","expires_in":60}`:             time.Minute,
		`{"access_token":"a.b.c","expires_in":"60"}`:           time.Minute,
		`{"access_token":"a.b.c","expires_in":86400}`:          24 * time.Hour,
		`{"access_token":"a.b.c"}`:                             5 * time.Minute,
		`{"access_token":"a.b.c","expires_in":null}`:           5 * time.Minute,
		`{"access_token":"a.b.c","expires_in":0}`:              5 * time.Minute,
		`{"access_token":"a.b.c","expires_in":-1}`:             5 * time.Minute,
		`{"access_token":"` + jwt + `"}`:                       time.Hour,
		`{"access_token":"` + jwt + `","expires_in":120}`:      2 * time.Minute,
		`{"access_token":"a.b.c","expires_in":99999999999999}`: (1<<31 - 1) * time.Second,
	} {
		server := uaa(t, answer(200, "application/json", text))
		got, err := fetcherFor(t, server.URL)(t.Context())
		if life := got.ExpiresAt.Sub(got.ReceivedAt).Round(10 * time.Second); err != nil || life != want.Round(10*time.Second) {
			t.Errorf("%s: life %s, %v, want %s", text, life, err, want)
		}
	}
}

func TestAnswersWithoutAToken(t *testing.T) {
	const (
		json = "application/json"
		page = "<!DOCTYPE html><html><body>" + bodyMark + "</body></html>"
	)
	tests := []struct {
		name   string
		serve  http.HandlerFunc
		code   failure.Code
		detail string
	}{
		{"HTML", answer(200, "text/html; charset=utf-8", page), failure.TokenMalformed, "an HTML page"},
		{"HTML under another name", answer(200, json, "\n "+page), failure.TokenMalformed, "an HTML page"},
		{"HTML as text", answer(200, "text/plain", page), failure.TokenMalformed, "an HTML page"},
		{"text", answer(200, "text/plain", bodyMark), failure.TokenMalformed, "not that of a token service"},
		{"nothing", answer(200, json, ""), failure.TokenMalformed, "empty"},
		{"204", answer(204, json, ""), failure.TokenMalformed, "empty"},
		{"JSON without a token", answer(200, json, `{"status":"`+bodyMark+`"}`), failure.TokenMalformed, "not that of a token service"},
		{"JSON array", answer(200, json, `["`+bodyMark+`"]`), failure.TokenMalformed, "not that of a token service"},
		{"token of another type", answer(200, json, `{"access_token":{"x":"`+bodyMark+`"}}`), failure.TokenMalformed, ""},
		{"expires_in of another type", answer(200, json, `{"access_token":"a.b.c","expires_in":"`+bodyMark+`"}`), failure.TokenMalformed, ""},
		{"cut JSON", answer(200, json, `{"access_token":"`+bodyMark), failure.TokenMalformed, ""},
		{"empty token", answer(200, json, `{"access_token":"","expires_in":60}`), failure.TokenMalformed, ""},
		{"line break in token", answer(200, json, `{"access_token":"a.b.\n`+bodyMark+`"}`), failure.TokenMalformed, "byte 0x0a at offset 4"},
		{"space in token", answer(200, json, `{"access_token":"Bearer `+bodyMark+`"}`), failure.TokenMalformed, "byte 0x20"},
		{"umlaut in token", answer(200, json, `{"access_token":"ä`+bodyMark+`"}`), failure.TokenMalformed, "byte 0xc3"},
		{"200 KB token", answer(200, json, `{"access_token":"`+strings.Repeat("t", 200_000)+`"}`), failure.TokenMalformed, "200000 bytes, more than 65536"},
		{"2 MB", answer(200, json, `{"access_token":"`+strings.Repeat("t", 2_000_000)+`"}`), failure.TokenMalformed, "more than 262144 bytes"},
		{"2 MB in gzip", zipped(`{"access_token":"` + strings.Repeat("t", 2_000_000) + `"}`), failure.TokenMalformed, "more than 262144 bytes"},
		{"200 with error", answer(200, json, `{"error":"invalid_client","error_description":"`+bodyMark+`"}`), failure.TokenMalformed, `status 200 with the error "invalid_client"`},

		{"401", answer(401, json, `{"error":"unauthorized","error_description":"`+bodyMark+`"}`), failure.TokenRejected, "status 401 unauthorized"},
		{"401 with a broken body", answer(401, json, bodyMark, "Content-Length", "1000"), failure.TokenRejected, "status 401"},
		{"403", answer(403, "text/html", page), failure.TokenRejected, "status 403 with an HTML page"},
		{"400 for the client", answer(400, json, `{"error":"invalid_client"}`), failure.TokenRejected, "status 400 invalid_client"},
		{"400 for the request", answer(400, json, `{"error":"invalid_request"}`), failure.TokenURLWrong, "status 400 invalid_request"},
		{"404", answer(404, "text/html", page), failure.TokenURLWrong, "status 404 with an HTML page"},
		{"405", answer(405, "text/html", page), failure.TokenURLWrong, "status 405"},
		{"408", answer(408, "text/html", page), failure.TokenStatus, "status 408"},
		{"429", answer(429, json, bodyMark), failure.TokenRateLimited, "status 429"},
		{"500", answer(500, "text/plain", bodyMark), failure.TokenStatus, "status 500"},
		{"503", answer(503, json, `{"error":"`+strings.Repeat("long ", 100)+`"}`), failure.TokenStatus, "status 503 long long"},
		{"500 of 2 MB", answer(500, "text/html", strings.Repeat(bodyMark, 150_000)), failure.TokenStatus, "status 500"},
		{"the secret as error", answer(400, json, `{"error":"`+testSecret+`"}`), failure.TokenURLWrong, "status 400"},
		{"junk as error", answer(400, json, `{"error":"a\"b\\c\u0007d\u001b[1me`+"ä"+`"}`), failure.TokenURLWrong, "status 400 abcd[1me"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server := uaa(t, test.serve)
			f := fetchFails(t, fetcherFor(t, server.URL), test.code, test.detail)
			if len(f.Detail) > 150 {
				t.Errorf("detail %q is too long", f.Detail)
			}
		})
	}
}

// TestAShortSecretHidesNothing: an error code that the protocol defines is shown and
// classified, even if the secret is a part of it.
func TestAShortSecretHidesNothing(t *testing.T) {
	server := uaa(t, answer(400, "application/json", `{"error":"invalid_client"}`))
	for _, secret := range []string{"i", "in", "client"} {
		fetch, err := ClientCredentials(Credentials{URL: server.URL, ClientID: testID, ClientSecret: secret})
		if err != nil {
			t.Fatal(err)
		}
		fetchFails(t, fetch, failure.TokenRejected, "status 400 invalid_client")
	}
}

// zipped serves a text compressed, as a small body that unpacks to a large one.
func zipped(text string) http.HandlerFunc {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return answer(200, "application/json", b.String(), "Content-Encoding", "gzip")
}

func TestTheLongestToken(t *testing.T) {
	value := strings.Repeat("~", 64<<10)
	server := uaa(t, answer(200, "application/json", `{"access_token":"`+value+`"}`))
	if got, err := fetcherFor(t, server.URL)(t.Context()); err != nil || got.Value != value {
		t.Errorf("%v, %v", got, err)
	}
	server = uaa(t, answer(200, "application/json", `{"access_token":"`+value+`~"}`))
	fetchFails(t, fetcherFor(t, server.URL), failure.TokenMalformed, "65537 bytes")
}

func TestRetryAfterOfTheServer(t *testing.T) {
	date := time.Now().UTC().Truncate(time.Second)
	for _, test := range []struct {
		status int
		header []string
		want   time.Duration
	}{
		{429, []string{"Retry-After", "17"}, 17 * time.Second},
		{503, []string{"Retry-After", " 17 "}, 17 * time.Second},
		{429, []string{"Retry-After", date.Add(40 * time.Second).Format(http.TimeFormat), "Date", date.Format(http.TimeFormat)}, 40 * time.Second},
		// A server whose clock is a day behind still means 40 s.
		{429, []string{"Retry-After", date.Add(40*time.Second - 24*time.Hour).Format(http.TimeFormat), "Date", date.Add(-24 * time.Hour).Format(http.TimeFormat)}, 40 * time.Second},
		{429, []string{"Retry-After", "99999999999999999999"}, (1<<31 - 1) * time.Second},
		{429, []string{"Retry-After", "0"}, 0},
		{429, []string{"Retry-After", "-5"}, 0},
		{429, []string{"Retry-After", bodyMark}, 0},
		{429, nil, 0},
	} {
		t.Run(fmt.Sprint(test.header), func(t *testing.T) {
			server := uaa(t, answer(test.status, "application/json", "{}", test.header...))
			_, err := fetcherFor(t, server.URL)(t.Context())
			if got, ok := askedToWait(err); got != test.want || ok != (test.want > 0) {
				t.Errorf("asked to wait %s, %v, want %s", got, ok, test.want)
			}
			noSecrets(t, err.Error())
		})
	}
}

// A redirect would send the credentials to another server.
func TestRedirectsAreNotFollowed(t *testing.T) {
	other := uaa(t, func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("a redirect was followed: %s %s", r.Method, r.URL)
	})
	for _, status := range []int{301, 302, 303, 307, 308} {
		server := uaa(t, answer(status, "text/html", bodyMark, "Location", other.URL+"/"+bodyMark))
		fetchFails(t, fetcherFor(t, server.URL), failure.TokenURLWrong, fmt.Sprintf("status %d, a redirect", status))
	}
}

func TestNetworkFailures(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	fetchFails(t, fetcherFor(t, closed.URL), failure.TokenUnreachable, "")
	fetchFails(t, fetcherFor(t, "http://host.invalid"), failure.TokenUnreachable, "")

	for name, text := range map[string]string{
		"nothing":       "",
		"SSH":           "SSH-2.0-" + bodyMark + "\r\n",
		"bad header":    "HTTP/1.1 200 OK\r\n" + bodyMark + "\r\n\r\n",
		"long header":   "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 100_000) + "\r\n\r\n",
		"half a body":   "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"access_token\":\"" + bodyMark,
		"half a header": "HTTP/1.1 200 OK\r\nX-Y: " + bodyMark,
	} {
		t.Run(name, func(t *testing.T) {
			fetchFails(t, fetcherFor(t, "http://"+rawServer(t, text)), failure.TokenUnreachable, "")
		})
	}
}

// rawServer answers each connection with a text and closes it.
func rawServer(t *testing.T, text string) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 64<<10))
			_, _ = io.WriteString(conn, text)
			_ = conn.Close()
		}
	})
	t.Cleanup(func() {
		listener.Close()
		wg.Wait()
	})
	return listener.Addr().String()
}

func TestTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(answer(200, "application/json", `{"access_token":"a.b.c"}`))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	server.StartTLS()
	t.Cleanup(server.Close)

	f := fetchFails(t, fetcherFor(t, server.URL), failure.TokenUnreachable, "")
	if !strings.Contains(f.Error(), "certificate") {
		t.Errorf("%v does not name the certificate", f)
	}
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	fetch, err := ClientCredentials(Credentials{URL: server.URL, ClientID: testID, Roots: roots})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := fetch(t.Context()); err != nil || got.Value != "a.b.c" {
		t.Errorf("%v, %v", got, err)
	}

	plain := uaa(t, answer(200, "application/json", bodyMark))
	f = fetchFails(t, fetcherFor(t, strings.Replace(plain.URL, "http:", "https:", 1)), failure.TokenUnreachable, "")
	if !strings.Contains(f.Error(), "HTTP response to HTTPS client") {
		t.Errorf("%v does not name the cause", f)
	}
}

// stuck returns a fetcher for an in-memory service that starts an answer and never
// finishes it.
func stuck(t *testing.T, begin string) Fetcher {
	t.Helper()
	f := newClientFetcher(testURL, Credentials{ClientID: testID, ClientSecret: testSecret})
	f.config.TokenURL = "http://uaa.example/oauth/token"
	var wg sync.WaitGroup
	f.transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		wg.Go(func() {
			defer server.Close()
			_, _ = server.Read(make([]byte, 64<<10))
			_, _ = io.WriteString(server, begin)
			_, _ = io.Copy(io.Discard, server)
		})
		return client, nil
	}
	t.Cleanup(wg.Wait)
	return f.fetch
}

func TestAServiceThatDoesNotAnswer(t *testing.T) {
	for name, begin := range map[string]string{
		"nothing":       "",
		"half a header": "HTTP/1.1 200 OK\r\nX: " + bodyMark,
		"half a body":   "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"access_token\":\"" + bodyMark,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				fetchFails(t, stuck(t, begin), failure.TokenTimeout, "")
				if took := time.Since(start); took != 30*time.Second {
					t.Errorf("gave up after %s, want 30s", took)
				}
			})
		})
	}
}

func TestAFetchEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stopped := errors.New("the tunnel stops")
		ctx, cancel := context.WithCancelCause(t.Context())
		start := time.Now()
		time.AfterFunc(3*time.Second, func() { cancel(stopped) })
		_, err := stuck(t, "")(ctx)
		if _, ok := failure.As(err); ok || !errors.Is(err, stopped) {
			t.Errorf("%v, want the cause of the cancellation and no failure of the service", err)
		}
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("returned after %s, want 3s", took)
		}

		late, cancelLate := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancelLate()
		if _, err := stuck(t, "")(late); !failure.Is(err, failure.TokenTimeout) {
			t.Errorf("%v, want %s", err, failure.TokenTimeout)
		}
	})
}

func TestCredentialsArePrintedWithoutTheSecret(t *testing.T) {
	c := Credentials{URL: testURL, ClientID: testID, ClientSecret: testSecret}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "credentials", c)
	for _, text := range []string{fmt.Sprintf("%v %+v %#v %s", c, c, c, &c), log.String()} {
		noSecrets(t, text)
		if !strings.Contains(text, testID) {
			t.Errorf("%q does not name the client", text)
		}
	}
}

// TestAnHTTPProxy: HTTPS to the token service is tunnelled (CONNECT) through the
// company's HTTP proxy, which sees neither token nor secret.
func TestAnHTTPProxy(t *testing.T) {
	server := httptest.NewUnstartedServer(answer(200, "application/json", `{"access_token":"a.b.c"}`))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	var asked []string
	proxy := uaa(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.Host)
		upstream, err := net.Dial("tcp", r.Host)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		client, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n")
		var both sync.WaitGroup
		both.Go(func() { _, _ = io.Copy(upstream, client); _ = upstream.Close() })
		_, _ = io.Copy(client, upstream)
		_ = client.Close()
		both.Wait()
	})
	at, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	fetch, err := ClientCredentials(Credentials{URL: server.URL, ClientID: testID, ClientSecret: testSecret, Roots: roots, Proxy: http.ProxyURL(at)})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := fetch(t.Context()); err != nil || got.Value != "a.b.c" {
		t.Errorf("%v, %v", got, err)
	}
	if want := "CONNECT " + strings.TrimPrefix(server.URL, "https://"); len(asked) != 1 || asked[0] != want {
		t.Errorf("the proxy was asked for %q, want %q", asked, want)
	}
	proxy.Close()
	fetchFails(t, fetch, failure.TokenUnreachable, "")
}
