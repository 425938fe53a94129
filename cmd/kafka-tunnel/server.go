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

// serverFlags are the flags of commands that speak with a broker.
type serverFlags struct{ server inspect.Server }

func (s *serverFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&s.server.Address, "bootstrap-server", "", "host:port of the tunnel or of a broker (default: $KAFKA_BOOTSTRAP_SERVERS, or where the tunnel listens)")
	flags.BoolVar(&s.server.TLS, "tls", false, "TLS, for a broker without the tunnel")
	flags.StringVar(&s.server.CAFile, "tls-ca-file", "", "who has issued the broker's certificate, PEM (default: whom the system trusts)")
	flags.StringVar(&s.server.Mechanism, "sasl-mechanism", "", "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER")
	flags.StringVar(&s.server.Username, "sasl-username", "", "who comes in")
	flags.StringVar(&s.server.PasswordFile, "sasl-password-file", "", "file with the password; with OAUTHBEARER with a token")
	flags.DurationVar(&s.server.Wait, "max", 30*time.Second, "how long to wait")
}

// registerNode registers the flag of commands that ask one broker.
func (s *serverFlags) registerNode(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.server.Node, "node", "", "ask the broker with this node id, or the "+inspect.Controller)
}

// reached says what may be wrong where nobody answers.
func reached(err error) error {
	if errors.Is(err, wire.ErrConnect) {
		return fmt.Errorf("%w; is the tunnel running? --bootstrap-server says another address", err)
	}
	return err
}

// complete fills in the address.
func (s *serverFlags) complete() {
	if s.server.Address == "" {
		s.server.Address = defaultServer()
	}
}

// context completes the flags and returns a context that ends when --max is over.
func (s *serverFlags) context(cmd *cobra.Command) (context.Context, context.CancelFunc) {
	s.complete()
	return context.WithTimeout(cmd.Context(), s.server.Wait)
}

// failed is the error of something that was tried.
func failed(err error) error {
	if err == nil {
		return nil
	}
	return exitWith(exitFailed, reached(err))
}

// with calls do with a connection.
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

// defaultServer is what applications beside the tunnel are told, else where it listens.
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
