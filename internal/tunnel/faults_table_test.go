package tunnel

import (
	"testing"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
)

// The hand-written expectations: what R8 to R14, R21, R22, R24 and the catalogue
// promise for each fault of the lab. Slow rows are first.

// quick makes an attempt at something that does not answer time out early enough for
// several attempts within the hold time.
var quick = []string{"KAFKA_TUNNEL_CONNECTIVITY_HANDSHAKE_TIMEOUT=1s", "KAFKA_TUNNEL_CONNECTIVITY_HOLD=5s"}

// inTokens is the pace of requests to a failing token service: its pauses start at a
// quarter of a second, minus a quarter of that.
var inTokens = pace{pause: 187 * time.Millisecond}

// failed counts attempts by their failures, for faults that the lab cannot count.
func failed(code failure.Code) func(*testing.T, *testbed) int {
	return func(t *testing.T, bed *testbed) int { return bed.counter(t, "failures_total", "code")[string(code)] }
}

func after(d time.Duration) faults.Duration { return faults.Duration(d) }

func faultRows() []faultRow {
	var rows []faultRow
	rows = append(rows, tokenRows()...)
	rows = append(rows, bindingRows()...)
	rows = append(rows, destinationRows()...)
	rows = append(rows, proxyRows()...)
	rows = append(rows, authRows()...)
	rows = append(rows, replyRows()...)
	rows = append(rows, landscapeRows()...)
	rows = append(rows, tlsRows()...)
	return append(rows, linkRows()...)
}

// tokenRows have no connection before the fault, because a cached token would stay in
// use.
func tokenRows() []faultRow {
	row := func(name string, f faults.Fault, code failure.Code) faultRow {
		return faultRow{
			name: name, fault: f, cold: true, fresh: held, code: code, hop: failure.HopToken, tokens: inTokens,
		} // no pace: no attempt reaches the proxy
	}
	rejected := row("401", faults.Fault{Kind: faults.TokenStatus, Status: 401}, failure.TokenRejected)
	rejected.fresh, rejected.tokens = refused, never
	forbidden := row("403", faults.Fault{Kind: faults.TokenStatus, Status: 403}, failure.TokenRejected)
	forbidden.fresh, forbidden.tokens, forbidden.slow = refused, never, true

	slow := row("for ever", faults.Fault{Kind: faults.TokenSlow}, failure.TokenTimeout)
	slow.env = quick
	limited := row("429", faults.Fault{Kind: faults.TokenStatus, Status: 429, RetryAfter: "1"}, failure.TokenRateLimited)
	limited.tokens = pace{pause: time.Second}

	back := row("503 twice", faults.Fault{Kind: faults.TokenStatus, Status: 503, Count: 2}, failure.TokenStatus)
	back.fresh, back.pace = heldAnswered, free

	fine := func(name string, f faults.Fault) faultRow {
		return faultRow{name: name, fault: f, cold: true, fresh: answered, ready: true, pace: free}
	}
	return []faultRow{
		rejected, // half a minute
		forbidden,
		slow,
		limited,
		row("", faults.Fault{Kind: faults.TokenDown}, failure.TokenUnreachable),
		back,
		row("500", faults.Fault{Kind: faults.TokenStatus, Status: 500}, failure.TokenStatus),
		row("503", faults.Fault{Kind: faults.TokenStatus, Status: 503}, failure.TokenStatus),
		row("", faults.Fault{Kind: faults.TokenHTML}, failure.TokenMalformed),
		row("502", faults.Fault{Kind: faults.TokenHTML, Status: 502}, failure.TokenStatus),
		row("", faults.Fault{Kind: faults.TokenError}, failure.TokenMalformed),
		row("", faults.Fault{Kind: faults.TokenHuge}, failure.TokenMalformed),
		row("", faults.Fault{Kind: faults.TokenEmpty}, failure.TokenMalformed),
		fine("for a moment", faults.Fault{Kind: faults.TokenSlow, Delay: after(200 * time.Millisecond)}),
		fine("that is allowed", faults.Fault{Kind: faults.TokenHuge, Bytes: 32 << 10}),
		fine("", faults.Fault{Kind: faults.TokenNoExpiry}),
		{fault: faults.Fault{Kind: faults.TokenRevoked}, open: answered, fresh: answered, ready: true, pace: pace{perClient: 2}},
	}
}

