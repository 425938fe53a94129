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

// labOptions are the switches of the lab that are not the tunnel's.
type labOptions struct {
	lab           lab.Options
	upstream      string
	landscapeOnly bool
	envFile       string
	exec          bool
	out           io.Writer // the lab's own words
}

func newLabCommand() *cobra.Command {
	var o labOptions
	cmd := &cobra.Command{
		Use:   "lab [flags] [--exec -- CMD ARGS]",
		Short: "A whole landscape on this machine, with the tunnel in front",
		Long: `Run a whole landscape on this machine: a token service, a connectivity proxy that
demands a token, a Cloud Connector, Kafka brokers that call themselves by names
nobody can resolve, and the tunnel in front of them on localhost:9092. Any Kafka
client can be pointed at it. All ports but --listen are ephemeral unless given.

--upstream puts real brokers in place of the embedded ones; the Cloud Connector
then exposes exactly these. --landscape-only leaves the tunnel out and writes what
the platform would give it into a file. --exec runs a command beside it, with
KAFKA_BOOTSTRAP_SERVERS set, and ends with its status.`,
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
	f.StringVar(&o.lab.Advertise, "advertise", "internal", "what brokers call themselves: internal (names that do not resolve), localhost or virtual (as the Cloud Connector exposes them)")
	f.StringVar(&o.upstream, "upstream", "", "real brokers in place of the embedded ones: [VIRTUAL:PORT=]HOST:PORT,...")
	f.BoolVar(&o.lab.TLS, "tls", false, "the embedded brokers want TLS, with certificates of the lab's own authority")
	f.BoolVar(&o.lab.Registry, "registry", false, "a stand-in for a Schema Registry, reached through a forward")
	f.BoolVar(&o.lab.X509, "x509", false, "the service bindings have certificates in place of secrets")
	f.BoolVar(&o.lab.Identity, "identity", false, "tokens are those of the Identity Authentication service")
	f.BoolVar(&o.lab.Destination, "with-destination", false, "a destination service, and the tunnel finds the brokers by the destination "+lab.DestinationName)
	f.BoolVar(&o.lab.Subscriber, "subscriber", false, "the Cloud Connector is connected to the subaccount of a subscriber")
	f.StringVar(&o.lab.Second, "second-connector", "", "Location ID of a second Cloud Connector, which exposes every second broker")
	f.BoolVar(&o.lab.Trusted, "trusted", false, "the proxy wants no token, as Kyma's in trusted mode")
	f.StringVar(&o.lab.DataDir, "data-dir", "", "where the embedded brokers keep topics and groups (default: in memory)")
	f.DurationVar(&o.lab.TokenLife, "token-life", 12*time.Hour, "life of the tokens that the token service issues")
	f.BoolVar(&o.landscapeOnly, "landscape-only", false, "do not run the tunnel")
	f.StringVar(&o.envFile, "env-file", "", "write the tunnel's environment into this file, in shell form, once ready")
	f.BoolVar(&o.exec, "exec", false, "run the command behind -- beside the lab and end with its status")
	addFlags(f, tunnelFlags()...)
	for name, value := range labDefaults() {
		f.Lookup(name).DefValue = value
	}
	return cmd
}

func (o *labOptions) check(args []string) error {
	switch {
	case o.exec && len(args) == 0:
		return errors.New("--exec needs a command behind --: kafka-tunnel lab --exec -- npm test")
	case !o.exec && len(args) > 0:
		return fmt.Errorf("unexpected argument %q; to run a command beside the lab: kafka-tunnel lab --exec -- CMD ARGS", args[0])
	case o.landscapeOnly && o.exec:
		return errors.New("--exec needs the tunnel; leave out --landscape-only")
	case o.landscapeOnly && o.envFile == "":
		return errors.New("--landscape-only needs --env-file, or nobody learns how to reach it")
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

// runLab starts everything, proves the way and waits for its end.
func runLab(cmd *cobra.Command, o *labOptions, args []string) error {
	signals, stop := forwarded()
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
		return exitWith(exitInternal, fmt.Errorf("the landscape does not start: %w", err))
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
		return child(ctx, t, args, signals)
	}
	printHints(o.out, t.Tunnel)
	waitForEnd(signals)
	return nil
}

func landscapeOnly(o *labOptions, landscape *lab.Landscape, signals <-chan os.Signal) error {
	if err := landscape.WriteEnvFile(o.envFile); err != nil {
		return exitWith(exitInternal, err)
	}
	say(o.out, "\nready: the tunnel's environment is in %s; Ctrl-C ends the landscape\n", o.envFile)
	waitForEnd(signals)
	return nil
}

// startInLab starts the tunnel with nothing but what the platform would give it.
// Its ports are ephemeral where the flags do not say otherwise.
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
	say(o.out, "  %-20s %-24s %s\n", "tunnel", t.Address(""), "bootstrap for clients")
	if address := t.Forward("registry"); address != "" {
		say(o.out, "  %-20s %-24s %s\n", "forward", address, "registry: http://"+address+"/subjects")
	}
	say(o.out, "  %-20s %-24s %s\n", "admin", t.AdminAddress(), t.AdminURL()+"/status")
	return t, nil
}

// tunnelFlags are the flags of the tunnel that make sense in the lab. --advertise
// is the lab's own.
func tunnelFlags() []string {
	return []string{"listen", "broker-ports", "admin-listen", "admin-tap", "connectivity-hold", "drain-timeout", "drain-quiet", "limits-max-connections", "log-level", "log-format"}
}

// labDefaults are the values of those flags that differ in the lab, so that it
// starts beside whatever else runs on the machine.
func labDefaults() map[string]string {
	return map[string]string{"admin-listen": "127.0.0.1:0", "admin-tap": "true", "broker-ports": "0", "log-level": "warn"}
}

// prove produces and consumes one record through every hop.
func prove(ctx context.Context, out io.Writer, landscape *lab.Landscape, t *tunnel.Tunnel) error {
	ctx, cancel := context.WithTimeout(ctx, labReady)
	defer cancel()
	proof, err := landscape.Prove(ctx, t.Address(""))
	if proof != nil {
		say(out, "\nOne record through every hop:\n")
		for _, step := range proof.Steps {
			took := ""
			if step.Took > 0 {
				took = step.Took.Round(100 * time.Microsecond).String()
			}
			say(out, "  %-20s %-10s %s\n", step.Name, took, step.Detail)
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
	say(out, "A BTP landscape on this machine:\n")
	for _, p := range landscape.Parts() {
		say(out, "  %-20s %-24s %s\n", p.Name, p.Address, p.Detail)
	}
}

// printHints shows lines to paste for well-known clients.
func printHints(out io.Writer, t *tunnel.Tunnel) {
	address := t.Address("")
	say(out, `
ready: any Kafka client can use %[1]s, for example

  kcat -b %[1]s -L
  kafka-topics.sh --bootstrap-server %[1]s --create --topic hello
  kafka-console-producer.sh --bootstrap-server %[1]s --topic hello
  new Kafka({brokers: ['%[1]s']})                        // kafkajs
  KafkaConsumer('hello', bootstrap_servers='%[1]s')      # kafka-python

  kafka-tunnel status --admin-listen %[2]s
  kafka-tunnel tap --admin-listen %[2]s

Ctrl-C ends it.
`, address, t.AdminAddress())
}

// waitForEnd waits for a signal that ends programs.
func waitForEnd(signals <-chan os.Signal) {
	for s := range signals {
		if s == os.Interrupt || s == syscall.SIGTERM || s == syscall.SIGHUP {
			return
		}
	}
}

// say prints; what the lab says is nobody's data, so an error of the terminal is
// none of the lab.
func say(out io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(out, format, args...) }
