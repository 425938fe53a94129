package tunnel

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/kafka-tunnel/kafka-tunnel/internal/config"
	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// TestATakenPort: a taken port that the tunnel requires is an error that names the
// port's owner; a taken broker port is a warning that names it.
func TestATakenPort(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	port := other.Addr().(*net.TCPAddr).Port
	owner := fmt.Sprintf("(pid %d)", os.Getpid()) // can be determined on Linux only
	for name, variable := range map[string]string{
		"bootstrap": fmt.Sprintf("KAFKA_TUNNEL_LISTEN=127.0.0.1:%d", port),
		"admin":     fmt.Sprintf("KAFKA_TUNNEL_ADMIN_LISTEN=127.0.0.1:%d", port),
		"forward":   fmt.Sprintf(`KAFKA_TUNNEL_FORWARDS=[{name: other, listen: "127.0.0.1:%d", to: "other.invalid:1"}]`, port),
	} {
		env := []string{"KAFKA_TUNNEL_CONNECTIVITY_VIA=direct", "KAFKA_TUNNEL_BOOTSTRAP=127.0.0.1:1", "KAFKA_TUNNEL_BROKER_PORTS=0"}
		for _, one := range []string{"KAFKA_TUNNEL_LISTEN=127.0.0.1:0", "KAFKA_TUNNEL_ADMIN_LISTEN=127.0.0.1:0"} {
			if key, _, _ := strings.Cut(one, "="); !strings.HasPrefix(variable, key+"=") {
				env = append(env, one)
			}
		}
		effective, err := config.Resolve(config.Input{Environ: append(env, variable)})
		if err != nil {
			t.Fatal(err)
		}
		started, err := Start(t.Context(), Options{Config: effective.Config, FirstToken: -1})
		if err == nil {
			started.Close()
		}
		if !failure.Is(err, failure.PortTaken) || runtime.GOOS == "linux" && !strings.Contains(err.Error(), owner) {
			t.Errorf("%s: %v", name, err)
		}
	}

	bed := direct(t, fmt.Sprintf("KAFKA_TUNNEL_BROKER_PORTS=%d-%d", port, port))
	if log := bed.log.String(); !contains(log, "level=WARN", "a broker port is already in use", fmt.Sprintf("port=%d", port)) ||
		runtime.GOOS == "linux" && !strings.Contains(log, owner) {
		t.Error("the warning is missing")
	}
}