// bindingRows are faults that only certificates, subscribers and Identity
// Authentication can have.
func bindingRows() []faultRow {
	row := func(f faults.Fault, o lab.Options, code failure.Code) faultRow {
		return faultRow{
			fault: f, lab: o, cold: true, fresh: refused, code: code, hop: failure.HopToken, tokens: never, slow: true,
		}
	}
	return []faultRow{
		row(faults.Fault{Kind: faults.CertificateRefused}, lab.Options{X509: true}, failure.TokenRejected),
		row(faults.Fault{Kind: faults.TenantRefused}, lab.Options{Subscriber: true}, failure.TenantRejected),
		row(faults.Fault{Kind: faults.ResourceRefused}, lab.Options{Identity: true}, failure.ResourceRejected),
	}
}

// The method states checks whether the cluster is ready or degraded. The failure of new
// connections is among the reasons before its effect on the state is known.
func destinationRows() []faultRow {
	row := func(name string, f faults.Fault, code failure.Code) faultRow {
		return faultRow{name: name, fault: f, lab: lab.Options{Destination: true}, cold: true, fresh: held, code: code, hop: failure.HopDestination}
	}
	slow := row("for a moment", faults.Fault{Kind: faults.DestinationSlow, Delay: after(200 * time.Millisecond)}, "")
	slow.fresh, slow.hop, slow.ready, slow.pace = answered, "", true, free
	return []faultRow{
		row("", faults.Fault{Kind: faults.DestinationDown}, failure.DestinationUnreachable),
		row("500", faults.Fault{Kind: faults.DestinationStatus, Status: 500}, failure.DestinationStatus),
		row("429", faults.Fault{Kind: faults.DestinationStatus, Status: 429, RetryAfter: "1"}, failure.DestinationStatus),
		row("401", faults.Fault{Kind: faults.DestinationStatus, Status: 401}, failure.DestinationRejected),
		row("403", faults.Fault{Kind: faults.DestinationStatus, Status: 403}, failure.DestinationRejected),
		row("", faults.Fault{Kind: faults.DestinationHTML}, failure.DestinationMalformed),
		row("", faults.Fault{Kind: faults.DestinationMissing}, failure.DestinationNotFound),
		slow,
	}
}

func proxyRows() []faultRow {
	row := func(f faults.Fault, code failure.Code) faultRow {
		return faultRow{fault: f, open: answered, fresh: held, code: code, hop: failure.HopProxy, pace: atGate}
	}
	quickly := func(name string, f faults.Fault, code failure.Code) faultRow {
		r := row(f, code)
		r.name, r.env = name, quick
		return r
	}
	down := row(faults.Fault{Kind: faults.ProxyDown}, failure.ProxyUnreachable)
	down.open, down.also, down.count = resetRST, []failure.Code{failure.BrokerReset}, failed(failure.ProxyUnreachable)

	behind := quickly("", faults.Fault{Kind: faults.ProxySilent, Mode: faults.ModeConnect}, failure.ConnectSilent)
	behind.fresh, behind.hop, behind.ready, behind.pace = refused, failure.HopConnector, true, atAddress
	behind.env = quick[:1]

	fine := func(name string, f faults.Fault) faultRow {
		return faultRow{name: name, fault: f, open: answered, fresh: answered, ready: true, pace: free}
	}
	return []faultRow{
		down,
		quickly("", faults.Fault{Kind: faults.ProxySilent, Mode: faults.ModeAccept}, failure.ProxySilent),
		quickly("", faults.Fault{Kind: faults.ProxySilent, Mode: faults.ModeGreet}, failure.ProxySilent),
		quickly("", faults.Fault{Kind: faults.ProxySilent, Mode: faults.ModeAuth}, failure.ProxySilent),
		behind,
		quickly("for ever", faults.Fault{Kind: faults.HandshakeSlow}, failure.ProxySilent),
		fine("for a moment", faults.Fault{Kind: faults.HandshakeSlow, Delay: after(20 * time.Millisecond)}),
		fine("", faults.Fault{Kind: faults.HandshakeTrickle, Delay: after(time.Millisecond)}),
		row(faults.Fault{Kind: faults.ProxyRubbish}, failure.ProxyProtocol),
		row(faults.Fault{Kind: faults.MethodRefused}, failure.ProxyMethodRefused),
	}
}

