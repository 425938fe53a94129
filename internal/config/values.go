package config

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kafka-tunnel/kafka-tunnel/internal/socks"
	"github.com/kafka-tunnel/kafka-tunnel/internal/token"
)

// maxHost is the longest name that a SOCKS5 request can carry (RFC 1928).
const maxHost = 255

func plain(s string) string             { return s }
func showBool(b bool) string            { return strconv.FormatBool(b) }
func showInt(n int) string              { return strconv.Itoa(n) }
func anyText(s string) (string, *fault) { return s, nil }

func secretText(s string) (Secret, *fault) {
	if strings.ContainsAny(s, "\r\n\x00") {
		return "", wants("wants one line")
	}
	return Secret(s), nil
}

// serviceName accepts printable text.
func serviceName(s string) (string, *fault) {
	if !printable(s) || len(s) > 1000 {
		return "", wants("wants printable text of at most 1000 bytes")
	}
	return s, nil
}

// destinationName accepts what the cockpit does: it becomes a part of a path.
func destinationName(s string) (string, *fault) {
	ok := true
	for _, r := range s {
		ok = ok && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.')
	}
	switch {
	case !ok:
		return "", wants("wants letters, digits, -, _ and . only")
	case len(s) > 200:
		return "", wants("wants at most 200 characters")
	}
	return s, nil
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

func clusterName(s string) (string, *fault) {
	ok := len(s) > 0 && len(s) <= 63 && s[0] != '-' && s[0] != '_'
	for _, r := range s {
		ok = ok && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
	}
	if !ok {
		return "", wants("wants 1 to 63 letters, digits, - and _, beginning with a letter or digit")
	}
	return s, nil
}

func locationID(s string) (string, *fault) {
	if len(s) > socks.MaxLocationID {
		return "", wants("has %d bytes; the protocol of the connectivity proxy carries at most %d", len(s), socks.MaxLocationID)
	}
	if !printable(s) {
		return "", wants("wants printable text")
	}
	return s, nil
}

// credential reads what RFC 1929 has one byte of length for.
func credential(s string) (string, *fault) {
	if len(s) > 255 || !printable(s) {
		return "", wants("wants printable text of at most 255 bytes")
	}
	return s, nil
}

// tenant reads a subdomain or a zone id; both have the form of a label of a host name.
func tenant(s string) (string, *fault) {
	for i, r := range s {
		ok := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' && i > 0
		if !ok || len(s) > 63 {
			return "", wants("wants the subdomain of a subaccount (letters, digits and -) or a tenant id (a UUID)")
		}
	}
	return s, nil
}

func oneOf(words ...string) func(string) (string, *fault) {
	return func(s string) (string, *fault) {
		if slices.Contains(words, s) {
			return s, nil
		}
		wrong := wants("wants %s", strings.Join(words, " or "))
		return "", wrong.near(nearest(s, words))
	}
}

func boolean(s string) (bool, *fault) {
	switch strings.ToLower(s) {
	case "true", "1":
		return true, nil
	case "false", "0":
		return false, nil
	case "yes", "y", "on":
		return false, wants("wants true or false").near("true")
	case "no", "n", "off":
		return false, wants("wants true or false").near("false")
	}
	return false, wants("wants true or false")
}

func integer(low, high int) func(string) (int, *fault) {
	return func(s string) (int, *fault) {
		n, err := strconv.Atoi(s)
		if err != nil || n < low || n > high {
			return 0, wants("wants a whole number from %d to %d", low, high)
		}
		return n, nil
	}
}

func duration(low, high time.Duration) func(string) (time.Duration, *fault) {
	return func(s string) (time.Duration, *fault) {
		wrong := wants("wants a duration with its unit (ms, s, m, h) from %s to %s", showDuration(low), showDuration(high))
		d, err := time.ParseDuration(s)
		if s == "0" {
			d, err = 0, nil
		}
		if err != nil {
			if _, number := strconv.ParseFloat(s, 64); number == nil {
				wrong.near(s + "s")
			}
			return 0, wrong
		}
		if d < low || d > high {
			return 0, wrong
		}
		return d, nil
	}
}

// showDuration is Duration.String without idle zeros: 1m for 1m0s.
func showDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// units are powers of 1024 in every spelling, as in the platform's manifests.
var units = [...]struct {
	suffix string
	shift  uint
}{
	{"kib", 10}, {"mib", 20}, {"gib", 30}, {"kb", 10}, {"mb", 20}, {"gb", 30}, {"k", 10}, {"m", 20}, {"g", 30}, {"b", 0}, {"", 0},
}

func size(low, high int64) func(string) (int64, *fault) {
	return func(s string) (int64, *fault) {
		wrong := wants("wants a number of bytes from %s to %s, with or without a unit (KiB, MiB, GiB)", showSize(low), showSize(high))
		text := strings.ToLower(s)
		for _, u := range units {
			digits, ok := strings.CutSuffix(text, u.suffix)
			if !ok {
				continue
			}
			n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
			if err != nil || n < 0 || n > math.MaxInt64>>u.shift || n<<u.shift < low || n<<u.shift > high {
				return 0, wrong
			}
			return n << u.shift, nil
		}
		return 0, wrong
	}
}

// showSize uses the largest unit that leaves no remainder.
func showSize(n int64) string {
	for _, u := range []struct {
		name  string
		shift uint
	}{{"GiB", 30}, {"MiB", 20}, {"KiB", 10}} {
		if n != 0 && n&(1<<u.shift-1) == 0 {
			return strconv.FormatInt(n>>u.shift, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}

// splitHostPort separates host and port. The host may be empty, the port may be 0.
func splitHostPort(s string) (HostPort, bool) {
	host, text, err := net.SplitHostPort(s)
	if err != nil {
		return HostPort{}, false
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || text[0] == '+' {
		return HostPort{}, false
	}
	return HostPort{host, uint16(port)}, true
}

// ParseHostPort reads what [HostPort.String] writes: HOST:PORT with an IPv6
// literal in brackets; the host may be empty and the port 0.
func ParseHostPort(s string) (HostPort, error) {
	a, ok := splitHostPort(s)
	if !ok || a.Host != "" && !validHost(a.Host) {
		return HostPort{}, fmt.Errorf("%q is not HOST:PORT", brief(withoutUserInfo(s)))
	}
	return a, nil
}

// validHost reports whether h can be a host name or an IP address. Names are not
// looked up.
func validHost(h string) bool {
	if h == "" || len(h) > maxHost {
		return false
	}
	if _, err := netip.ParseAddr(h); err == nil {
		return true
	}
	for _, r := range h {
		if r <= ' ' || r >= 0x7f || strings.ContainsRune(`/:@,;?#*[]{}()<>|&!$%^="'\`+"`", r) {
			return false
		}
	}
	return true
}

// brokerAddress reads an address of bootstrap.
func brokerAddress(s string) (HostPort, *fault) {
	wrong := wants("wants HOST:PORT (several with commas)")
	if a, ok := splitHostPort(s); ok && a.Port != 0 && validHost(a.Host) {
		return a, nil
	}
	rest := s
	if _, after, ok := strings.Cut(s, "://"); ok {
		rest = strings.TrimRight(after, "/")
	}
	switch a, ok := splitHostPort(rest); {
	case ok && a.Port != 0 && validHost(a.Host):
		return HostPort{}, wrong.near(rest)
	case !ok && validHost(rest) && !isNumber(rest):
		return HostPort{}, wrong.near(rest + ":9092")
	}
	return HostPort{}, wrong
}

// listenAddress reads an address to listen on. The host may be empty for all
// interfaces, the port 0 for any.
func listenAddress(s string) (HostPort, *fault) {
	a, err := ParseHostPort(s)
	if err == nil {
		return a, nil
	}
	wrong := wants("wants HOST:PORT with a port from 0 to 65535")
	if n, err := strconv.ParseUint(s, 10, 16); err == nil {
		wrong.near("127.0.0.1:" + strconv.FormatUint(n, 10))
	}
	return HostPort{}, wrong
}

// proxyAddress reads an address to dial; "" for none.
func proxyAddress(s string) (string, *fault) {
	if s == "" {
		return "", nil
	}
	if a, ok := splitHostPort(s); ok && a.Port != 0 && validHost(a.Host) {
		return a.String(), nil
	}
	wrong := wants("wants HOST:PORT of the SOCKS5 proxy")
	if !isNumber(s) && validHost(s) {
		wrong.near(s + ":20004")
	} else if _, after, ok := strings.Cut(s, "://"); ok {
		if a, ok := splitHostPort(strings.TrimRight(after, "/")); ok && a.Port != 0 && validHost(a.Host) {
			wrong.near(a.String())
		}
	}
	return "", wrong
}

func isNumber(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}

func advertised(s string) (string, *fault) {
	wrong := wants("wants the name or address of a host, without a port")
	if a, ok := splitHostPort(s); ok && validHost(a.Host) {
		return "", wrong.near(a.Host)
	}
	if !validHost(s) {
		return "", wrong
	}
	if addr, err := netip.ParseAddr(s); err == nil && addr.IsUnspecified() {
		return "", wants("wants a host that clients can connect to; %s is none", s).near("localhost")
	}
	return s, nil
}

// serverName reads the host of a certificate; "" for none.
func serverName(s string) (string, *fault) {
	if s == "" {
		return "", nil
	}
	wrong := wants("wants the name or address of a host, as it stands in the brokers' certificate")
	if a, ok := splitHostPort(s); ok && validHost(a.Host) {
		return "", wrong.near(a.Host)
	}
	if !validHost(s) {
		return "", wrong
	}
	return s, nil
}

func portRange(s string) (PortRange, *fault) {
	if s == "0" {
		return PortRange{}, nil
	}
	wrong := wants("wants FIRST-LAST with ports from 1 to 65535, or 0 for ephemeral ports")
	low, high, isRange := strings.Cut(s, "-")
	if !isRange {
		high = low
	}
	first, err1 := strconv.ParseUint(strings.TrimSpace(low), 10, 16)
	last, err2 := strconv.ParseUint(strings.TrimSpace(high), 10, 16)
	if err1 != nil || err2 != nil || first == 0 || last == 0 {
		return PortRange{}, wrong
	}
	if last < first {
		return PortRange{}, wants("ends before it begins and would hold 0 brokers; it needs room for at least 1").
			near(fmt.Sprintf("%d-%d", last, first))
	}
	return PortRange{uint16(first), uint16(last)}, nil
}

func tokenURL(s string) (string, *fault) {
	if s == "" {
		return "", nil
	}
	full, err := token.EndpointURL(s)
	if err != nil {
		return "", wants("%s", err)
	}
	return full, nil
}
