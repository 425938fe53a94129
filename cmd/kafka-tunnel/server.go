//go:build !notools

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kafka-tunnel/kafka-tunnel/internal/config"
	"github.com/kafka-tunnel/kafka-tunnel/internal/hostport"
	"github.com/kafka-tunnel/kafka-tunnel/internal/inspect"
	"github.com/kafka-tunnel/kafka-tunnel/wire"
)

// serverFlags are the flags of commands that connect to a broker.
type serverFlags struct{ server inspect.Server }

func (s *serverFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&s.server.Address, "bootstrap-server", "", "HOST:PORT of the tunnel or of a broker (default: $KAFKA_BOOTSTRAP_SERVERS, or the tunnel's address)")
	flags.BoolVar(&s.server.TLS, "tls", false, "use TLS, for a direct connection to a broker")
	flags.StringVar(&s.server.CAFile, "tls-ca-file", "", "CA file (PEM) for verifying the broker (default: the system's CAs)")
	flags.StringVar(&s.server.Mechanism, "sasl-mechanism", "", "SASL mechanism: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER")
	flags.StringVar(&s.server.Username, "sasl-username", "", "SASL user name")
	flags.StringVar(&s.server.PasswordFile, "sasl-password-file", "", "file with the SASL password, or with the token for OAUTHBEARER")
	flags.DurationVar(&s.server.Wait, "max", 30*time.Second, "how long to wait for the response")
}

// registerNode registers the flag of commands that send a request to one broker.
func (s *serverFlags) registerNode(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.server.Node, "node", "", "send to the broker with this node id, or to the "+inspect.Controller)
}

// withHint adds the probable cause to an error if no server answered.
func withHint(err error) error {
	if errors.Is(err, wire.ErrConnect) {
		return fmt.Errorf("%w; is the tunnel running? Set another address with --bootstrap-server", err)
	}
	return err
}

// complete fills in the address.
func (s *serverFlags) complete() {
	if s.server.Address == "" {
		s.server.Address = defaultServer()
	}
}

// context completes the flags and returns a context that ends when --max has passed.
func (s *serverFlags) context(cmd *cobra.Command) (context.Context, context.CancelFunc) {
	s.complete()
	return context.WithTimeout(cmd.Context(), s.server.Wait)
}

// failed returns err with the exit status of a command that ran without success.
func failed(err error) error {
	if err == nil {
		return nil
	}
	return exitWith(exitFailed, withHint(err))
}

// with connects to the broker and calls do.
func (s *serverFlags) with(cmd *cobra.Command, do func(context.Context, *wire.Conn) error) error {
	ctx, cancel := s.context(cmd)
	defer cancel()
	conn, err := s.server.Dial(ctx)
	if err != nil {
		return failed(err)
	}
	defer conn.Close()
	return do(ctx, conn)
}

// defaultServer returns KAFKA_BOOTSTRAP_SERVERS, which the tunnel's applications use, else
// the address on which the tunnel listens.
func defaultServer() string {
	if first, _, _ := strings.Cut(os.Getenv("KAFKA_BOOTSTRAP_SERVERS"), ","); first != "" {
		return first
	}
	text, err := inEffect(config.Input{Environ: os.Environ()}, func(key string) bool {
		return strings.HasPrefix(key, "clusters.") && strings.HasSuffix(key, ".listen")
	})
	if listen, ok := hostport.Parse(text); err == nil && ok && listen.Port > 0 {
		return listen.String()
	}
	return "localhost:9092"
}
