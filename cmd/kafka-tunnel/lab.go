//go:build !notools

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab"
	"github.com/kafka-tunnel/kafka-tunnel/internal/logging"
	"github.com/kafka-tunnel/kafka-tunnel/internal/tunnel"
)

// labReady is how long the lab may take to become ready (R3).
const labReady = 30 * time.Second

// labOptions are the options of the lab, without those of the tunnel.
type labOptions struct {
	lab           lab.Options
	upstream      string
	landscapeOnly bool
	envFile       string
	exec          bool
	out           io.Writer // for the output of the lab itself
}

func newLabCommand() *cobra.Command {
	var o labOptions
	cmd := &cobra.Command{
		Use:   "lab [flags] [--exec -- CMD ARGS]",
		Short: "Run all upstream services on this machine, with the tunnel in front",
		Long: `Run all upstream services on this machine: a token service, a connectivity proxy that
requires a token, a Cloud Connector, and Kafka brokers that advertise names that do not
resolve. The tunnel listens on localhost:9092 for any Kafka client. All ports except
that of --listen are ephemeral unless they are set.

--upstream replaces the embedded brokers by real ones; the Cloud Connector then exposes
exactly these. --landscape-only starts only the upstream services and writes the
environment that the platform would set for the tunnel to a file. --exec runs a command
with KAFKA_BOOTSTRAP_SERVERS set and exits with its exit status.`,
		Example: `  kafka-tunnel lab
  kafka-tunnel lab --upstream kafka-1.corp:9092=127.0.0.1:29092
  kafka-tunnel lab --exec -- npm test
  kafka-tunnel lab --landscape-only --env-file lab.env`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(args); err != nil {
				return err
			}
			return runLab(cmd, &o, args)
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.lab.Brokers, "brokers", 3, "number of embedded brokers")
	f.StringVar(&o.lab.Advertise, "advertise", "internal", "addresses that the brokers advertise: internal (names that do not resolve), localhost or virtual (as the Cloud Connector exposes them)")
	f.StringVar(&o.upstream, "upstream", "", "use real brokers instead of the embedded ones: [VIRTUAL:PORT=]HOST:PORT,...")
	f.BoolVar(&o.lab.TLS, "tls", false, "the embedded brokers require TLS, with certificates of the lab's own CA")
	f.BoolVar(&o.lab.Registry, "registry", false, "start a simulated Schema Registry, reached through a forward")
	f.BoolVar(&o.lab.X509, "x509", false, "the service bindings have certificates instead of secrets")
	f.BoolVar(&o.lab.Identity, "identity", false, "the Identity Authentication service issues the tokens")
	f.BoolVar(&o.lab.Destination, "with-destination", false, "start a destination service; the tunnel reads the brokers' addresses from the destination "+lab.DestinationName)
	f.BoolVar(&o.lab.Subscriber, "subscriber", false, "the Cloud Connector is connected to the subaccount of a subscriber")
	f.StringVar(&o.lab.Second, "second-connector", "", "Location ID of a second Cloud Connector, which exposes every second broker")
	f.BoolVar(&o.lab.Trusted, "trusted", false, "the proxy requires no token, like Kyma's in trusted mode")
	f.StringVar(&o.lab.DataDir, "data-dir", "", "directory for topics and groups of the embedded brokers (default: in memory)")
	f.DurationVar(&o.lab.TokenLife, "token-life", 12*time.Hour, "lifetime of the tokens that the token service issues")
	f.BoolVar(&o.landscapeOnly, "landscape-only", false, "do not start the tunnel")
	f.StringVar(&o.envFile, "env-file", "", "write the tunnel's environment to this file, in shell form, when the lab is ready")
	f.BoolVar(&o.exec, "exec", false, "run the command after -- and exit with its exit status")
	addFlags(f, tunnelFlags()...)
	for name, value := range labDefaults() {
		f.Lookup(name).DefValue = value
	}
	return cmd
}

func (o *labOptions) check(args []string) error {
	switch {
	case o.exec && len(args) == 0:
		return errors.New("--exec requires a command after --: kafka-tunnel lab --exec -- npm test")
	case !o.exec && len(args) > 0:
		return fmt.Errorf("unexpected argument %q; to run a command with the lab: kafka-tunnel lab --exec -- CMD ARGS", args[0])
	case o.landscapeOnly && o.exec:
		return errors.New("--exec requires the tunnel; leave out --landscape-only")
	case o.landscapeOnly && o.envFile == "":
		return errors.New("--landscape-only requires --env-file, the file for the tunnel's environment")
	}
	if o.upstream != "" {
		var err error
		if o.lab.Upstream, err = lab.ParseUpstream(o.upstream); err != nil {
			return fmt.Errorf("--upstream: %w", err)
		}
		o.lab.Brokers, o.lab.Advertise = 0, ""
	}
	return nil
}

