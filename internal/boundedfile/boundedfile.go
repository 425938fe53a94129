// Package boundedfile reads files whose names come from users or the platform: whole,
// and never more than a limit, so that a wrong name (a log, /dev/zero) costs no memory.
package boundedfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// Read returns the content of a file that has at most limit bytes. Its errors do not
// repeat the path: the caller's message names it.
func Read(path string, limit int) ([]byte, error) {
	file, err := os.Open(path) // #nosec G304 -- naming the file is the user's right
	if err != nil {
		return nil, Cause(err)
	}
	defer func() { _ = file.Close() }()
	data, err := From(file, limit)
	return data, Cause(err)
}

// Line returns the only line of a file, such as a password, without its end.
func Line(path string, limit int) (string, error) {
	data, err := Read(path, limit)
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	switch {
	case err != nil:
		return "", err
	case text == "":
		return "", errors.New("it is an empty file")
	case strings.ContainsAny(text, "\r\n\x00"):
		return "", errors.New("it has more than one line")
	}
	return text, nil
}

// From is [Read] for what is open already, such as standard input.
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

// Cause returns the error of a file without the path in it.
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
