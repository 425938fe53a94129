package manifest

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// A Rule is one thing that a push must not do.
type Rule string

// The rules.
const (
	// Unreadable: the manifest or Procfile cannot be read, or has an unknown key.
	Unreadable Rule = "unreadable"
	// TwoTunnels: one push would yield two tunnels, in one container (they would
	// fight for the ports) or as two applications.
	TwoTunnels Rule = "two-tunnels"
	// NoExec: a shell remains between the platform and the process and does not
	// forward SIGTERM.
	NoExec Rule = "no-exec"
	// SidecarMemory: the sidecars of a process leave it no memory, or a sidecar has no
	// memory setting of its own.
	SidecarMemory Rule = "sidecar-memory"
	// HealthCheck: the platform waits for a port that the process never binds.
	HealthCheck Rule = "health-check"
	// MissingFile: the started file is not pushed.
	MissingFile Rule = "missing-file"
	// NotConfigured: the tunnel has no service or no bootstrap address.
	NotConfigured Rule = "not-configured"
)

// Rules lists all rules.
func Rules() []Rule {
	return []Rule{Unreadable, TwoTunnels, NoExec, SidecarMemory, HealthCheck, MissingFile, NotConfigured}
}

// A Problem is one violation of a rule.
type Problem struct {
	Rule Rule
	Text string
}

// String returns the problem as one line.
func (p Problem) String() string { return fmt.Sprintf("%s: %s", p.Rule, p.Text) }

// Check reads the manifest name and the files that it pushes, and returns every problem.
// built lists the files (relative to the root of fsys) that the build creates and that may
// be missing in a fresh checkout.
func Check(fsys fs.FS, name string, built []string) []Problem {
	f, err := parse(fsys, name)
	if err != nil {
		return []Problem{{Unreadable, err.Error()}}
	}
	var found []Problem
	withTunnel := 0
	for _, a := range f.Applications {
		c := &checker{app: a, folder: openFolder(fsys, a.folder(name), built)}
		if c.run() > 0 {
			withTunnel++
		}
		found = append(found, c.found...)
	}
	if withTunnel > 1 {
		found = append(found, Problem{TwoTunnels, fmt.Sprintf("%s pushes %d applications with a tunnel", name, withTunnel)})
	}
	return found
}

// checker checks one application.
type checker struct {
	app    application
	folder folder
	found  []Problem
}

func (c *checker) report(rule Rule, format string, args ...any) {
	c.found = append(c.found, Problem{rule, c.app.Name + ": " + fmt.Sprintf(format, args...)})
}

// run checks everything and returns how many tunnels the application has.
func (c *checker) run() (tunnels int) {
	if !c.folder.exists() {
		c.report(MissingFile, "the folder %s does not exist and no build creates it", c.folder.dir)
		return 0
	}
	procfile, err := c.folder.procfile()
	if err != nil {
		c.report(Unreadable, "%v", err)
		return 0
	}
	for _, s := range c.app.Sidecars {
		c.startable("sidecar "+s.Name, s.Command)
	}
	for _, p := range c.app.all(procfile) {
		if p.Instances != nil && *p.Instances == 0 {
			continue
		}
		tunnels += c.container(p)
	}
	if tunnels > 0 {
		c.configured()
	}
	return tunnels
}

// container checks one process with its sidecars and returns how many tunnels
// run in it.
func (c *checker) container(p process) (tunnels int) {
	what := "process " + p.Type
	if p.Command != "" {
		c.startable(what, p.Command)
	} else if slices.Contains(c.app.Buildpacks, "binary_buildpack") {
		c.report(MissingFile, "%s has no command, and binary_buildpack has none", what)
	}
	if runsTunnel(p.Command) {
		tunnels++
	}
	memory := 0
	for _, s := range c.app.Sidecars {
		if !slices.Contains(s.ProcessTypes, p.Type) {
			continue
		}
		if runsTunnel(s.Command) {
			tunnels++
		}
		mb, err := mebibytes(s.Memory)
		if err != nil {
			c.report(SidecarMemory, "sidecar %s: %v", s.Name, err)
		}
		memory += mb
	}
	if tunnels > 1 {
		c.report(TwoTunnels, "%s: %d tunnels in one container", what, tunnels)
	}
	c.memory(what, memory, p.Memory)
	if (p.HealthCheck == "port" || p.HealthCheck == "http") && !c.bindsPort(p.Command) {
		c.report(HealthCheck, "%s binds no $PORT, but its health check is %q", what, p.HealthCheck)
	}
	return tunnels
}

// memory compares the sum of the sidecars with the process.
func (c *checker) memory(what string, sidecars int, process string) {
	mb, err := mebibytes(process)
	if err != nil {
		c.report(SidecarMemory, "%s: %v", what, err)
		return
	}
	if sidecars >= mb {
		c.report(SidecarMemory, "%s: sidecars take %d MB of %d MB", what, sidecars, mb)
	}
}

// startable checks that a start command ends with exec and that what it starts
// is pushed.
func (c *checker) startable(what, line string) {
	commands := split(line)
	if len(commands) == 0 {
		c.report(MissingFile, "%s has no command", what)
		return
	}
	if commands[len(commands)-1][0] != "exec" {
		c.report(NoExec, "%s does not end with exec: %s", what, line)
	}
	for _, cmd := range commands {
		for _, name := range cmd.files() {
			if !c.folder.has(name) {
				c.report(MissingFile, "%s starts %s, which is not in %s", what, name, c.folder.dir)
			}
		}
	}
}

// bindsPort reports whether the process binds $PORT, as far as the files show: a tunnel
// never does, and a script that does contains the name.
func (c *checker) bindsPort(line string) bool {
	if strings.Contains(line, "$PORT") {
		return true
	}
	commands := split(line)
	if len(commands) == 0 {
		return true // the buildpack's own start command
	}
	last := commands[len(commands)-1].bare()
	if last.isTunnel() {
		i := slices.Index(last, "--")
		return i >= 0 && c.bindsPort(strings.Join(last[i+1:], " "))
	}
	if script := last.script(); script != "" {
		return strings.Contains(string(c.folder.read(script)), "PORT")
	}
	return true
}

// configured checks that a tunnel has a service and a bootstrap address.
func (c *checker) configured() {
	if len(c.app.Services) == 0 {
		c.report(NotConfigured, "no service is bound: the tunnel needs a connectivity instance")
	}
	if c.app.Env["KAFKA_TUNNEL_BOOTSTRAP"] == "" && c.app.Env["KAFKA_TUNNEL_CONFIG"] == "" {
		c.report(NotConfigured, "neither KAFKA_TUNNEL_BOOTSTRAP nor KAFKA_TUNNEL_CONFIG is set")
	}
}

func runsTunnel(line string) bool {
	return slices.ContainsFunc(split(line), command.isTunnel)
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// Built returns the files that the target dist of a Makefile creates: the words of the
// variable DIST.
func Built(fsys fs.FS) ([]string, error) {
	b, err := fs.ReadFile(fsys, "Makefile")
	if err != nil {
		return nil, err
	}
	text := strings.ReplaceAll(string(b), "\\\n", " ")
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, "DIST :="); ok {
			var built []string
			for _, w := range strings.Fields(value) {
				built = append(built, path.Clean(w))
			}
			return built, nil
		}
	}
	return nil, fmt.Errorf("the Makefile has no line `DIST :=`")
}