// runLab starts everything, passes one record through it and waits for a signal.
func runLab(cmd *cobra.Command, o *labOptions, args []string) error {
	signals, stop := catchSignals()
	defer stop()
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	o.out = cmd.OutOrStdout()
	if o.exec {
		o.out = cmd.ErrOrStderr()
	}
	level := labDefaults()["log-level"]
	if f := cmd.Flags().Lookup("log-level"); f.Changed {
		level = f.Value.String()
	}
	logger, err := logging.New(o.out, level, "text")
	if err != nil {
		return failure.New(failure.ConfigInvalid, err)
	}
	defer logger.Close()
	o.lab.Logger = logger.With("part", "landscape")
	landscape, err := lab.Start(ctx, o.lab)
	if err != nil {
		return exitWith(exitInternal, fmt.Errorf("the lab cannot start: %w", err))
	}
	defer func() { _ = landscape.Close() }()
	printParts(o.out, landscape)
	if o.landscapeOnly {
		return landscapeOnly(o, landscape, signals)
	}
	t, err := startInLab(cmd, o, landscape)
	if err != nil {
		return err
	}
	defer t.Close()
	if err := prove(ctx, o.out, landscape, t.Tunnel); err != nil {
		return err
	}
	if o.envFile != "" {
		if err := landscape.WriteEnvFile(o.envFile); err != nil {
			return exitWith(exitInternal, err)
		}
	}
	if o.exec {
		return runChild(ctx, t, args, signals)
	}
	printHints(o.out, t.Tunnel)
	waitForEnd(signals)
	return nil
}

func landscapeOnly(o *labOptions, landscape *lab.Landscape, signals <-chan os.Signal) error {
	if err := landscape.WriteEnvFile(o.envFile); err != nil {
		return exitWith(exitInternal, err)
	}
	printf(o.out, "\nready: the tunnel's environment is in %s; Ctrl-C stops the lab\n", o.envFile)
	waitForEnd(signals)
	return nil
}

// startInLab starts the tunnel with only the environment that the platform would set.
// Its ports are ephemeral unless flags set them.
func startInLab(cmd *cobra.Command, o *labOptions, landscape *lab.Landscape) (*running, error) {
	environ := landscape.Env()
	for name, value := range labDefaults() {
		environ = append(environ, "KAFKA_TUNNEL_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))+"="+value)
	}
	flags := pflag.NewFlagSet("tunnel", pflag.ContinueOnError)
	for _, name := range tunnelFlags() {
		flags.AddFlag(cmd.Flags().Lookup(name))
	}
	s, err := load(flags, environ)
	if err != nil {
		return nil, err
	}
	t, err := s.start(cmd.Context(), o.out)
	if err != nil {
		return nil, err
	}
	printf(o.out, "  %-20s %-24s %s\n", "tunnel", t.Address(""), "bootstrap for clients")
	if address := t.Forward("registry"); address != "" {
		printf(o.out, "  %-20s %-24s %s\n", "forward", address, "registry: http://"+address+"/subjects")
	}
	printf(o.out, "  %-20s %-24s %s\n", "admin", t.AdminAddress(), t.AdminURL()+"/status")
	return t, nil
}

// tunnelFlags are the tunnel's flags that the lab accepts. --advertise is a flag of the
// lab itself.
func tunnelFlags() []string {
	return []string{"listen", "broker-ports", "admin-listen", "admin-tap", "connectivity-hold", "drain-timeout", "drain-quiet", "limits-max-connections", "log-level", "log-format"}
}

// labDefaults are the defaults of those flags that differ in the lab: it must start
// whatever else runs on the machine.
func labDefaults() map[string]string {
	return map[string]string{"admin-listen": "127.0.0.1:0", "admin-tap": "true", "broker-ports": "0", "log-level": "warn"}
}

// prove produces and consumes one record through every hop.
func prove(ctx context.Context, out io.Writer, landscape *lab.Landscape, t *tunnel.Tunnel) error {
	ctx, cancel := context.WithTimeout(ctx, labReady)
	defer cancel()
	proof, err := landscape.Prove(ctx, t.Address(""))
	if proof != nil {
		printf(out, "\nOne record through every hop:\n")
		for _, step := range proof.Steps {
			took := ""
			if step.Took > 0 {
				took = step.Took.Round(100 * time.Microsecond).String()
			}
			printf(out, "  %-20s %-10s %s\n", step.Name, took, step.Detail)
		}
	}
	if err == nil {
		return nil
	}
	hop := ""
	for _, c := range t.Ready(ctx, "").Clusters {
		if c.Code != "" {
			hop = fmt.Sprintf("\nfailing hop: %s (%s): %s\n%s", c.Hop, c.Code, c.Summary, c.Advice)
		}
	}
	return exitWith(exitInternal, fmt.Errorf("the lab is not ready after %v: %w%s", labReady, err, hop))
}

func printParts(out io.Writer, landscape *lab.Landscape) {
	printf(out, "The upstream services on this machine:\n")
	for _, p := range landscape.Parts() {
		printf(out, "  %-20s %-24s %s\n", p.Name, p.Address, p.Detail)
	}
}

// printHints prints lines to paste for well-known clients.
func printHints(out io.Writer, t *tunnel.Tunnel) {
	address := t.Address("")
	printf(out, `
ready: any Kafka client can use %[1]s, for example

  kcat -b %[1]s -L
  kafka-topics.sh --bootstrap-server %[1]s --create --topic hello
  kafka-console-producer.sh --bootstrap-server %[1]s --topic hello
  new Kafka({brokers: ['%[1]s']})                        // kafkajs
  KafkaConsumer('hello', bootstrap_servers='%[1]s')      # kafka-python

  kafka-tunnel status --admin-listen %[2]s
  kafka-tunnel tap --admin-listen %[2]s

Ctrl-C stops the lab.
`, address, t.AdminAddress())
}

// waitForEnd waits for a signal to stop.
func waitForEnd(signals <-chan os.Signal) {
	for s := range signals {
		if s == os.Interrupt || s == syscall.SIGTERM || s == syscall.SIGHUP {
			return
		}
	}
}

// printf prints text for the user. It ignores errors: the lab works without its output.
func printf(out io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(out, format, args...) }
