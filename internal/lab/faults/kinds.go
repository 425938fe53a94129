package faults

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The kinds of faults.
const (
	TokenDown     Kind = "token_down"
	TokenSlow     Kind = "token_slow"
	TokenStatus   Kind = "token_status"
	TokenHTML     Kind = "token_html"
	TokenError    Kind = "token_error"
	TokenHuge     Kind = "token_huge"
	TokenEmpty    Kind = "token_empty"
	TokenNoExpiry Kind = "token_no_expiry"
	TokenRevoked  Kind = "token_revoked"

	CertificateRefused Kind = "certificate_refused"
	TenantRefused      Kind = "tenant_refused"
	ResourceRefused    Kind = "resource_refused"

	DestinationDown    Kind = "destination_down"
	DestinationSlow    Kind = "destination_slow"
	DestinationStatus  Kind = "destination_status"
	DestinationHTML    Kind = "destination_html"
	DestinationMissing Kind = "destination_missing"

	ProxyDown        Kind = "proxy_down"
	ProxySilent      Kind = "proxy_silent"
	ProxyRubbish     Kind = "proxy_rubbish"
	MethodRefused    Kind = "method_refused"
	AuthRefused      Kind = "auth_refused"
	BadToken         Kind = "bad_token"
	TokenLimit       Kind = "token_limit"
	ConnectReply     Kind = "connect_reply"
	ShortReply       Kind = "short_reply"
	BindAddress      Kind = "bind_address"
	Coalesce         Kind = "coalesce"
	HandshakeTrickle Kind = "handshake_trickle"
	HandshakeSlow    Kind = "handshake_slow"

	ConnectorAway     Kind = "connector_away"
	ConnectorFailover Kind = "connector_failover"
	AccessRemoved     Kind = "access_removed"
	BrokerDown        Kind = "broker_down"
	BrokerTLS         Kind = "broker_tls"
	ConnectionLimit   Kind = "connection_limit"

	LinkReset  Kind = "link_reset"
	ResetAfter Kind = "reset_after"
	Stall      Kind = "stall"
	Trickle    Kind = "trickle"
	Latency    Kind = "latency"
	Bandwidth  Kind = "bandwidth"

	HalfClose   Kind = "half_close"
	IdleCut     Kind = "idle_cut"
	LifetimeCut Kind = "lifetime_cut"
	ExpiryCut   Kind = "expiry_cut"
)

// The modes of auth_refused, bad_token and token_limit: SAP's documentation does not specify
// how the proxy answers an invalid token.
const (
	ModeStatus = "status" // authentication status other than 0
	ModeReply  = "reply"  // authentication accepted, CONNECT answered with 05
	ModeEOF    = "eof"    // connection closed after the authentication message
	ModeReset  = "rst"    // connection reset after the authentication message
)

// ModeFIN closes both sides cleanly. It is, like ModeReset, a mode of half_close, idle_cut,
// lifetime_cut and expiry_cut, for which SAP's documentation specifies nothing.
const ModeFIN = "fin"

// The modes of proxy_silent: the message after which the proxy no longer answers.
const (
	ModeAccept  = "accept" // it does not even read
	ModeGreet   = "greeting"
	ModeAuth    = "authentication"
	ModeConnect = "connect"
)

// The modes of bind_address: the type of the address in a reply.
const (
	ModeDomain = "domain"
	ModeIPv6   = "ipv6"
)

// The modes of broker_tls.
const (
	ModeUnknownAuthority  = "unknown_authority"
	ModeWrongName         = "wrong_name"
	ModeExpired           = "expired"
	ModePlaintext         = "plaintext"
	ModeSilent            = "silent"
	ModeHandshakeRefused  = "refused"
	ModeClientCertificate = "client_certificate"
)

