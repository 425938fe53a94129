package chaos

import (
	"bytes"
	"os"
	"sync"
)

// A LogFile keeps the end of a log: when the file has half of its maximum size it becomes
// PATH.old and replaces the previous one. It is safe for concurrent use.
type LogFile struct {
	path string
	half int64

	mu   sync.Mutex
	file *os.File
	size int64
}

// NewLogFile creates the file. limit is in bytes, for both files together.
func NewLogFile(path string, limit int64) (*LogFile, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return &LogFile{path: path, half: limit / 2, file: file}, nil
}

// Write appends to the log.
func (l *LogFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size+int64(len(p)) > l.half && l.size > 0 {
		if err := l.turn(); err != nil {
			return 0, err
		}
	}
	n, err := l.file.Write(p)
	l.size += int64(n)
	return n, err
}

// turn begins a new file.
func (l *LogFile) turn() error {
	if err := l.file.Close(); err != nil {
		return err
	}
	if err := os.Rename(l.path, l.path+".old"); err != nil {
		return err
	}
	file, err := os.Create(l.path)
	if err != nil {
		return err
	}
	l.file, l.size = file, 0
	return nil
}

// Tail returns the end of the log, at most the given number of bytes, from the beginning of a
// line. It is for a log that is no longer written.
func (l *LogFile) Tail(most int64) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := make([]byte, min(most, l.size))
	file, err := os.Open(l.path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	if _, err := file.ReadAt(b, l.size-int64(len(b))); err != nil {
		return "", err
	}
	if int64(len(b)) < l.size {
		b = b[bytes.IndexByte(b, '\n')+1:]
	}
	return string(b), nil
}

// Close closes the file.
func (l *LogFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file.Close()
}
