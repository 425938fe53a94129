package socks

import (
	"fmt"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// refusal returns the meaning of a reply other than success (SAP, "Using the TCP Protocol for
// Cloud Applications", table of responses). SAP's meanings differ from the names in RFC 1928.
func refusal(code replyCode) failure.Code {
	switch code {
	case replyForbidden: // no entry in the Cloud Connector's access control
		return failure.AccessNotAllowed
	case replyNetworkUnreachable: // Cloud Connector not connected, or Location ID unknown
		return failure.ConnectorAway
	case replyHostUnreachable: // the Cloud Connector cannot reach the broker
		return failure.BrokerUnreachable
	case replyConnectionRefused: // the proxy refused the token
		return failure.ProxyAuthRefused
	case replyCommandUnsupported:
		return failure.CommandRefused
	case replyAddressUnsupported:
		return failure.AddressUnsupported
	case replyFailure, replyTTLExpired: // closed by the backend, or general; SAP does not use 06
		return failure.ProxyGeneralFailure
	default: // undocumented: treated like a general failure, with its number
		return failure.ProxyGeneralFailure
	}
}

// greetingRefused returns the failure in a response to the greeting, or nil. A wrong port is
// more common than a faulty proxy, so the detail names other protocols that are easily
// recognised.
func greetingRefused(answer []byte, offered method) *failure.Failure {
	if answer[0] == socksVersion {
		if m := method(answer[1]); m != offered {
			return failure.New(failure.ProxyMethodRefused, nil).With(fmt.Sprintf("method 0x%02x", byte(m)))
		}
		return nil
	}
	detail := fmt.Sprintf("the response to the greeting begins with 0x%02x 0x%02x", answer[0], answer[1])
	switch {
	case answer[0] == 'H' && answer[1] == 'T':
		detail = "the response is HTTP"
	case answer[0] == 0x15 && answer[1] == 0x03: // a TLS alert
		detail = "the response is TLS"
	}
	return failure.New(failure.ProxyProtocol, nil).With(detail)
}

// authRefused returns the failure in a response to the authentication, or nil.
func authRefused(answer []byte) *failure.Failure {
	if answer[0] != authVersion {
		return failure.New(failure.ProxyProtocol, nil).
			With(fmt.Sprintf("the response to the authentication begins with 0x%02x 0x%02x", answer[0], answer[1]))
	}
	if s := status(answer[1]); s != statusOK {
		return failure.New(failure.ProxyAuthRefused, nil).With(fmt.Sprintf("status 0x%02x", byte(s)))
	}
	return nil
}