// A KindInfo is one row of the table of kinds.
type KindInfo struct {
	Kind  Kind     `json:"kind"`
	Text  string   `json:"text"`            // what happens, one line
	Takes []string `json:"takes,omitempty"` // JSON names of the fields it takes besides kind and for
	Modes []string `json:"modes,omitempty"` // values of mode, the default first
	Needs string   `json:"needs,omitempty"` // JSON name of the field that must be set
	Now   bool     `json:"now,omitempty"`   // happens once, when it is added, and never enters the list
}

// Kinds returns the table of all kinds, in the order of the hops.
func Kinds() []KindInfo {
	auth := []string{ModeStatus, ModeReply, ModeEOF, ModeReset}
	end := []string{ModeFIN, ModeReset}
	return []KindInfo{
		{Kind: TokenDown, Text: "connections to the token service are refused"},
		{Kind: TokenSlow, Text: "the token service answers after delay; if delay is not set, when the fault is removed", Takes: []string{"count", "delay"}},
		{Kind: TokenStatus, Text: "the token service answers with this HTTP status", Takes: []string{"count", "status", "retry_after"}, Needs: "status"},
		{Kind: TokenHTML, Text: "the token service answers with an HTML page (status: default 200)", Takes: []string{"count", "status"}},
		{Kind: TokenError, Text: "the token service answers 200 with an OAuth error in the body", Takes: []string{"count"}},
		{Kind: TokenHuge, Text: "the access token has this many bytes (default 204800)", Takes: []string{"count", "bytes"}},
		{Kind: TokenEmpty, Text: "the access token is empty", Takes: []string{"count"}},
		{Kind: TokenNoExpiry, Text: "the response has no expires_in", Takes: []string{"count"}},
		{Kind: TokenRevoked, Text: "all tokens issued so far are refused by the proxy from now on", Now: true},

		{Kind: CertificateRefused, Text: "the token service refuses client certificates in the TLS handshake; requires bindings with certificates", Takes: []string{"count"}},
		{Kind: TenantRefused, Text: "the token service answers 401 for the tenant in target (its id), as if the subscriber were not subscribed", Takes: []string{"count", "target"}},
		{Kind: ResourceRefused, Text: "the Identity Authentication service answers 400 invalid_target, as if the connectivity instance were not among its consumed services", Takes: []string{"count"}},

		{Kind: DestinationDown, Text: "connections to the destination service are refused"},
		{Kind: DestinationSlow, Text: "the destination service answers after delay; if delay is not set, when the fault is removed", Takes: []string{"count", "delay"}},
		{Kind: DestinationStatus, Text: "the destination service answers with this HTTP status", Takes: []string{"count", "status", "retry_after"}, Needs: "status"},
		{Kind: DestinationHTML, Text: "the destination service answers with an HTML page, status 200", Takes: []string{"count"}},
		{Kind: DestinationMissing, Text: "the destination in target (its name) is not found: status 404", Takes: []string{"count", "target"}},

		{Kind: ProxyDown, Text: "connections to the proxy are refused, open ones are reset"},
		{Kind: ProxySilent, Text: "the proxy stops answering at the step in mode (target: only with mode connect)", Takes: []string{"count", "target", "location_id", "mode"}, Modes: []string{ModeAccept, ModeGreet, ModeAuth, ModeConnect}},
		{Kind: ProxyRubbish, Text: "the proxy answers the greeting with HTTP", Takes: []string{"count"}},
		{Kind: MethodRefused, Text: "the proxy answers the greeting with 05 FF", Takes: []string{"count"}},
		{Kind: AuthRefused, Text: "the proxy refuses every token, even valid ones; with mode status, reply is the status byte (default 1)", Takes: []string{"count", "mode", "reply"}, Modes: auth},
		{Kind: BadToken, Text: "how the proxy answers invalid tokens; valid tokens are not affected", Takes: []string{"count", "mode", "reply"}, Modes: auth},
		{Kind: TokenLimit, Text: "the proxy refuses tokens that are longer than bytes", Takes: []string{"count", "mode", "reply", "bytes"}, Modes: auth, Needs: "bytes"},
		{Kind: ConnectReply, Text: "the proxy answers CONNECT with this reply code and does not connect", Takes: []string{"count", "target", "location_id", "reply"}, Needs: "reply"},
		{Kind: ShortReply, Text: "a reply other than 00 ends after the reply code, then the connection is closed", Takes: []string{"count", "target", "location_id"}},
		{Kind: BindAddress, Text: "the address in replies is of this type", Takes: []string{"count", "target", "location_id", "mode"}, Modes: []string{ModeDomain, ModeIPv6}},
		{Kind: Coalesce, Text: "reply 00 waits up to delay (default 100ms) for the broker's first bytes and is sent with them in one write", Takes: []string{"count", "target", "location_id", "delay"}},
		{Kind: HandshakeTrickle, Text: "the proxy sends its handshake messages one byte per write, with delay between writes", Takes: []string{"count", "delay"}},
		{Kind: HandshakeSlow, Text: "the proxy waits for delay before each handshake message; if delay is not set, until the fault is removed", Takes: []string{"count", "delay"}},

		{Kind: ConnectorAway, Text: "the Cloud Connector is not connected: reply 03, open connections are reset", Takes: []string{"location_id"}},
		{Kind: ConnectorFailover, Text: "the same as connector_away, for the time in for (default 5s)", Takes: []string{"location_id"}},
		{Kind: AccessRemoved, Text: "the access-control entry for target is missing: reply 02", Takes: []string{"target", "location_id"}},
		{Kind: BrokerDown, Text: "the broker (target: its address or node id) refuses connections: reply 04; open ones are reset", Takes: []string{"target"}},
		{Kind: BrokerTLS, Text: "new connections to the broker (target: its address or node id) fail in the TLS handshake; requires brokers with TLS", Takes: []string{"count", "target", "mode"}, Modes: []string{ModeUnknownAuthority, ModeWrongName, ModeExpired, ModePlaintext, ModeSilent, ModeHandshakeRefused, ModeClientCertificate}},
		{Kind: ConnectionLimit, Text: "at most limit connections can be open; further ones get reply 01", Takes: []string{"target", "location_id", "limit"}, Needs: "limit"},

		{Kind: LinkReset, Text: "open connections are reset on both sides", Takes: []string{"target", "location_id"}, Now: true},
		{Kind: ResetAfter, Text: "connections are reset on both sides after this many bytes", Takes: []string{"count", "target", "location_id", "bytes", "direction"}},
		{Kind: Stall, Text: "connections stay open, but no bytes pass", Takes: []string{"count", "target", "location_id", "direction"}},
		{Kind: Trickle, Text: "bytes pass one per write, with delay between writes", Takes: []string{"count", "target", "location_id", "direction", "delay"}},
		{Kind: Latency, Text: "bytes arrive with this additional delay", Takes: []string{"count", "target", "location_id", "direction", "delay"}, Needs: "delay"},
		{Kind: Bandwidth, Text: "at most rate bytes per second pass on each connection", Takes: []string{"count", "target", "location_id", "direction", "rate"}, Needs: "rate"},

		{Kind: HalfClose, Text: "a FIN of the client (direction up) or the broker (down) ends the whole connection instead of one direction", Takes: []string{"count", "target", "location_id", "direction", "mode"}, Modes: end},
		{Kind: IdleCut, Text: "connections that were idle for delay are closed on both sides", Takes: []string{"count", "target", "location_id", "delay", "mode"}, Modes: end, Needs: "delay"},
		{Kind: LifetimeCut, Text: "connections are closed on both sides when they have been open for delay", Takes: []string{"count", "target", "location_id", "delay", "mode"}, Modes: end, Needs: "delay"},
		{Kind: ExpiryCut, Text: "connections are closed on both sides when the token with which they were opened expires", Takes: []string{"count", "target", "location_id", "mode"}, Modes: end},
	}
}

