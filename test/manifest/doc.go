// Package manifest checks Cloud Foundry manifests and Procfiles before a
// platform does: what it finds would otherwise show as a crashed application,
// a port taken by a second tunnel, or a lost SIGTERM.
//
//	problems := manifest.Check(os.DirFS(root), "manifest.yml", built)
//
// Each [Problem] names the [Rule] that it breaks. The rules come from how the
// platform starts and stops processes: a sidecar shares the container, the
// memory and the ports of its process, signals reach only the top process of a
// command, and a port health check waits for somebody to bind $PORT.
//
// The package reads what is going to be pushed; it does not talk to a platform
// and does not replace its validation of names, routes and quotas.
package manifest
