package realkafka

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// ports are the ports of one broker, all on 127.0.0.1.
type ports struct {
	id         int // of the broker
	client     int // what the outside reaches; advertised under a name of the test's choice
	internal   int // between brokers, and for a look past the tunnel; advertised as it is
	controller int
	doors      []int // those of Options.Doors
}

// properties writes the server.properties of a broker of the cluster that began with all.
// One that is not among them joins without being a controller.
func properties(b *Broker, own ports, all []ports) string {
	var voters []string
	for _, p := range all {
		voters = append(voters, fmt.Sprintf("%d@127.0.0.1:%d", p.id, p.controller))
	}
	replicas := min(len(all), 3)
	roles, listeners := "broker", fmt.Sprintf("CLIENT://127.0.0.1:%d,INTERNAL://127.0.0.1:%d", own.client, own.internal)
	if slices.ContainsFunc(all, func(p ports) bool { return p.id == own.id }) {
		roles, listeners = "broker,controller", fmt.Sprintf("%s,CONTROLLER://127.0.0.1:%d", listeners, own.controller)
	}
	return lines(append(common(b, own, len(all)),
		"process.roles="+roles,
		fmt.Sprintf("node.id=%d", b.ID),
		"controller.quorum.voters="+strings.Join(voters, ","),
		"listeners="+listeners,
		"controller.listener.names=CONTROLLER",
		"listener.security.protocol.map=CONTROLLER:PLAINTEXT,CLIENT:PLAINTEXT,INTERNAL:PLAINTEXT",
		"share.coordinator.state.topic.num.partitions=3",
		fmt.Sprintf("share.coordinator.state.topic.replication.factor=%d", replicas),
		"share.coordinator.state.topic.min.isr=1",
		// The default of 128 MB does not fit into a small heap: the broker would end without a word.
		"log.cleaner.dedupe.buffer.size=4194304",
		"broker.session.timeout.ms=2000",
		"broker.heartbeat.interval.ms=500",
		"controller.quorum.fetch.timeout.ms=1500",
	))
}

// common are the settings that brokers of all releases have.
func common(b *Broker, own ports, brokers int) []string {
	replicas := min(brokers, 3)
	settings := []string{
		fmt.Sprintf("advertised.listeners=CLIENT://%s,INTERNAL://127.0.0.1:%d", b.Advertised, own.internal),
		"inter.broker.listener.name=INTERNAL",
		"log.dirs=" + filepath.ToSlash(filepath.Join(b.dir, "data")),
		"num.partitions=3",
		fmt.Sprintf("default.replication.factor=%d", replicas),
		"offsets.topic.num.partitions=3",
		fmt.Sprintf("offsets.topic.replication.factor=%d", replicas),
		"transaction.state.log.num.partitions=3",
		fmt.Sprintf("transaction.state.log.replication.factor=%d", replicas),
		"transaction.state.log.min.isr=1",
		"group.initial.rebalance.delay.ms=0",
		"auto.leader.rebalance.enable=false",
	}
	if b.Rack != "" {
		settings = append(settings, "broker.rack="+b.Rack)
	}
	return settings
}

func lines(settings []string) string { return strings.Join(append(settings, ""), "\n") }