// lookup returns the row of a kind.
func lookup(kind Kind) (KindInfo, bool) {
	for _, k := range Kinds() {
		if k.Kind == kind {
			return k, true
		}
	}
	return KindInfo{}, false
}

// defaultFailover is the duration of a failover if the fault does not set it.
const defaultFailover = 5 * time.Second

// check validates f and fills in defaults.
func (f *Fault) check() (KindInfo, error) {
	info, ok := lookup(f.Kind)
	if !ok {
		return info, fmt.Errorf("unknown fault %q; the kinds are %s", f.Kind, kindNames())
	}
	given := f.given()
	for _, field := range given {
		if !slices.Contains(info.Takes, field) {
			return info, fmt.Errorf("fault %s does not take %q; it takes %s", f.Kind, field, orNothing(info.Takes))
		}
	}
	if info.Needs != "" && !slices.Contains(given, info.Needs) {
		return info, fmt.Errorf("fault %s requires %q", f.Kind, info.Needs)
	}
	if info.Now && f.For != 0 {
		return info, fmt.Errorf("fault %s happens immediately and does not take \"for\"", f.Kind)
	}
	if len(info.Modes) > 0 {
		if f.Mode == "" {
			f.Mode = info.Modes[0]
		} else if !slices.Contains(info.Modes, f.Mode) {
			return info, fmt.Errorf("fault %s has no mode %q; its modes are %s", f.Kind, f.Mode, strings.Join(info.Modes, ", "))
		}
	}
	switch {
	case f.Count < 0:
		return info, fmt.Errorf("count %d is negative", f.Count)
	case f.For < 0 || f.Delay < 0:
		return info, fmt.Errorf("fault %s: a duration is negative", f.Kind)
	case f.Bytes < 0 || f.Rate < 0 || f.Limit < 0:
		return info, fmt.Errorf("fault %s: bytes, rate and limit cannot be negative", f.Kind)
	case f.Status != 0 && (f.Status < 100 || f.Status > 599):
		return info, fmt.Errorf("status %d is not an HTTP status", f.Status)
	case f.Reply < 0 || f.Reply > 255:
		return info, fmt.Errorf("reply %d does not fit into a byte", f.Reply)
	case f.Direction != "" && f.Direction != Up && f.Direction != Down:
		return info, fmt.Errorf("direction %q is neither %q nor %q", f.Direction, Up, Down)
	}
	if f.Kind == ConnectorFailover && f.For == 0 {
		f.For = Duration(defaultFailover)
	}
	return info, nil
}

