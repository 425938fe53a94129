package config

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kafka-tunnel/kafka-tunnel/internal/hostport"
	"github.com/kafka-tunnel/kafka-tunnel/internal/socks"
	"github.com/kafka-tunnel/kafka-tunnel/internal/suggest"
	"github.com/kafka-tunnel/kafka-tunnel/internal/token"
)

// A parser converts the text of a key to the value of its field.
type parser = func(text string) (any, *valueError)

func anyText(s string) (any, *valueError) { return s, nil }

// matching accepts texts of at most limit bytes that match an expression, which allowed
// describes.
func matching(limit int, expression, allowed string) parser {
	form := regexp.MustCompile("^(" + expression + ")$")
	return func(s string) (any, *valueError) {
		if len(s) > limit || !form.MatchString(s) {
			return nil, expected(allowed)
		}
		return s, nil
	}
}

func clusterName() parser {
	return matching(63, "[A-Za-z0-9][A-Za-z0-9_-]*", "1 to 63 letters, digits, - and _, beginning with a letter or digit")
}

// tenant accepts a subdomain or a zone id; both have the form of a label of a host name.
func tenant() parser {
	return matching(63, "[A-Za-z0-9][A-Za-z0-9-]*", "the subdomain of a subaccount (letters, digits and -) or a tenant id (a UUID)")
}

func secretText(s string) (any, *valueError) {
	if strings.ContainsAny(s, "\r\n\x00") {
		return nil, expected("one line")
	}
	return Secret(s), nil
}

func printable(limit int) parser {
	return func(s string) (any, *valueError) {
		if len(s) > limit || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return nil, expected("printable text of at most %d bytes", limit)
		}
		return s, nil
	}
}

func locationID(s string) (any, *valueError) {
	if len(s) > socks.MaxLocationID {
		return nil, wrong("has %d bytes; the protocol of the connectivity proxy carries at most %d", len(s), socks.MaxLocationID)
	}
	return printable(socks.MaxLocationID)(s)
}

func oneOf(words ...string) parser {
	return func(s string) (any, *valueError) {
		if slices.Contains(words, s) {
			return s, nil
		}
		return nil, expected(strings.Join(words, " or ")).suggest(suggest.Nearest(s, words))
	}
}

func boolean(s string) (any, *valueError) {
	s = strings.ToLower(s)
	if s == "true" || s == "1" || s == "false" || s == "0" {
		return s == "true" || s == "1", nil
	}
	meant := map[string]string{"yes": "true", "y": "true", "on": "true", "no": "false", "n": "false", "off": "false"}
	return nil, expected("true or false").suggest(meant[s])
}

func integer(low, high int) parser {
	return func(s string) (any, *valueError) {
		n, err := strconv.Atoi(s)
		if err != nil || n < low || n > high {
			return nil, expected("a whole number from %d to %d", low, high)
		}
		return n, nil
	}
}

func duration(low, high time.Duration) parser {
	return func(s string) (any, *valueError) {
		wrong := expected("a duration with its unit (ms, s, m, h) from %s to %s", showDuration(low), showDuration(high))
		d, err := time.ParseDuration(s)
		_, noUnit := time.ParseDuration(s + "s")
		switch {
		case err != nil && noUnit == nil:
			return nil, wrong.suggest(s + "s")
		case err != nil || d < low || d > high:
			return nil, wrong
		}
		return d, nil
	}
}

// size accepts powers of 1024 in every spelling, as the platform's manifests do.
func size(low, high int64) parser {
	form := regexp.MustCompile(`^(\d+) *(?:([kmg])i?)?b?$`)
	return func(s string) (any, *valueError) {
		if parts := form.FindStringSubmatch(strings.ToLower(s)); parts != nil {
			shift := 10 * strings.Index(" kmg", parts[2]) // 0 without a unit
			n, err := strconv.ParseInt(parts[1], 10, 64)
			if err == nil && n <= high>>shift && n<<shift >= low {
				return n << shift, nil
			}
		}
		return nil, expected("a number of bytes from %s to %s, with or without a unit (KiB, MiB, GiB)", showSize(low), showSize(high))
	}
}

// show returns the text of a value, in a form that its parser accepts. Secrets are
// hidden.
func show(value any) string {
	switch v := value.(type) {
	case []HostPort:
		shown := make([]string, len(v))
		for i, a := range v {
			shown[i] = a.String()
		}
		return strings.Join(shown, ",")
	case time.Duration:
		return showDuration(v)
	case int64:
		return showSize(v)
	}
	return fmt.Sprint(value)
}

// showDuration is Duration.String without redundant zeros: 1m for 1m0s.
func showDuration(d time.Duration) string {
	return strings.ReplaceAll(strings.ReplaceAll(d.String(), "m0s", "m"), "h0m", "h")
}