// authModes are the modes in which a proxy may refuse a token.
func authModes() []string {
	return []string{faults.ModeStatus, faults.ModeReply, faults.ModeEOF, faults.ModeReset}
}

func authRows() []faultRow {
	var rows []faultRow
	for _, mode := range authModes() {
		each := faultRow{
			open: answered, fresh: refusedOnce, code: failure.ProxyAuthRefused, hop: failure.HopProxy,
			pace: pace{pause: atGate.pause, each: 2},
		}
		every := each
		every.fault = faults.Fault{Kind: faults.AuthRefused, Mode: mode}
		long := each
		long.fault = faults.Fault{Kind: faults.TokenLimit, Mode: mode, Bytes: 100}
		rows = append(rows, every, long, faultRow{
			// A token that is no longer valid is replaced, and the client does not notice.
			fault: faults.Fault{Kind: faults.BadToken, Mode: mode}, with: []faults.Fault{{Kind: faults.TokenRevoked}},
			open: answered, fresh: answered, ready: true, pace: pace{perClient: 2},
		})
	}
	other := faultRow{
		name: "another status", fault: faults.Fault{Kind: faults.AuthRefused, Reply: 0x80}, open: answered, fresh: refusedOnce,
		code: failure.ProxyAuthRefused, hop: failure.HopProxy, pace: pace{pause: atGate.pause, each: 2},
	}
	return append(rows, other, faultRow{
		name: "that is kept", fault: faults.Fault{Kind: faults.TokenLimit, Bytes: 64 << 10}, open: answered, fresh: answered, ready: true, pace: free,
	})
}

func replyRows() []faultRow {
	row := func(name string, reply int, v view, code failure.Code, hop failure.Hop, p pace) faultRow {
		return faultRow{
			name: name, fault: faults.Fault{Kind: faults.ConnectReply, Reply: reply}, open: answered, fresh: v,
			code: code, hop: hop, ready: v != held, pace: p,
		}
	}
	twice := row("03 twice", 3, heldAnswered, failure.ConnectorAway, failure.HopConnector, pace{perClient: 1, pause: atGate.pause})
	twice.fault.Count = 2
	badToken := row("05", 5, refusedOnce, failure.ProxyAuthRefused, failure.HopProxy, pace{pause: atGate.pause, each: 2})
	badToken.ready = false
	three := row("02, three brokers", 2, slowly02, failure.AccessNotAllowed, failure.HopConnector, atRefusal)
	three.lab = lab.Options{Brokers: 3}
	short := func(reply int, v view, code failure.Code, hop failure.Hop, p pace) faultRow {
		r := row("", reply, v, code, hop, p)
		r.with, r.fault = []faults.Fault{r.fault}, faults.Fault{Kind: faults.ShortReply}
		return r
	}
	bound := func(mode string) faultRow {
		return faultRow{fault: faults.Fault{Kind: faults.BindAddress, Mode: mode}, open: answered, fresh: answered, ready: true, pace: free}
	}
	shortRefusal := short(2, slowly02, failure.AccessNotAllowed, failure.HopConnector, atRefusal)
	shortRefusal.name = "of 02"
	return []faultRow{
		row("01", 1, held, failure.ProxyGeneralFailure, failure.HopConnector, atGate),
		row("02", 2, slowly02, failure.AccessNotAllowed, failure.HopConnector, atRefusal),
		three,
		row("03", 3, held, failure.ConnectorAway, failure.HopConnector, atGate),
		twice,
		row("04", 4, refused, failure.BrokerUnreachable, failure.HopBroker, atAddress),
		badToken,
		row("06", 6, held, failure.ProxyGeneralFailure, failure.HopConnector, atGate),
		row("07", 7, refused, failure.CommandRefused, failure.HopProxy, atAddress),
		row("08", 8, refused, failure.AddressUnsupported, failure.HopConnector, atAddress),
		row("09", 9, held, failure.ProxyGeneralFailure, failure.HopConnector, atGate),
		short(3, held, failure.ConnectorAway, failure.HopConnector, atGate),
		shortRefusal,
		bound(faults.ModeDomain),
		bound(faults.ModeIPv6),
		{fault: faults.Fault{Kind: faults.Coalesce, Delay: after(20 * time.Millisecond)}, open: answered, fresh: answered, ready: true, pace: free},
	}
}

