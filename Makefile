# make build        the binary for this machine: ./kafka-tunnel
# make dist         static Linux binaries, and the folders that `cf push` uploads
# make test         the tests of every change: only Go, loopback only, three minutes
# make test-long    all tests, also those that take long
# make check        formatting, vet, lint, portability, generated files
# make fuzz         every fuzz target for FUZZTIME (30s)
# make chaos        random faults for CHAOSTIME (3m) from SEED (1), with the tunnel and without; TLS=1: brokers with TLS
# make bench        the figures of docs/performance.md: compared with bare relays, and during faults (45 minutes)
# make conformance  real Apache Kafka and real clients (Java, Maven, Node; downloads once)
# make clean        remove built files

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

CACHE := $(or $(KAFKA_TUNNEL_CACHE),$(HOME)/.cache/kafka-tunnel)
GOLANGCI_VERSION := 2.15.0
GOLANGCI := $(CACHE)/bin/golangci-lint-$(GOLANGCI_VERSION)
GO_BUILD := CGO_ENABLED=0 go build -trimpath

# The files that `make dist` creates. test/manifest reads this line.
DIST := dist/kafka-tunnel-linux-amd64 dist/kafka-tunnel-linux-arm64 \
	dist/standalone/kafka-tunnel dist/standalone/Procfile examples/cf-app/kafka-tunnel

.PHONY: build dist test test-long check fuzz chaos bench conformance conformance-full clean FORCE
build:
	$(GO_BUILD) ./cmd/kafka-tunnel

dist: $(DIST)

dist/kafka-tunnel-linux-%: FORCE
	GOOS=linux GOARCH=$* $(GO_BUILD) -ldflags '-s -w' -o $@ ./cmd/kafka-tunnel

dist/standalone/kafka-tunnel examples/cf-app/kafka-tunnel: dist/kafka-tunnel-linux-amd64
	mkdir -p $(@D) && cp $< $@

dist/standalone/Procfile: Procfile
	mkdir -p $(@D) && cp $< $@

# The race detector needs a C compiler; without one the tests run without it.
# A process with it waits a second at its end by default, for races of what still runs.
export GORACE = atexit_sleep_ms=10
RACE = $(if $(filter 1,$(shell go env CGO_ENABLED)),-race)
# Many tests wait for most of their time, so more of them run at once than there are
# processors.
test:
	$(if $(RACE),,@echo 'make test: no C compiler, so no race detector')
	go test $(RACE) -short -parallel 8 ./...

test-long:
	go test $(RACE) -parallel 8 -timeout 30m ./...

check: $(GOLANGCI)
	.ci/check $(GOLANGCI)

$(GOLANGCI):
	mkdir -p $(@D)
	GOFLAGS= GOBIN=$(CACHE)/bin/.new go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v$(GOLANGCI_VERSION)
	mv $(CACHE)/bin/.new/golangci-lint $@

FUZZTIME ?= 30s
fuzz:
	.ci/fuzz $(FUZZTIME)

CHAOSTIME ?= 3m
SEED ?= 1
chaos:
	go test $(RACE) -count=1 -timeout 90m -v ./test/chaos -run '^TestChaos$$' -chaos.time $(CHAOSTIME) -chaos.seed $(SEED) $(if $(TLS),-chaos.tls)

bench:
	go run ./bench
	go run ./test/trouble/cmd

# With PAGE=docs/compatibility.md the page gets what the quick part of the table has found.
conformance:
	go test -tags conformance -count=1 -timeout 45m -v ./test/conformance $(if $(PAGE),-compat.quick $(abspath $(PAGE)))

# Every release and every client, in some hours; writes docs/compatibility.md.
conformance-full:
	go test -tags conformance -count=1 -timeout 4h -v ./test/conformance -compat.full -rolling.time 30m -compat.out $(CURDIR)/docs/compatibility.md

clean:
	rm -rf kafka-tunnel dist examples/cf-app/kafka-tunnel
