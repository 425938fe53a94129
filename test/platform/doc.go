// Package platform plays what Cloud Foundry does with the processes of one
// application instance, so that the tunnel can be tried as a sidecar without a
// foundation:
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
// signals of a stop, and [Instance.Crashed] tells. Signals reach the process that
// the launcher has become and nobody below it.
//
// Sources: Cloud Controller's and Diego's code as the facts of Cloud Foundry name
// them (codependent steps, launcher, graceful shutdown interval). There are no
// health checks, no memory limits and no restarts here.
package platform