func landscapeRows() []faultRow {
	wasReset := []failure.Code{failure.BrokerReset}
	// R10: after a failure of one address the next one is tried.
	elsewhere := func(f faults.Fault, open view) faultRow {
		return faultRow{
			name: "one of three", fault: f, inUse: true, lab: lab.Options{Brokers: 3},
			open: open, fresh: answered, ready: true, pace: pace{perClient: 1, pause: atAddress.pause},
		}
	}
	down := elsewhere(faults.Fault{Kind: faults.BrokerDown}, resetRST)
	down.code, down.hop, down.also = failure.BrokerUnreachable, failure.HopBroker, wasReset
	notExposed := elsewhere(faults.Fault{Kind: faults.AccessRemoved}, answered)
	notExposed.code, notExposed.hop = failure.AccessNotAllowed, failure.HopConnector
	// An attempt at an address that does not answer continues, and the next address is
	// tried in parallel.
	quiet := elsewhere(faults.Fault{Kind: faults.ProxySilent, Mode: faults.ModeConnect}, answered)
	failover := faultRow{
		fault: faults.Fault{Kind: faults.ConnectorFailover}, open: resetRST, fresh: heldAnswered,
		code: failure.ConnectorAway, hop: failure.HopConnector, also: wasReset, pace: pace{perClient: 1, pause: atGate.pause},
	}
	return []faultRow{
		failover, down, notExposed, quiet,
		{
			fault: faults.Fault{Kind: faults.ConnectorAway}, open: resetRST, fresh: held,
			code: failure.ConnectorAway, hop: failure.HopConnector, also: wasReset, pace: atGate,
		},
		{
			fault: faults.Fault{Kind: faults.AccessRemoved}, open: answered, fresh: slowly02,
			code: failure.AccessNotAllowed, hop: failure.HopConnector, ready: true, pace: atRefusal,
		},
		{
			fault: faults.Fault{Kind: faults.BrokerDown}, open: resetRST, fresh: refused,
			code: failure.BrokerUnreachable, hop: failure.HopBroker, also: wasReset, pace: atAddress,
		},
		{
			fault: faults.Fault{Kind: faults.ConnectionLimit, Limit: 1}, open: answered, fresh: held,
			code: failure.ProxyGeneralFailure, hop: failure.HopConnector, pace: atGate,
		},
	}
}

// tlsRows: a TLS failure concerns only its address.
func tlsRows() []faultRow {
	var rows []faultRow
	for mode, code := range map[string]failure.Code{
		faults.ModeUnknownAuthority: failure.TLSUnknownAuthority,
		faults.ModeWrongName:        failure.TLSWrongName,
		faults.ModeExpired:          failure.TLSExpired,
		faults.ModePlaintext:        failure.TLSNotSpoken,
		faults.ModeSilent:           failure.TLSSilent,
		faults.ModeHandshakeRefused: failure.TLSRefused,
	} {
		rows = append(rows, faultRow{
			fault: faults.Fault{Kind: faults.BrokerTLS, Mode: mode}, lab: lab.Options{TLS: true}, env: quick[:1],
			open: answered, fresh: refused, code: code, hop: failure.HopBroker, ready: true, pace: atAddress,
		})
	}
	// In TLS 1.3 the broker refuses only after the handshake, when the client's first
	// request is already in flight.
	late := faultRow{
		fault: faults.Fault{Kind: faults.BrokerTLS, Mode: faults.ModeClientCertificate}, lab: lab.Options{TLS: true},
		open: answered, fresh: resetAsking, code: failure.TLSRefused, hop: failure.HopBroker, ready: true, pace: free,
	}
	elsewhere := faultRow{
		name: "one of three", fault: faults.Fault{Kind: faults.BrokerTLS, Mode: faults.ModeExpired}, inUse: true, lab: lab.Options{Brokers: 3, TLS: true},
		open: answered, fresh: answered, ready: true, code: failure.TLSExpired, hop: failure.HopBroker, pace: pace{perClient: 1, pause: atAddress.pause},
	}
	return append(rows, late, elsewhere)
}

