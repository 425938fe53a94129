package inspect

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/kafka-tunnel/kafka-tunnel/internal/boundedfile"
	"github.com/kafka-tunnel/kafka-tunnel/internal/secure"
	"github.com/kafka-tunnel/kafka-tunnel/wire"
)

// maxFile bounds the files of certificates and of the password.
const maxFile = 1 << 20

// A Server is where a tool connects to, a broker or a tunnel.
type Server struct {
	Address string // host:port
	Node    string // node id of the broker to ask, or Controller; empty: the one at Address
	TLS     bool
	CAFile  string // who has issued the broker's certificate; empty: whom the system trusts

	Mechanism    string // of SASL; empty: none
	Username     string
	PasswordFile string // for OAUTHBEARER that of a token

	Wait time.Duration // for the first answer; 0: 30 s. Dial is bounded by its context alone
}

// Controller is, in place of a node id, the broker to which requests that change topics go.
const Controller = "controller"

// Dial connects. The broker of a node id is found by a Metadata request, as clients do.
func (s Server) Dial(ctx context.Context) (*wire.Conn, error) {
	options, err := s.options()
	if err != nil {
		return nil, err
	}
	conn, err := wire.Dial(ctx, s.Address, options)
	if err != nil || s.Node == "" {
		return conn, err
	}
	address, err := addressOf(ctx, conn, s.Node)
	if err = errors.Join(err, conn.Close()); err != nil {
		return nil, err
	}
	return wire.Dial(ctx, address, options)
}

// addressOf asks where a node is.
func addressOf(ctx context.Context, conn *wire.Conn, node string) (string, error) {
	request := kmsg.NewPtrMetadataRequest()
	version, err := conn.Version(request.Key())
	if err != nil {
		return "", err
	}
	request.Version, request.Topics = version, []kmsg.MetadataRequestTopic{}
	answer, err := conn.Request(ctx, request)
	if err != nil {
		return "", err
	}
	said := answer.(*kmsg.MetadataResponse)
	var nodes []int
	for _, b := range said.Brokers {
		if strconv.Itoa(int(b.NodeID)) == node || node == Controller && b.NodeID == said.ControllerID {
			return net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port))), nil
		}
		nodes = append(nodes, int(b.NodeID))
	}
	slices.Sort(nodes)
	return "", fmt.Errorf("there is no node %s; there are %d", node, nodes)
}

func (s Server) options() (o wire.DialOptions, err error) {
	o.ClientID, o.SoftwareName, o.SoftwareVersion = clientID, clientID, "1"
	if s.TLS {
		var roots *x509.CertPool
		if s.CAFile != "" {
			text, err := boundedfile.Read(s.CAFile, maxFile)
			if err != nil {
				return o, fmt.Errorf("%s: %w", s.CAFile, err)
			}
			if roots, err = secure.ParseRoots(text); err != nil {
				return o, fmt.Errorf("%s %w", s.CAFile, err)
			}
		}
		o.TLS = secure.Config(roots)
	}
	o.SASL, err = s.mechanism()
	return o, err
}

func (s Server) mechanism() (sasl.Mechanism, error) {
	if s.Mechanism == "" {
		return nil, nil
	}
	if s.PasswordFile == "" {
		return nil, errors.New("SASL needs a file with the password")
	}
	password, err := boundedfile.Line(s.PasswordFile, maxFile)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.PasswordFile, err)
	}
	switch s.Mechanism {
	case "PLAIN":
		return plain.Auth{User: s.Username, Pass: password}.AsMechanism(), nil
	case "SCRAM-SHA-256":
		return scram.Auth{User: s.Username, Pass: password}.AsSha256Mechanism(), nil
	case "SCRAM-SHA-512":
		return scram.Auth{User: s.Username, Pass: password}.AsSha512Mechanism(), nil
	case "OAUTHBEARER":
		return oauth.Auth{Token: password}.AsMechanism(), nil
	}
	return nil, fmt.Errorf("SASL mechanism %q is not one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER", s.Mechanism)
}
