//go:build !notools

package main

import "github.com/spf13/cobra"

// toolCommands returns the commands that decode Kafka's protocol, and the lab. A build with the
// tag notools excludes them: docs/performance.md compares the memory of both.
func toolCommands() []*cobra.Command {
	return []*cobra.Command{
		newLabCommand(),
		newAccessListCommand(),
		newTopicsCommand(),
		newGroupsCommand(),
		newProduceCommand(),
		newConsumeCommand(),
		newRequestCommand(),
		newDecodeCommand(),
		newTapCommand(),
		newAPIsCommand(),
		newErrorsCommand(),
	}
}
