//go:build notools

package main

import "github.com/spf13/cobra"

func toolCommands() []*cobra.Command { return nil }
