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
	client     int // of the outer listener, which advertises a name of the test
	internal   int // between brokers, and for direct connections; advertises its own address
	controller int
	doors      []int // those of Options.Doors
}

// A listener is one listener of a broker.
type listener struct{ name, protocol, address, advertised string }

// listeners are those that every broker has; those of Options.Doors follow.
func listeners(b *Broker) []listener {
	return []listener{
		{"CLIENT", "PLAINTEXT", b.Client, b.Advertised},
		{"INTERNAL", "PLAINTEXT", b.Internal, b.Internal},
	}
}

// properties returns the settings of a broker of the cluster that began with all. A broker that
// is not among them joins without being a controller.
func properties(b *Broker, own ports, all []ports, ways []listener) []string {
	var voters []string
	for _, p := range all {
		voters = append(voters, fmt.Sprintf("%d@127.0.0.1:%d", p.id, p.controller))
	}
	replicas := min(len(all), 3)
	// Brokers that are not controllers must know its listener too.
	controller, roles := listener{"CONTROLLER", "PLAINTEXT", "", ""}, "broker"
	if slices.ContainsFunc(all, func(p ports) bool { return p.id == own.id }) {
		controller.address, roles = fmt.Sprintf("127.0.0.1:%d", own.controller), "broker,controller"
	}
	return append(common(b, len(all), append(slices.Clone(ways), controller)),
		"process.roles="+roles,
		fmt.Sprintf("node.id=%d", b.ID),
		"controller.quorum.voters="+strings.Join(voters, ","),
		"controller.listener.names=CONTROLLER",
		"share.coordinator.state.topic.num.partitions=3",
		fmt.Sprintf("share.coordinator.state.topic.replication.factor=%d", replicas),
		"share.coordinator.state.topic.min.isr=1",
		// The default of 128 MB does not fit into a small heap: the broker would exit without
		// an error.
		"log.cleaner.dedupe.buffer.size=4194304",
		"broker.session.timeout.ms=2000",
		"broker.heartbeat.interval.ms=500",
		"controller.quorum.fetch.timeout.ms=1500",
	)
}

// common returns the settings of brokers of all releases. A listener without an address is
// another broker's; one that is not advertised is not for clients.
func common(b *Broker, brokers int, ways []listener) []string {
	var listen, advertised, protocols []string
	for _, l := range ways {
		if protocols = append(protocols, l.name+":"+l.protocol); l.address != "" {
			listen = append(listen, l.name+"://"+l.address)
		}
		if l.advertised != "" {
			advertised = append(advertised, l.name+"://"+l.advertised)
		}
	}
	replicas := min(brokers, 3)
	settings := []string{
		"listeners=" + strings.Join(listen, ","),
		"advertised.listeners=" + strings.Join(advertised, ","),
		"listener.security.protocol.map=" + strings.Join(protocols, ","),
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