// showSize uses the largest unit that leaves no remainder.
func showSize(n int64) string {
	for i, unit := range []string{"GiB", "MiB", "KiB"} {
		if shift := 30 - 10*i; n != 0 && n&(1<<shift-1) == 0 {
			return strconv.FormatInt(n>>shift, 10) + unit
		}
	}
	return strconv.FormatInt(n, 10)
}

// dialAddress parses an address to connect to. The default port is only suggested.
func dialAddress(s, defaultPort, allowed string) (HostPort, *valueError) {
	rest := s
	if _, after, ok := strings.Cut(s, "://"); ok {
		rest = strings.TrimRight(after, "/")
	}
	a, ok := hostport.Parse(rest)
	_, notNumber := strconv.Atoi(rest)
	switch ok = ok && a.Dialable(); {
	case ok && rest == s:
		return a, nil
	case ok:
		return a, expected(allowed).suggest(a.String())
	case hostport.IsHost(rest) && notNumber != nil:
		return a, expected(allowed).suggest(net.JoinHostPort(rest, defaultPort))
	}
	return a, expected(allowed)
}

// brokerAddresses parses the list of bootstrap.
func brokerAddresses(s string) (any, *valueError) {
	var all []HostPort
	items := splitList(s)
	for _, item := range items {
		a, err := brokerAddress(item)
		switch {
		case err != nil && len(items) > 1:
			return nil, wrong("%q: %s", brief(item), err.message).suggest(err.nearest)
		case err != nil:
			return nil, err
		case slices.Contains(all, a.(HostPort)):
			return nil, wrong("lists %s twice", a)
		}
		all = append(all, a.(HostPort))
	}
	return all, nil
}

func brokerAddress(s string) (any, *valueError) {
	return dialAddress(s, "9092", "HOST:PORT (several with commas)")
}

// splitList separates the values of a list.
func splitList(text string) []string {
	var items []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

func proxyAddress(s string) (any, *valueError) {
	a, wrong := dialAddress(s, "20004", "HOST:PORT of the SOCKS5 proxy")
	return a.String(), wrong
}

// listenAddress parses an address to listen on. An empty host means all interfaces,
// port 0 any free port.
func listenAddress(s string) (any, *valueError) {
	if a, ok := hostport.Parse(s); ok {
		return a, nil
	}
	wrong := expected("HOST:PORT with a port from 0 to 65535")
	if n, err := strconv.ParseUint(s, 10, 16); err == nil {
		wrong.suggest(fmt.Sprintf("127.0.0.1:%d", n))
	}
	return nil, wrong
}

func hostName(allowed string) parser {
	return func(s string) (any, *valueError) {
		if a, ok := hostport.Parse(s); ok && a.Host != "" {
			return nil, expected(allowed).suggest(a.Host)
		}
		if !hostport.IsHost(s) {
			return nil, expected(allowed)
		}
		return s, nil
	}
}

func advertised(s string) (any, *valueError) {
	if addr, err := netip.ParseAddr(s); err == nil && addr.IsUnspecified() {
		return nil, expected("a host that clients can connect to; %s is none", s).suggest("localhost")
	}
	return hostName("the name or address of a host, without a port")(s)
}

func portRange(s string) (any, *valueError) {
	low, high, isRange := strings.Cut(s, "-")
	if !isRange {
		high = low
	}
	first, err1 := strconv.ParseUint(strings.TrimSpace(low), 10, 16)
	last, err2 := strconv.ParseUint(strings.TrimSpace(high), 10, 16)
	switch {
	case err1 != nil || err2 != nil || (first == 0 || last == 0) && s != "0":
		return nil, expected("FIRST-LAST with ports from 1 to 65535, or 0 for ephemeral ports")
	case last < first:
		return nil, wrong("ends before it begins and would hold 0 brokers; it needs room for at least 1").suggest(fmt.Sprintf("%d-%d", last, first))
	}
	return PortRange{First: uint16(first), Last: uint16(last)}, nil
}

func tokenURL(s string) (any, *valueError) {
	full, err := token.EndpointURL(s)
	if err != nil {
		return nil, wrong("%s", err)
	}
	return full, nil
}

// A valueError describes the error in one value.
type valueError struct{ message, nearest string }

func wrong(format string, args ...any) *valueError {
	return &valueError{message: fmt.Sprintf(format, args...)}
}

// expected is a valueError that describes what is allowed.
func expected(format string, args ...any) *valueError { return wrong("expected "+format, args...) }

// suggest adds the nearest valid value.
func (e *valueError) suggest(nearest string) *valueError {
	e.nearest = nearest
	return e
}

// brief shortens a text to one line.
func brief(text string) string {
	const limit = 120
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "..."
}

// withoutUserInfo hides all text before an @, because users paste addresses with
// passwords in them. A password may contain commas and colons.
func withoutUserInfo(text string) string {
	if at := strings.LastIndexByte(text, '@'); at >= 0 {
		return hidden + text[at:]
	}
	return text
}
