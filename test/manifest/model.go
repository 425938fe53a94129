package manifest

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// file is a manifest with the keys that ours use. Other keys are errors, because a misspelt
// one would have no effect.
type file struct {
	Version      int           `yaml:"version"`
	Applications []application `yaml:"applications"`
}

type application struct {
	Name        string            `yaml:"name"`
	Path        string            `yaml:"path"`
	Buildpacks  []string          `yaml:"buildpacks"`
	Stack       string            `yaml:"stack"`
	Services    []string          `yaml:"services"`
	Env         map[string]string `yaml:"env"`
	NoRoute     bool              `yaml:"no-route"`
	RandomRoute bool              `yaml:"random-route"`
	Routes      []route           `yaml:"routes"`
	Processes   []process         `yaml:"processes"`
	Sidecars    []sidecar         `yaml:"sidecars"`
	// Keys of the web process may also be here.
	process `yaml:",inline"`
}

type route struct {
	Route string `yaml:"route"`
}

type process struct {
	Type                string `yaml:"type"`
	Command             string `yaml:"command"`
	Memory              string `yaml:"memory"`
	DiskQuota           string `yaml:"disk_quota"`
	Instances           *int   `yaml:"instances"`
	Timeout             int    `yaml:"timeout"`
	HealthCheck         string `yaml:"health-check-type"`
	HealthCheckEndpoint string `yaml:"health-check-http-endpoint"`
	ReadinessCheck      string `yaml:"readiness-health-check-type"`
	ReadinessEndpoint   string `yaml:"readiness-health-check-http-endpoint"`
}

type sidecar struct {
	Name         string   `yaml:"name"`
	ProcessTypes []string `yaml:"process_types"`
	Command      string   `yaml:"command"`
	Memory       string   `yaml:"memory"`
}

// parse reads a manifest strictly.
func parse(fsys fs.FS, name string) (file, error) {
	var f file
	b, err := fs.ReadFile(fsys, name)
	if err != nil {
		return f, err
	}
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	if err := dec.Decode(&f); err != nil {
		return f, fmt.Errorf("%s: %w", name, err)
	}
	if len(f.Applications) == 0 {
		return f, fmt.Errorf("%s: no applications", name)
	}
	return f, nil
}

// processes returns the processes that a push of a would run: those of the manifest,
// completed by the Procfile of the pushed folder and by the platform's defaults.
func (a application) all(procfile map[string]string) []process {
	byType := map[string]process{"web": a.process}
	order := []string{"web"}
	for _, p := range a.Processes {
		if p.Type != "web" {
			order = append(order, p.Type)
			byType[p.Type] = p
			continue
		}
		byType["web"] = merge(p, a.process)
	}
	for _, t := range sortedKeys(procfile) {
		if _, known := byType[t]; !known {
			order = append(order, t)
		}
		p := byType[t]
		if p.Command == "" {
			p.Command = procfile[t]
		}
		byType[t] = p
	}
	var all []process
	for _, t := range order {
		p := byType[t]
		p.Type = t
		if p.HealthCheck == "" {
			p.HealthCheck = "process"
			if t == "web" {
				p.HealthCheck = "port"
			}
		}
		if p.Memory == "" {
			p.Memory = "1G"
		}
		all = append(all, p)
	}
	return all
}

// merge completes the web process of the list with the keys of the application.
func merge(p, app process) process {
	if p.Command == "" {
		p.Command = app.Command
	}
	if p.Memory == "" {
		p.Memory = app.Memory
	}
	if p.HealthCheck == "" {
		p.HealthCheck = app.HealthCheck
	}
	return p
}

// folder is the folder that a push of a uploads, relative to the manifest's.
func (a application) folder(manifest string) string {
	p := a.Path
	if p == "" {
		p = "."
	}
	return path.Join(path.Dir(manifest), p)
}

// parseProcfile reads "type: command" lines.
func parseProcfile(b []byte) (map[string]string, error) {
	types := map[string]string{}
	for n, line := range strings.Split(string(b), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, command, found := strings.Cut(line, ":")
		if !found {
			return nil, fmt.Errorf("line %d of the Procfile is not `type: command`", n+1)
		}
		types[strings.TrimSpace(name)] = strings.TrimSpace(command)
	}
	return types, nil
}

// mebibytes parses an amount of memory in the form of manifests: 64M, 1G, 512MB.
func mebibytes(s string) (int, error) {
	t := strings.TrimSuffix(strings.ToUpper(strings.TrimSpace(s)), "B")
	var factor int
	switch {
	case strings.HasSuffix(t, "M"):
		factor = 1
	case strings.HasSuffix(t, "G"):
		factor = 1024
	default:
		return 0, fmt.Errorf("memory %q has no unit M or G", s)
	}
	n, err := strconv.Atoi(t[:len(t)-1])
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("memory %q is not a number of megabytes or gigabytes", s)
	}
	return n * factor, nil
}
