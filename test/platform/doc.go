// Package platform simulates how Cloud Foundry runs the processes of one application
// instance, to test the tunnel as a sidecar without a foundation:
//
//	i, err := platform.Start(ctx, platform.Options{Dir: dir, Processes: []platform.Process{
//		{Name: "web", Command: "exec ./app"},
//		{Name: "kafka-tunnel", Command: "exec ./kafka-tunnel run", Sidecar: true, Env: []string{"MEMORY_LIMIT=64m"}},
//	}})
//	...
//	exits := i.Stop()      // SIGTERM to all at once, SIGKILL after Grace
//
// All processes start together, in no order, each by the bash launcher. Any exit
// of one of them, also with status 0, crashes the instance: the others get the
// signals of a stop, and [Instance.Crashed] is closed. Signals reach only the process that
// replaced the launcher, and not its children.
//
// It is based on the code of Cloud Controller and Diego (codependent steps, launcher,
// graceful shutdown interval). It has no health checks, memory limits and restarts.
package platform
