// Command kafka-tunnel connects Kafka clients on Cloud Foundry to brokers in a
// company's own network, through the SAP BTP connectivity proxy and the Cloud
// Connector. The README explains what it does, package tunnel how.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/kafka-tunnel/kafka-tunnel/internal/terminal"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:]))
}

// run executes one command line and returns the exit status. It writes only fatal errors
// to stderr.
func run(ctx context.Context, args []string) int {
	root := newRootCommand()
	root.SetArgs(args)
	out, stderr := terminal.NewWriter(os.Stdout), terminal.NewWriter(os.Stderr)
	root.SetOut(out)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	_ = out.Flush() // at most an incomplete character
	if err != nil && err.Error() != "" {
		fmt.Fprintln(stderr, message(err))
	}
	_ = stderr.Flush() // there is no other place to report it
	return exitCode(err)
}
