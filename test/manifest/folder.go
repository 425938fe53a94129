package manifest

import (
	"io/fs"
	"path"
	"slices"
	"strings"
)

// A folder is the folder that one application uploads.
type folder struct {
	fsys   fs.FS
	dir    string
	built  []string // files that the build creates, relative to the root
	ignore []string // lines of the folder's .cfignore
}

func openFolder(fsys fs.FS, dir string, built []string) folder {
	f := folder{fsys: fsys, dir: dir, built: built}
	if b, err := fs.ReadFile(fsys, path.Join(dir, ".cfignore")); err == nil {
		for line := range strings.Lines(string(b)) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				f.ignore = append(f.ignore, line)
			}
		}
	}
	return f
}

// exists reports whether there is or will be anything to upload. An archive counts
// as a folder with the files that the build puts into it.
func (f folder) exists() bool {
	if info, err := fs.Stat(f.fsys, f.dir); err == nil && info.IsDir() {
		return true
	}
	return slices.ContainsFunc(f.built, func(b string) bool { return path.Dir(b) == f.dir })
}

// has reports whether the file is uploaded: it exists or the build creates it, and
// .cfignore does not exclude it.
func (f folder) has(name string) bool {
	if f.ignored(name) {
		return false
	}
	full := path.Join(f.dir, name)
	if slices.Contains(f.built, full) {
		return true
	}
	info, err := fs.Stat(f.fsys, full)
	return err == nil && !info.IsDir()
}

// read returns a file; nil if it is not uploaded or does not exist yet.
func (f folder) read(name string) []byte {
	if !f.has(name) {
		return nil
	}
	b, err := fs.ReadFile(f.fsys, path.Join(f.dir, name))
	if err != nil {
		return nil
	}
	return b
}

// procfile reads the Procfile of the folder. The build may copy it there from
// the root.
func (f folder) procfile() (map[string]string, error) {
	if !f.has("Procfile") {
		return nil, nil
	}
	b, err := fs.ReadFile(f.fsys, path.Join(f.dir, "Procfile"))
	if err != nil {
		if b, err = fs.ReadFile(f.fsys, "Procfile"); err != nil {
			return nil, err
		}
	}
	return parseProcfile(b)
}

// ignored reports whether .cfignore excludes the file. The last line that matches decides.
func (f folder) ignored(name string) bool {
	out := false
	for _, line := range f.ignore {
		pattern, keep := strings.CutPrefix(line, "!")
		if matches(pattern, name) {
			out = !keep
		}
	}
	return out
}

// matches reports whether a pattern of .cfignore covers the file itself or a
// folder that it is in.
func matches(pattern, name string) bool {
	anchored := strings.HasPrefix(pattern, "/")
	pattern = strings.Trim(pattern, "/")
	parts := strings.Split(name, "/")
	for i := range parts {
		candidates := []string{strings.Join(parts[:i+1], "/")}
		if !anchored && !strings.Contains(pattern, "/") {
			candidates = append(candidates, parts[i])
		}
		for _, c := range candidates {
			if ok, err := path.Match(pattern, c); err == nil && ok {
				return true
			}
		}
	}
	return false
}
