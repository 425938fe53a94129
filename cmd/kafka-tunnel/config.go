package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/kafka-tunnel/kafka-tunnel/internal/config"
	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/terminal"
)

// newConfigCommand returns `kafka-tunnel config`, which shows the effective configuration
// and the source of each value.
func newConfigCommand() *cobra.Command { return newConfigCommandFor(os.Environ()) }

// newConfigCommandFor is newConfigCommand with an environment in the form of
// [os.Environ].
//
// Its error is that of [config.Resolve]: the command shows the valid part of a configuration
// that `run` would refuse, and exits with the same error.
func newConfigCommandFor(environ []string) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show the effective configuration and where each value came from",
		Long: `Show the effective configuration and where each value came from.

Values come from flags, environment variables, the file, the service binding and defaults,
in this order of precedence. Secrets are shown as ***. The exit code is 78 if the tunnel
cannot run with this configuration.`,
		Example: "  kafka-tunnel config\n  kafka-tunnel config --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			eff, err := config.Resolve(config.Input{Flags: cmd.Flags(), Environ: environ})
			view := newConfigView(eff, err)
			write := view.writeTable
			if asJSON {
				write = view.writeJSON
			}
			if writeErr := write(cmd.OutOrStdout()); writeErr != nil {
				return fmt.Errorf("writing the configuration: %w", writeErr)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	config.Flags(cmd.Flags())
	return cmd
}

// A configView is what the command prints. Its JSON form is stable.
type configView struct {
	File         string           `json:"file,omitempty"`
	Values       []config.Value   `json:"values"`
	Binding      *config.Binding  `json:"binding,omitempty"`
	Destinations *config.Binding  `json:"destination_binding,omitempty"`
	Warnings     []string         `json:"warnings,omitempty"`
	Problems     []config.Problem `json:"problems,omitempty"`
	Failure      *failureView     `json:"failure,omitempty"`
}

// A failureView is a failure that concerns the configuration as a whole.
type failureView struct {
	Code    failure.Code `json:"code"`
	Summary string       `json:"summary"`
	Advice  string       `json:"advice"`
}

func newConfigView(eff *config.Effective, err error) configView {
	var view configView
	if eff != nil {
		view = configView{File: eff.File, Values: eff.Values, Binding: eff.Binding, Destinations: eff.Destinations, Warnings: eff.Warnings}
	}
	if wrong, ok := errors.AsType[*config.Error](err); ok {
		view.Values, view.Problems = wrong.Values, wrong.Problems
	}
	if f, ok := failure.As(err); ok {
		view.Failure = &failureView{f.Code, f.Error(), f.Advice()}
	}
	return view
}

func (v configView) writeJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// writeTable prints aligned columns. It does not print problems: the error that the
// command returns has them.
func (v configView) writeTable(w io.Writer) error {
	oneLine := func(s string) string {
		if terminal.Is(w) {
			return terminal.Escape(s)
		}
		return s
	}
	rows := [][]string{{"KEY", "VALUE", "SOURCE"}}
	for _, value := range v.Values {
		rows = append(rows, []string{value.Key, value.Value, value.Source})
	}
	if err := terminal.Table(w, rows...); err != nil {
		return err
	}
	for _, b := range []*config.Binding{v.Binding, v.Destinations} {
		if b == nil {
			continue
		}
		_, _ = fmt.Fprintf(w, "\nBinding %s (%s)\n", oneLine(b.Name), oneLine(b.Source))
		leads := []string{"  proxy", b.Proxy}
		if b.URI != "" {
			leads = []string{"  destination service", b.URI}
		}
		proof := []string{"  client secret", b.ClientSecret.String()}
		if b.CertificateUntil != nil {
			proof = []string{"  certificate expires", b.CertificateUntil.UTC().Format(time.RFC3339)}
		}
		if err := terminal.Table(w, leads, []string{"  token URL", b.TokenURL}, []string{"  client id", b.ClientID}, proof); err != nil {
			return err
		}
	}
	if v.File != "" {
		_, _ = fmt.Fprintf(w, "\nFile %s\n", oneLine(v.File))
	}
	for i, warning := range v.Warnings {
		if i == 0 {
			_, _ = fmt.Fprintln(w)
		}
		_, _ = fmt.Fprintf(w, "Warning: %s\n", oneLine(warning))
	}
	return nil
}
