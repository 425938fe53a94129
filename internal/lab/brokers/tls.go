package brokers

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/authority"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
)

// errHandshake is the error of a broker that refuses every handshake.
var errHandshake = errors.New("refused by a fault")

// secure puts TLS, or what a fault requires instead, over an accepted connection; plain reports
// that the connection has no TLS.
func (c *Cluster) secure(b *Broker, tcp *net.TCPConn) (_ net.Conn, plain bool) {
	if c.opts.Authority == nil {
		return tcp, false
	}
	f, faulty := c.tlsFault(b)
	switch {
	case faulty && f.Mode == faults.ModePlaintext:
		return tcp, true
	case faulty && f.Mode == faults.ModeSilent:
		return &silent{tcp}, false
	}
	return &secured{tls.Server(tcp, &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return c.handshake(b, f.Mode)
		},
	}), tcp}, false
}

// tlsFault returns the fault that applies to a new connection to a broker.
func (c *Cluster) tlsFault(b *Broker) (faults.Fault, bool) {
	for _, name := range append([]string{b.Advertised(), b.Address()}, b.aliases...) {
		if f, ok := c.opts.Faults.Take(faults.BrokerTLS, faults.Where{Target: name, Node: strconv.Itoa(int(b.id))}); ok {
			return f, true
		}
	}
	return faults.Fault{}, false
}

// handshake returns the TLS configuration of a broker for one handshake.
func (c *Cluster) handshake(b *Broker, mode string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	issuer, request := c.opts.Authority, authority.Request{Names: b.names}
	switch mode {
	case "":
		cert, err := b.certificate(issuer)
		config.Certificates = []tls.Certificate{cert}
		return config, err
	case faults.ModeUnknownAuthority:
		var err error
		if issuer, err = authority.New("another authority"); err != nil {
			return nil, err
		}
	case faults.ModeWrongName:
		request.Names = []string{"another.onprem.invalid", "*.another.invalid"}
	case faults.ModeExpired:
		request.Expired = time.Now().Add(-24 * time.Hour)
	case faults.ModeClientCertificate:
		config.ClientAuth = tls.RequireAnyClientCert
	default:
		return nil, errHandshake
	}
	cert, err := issuer.Issue(request)
	config.Certificates = []tls.Certificate{cert}
	return config, err
}

// certificate returns the broker's own certificate, which is issued when it is first needed.
func (b *Broker) certificate(issuer *authority.Authority) (tls.Certificate, error) {
	b.issue.Do(func() { b.cert, b.certErr = issuer.Issue(authority.Request{Names: b.names}) })
	return b.cert, b.certErr
}

// A secured connection closes like that of a real broker: the alert that ends a handshake must
// not be lost in a reset because bytes of the client are unread.
type secured struct {
	*tls.Conn
	tcp *net.TCPConn
}

// Read reads; the first one performs the handshake.
func (s *secured) Read(p []byte) (int, error) {
	if err := s.Handshake(); err != nil {
		if _, plain := errors.AsType[tls.RecordHeaderError](err); plain {
			_, _ = s.tcp.Write([]byte{21, 3, 3, 0, 2, 2, 10}) // unexpected_message, like Kafka
		}
		_ = s.tcp.CloseWrite()
		_ = s.tcp.SetReadDeadline(time.Now().Add(5 * time.Second))
		_, _ = io.Copy(io.Discard, s.tcp)
		return 0, err
	}
	return s.Conn.Read(p)
}

// A silent connection reads everything and answers nothing.
type silent struct{ *net.TCPConn }

// Read returns when the connection has ended.
func (s *silent) Read([]byte) (int, error) {
	_, err := io.Copy(io.Discard, s.TCPConn)
	if err == nil {
		err = io.EOF
	}
	return 0, err
}
