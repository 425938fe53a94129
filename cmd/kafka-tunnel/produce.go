//go:build !notools

package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/kafka-tunnel/kafka-tunnel/internal/inspect"
	"github.com/kafka-tunnel/kafka-tunnel/internal/terminal"
)

func newProduceCommand() *cobra.Command {
	var server serverFlags
	p := inspect.Producer{}
	cmd := &cobra.Command{
		Use:   "produce TOPIC",
		Short: "Write the lines of standard input as records",
		Example: `  echo hello | kafka-tunnel produce orders
  kafka-tunnel produce orders --key-separator : --header source=hand < lines.txt`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd)
			defer stop()
			server.complete()
			p.Server, p.Topic = server.server, args[0]
			if terminal.Is(os.Stderr) {
				p.Progress = progress(os.Stderr)
			}
			n, err := p.Run(ctx, cmd.InOrStdin())
			if err != nil {
				return failed(fmt.Errorf("%w; %d records were acknowledged", err, n))
			}
			_, err = fmt.Fprintf(cmd.ErrOrStderr(), "%d records\n", n)
			return err
		},
	}
	server.register(cmd)
	flags := cmd.Flags()
	flags.StringVar(&p.KeySeparator, "key-separator", "", "text before this separator in a line is the key")
	flags.StringArrayVar(&p.Headers, "header", nil, "header KEY=VALUE of each record; may be repeated")
	flags.StringVar(&p.Acks, "acks", "all", "acknowledgements to wait for: all, 1 or 0")
	flags.StringVar(&p.Compression, "compression", "none", "compression: none, gzip, snappy, lz4 or zstd")
	flags.IntVar(&p.Count, "count", 0, "stop after N lines (default: all)")
	flags.Float64Var(&p.Rate, "rate", 0, "records per second (default: unlimited)")
	return cmd
}

func newConsumeCommand() *cobra.Command {
	var server serverFlags
	c := inspect.Consumer{}
	cmd := &cobra.Command{
		Use:   "consume TOPIC",
		Short: "Print records",
		Long: `Print records until Ctrl-C; with --count N records, with --end all records up to the
current end of the partitions. The format is that of franz-go and rpk: %k key, %v value,
%h headers (%h{2}{%k=%v }), %t topic, %p partition, %o offset, %d timestamp, %v{base64},
%v{hex}.`,
		Example: `  kafka-tunnel consume orders --end
  kafka-tunnel consume orders --from 1h --count 10 -f '%p %o %k: %v\n'`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd)
			defer stop()
			server.complete()
			c.Server, c.Topic = server.server, args[0]
			if terminal.Is(os.Stderr) && !terminal.Is(os.Stdout) {
				c.Progress = progress(os.Stderr)
			}
			_, err := c.Run(ctx, cmd.OutOrStdout())
			return failed(err)
		},
	}
	server.register(cmd)
	flags := cmd.Flags()
	flags.StringVar(&c.Group, "group", "", "consume as a member of this consumer group, and commit its offsets")
	flags.StringVar(&c.From, "from", "start", "first record: start, end, an offset, a time such as 2006-01-02T15:04:05Z, or an age such as 1h; committed offsets of a group have precedence")
	flags.IntVar(&c.Count, "count", 0, "stop after N records (default: unlimited)")
	flags.BoolVar(&c.End, "end", false, "stop at the current end of the partitions")
	flags.StringVarP(&c.Format, "format", "f", "%v\\n", "format of a record")
	return cmd
}

// progress shows a number on a terminal, at most ten times a second. It writes a carriage
// return, which out must not escape.
func progress(out io.Writer) func(int) {
	var last time.Time
	return func(n int) {
		if now := time.Now(); now.Sub(last) > 100*time.Millisecond {
			last = now
			_, _ = fmt.Fprintf(out, "\r%d records ", n)
		}
	}
}
