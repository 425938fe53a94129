package realkafka

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/proc"
)

// startZooKeeper starts ZooKeeper, in which brokers of older releases keep their state.
func (c *Cluster) startZooKeeper(ctx context.Context, jars Classpath, port int) (err error) {
	dir := filepath.Join(c.dir, "zookeeper")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("realkafka: %w", err)
	}
	settings := filepath.Join(dir, "zk.properties")
	text := fmt.Sprintf("dataDir=%s\nclientPort=%d\nclientPortAddress=127.0.0.1\nmaxClientCnxns=0\nadmin.enableServer=false\ntickTime=1000\n",
		filepath.ToSlash(filepath.Join(dir, "data")), port)
	if err := os.WriteFile(settings, []byte(text), 0o644); err != nil {
		return fmt.Errorf("realkafka: %w", err)
	}
	c.zookeeper, err = proc.Start(proc.Options{
		Name: "zookeeper", Dir: dir, Log: filepath.Join(dir, "zookeeper.log"),
		Args: append(append([]string{"java"}, JavaFlags("100m")...), "-Dzookeeper.jmx.log4j.disable=true", "-cp", string(jars), "org.apache.zookeeper.server.quorum.QuorumPeerMain", settings),
	})
	if err != nil {
		return err
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return conn.Close()
		}
		if !c.zookeeper.Running() {
			return fmt.Errorf("realkafka: ZooKeeper exited with code %d\n%s", c.zookeeper.ExitCode(), c.zookeeper.Tail(20))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("realkafka: ZooKeeper does not answer: %w", ctx.Err())
		}
	}
}

// zooKeeperProperties are the settings of a broker that needs ZooKeeper.
func zooKeeperProperties(b *Broker, zookeeper, brokers int, ways []listener) []string {
	return append(common(b, brokers, ways),
		fmt.Sprintf("broker.id=%d", b.ID),
		"broker.id.generation.enable=false", // or ids above 1 000 are refused
		fmt.Sprintf("zookeeper.connect=127.0.0.1:%d", zookeeper),
		"zookeeper.connection.timeout.ms=20000",
		"log.cleaner.enable=false", // its buffer of 128 MB does not fit into a small heap
	)
}
