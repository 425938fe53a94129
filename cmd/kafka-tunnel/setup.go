package main

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kafka-tunnel/kafka-tunnel/internal/admin"
	"github.com/kafka-tunnel/kafka-tunnel/internal/config"
	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/hostport"
	"github.com/kafka-tunnel/kafka-tunnel/internal/logging"
	"github.com/kafka-tunnel/kafka-tunnel/internal/tunnel"
)

// setup is a valid configuration, from which a tunnel can start.
type setup struct {
	effective *config.Effective
	input     config.Input
}

// load resolves the configuration.
func load(flags *pflag.FlagSet, environ []string) (*setup, error) {
	input := config.Input{Flags: flags, Environ: environ}
	effective, err := config.Resolve(input)
	if err != nil {
		return nil, err
	}
	return &setup{effective, input}, nil
}

// reload returns a function that reads the credentials again, or nil if they cannot change:
// Kubernetes replaces the files of a binding, but an environment variable never changes.
func (s *setup) reload() func() (config.Config, error) {
	inFolder := func(b *config.Binding) bool {
		if b == nil {
			return false
		}
		info, err := os.Stat(b.Source)
		return err == nil && info.IsDir()
	}
	if !inFolder(s.effective.Binding) && !inFolder(s.effective.Destinations) {
		return nil
	}
	return func() (config.Config, error) {
		effective, err := config.Resolve(s.input)
		if err != nil {
			return config.Config{}, err
		}
		return effective.Config, nil
	}
}

// running is a tunnel with its log.
type running struct {
	*tunnel.Tunnel
	log      *logging.Log
	settling sync.WaitGroup
	cancel   context.CancelFunc // of settling
}

// settled is how long after its start a tunnel has finished its initial work: log lines, the first
// token, the first round of all periodic checks.
const settled = 2 * time.Second

// settle releases the memory that only the start has used.
func settle(ctx context.Context) {
	select {
	case <-time.After(settled):
		releaseMemory()
	case <-ctx.Done():
	}
}

// Close stops the tunnel, and then its log.
func (r *running) Close() {
	r.cancel()
	r.settling.Wait()
	r.Tunnel.Close()
	r.log.Close()
}

// failed returns the failure for which the tunnel must be restarted.
func (r *running) failed() error {
	return failure.New(failure.Internal, r.Alive())
}

// start starts the tunnel, which logs to log.
func (s *setup) start(ctx context.Context, log io.Writer) (*running, error) {
	cfg := s.effective.Config
	logger, err := logging.New(log, cfg.Log.Level, cfg.Log.Format)
	if err != nil {
		return nil, failure.New(failure.ConfigInvalid, err)
	}
	container := containerMemory(os.Getenv("MEMORY_LIMIT"), cgroupMemory())
	limitMemory(container, cfg.Limits.Memory)
	limitProcessors(os.Getenv)
	for _, warning := range s.effective.Warnings {
		logger.Warn(warning)
	}
	t, err := tunnel.Start(ctx, tunnel.Options{
		Config: cfg, Source: s.source(), Version: version(), Warnings: s.effective.Warnings, Logger: logger.Logger, Dropped: logger.Dropped,
		Reload: s.reload(), MemoryLimit: container, Release: releaseMemory,
	})
	if err != nil {
		logger.Close()
		return nil, err
	}
	for _, cluster := range cfg.Clusters {
		logger.Info("the tunnel is bound", "cluster", cluster.Name, "listen", t.Address(cluster.Name),
			"bootstrap", joined(cluster.Bootstrap), "destination", cluster.Destination, "location_id", cluster.LocationID, "via", cfg.Connectivity.Via, "admin", t.AdminURL())
	}
	r := &running{Tunnel: t, log: logger}
	ctx, r.cancel = context.WithCancel(ctx)
	r.settling.Go(func() { settle(ctx) })
	return r, nil
}

func joined(addresses []config.HostPort) string {
	words := make([]string, len(addresses))
	for i, a := range addresses {
		words[i] = a.String()
	}
	return strings.Join(words, ",")
}

// addFlags registers the tunnel's flags with these names.
func addFlags(to *pflag.FlagSet, names ...string) {
	all := pflag.NewFlagSet("tunnel", pflag.ContinueOnError)
	config.Flags(all)
	for _, name := range names {
		to.AddFlag(all.Lookup(name))
	}
}

// source names where the credentials come from.
func (s *setup) source() string {
	if b := s.effective.Binding; b != nil {
		return b.Name
	}
	return "configuration"
}

// adminClient returns a client for the tunnel that runs with this configuration.
func adminClient(cmd *cobra.Command) (*admin.Client, error) {
	listen, err := adminListen(cmd)
	if err != nil {
		return nil, err
	}
	if listen.Port == 0 {
		return nil, failure.New(failure.ConfigInvalid, errors.New("admin.listen has port 0: set --admin-listen to the address that the tunnel logged at its start"))
	}
	return &admin.Client{BaseURL: admin.BaseURL(listen.Host, listen.Port)}, nil
}

// adminListen returns the admin address.
func adminListen(cmd *cobra.Command) (config.HostPort, error) {
	text, err := inEffect(config.Input{Flags: cmd.Flags(), Environ: os.Environ()}, func(key string) bool { return key == "admin.listen" })
	if err != nil {
		return config.HostPort{}, err
	}
	listen, _ := hostport.Parse(text) // valid: inEffect has checked it
	return listen, nil
}

// inEffect returns the effective value of the first key that wanted selects. The rest of the
// configuration may be missing where the command runs, for example the bootstrap address in
// a shell in the tunnel's container.
func inEffect(in config.Input, wanted func(key string) bool) (string, error) {
	effective, err := config.Load(in)
	var values []config.Value
	if problems, ok := errors.AsType[*config.Error](err); ok {
		if slices.ContainsFunc(problems.Problems, func(p config.Problem) bool { return wanted(p.Key) }) {
			return "", err
		}
		values = problems.Values
	} else if err != nil {
		return "", err
	} else {
		values = effective.Values
	}
	i := slices.IndexFunc(values, func(v config.Value) bool { return wanted(v.Key) })
	if i < 0 {
		return "", err
	}
	return values[i].Value, nil
}