// linkRows: a fault after the connection was granted does not concern the dialer:
// nothing is paced, and the route counts as working.
func linkRows() []faultRow {
	fine := func(f faults.Fault) faultRow {
		return faultRow{fault: f, open: answered, fresh: answered, ready: true, pace: free}
	}
	cut := func(f faults.Fault) faultRow {
		return faultRow{fault: f, open: resetAsking, fresh: resetAsking, code: failure.BrokerReset, hop: failure.HopBroker, ready: true, pace: free}
	}
	named := func(name string, r faultRow) faultRow {
		r.name = name
		return r
	}
	reset := cut(faults.Fault{Kind: faults.LinkReset})
	reset.open, reset.fresh = resetRST, answered

	atOnce := named("at once", cut(faults.Fault{Kind: faults.ResetAfter}))
	atOnce.open = resetRST

	stalled := faultRow{
		name: "inside a response", fault: faults.Fault{Kind: faults.Trickle, Direction: faults.Down, Delay: after(time.Hour)},
		env:  []string{"KAFKA_TUNNEL_LIMITS_FRAME_STALL=300ms"},
		open: broken, fresh: broken, code: failure.BrokerStalled, hop: failure.HopBroker, ready: true, pace: free,
	}
	rows := []faultRow{
		reset,
		atOnce,
		named("inside a request", cut(faults.Fault{Kind: faults.ResetAfter, Bytes: 10, Direction: faults.Up})),
		named("inside a response", cut(faults.Fault{Kind: faults.ResetAfter, Bytes: 10, Direction: faults.Down})),
		named("", cut(faults.Fault{Kind: faults.ResetAfter, Bytes: 20})),
		{fault: faults.Fault{Kind: faults.Stall}, open: silent, fresh: silent, ready: true, pace: free},
		named("down", faultRow{fault: faults.Fault{Kind: faults.Stall, Direction: faults.Down}, open: silent, fresh: silent, ready: true, pace: free}),
		fine(faults.Fault{Kind: faults.Trickle}),
		stalled,
		fine(faults.Fault{Kind: faults.Latency, Delay: after(50 * time.Millisecond)}),
		fine(faults.Fault{Kind: faults.Bandwidth, Rate: 4000}),
	}
	// The proxy ends a connection for reasons of its own: its FIN counts as a FIN of
	// the broker, its reset as a reset. Later connections are served.
	const idle = 2 * time.Second
	for _, mode := range []string{faults.ModeFIN, faults.ModeReset} {
		half := fine(faults.Fault{Kind: faults.HalfClose, Mode: mode})
		half.open = asked
		rows = append(rows, half)
		expiry := fine(faults.Fault{Kind: faults.ExpiryCut, Mode: mode})
		expiry.lab.TokenLife = 2 * time.Second
		expiry.tokens = pace{pause: 400 * time.Millisecond} // each token is used for about a second
		for _, r := range []faultRow{
			expiry,
			fine(faults.Fault{Kind: faults.IdleCut, Mode: mode, Delay: after(idle)}),
			fine(faults.Fault{Kind: faults.LifetimeCut, Mode: mode, Delay: after(idle)}),
		} {
			r.open = closedFIN
			if mode == faults.ModeReset {
				r.open, r.also = resetRST, []failure.Code{failure.BrokerReset}
			}
			rows = append(rows, r)
		}
	}
	return rows
}
