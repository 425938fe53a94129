package token

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// failed returns the failure for a fetch that gave no token. err is x/oauth2's;
// its text, which may hold a whole body, goes no further.
func (f *clientFetcher) failed(ctx context.Context, x *exchange, err error) *failure.Failure {
	refused, ok := errors.AsType[*oauth2.RetrieveError](err)
	switch {
	case ok:
		return f.refused(x, refused.ErrorCode)
	case x.status == 0:
		return f.unreachable(ctx, err)
	case !succeeded(x.status):
		return f.refused(x, "") // the status is enough, with or without the body
	case x.readErr != nil:
		return f.unreachable(ctx, x.readErr) // x/oauth2 keeps only its text
	case x.tooLong:
		return f.malformed(x, fmt.Sprintf("the answer has more than %d bytes", maxBody))
	default:
		return f.malformed(x, "the answer is not that of a token service")
	}
}

// refused returns the failure for an answer with an error status, or with the
// field "error" (RFC 6749, section 5.2), code.
func (f *clientFetcher) refused(x *exchange, code string) *failure.Failure {
	code = f.errorCode(code)
	if succeeded(x.status) {
		return f.malformed(x, fmt.Sprintf("status %d with the error %q", x.status, code))
	}
	kind := failure.TokenStatus
	switch {
	case x.status == http.StatusUnauthorized, x.status == http.StatusForbidden,
		x.status == http.StatusBadRequest && (code == "invalid_client" || code == "unauthorized_client"):
		kind = failure.TokenRejected
		if f.tenant != "" {
			// The secret is the provider's and good for it; what differs is the tenant.
			kind = failure.TenantRejected
		}
	case x.status == http.StatusBadRequest && code == "invalid_target": // RFC 8707, section 2
		kind = failure.ResourceRejected
	case x.status == http.StatusTooManyRequests:
		kind = failure.TokenRateLimited
	case x.status/100 == 3, x.status/100 == 4 && x.status != http.StatusRequestTimeout:
		// What answers does not know such a request: it is another path, host or tenant.
		kind = failure.TokenURLWrong
	}
	detail := fmt.Sprintf("status %d", x.status)
	switch {
	case code != "":
		detail += " " + code
	case x.status/100 == 3:
		detail += ", a redirect, which is not followed"
	case x.isHTML():
		detail += " with an HTML page"
	}
	var cause error
	if wait, ok := ParseRetryAfter(x.header, time.Now()); ok {
		cause = &RetryAfterError{Wait: wait}
	}
	return failure.New(kind, cause).For(f.config.TokenURL, "").With(detail)
}

// malformed returns the failure for an answer of status 200 without a usable
// token. The detail names what is known to come of a wrong URL.
func (f *clientFetcher) malformed(x *exchange, detail string) *failure.Failure {
	switch {
	case x.isHTML():
		detail = "it answers with an HTML page: the URL leads to something for people, such as a login or a proxy"
	case x.first == 0:
		detail = "the answer is empty"
	}
	return failure.New(failure.TokenMalformed, nil).For(f.config.TokenURL, "").With(detail)
}

// unreachable returns the failure for a request without a complete answer.
func (f *clientFetcher) unreachable(ctx context.Context, err error) *failure.Failure {
	kind := failure.TokenUnreachable
	if timeout, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err); ctx.Err() != nil || ok && timeout.Timeout() {
		kind = failure.TokenTimeout
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" && !f.expires.IsZero() {
		// The certificate is all that can be refused in a handshake (RFC 8446, 4.4.2.4).
		return failure.New(failure.TokenRejected, nil).For(f.config.TokenURL, "").
			With("the certificate is refused: " + strings.TrimPrefix(op.Err.Error(), "tls: "))
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		// Packets that a firewall drops are a way that does not exist, and not a
		// service that is slow.
		kind = failure.TokenUnreachable
	}
	if failure.NoDescriptor(err) {
		kind = failure.DescriptorsExhausted
	}
	return failure.New(kind, TransportCause(err)).For(f.config.TokenURL, "")
}

// TransportCause returns the part of a transport's error that is about the
// network. The rest may quote what the server sent (a "malformed HTTP response",
// for example, with its first line) and is described only.
func TransportCause(err error) error {
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return e
	}
	if e, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return errors.New("tls: " + e.Msg)
	}
	if e, ok := errors.AsType[tls.AlertError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e
	}
	for _, known := range []error{context.DeadlineExceeded, http.ErrSchemeMismatch, io.ErrUnexpectedEOF, io.EOF} {
		if errors.Is(err, known) {
			return known
		}
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok && wrapped.Timeout() {
		return errors.New("no answer in time")
	}
	return errors.New("the exchange over HTTP failed")
}

// oauthErrors are the codes of RFC 6749, section 5.2, and of RFC 8707.
var oauthErrors = []string{
	"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client",
	"unsupported_grant_type", "invalid_scope", "invalid_target",
}

// errorCode returns an OAuth error code fit to be shown: without bytes that RFC
// 6749, section 5.2 does not allow in one, at most 64 of them, and nothing at all
// if a server echoes the secret in it.
func (f *clientFetcher) errorCode(code string) string {
	if slices.Contains(oauthErrors, code) {
		return code // even if the secret is so short that it is a part of this word
	}
	if secret := f.config.ClientSecret; secret != "" && strings.Contains(code, secret) {
		return ""
	}
	clean := make([]byte, 0, 64)
	for i := 0; i < len(code) && len(clean) < cap(clean); i++ {
		if c := code[i]; c >= 0x20 && c <= 0x7e && c != '"' && c != '\\' {
			clean = append(clean, c)
		}
	}
	return string(clean)
}

// isHTML reports whether the answer is a page for people.
func (x *exchange) isHTML() bool {
	media, _, _ := mime.ParseMediaType(x.header.Get("Content-Type"))
	return media == "text/html" || media == "application/xhtml+xml" || x.first == '<'
}

func succeeded(status int) bool { return status/100 == 2 }
