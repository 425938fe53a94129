package realkafka

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// CacheDir returns the directory for downloads, outside of any checkout: $KAFKA_TUNNEL_CACHE,
// or ~/.cache/kafka-tunnel.
func CacheDir() (string, error) {
	if dir := os.Getenv("KAFKA_TUNNEL_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("realkafka: no cache directory: %w", err)
	}
	return filepath.Join(home, ".cache", "kafka-tunnel"), nil
}

// Cached returns the directory cache/NAME-KEY, where KEY is derived from the contents of
// inputs. If it does not exist, fill creates it: it receives an empty directory that is moved
// to its place only if fill succeeds, so an interrupted download is never used.
func Cached(name string, inputs []string, fill func(dir string) error) (string, error) {
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	for _, in := range inputs {
		b, err := os.ReadFile(in)
		if err != nil {
			return "", fmt.Errorf("realkafka: cache key of %s: %w", name, err)
		}
		fmt.Fprintf(sum, "%d\n", len(b))
		sum.Write(b)
	}
	dir := filepath.Join(cache, name+"-"+hex.EncodeToString(sum.Sum(nil))[:12])
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("realkafka: %w", err)
	}
	tmp, err := os.MkdirTemp(cache, ".making-"+name+"-*")
	if err != nil {
		return "", fmt.Errorf("realkafka: %w", err)
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil {
		return "", fmt.Errorf("realkafka: %w", err)
	}
	if err := fill(tmp); err != nil {
		return "", err
	}
	if err := os.Rename(tmp, dir); err != nil {
		// Another run may have been faster: its directory is equivalent.
		if _, statErr := os.Stat(dir); statErr == nil {
			return dir, nil
		}
		return "", fmt.Errorf("realkafka: %w", err)
	}
	return dir, nil
}

// Jars downloads the artifacts of the pom with Maven, and keeps them.
func Jars(ctx context.Context, pom string) (Classpath, error) {
	dir, err := Cached("kafka", []string{pom}, func(dir string) error {
		cmd := exec.CommandContext(ctx, "mvn", "-q", "-B", "-f", pom,
			"dependency:copy-dependencies", "-DoutputDirectory="+dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("realkafka: fetch the jars of %s: %w\n%s", pom, err, out)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return classpathOf(dir)
}

// A Classpath lists the jars of one version of Kafka.
type Classpath string

// classpathOf lists the jars by name. The order is fixed because an archive of loaded classes
// works only with the class path with which it was created.
func classpathOf(dir string) (Classpath, error) {
	jars, err := filepath.Glob(filepath.Join(dir, "*.jar"))
	if err != nil || len(jars) == 0 {
		return "", errors.Join(fmt.Errorf("realkafka: no jars in %s", dir), err)
	}
	slices.Sort(jars)
	return Classpath(strings.Join(jars, string(os.PathListSeparator))), nil
}

// JavaFlags are for a JVM that starts fast and needs little memory.
func JavaFlags(heap string) []string {
	return []string{
		"-Xmx" + heap, "-Xms32m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-Djava.awt.headless=true", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
	}
}

// Java returns the command line for one main class of Kafka, a tool or a client.
func (c Classpath) Java(main string, args ...string) []string {
	cmd := append([]string{"java"}, JavaFlags("256m")...)
	return append(append(cmd, "-cp", string(c), main), args...)
}
