package secure

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// explain converts the error of a handshake to a failure of the catalogue.
func explain(err error, peer Peer) *failure.Failure {
	code, detail := classify(err)
	f := failure.New(code, err).For(peer.Target, peer.LocationID)
	if detail != "" {
		f = f.With(detail)
	}
	return f
}

func classify(err error) (failure.Code, string) {
	leaf := presented(err)
	if unknown, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		if leaf == nil {
			leaf = unknown.Cert
		}
		return failure.TLSUnknownAuthority, issuerOf(leaf)
	}
	if wrong, ok := errors.AsType[x509.HostnameError](err); ok {
		return failure.TLSWrongName, namesOf(wrong.Certificate, wrong.Host)
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		if invalid.Reason == x509.Expired {
			return failure.TLSExpired, validity(invalid.Cert)
		}
		return failure.TLSFailed, ""
	}
	if header, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return failure.TLSNotSpoken, fmt.Sprintf("first bytes % x", header.RecordHeader)
	}
	if said, ok := alert(err); ok {
		return failure.TLSRefused, said
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return failure.TLSSilent, ""
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return failure.TLSNotSpoken, "the connection was closed without an answer"
	}
	return failure.TLSFailed, ""
}

// presented returns the certificate that was rejected.
func presented(err error) *x509.Certificate {
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok && len(e.UnverifiedCertificates) > 0 {
		return e.UnverifiedCertificates[0]
	}
	return nil
}

// alert returns the text of the alert that the other side has sent.
func alert(err error) (said string, ok bool) {
	e, ok := errors.AsType[*net.OpError](err)
	if !ok || e.Op != "remote error" {
		return "", false
	}
	return "the broker's alert: " + strings.TrimPrefix(e.Err.Error(), "tls: "), true
}

// Refusal converts an alert that arrived after the handshake to a failure: a broker may only
// then find that it requires a client certificate (RFC 8446, section 4.4.2.4). It returns nil
// for any other error.
func Refusal(err error) *failure.Failure {
	said, ok := alert(err)
	if !ok {
		return nil
	}
	return failure.New(failure.TLSRefused, err).With(said)
}

// issuerOf names the issuer of a certificate.
func issuerOf(leaf *x509.Certificate) string {
	switch {
	case leaf == nil:
		return ""
	case leaf.Issuer.String() == leaf.Subject.String():
		return fmt.Sprintf("certificate of %q, self-signed", leaf.Subject)
	}
	return fmt.Sprintf("certificate of %q, issued by %q", leaf.Subject, leaf.Issuer)
}

func validity(leaf *x509.Certificate) string {
	if time.Now().Before(leaf.NotBefore) {
		return fmt.Sprintf("certificate of %q, valid only from %s", leaf.Subject, leaf.NotBefore.UTC().Format(time.RFC3339))
	}
	return fmt.Sprintf("certificate of %q, expired at %s", leaf.Subject, leaf.NotAfter.UTC().Format(time.RFC3339))
}

// maxNames limits how many names of a certificate are shown.
const maxNames = 20

// namesOf lists the names of a certificate and the setting that accepts one of them.
func namesOf(leaf *x509.Certificate, wanted string) string {
	var names []string
	for _, name := range leaf.DNSNames {
		names = append(names, printable(name))
	}
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return fmt.Sprintf("certificate of %q, without a subject alternative name; a new certificate must have one", leaf.Subject)
	}
	more := ""
	if n := len(names) - maxNames; n > 0 {
		names, more = names[:maxNames], fmt.Sprintf(" and %d more", n)
	}
	return fmt.Sprintf("certificate for %s%s, not for %s; to accept it: KAFKA_TUNNEL_TLS_SERVER_NAME=%s",
		strings.Join(names, ", "), more, wanted, concrete(names[0], wanted))
}

// concrete returns a host name for a name of a certificate: for a wildcard, one with the first
// label of host.
func concrete(name, host string) string {
	rest, wild := strings.CutPrefix(name, "*.")
	if !wild {
		return name
	}
	first, _, _ := strings.Cut(host, ".")
	return first + "." + rest
}

// printable replaces characters that do not belong in a host name: a broker sent it, and it is
// logged.
func printable(name string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r >= 0x7f || strings.ContainsRune("\"'`$;\\", r) {
			return '?'
		}
		return r
	}, name)
}

func article(kind string) string {
	kind = strings.ToLower(printable(strings.ReplaceAll(kind, " ", "-")))
	return "a " + strings.ReplaceAll(kind, "-", " ")
}
