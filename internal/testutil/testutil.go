// Package testutil has helpers for the tests of several packages.
package testutil

import (
	"net"
	"testing"
)

// Long marks a test that takes too long for every change. `make test` (go test -short) skips
// it, `make test-long` runs it.
func Long(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes long: run by make test-long")
	}
}

// Rounds returns how often to repeat what a test draws at random: n times, a tenth of that
// with -short.
func Rounds(n int) int {
	if testing.Short() {
		return (n + 9) / 10
	}
	return n
}

// Pair returns the two ends of a loopback TCP connection. Both are closed when the test
// ends.
func Pair(t testing.TB) (near, far *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close(); _ = b.Close() })
	return a.(*net.TCPConn), b.(*net.TCPConn)
}

// AuthorityPEM is a CA certificate, PEM, without its key. It is valid for 100 years.
const AuthorityPEM = `-----BEGIN CERTIFICATE-----
MIIBhDCCASugAwIBAgIUPQwGBiuFj0NFB2S/fuFqL1QhOXUwCgYIKoZIzj0EAwIw
FzEVMBMGA1UEAwwMYW4gYXV0aG9yaXR5MCAXDTI2MTEyMTA3NTE1MFoYDzIxMjYx
MDI4MDc1MTUwWjAXMRUwEwYDVQQDDAxhbiBhdXRob3JpdHkwWTATBgcqhkjOPQIB
BggqhkjOPQMBBwNCAASS58u4IhBgWpAg+e9yOB04ljFE5Zxq9qmM79TTPpZJdD5h
hpMf8PQG+MLi8Sz58qp6eYU9l+D726LZm0+39rgvo1MwUTAdBgNVHQ4EFgQURKEz
wiXL2lLAvBj0Vp4LupWcxZ0wHwYDVR0jBBgwFoAURKEzwiXL2lLAvBj0Vp4LupWc
xZ0wDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiAQgVZ45dOTmKoq
3bq3QfFl6906Q9PCNm3VxgKtD5AZMwIgFmTkpBsWuj3zOcHB4r+ibKXK9zI2AD+H
imjWbOdPWrM=
-----END CERTIFICATE-----`
