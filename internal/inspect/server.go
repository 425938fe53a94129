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

// maxFile limits the size of the certificate and password files.
const maxFile = 1 << 20

// A Server is a broker or a tunnel to which a tool connects.
type Server struct {
	Address string // host:port
	Node    string // node id of the broker, or Controller; "": the one at Address
	TLS     bool
	CAFile  string // CA file (PEM) for verifying the broker; "": the system's CAs

	Mechanism    string // SASL mechanism; "": none
	Username     string
	PasswordFile string // for OAUTHBEARER the file with the token

	Wait time.Duration // for the first response; 0: 30 s. Only the context limits Dial
}

// Controller is the Node for the broker that processes changes of topics.
const Controller = "controller"

// Dial connects. It finds the broker of a node id by a Metadata request, like a client.
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

// addressOf requests the address of a node.
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
	metadata := answer.(*kmsg.MetadataResponse)
	var nodes []int
	for _, b := range metadata.Brokers {
		if strconv.Itoa(int(b.NodeID)) == node || node == Controller && b.NodeID == metadata.ControllerID {
			return net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port))), nil
		}
		nodes = append(nodes, int(b.NodeID))
	}
	slices.Sort(nodes)
	return "", fmt.Errorf("no node %s; the nodes are %d", node, nodes)
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
		return nil, errors.New("SASL requires --sasl-password-file")
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
