//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// The tunnel's three routes to the broker.
const (
	tunnelDirect = "tunnel"
	tunnelProxy  = "tunnel-proxy"
	tunnelTLS    = "tunnel-tls"
)

// tunnelBefore is an earlier version of the tunnel, whose binary TUNNEL_BEFORE names.
const tunnelBefore = "tunnel-before"

// The tunnel with admin.tap, without and with a viewer.
const (
	tunnelTap     = "tunnel-tap"
	tunnelWatched = "tunnel-watched"
)

// A candidate is a relay to be measured.
type candidate struct {
	name  string
	tls   bool // it uses TLS to the broker
	tap   bool // its frames may be watched
	start func(ctx context.Context) (*child, error)
	// restart starts it with a limit of file descriptors; nil: not measured.
	restart func(ctx context.Context, nofile uint64) (*child, error)
}

// candidates returns the available candidates, and notes which are missing.
func candidates(o options, b *broker, dir string, r *result) ([]candidate, error) {
	direct := []string{"KAFKA_TUNNEL_BOOTSTRAP=" + b.address(), "KAFKA_TUNNEL_CONNECTIVITY_VIA=direct"}
	bare := func(name, binary string) candidate {
		return candidate{name: name, start: func(ctx context.Context) (*child, error) { return startTunnel(ctx, binary, direct...) }, restart: func(ctx context.Context, nofile uint64) (*child, error) {
			limited, err := limited(dir, name, binary, nofile)
			if err != nil {
				return nil, err
			}
			return startTunnel(ctx, limited, append(direct, "MEMORY_LIMIT=256m", "KAFKA_TUNNEL_LIMITS_MAX_CONNECTIONS=30000")...)
		}}
	}
	all := []candidate{
		bare(tunnelDirect, o.binary),
		{name: tunnelProxy, start: func(ctx context.Context) (*child, error) {
			lab, env, err := startLandscape(ctx, o.binary, b.address(), dir)
			if err != nil {
				return nil, err
			}
			c, err := startTunnel(ctx, o.binary, env...)
			if err != nil {
				lab.stop()
				return nil, err
			}
			c.env, c.cleanup = env, lab.stop
			return c, nil
		}},
		{name: "direct", start: func(context.Context) (*child, error) { return directCandidate(b.address()), nil }},
	}
	if before := os.Getenv("TUNNEL_BEFORE"); before != "" {
		all = append(all, bare(tunnelBefore, before))
	}
	tapped := append(slices.Clone(direct), "KAFKA_TUNNEL_ADMIN_TAP=true")
	all = append(all,
		candidate{name: tunnelTap, tap: true, start: func(ctx context.Context) (*child, error) { return startTunnel(ctx, o.binary, tapped...) }},
		candidate{name: tunnelWatched, tap: true, start: func(ctx context.Context) (*child, error) { return startWatched(ctx, o.binary, tapped...) }})
	for _, mode := range []string{relaySplice, relayCopy} {
		all = append(all, candidate{name: mode, start: func(ctx context.Context) (*child, error) { return startRelay(ctx, mode, b.address()) }})
	}
	ca, err := b.writeCA(dir)
	if err != nil {
		return nil, err
	}
	secured := []string{"KAFKA_TUNNEL_BOOTSTRAP=" + b.tlsAddress(), "KAFKA_TUNNEL_CONNECTIVITY_VIA=direct", "KAFKA_TUNNEL_TLS_ENABLED=true", "KAFKA_TUNNEL_TLS_CA_FILE=" + ca}
	all = append(all,
		candidate{name: tunnelTLS, tls: true, start: func(ctx context.Context) (*child, error) { return startTunnel(ctx, o.binary, secured...) }},
		candidate{name: relayTLS, tls: true, start: func(ctx context.Context) (*child, error) {
			return startRelay(ctx, relayTLS, b.tlsAddress(), caVariable+"="+ca)
		}})
	if binary := os.Getenv("PEER_KAFKA_PROXY"); binary != "" {
		all = append(all, candidate{name: "kafka-proxy", start: func(ctx context.Context) (*child, error) { return startKafkaProxy(ctx, binary, b.address()) }})
	} else {
		r.Notes = append(r.Notes, "kafka-proxy is left out: PEER_KAFKA_PROXY names no binary.")
	}
	if script := os.Getenv("PEER_KROXYLICIOUS"); script != "" {
		all = append(all, candidate{name: "kroxylicious", start: func(ctx context.Context) (*child, error) { return startScript(ctx, script, b.address()) }})
	} else {
		r.Notes = append(r.Notes, "Kroxylicious is left out: PEER_KROXYLICIOUS names no start script.")
	}
	if binary, err := exec.LookPath("haproxy"); err == nil {
		all = append(all, candidate{name: "haproxy", start: func(ctx context.Context) (*child, error) { return startHAProxy(ctx, binary, b.address(), dir) }})
	} else {
		r.Notes = append(r.Notes, "HAProxy is left out: it is not installed.")
	}
	var some []candidate
	for _, c := range all {
		if o.candidates == "" || slices.Contains(strings.Split(o.candidates, ","), c.name) {
			some = append(some, c)
		}
	}
	return some, nil
}

// limited writes a program that starts another one with a limit of file descriptors.
func limited(dir, name, binary string, nofile uint64) (string, error) {
	path := fmt.Sprintf("%s/%s-nofile-%d", dir, name, nofile)
	script := fmt.Sprintf("#!/bin/sh\nulimit -n %d && exec %s \"$@\"\n", nofile, binary)
	return path, os.WriteFile(path, []byte(script), 0o700)
}