// given returns the JSON names of the fields that are set, without kind and for.
func (f *Fault) given() []string {
	var names []string
	add := func(set bool, name string) {
		if set {
			names = append(names, name)
		}
	}
	add(f.Target != "", "target")
	add(f.LocationID != nil, "location_id")
	add(f.Count != 0, "count")
	add(f.Mode != "", "mode")
	add(f.Status != 0, "status")
	add(f.RetryAfter != "", "retry_after")
	add(f.Reply != 0, "reply")
	add(f.Delay != 0, "delay")
	add(f.Bytes != 0, "bytes")
	add(f.Rate != 0, "rate")
	add(f.Limit != 0, "limit")
	add(f.Direction != "", "direction")
	return names
}

// Matches reports whether f applies to the place w.
func (f *Fault) Matches(w Where) bool {
	if f.LocationID != nil && *f.LocationID != w.LocationID {
		return false
	}
	if f.Target == "" || strings.EqualFold(f.Target, w.Target) {
		return true
	}
	return w.Node != "" && f.Target == w.Node
}

// kindNames lists all kinds for an error message.
func kindNames() string {
	var names []string
	for _, k := range Kinds() {
		names = append(names, string(k.Kind))
	}
	return strings.Join(names, ", ")
}

// orNothing lists fields for an error message.
func orNothing(fields []string) string {
	if len(fields) == 0 {
		return "no fields but for"
	}
	quoted := make([]string, len(fields))
	for i, f := range fields {
		quoted[i] = strconv.Quote(f)
	}
	return strings.Join(quoted, ", ") + " and \"for\""
}
