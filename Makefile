# Ledgerline. `make` alone prints this help; README.md says what each thing is.
GO      ?= go
DATA    ?= .ledgerline
DEVICES ?= 10000
DAYS    ?= 30
SCALE   ?= .ledgerline-scale
POSTGRES ?= $(lastword $(sort $(wildcard /usr/lib/postgresql/*/bin)))
ROUNDS  ?= 20
V       ?= -v# what a test logs; V= shows it of those that fail
TAGS     = crash,disturb,canary,siege,clients,acceptance,conformance,bench,pages
RECORDS ?= ../shared/data/intune
KAFKA_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/ledgerline/apache-kafka
PLATFORMS ?= linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64
CLIENTS ?= python node java kafka go kcat
CLIENTS_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/ledgerline/clients
KAFKA_PORT  ?= 19092
FUZZTIME ?= 20s
FUZZMOST ?= 5m
FUZZBUILD ?= -fuzz .
export CGO_ENABLED = 0
# Tests keep their ledgers in memory where the system has a directory there with room, from which programs may run:
# what they kill are processes, never the machine, and most of their time would be waiting for a disk to sync. Go builds
# there too: where GOTMPDIR stands, tests make their directories in it.
MEMORY  := $(shell grep -q ' /dev/shm [^ ]* [^ ]*noexec' /proc/mounts 2>/dev/null || \
	df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 && $$4 >= 4194304 { print "/dev/shm" }')
test crash crash-eventstore canary siege clients acceptance: export TMPDIR := $(or $(MEMORY),$(TMPDIR))

.DEFAULT_GOAL := help

.PHONY: help
help: ## print this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf "\n  make run DEVICES=500 DAYS=5   a smaller fleet;  DATA=DIR keeps the ledger elsewhere\n"

.PHONY: build
build: ## build bin/ledgerline
	$(GO) build -o bin/ledgerline ./cmd/ledgerline

.PHONY: build-test
build-test:
	$(GO) build -tags crash,disturb -o bin/ledgerline-test ./cmd/ledgerline

.PHONY: run
run: build ## start everything embedded, feed it a generated fleet, leave the ledger usable
	bin/ledgerline up --data $(DATA) --fleet $(DEVICES) --fleet-days $(DAYS)

.PHONY: test
test: ## the whole test suite that needs no outside server
	$(GO) vet -tags $(TAGS) ./...
	$(GO) tool staticcheck -tags $(TAGS) ./...
	$(GO) test ./...

.PHONY: cross
cross: ## build and vet everything, tests too, for each system and processor (PLATFORMS="linux/arm64 darwin/arm64")
	@set -e; for p in $(PLATFORMS); do echo "== $$p"; export GOOS=$${p%/*} GOARCH=$${p#*/}; \
	  $(GO) vet -tags $(TAGS) ./...; $(GO) build -o /dev/null ./cmd/ledgerline; done

.PHONY: crash
crash: build-test ## kill -9 the whole tree at named points and at random, ROUNDS times, and check everything
	$(GO) test -tags crash -count=1 -timeout 60m -run '$(or $(RUN),TestCrash|TestRestored)' ./internal/e2e -rounds $(ROUNDS) -binary $(CURDIR)/bin/ledgerline-test $(V)

.PHONY: crash-eventstore
crash-eventstore: ROUNDS = 200
crash-eventstore: ## kill -9 an event store process ROUNDS=200 times; as many power failures on a simulated disk; 5 x ROUNDS flipped bits
	$(GO) test -count=1 -timeout 60m -run 'TestKill$$' ./deploy/embedded/eventstore -kill-rounds $(ROUNDS) $(V)
	$(GO) test -count=1 -timeout 60m -run 'TestPowerFailures|TestBitFlips' ./deploy/embedded/eventstore/eventlog -rounds $(ROUNDS) -flips $$((5 * $(ROUNDS))) $(V)

.PHONY: canary
canary: build ## look for planted personal data in every file, dump and log, before and after erasure
	$(GO) test -tags canary -count=1 -timeout 20m -run TestCanary ./internal/e2e -binary $(CURDIR)/bin/ledgerline $(V)

.PHONY: siege
siege: build ## attack a running ledger: strangers, accounts, foreign events and records, stores lost or changed (as root)
	$(GO) test -tags siege -count=1 -timeout 20m -run TestSiege ./internal/e2e -binary $(CURDIR)/bin/ledgerline $(V)

.PHONY: clients
clients: build ## other people's clients, fetched from their registries, at a running ledger (CLIENTS="python node java kafka go kcat")
	@set -e; where=$$(sh deploy/clients/fetch.sh $(CLIENTS_CACHE) $(KAFKA_CACHE) $(CLIENTS)); eval "$$where"; \
	set -- ; for part in $(CLIENTS); do eval "dir=\$$$$part"; set -- "$$@" "-$$part" "$$dir"; done; \
	$(GO) test -tags clients -count=1 -timeout 10m -run TestClients ./internal/e2e -binary $(CURDIR)/bin/ledgerline "$$@" $(V)

.PHONY: pages
pages: ## every page in Chromium: axe-core (WCAG 2.2 AA) at 1280 and 390 px, nothing wider than a phone (FURTHER="DIR/*.html" SHOTS=DIR: more pages; pictures)
	@set -e; where=$$(sh deploy/clients/fetch.sh $(CLIENTS_CACHE) $(KAFKA_CACHE) axe); eval "$$where"; \
	$(GO) test -tags pages -count=1 -timeout 10m -run 'Browser|BrokenPage' ./projections/report/render -axe "$$axe/axe-core/axe.min.js" -further '$(FURTHER)' -shots '$(if $(SHOTS),$(abspath $(SHOTS)))' -v

.PHONY: acceptance
acceptance: build ## real records (RECORDS=DIR) end to end, and Apache Kafka with SASL, TLS and ACLs under consumers and relay
	LEDGERLINE_RECORDS=$(abspath $(RECORDS)) $(GO) test -tags acceptance -count=1 -timeout 20m -run TestAcceptance ./schemas/catalogue
	LEDGERLINE_RECORDS=$(abspath $(RECORDS)) $(GO) test -tags acceptance -count=1 -timeout 20m -run 'RealRecords|DocumentedExamples' ./ledger/intake
	LEDGERLINE_RECORDS=$(abspath $(RECORDS)) $(GO) test -tags acceptance -count=1 -timeout 20m -run TestAcceptance ./internal/e2e -binary $(CURDIR)/bin/ledgerline
	@set -e; dir=$$(mktemp -d); node=$$(sh consumers/kafka/kafkatest/apache-kafka.sh $(KAFKA_CACHE) $$dir/kafka $(KAFKA_PORT) deploy/kafka); eval "$$node"; \
	trap "kill -9 $$pid; while kill -0 $$pid 2>/dev/null; do sleep 0.1; done; rm -rf $$dir" EXIT; echo "Apache Kafka with accounts and rights: $$kafka"; \
	LEDGERLINE_KAFKA=$$kafka $(GO) test -p 1 -tags acceptance -count=1 -timeout 10m -run ApacheKafka ./consumers/kafka ./consumers/relay

.PHONY: conformance
conformance: ## the official Go client's own tests against the event store, insecure and over TLS
	$(GO) test -tags conformance -count=1 -timeout 10m $(V) ./deploy/embedded/eventstore/conformance

.PHONY: semantics
semantics: ## what EventStoreDB promises its clients, against the server in EVENTSTORE_DSN (esdb://…), or else the embedded one
	$(GO) test -count=1 -v -timeout 10m ./deploy/embedded/eventstore/semantics

# A package is compiled once, and its targets run from that. FUZZBUILD is what guides fuzzing: without it nothing is
# compiled but the tests themselves, which is what a few seconds are worth (make fuzz FUZZTIME=5s FUZZBUILD=). FUZZMOST
# bounds a target that begins with a large corpus, or minimises what it found.
.PHONY: fuzz
fuzz: ## fuzz every parser for a while each (FUZZTIME=30s)
	@set -e; made=$$(mktemp -d); trap 'rm -rf "$$made"' EXIT; cache=$$($(GO) env GOCACHE)/fuzz; \
	for p in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u); do \
	  $(GO) test -c $(FUZZBUILD) -o "$$made/fuzz.test" $$p; of=$$($(GO) list $$p); \
	  for f in $$(grep -hoE '^func Fuzz[A-Za-z0-9]+' $$p/*_test.go | sed 's/func //' | sort -u); do \
	    echo "== $$p $$f"; (cd $$p && timeout $(FUZZMOST) "$$made/fuzz.test" -test.run '^$$' -test.fuzz "^$$f\$$" \
	      -test.fuzztime $(FUZZTIME) -test.fuzzminimizetime 20x -test.fuzzcachedir "$$cache/$$of"); done; done

.PHONY: bench
bench: ## Go benchmarks of every package
	$(GO) test -run '^$$' -bench . -benchmem ./...

.PHONY: bench-eventstore
bench-eventstore: ## the event store beside a no-op server, as ratios; start and memory with EVENTS=10000000
	BENCH_EVENTS=$(or $(EVENTS),10000000) BENCH_COMMITS=$(or $(COMMITS),1000000) \
	$(GO) test -tags bench -count=1 -timeout 60m -run TestBench -v ./deploy/embedded/eventstore

.PHONY: bench-doors
bench-doors: ## what accounts and TLS cost beside open servers: appends, publishing and reading, inserts and lookups, as ratios
	$(GO) test -tags bench -count=1 -timeout 30m -run 'TestBenchSecure$$' -v ./deploy/embedded/eventstore
	$(GO) test -run '^$$' -bench BenchmarkAccounts -benchtime 10x ./consumers/kafka
	$(GO) test -tags bench -count=1 -timeout 30m -run 'TestCostOfAccounts$$' -v ./deploy/embedded/clickhouse

.PHONY: bench-views
bench-views: build ## projector beside ClickHouse alone, event to row, time until visible, at RATE=2000 events/s, comparing and rebuilding with EVENTS=60000 (and a third)
	BENCH_EVENTS=$(or $(EVENTS),60000) $(GO) test -tags bench -count=1 -timeout 60m -run 'TestBenchProjector|TestBenchInsert|TestBenchRowOf|TestBenchAge' -v ./projections/clickhouse
	$(GO) test -tags bench -count=1 -timeout 10m -run TestBenchVisible ./internal/e2e -binary $(CURDIR)/bin/ledgerline -visible-rate $(or $(RATE),2000) -v

.PHONY: bench-reports
bench-reports: ## reports and packages: time, and what they read of the views, at each age of the ledger (EVENTS="100000 1000000")
	DEVICES=$(DEVICES) ACTIONS=$(or $(ACTIONS),100000) SUBJECT=$(or $(SUBJECT),1000) EVENTS="$(or $(EVENTS),100000 1000000)" \
	$(GO) test -tags bench -count=1 -timeout 120m -run TestBenchReports -v ./internal/office

.PHONY: bench-intake
bench-intake: ## intake alone beside a program that only parses, seals and appends; new, known and aged devices
	$(GO) test -tags bench -count=1 -timeout 60m -run 'TestBenchIntake$$' -v ./ledger/intake

.PHONY: bench-scale
bench-scale: build ## a ledger of EVENTS=1000000 by the commands a user types, kept in SCALE=DIR: what it costs to ask it, start it, check it
	$(GO) test -tags bench -count=1 -timeout 24h -run 'TestScale$$' ./internal/e2e -binary $(CURDIR)/bin/ledgerline -events $(or $(EVENTS),1000000) -scale-dir $(abspath $(SCALE)) -v

.PHONY: bench-memory
bench-memory: build ## what has resident, with GOMEMLIMIT=512MiB: an import of APP_DEVICES=600 devices with APPS=20000 apps, new and known (some 20 GiB of disk); tail, and a package of PERSON_EVENTS=100000 (RUN=TestReadingMemory: these alone)
	$(GO) test -tags bench -count=1 -timeout 24h -run '$(or $(RUN),TestImportMemory|TestReadingMemory)' ./internal/e2e -binary $(CURDIR)/bin/ledgerline -app-devices $(or $(APP_DEVICES),600) -apps-each $(or $(APPS),20000) -person-events $(or $(PERSON_EVENTS),100000) -v

.PHONY: bench-peers
bench-peers: build ## the same audit job in PostgreSQL (POSTGRES=folder of its programs): appends from 1 and 64 callers, a subject's events, a device as of a date; our reads are of the ledger in SCALE=DIR, where there is one
	$(GO) test -tags bench -count=1 -timeout 2h -run 'TestPeers$$' ./internal/e2e -binary $(CURDIR)/bin/ledgerline -peer-events $(or $(EVENTS),1000000) -postgres $(POSTGRES) -scale-dir "$(if $(wildcard $(SCALE)),$(abspath $(SCALE)))" -v

.PHONY: clean
clean: ## remove what was built, and the ledger of make run
	rm -rf bin $(DATA)
