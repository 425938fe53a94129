// Package boundedfile reads files that users or the platform name: whole, and never more than a
// limit, so a wrong name (a log, /dev/zero) costs no memory.
package boundedfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// Read returns the content of a file with at most limit bytes. Its errors do not contain the
// path: the caller adds it.
func Read(path string, limit int) ([]byte, error) {
	file, err := os.Open(path) // #nosec G304 -- the user names the file
	if err != nil {
		return nil, Cause(err)
	}
	defer func() { _ = file.Close() }()
	data, err := From(file, limit)
	return data, Cause(err)
}

// Line returns the only line of a file, such as a password, without the line end.
func Line(path string, limit int) (string, error) {
	data, err := Read(path, limit)
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	switch {
	case err != nil:
		return "", err
	case text == "":
		return "", errors.New("the file is empty")
	case strings.ContainsAny(text, "\r\n\x00"):
		return "", errors.New("the file has more than one line")
	}
	return text, nil
}

// From is [Read] for an open file, such as standard input.
func From(r io.Reader, limit int) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > limit:
		return nil, fmt.Errorf("it is larger than %s", size(limit))
	}
	return data, nil
}

// Cause returns the error of a file operation without the path.
func Cause(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}

func size(limit int) string {
	if limit >= 1<<20 && limit%(1<<20) == 0 {
		return fmt.Sprintf("%d MiB", limit>>20)
	}
	return fmt.Sprintf("%d bytes", limit)
}
