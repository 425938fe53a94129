// Package manifest checks Cloud Foundry manifests and Procfiles before a push: the problems
// would otherwise show as a crashed application, a port that a second tunnel uses, or a lost
// SIGTERM.
//
//	problems := manifest.Check(os.DirFS(root), "manifest.yml", built)
//
// Each [Problem] names the [Rule] that it breaks. The rules come from how the
// platform starts and stops processes: a sidecar shares the container, the
// memory and the ports of its process, signals reach only the top process of a
// command, and a port health check waits until a process binds $PORT.
//
// The package reads the files of a push; it does not connect to a platform and does not
// replace its validation of names, routes and quotas.
package manifest
