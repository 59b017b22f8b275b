module github.com/ledgerline/ledgerline

go 1.26.0

require (
	github.com/ClickHouse/ch-go v0.74.0 // ClickHouse's native blocks and compressed frames, to answer clients of the embedded engine
	github.com/ClickHouse/clickhouse-go/v2 v2.50.0 // the official client: embedded engine and clusters alike
	github.com/EventStore/EventStore-Client-Go/v4 v4.2.0 // the official client, and the protocol's server stubs
	github.com/andybalholm/brotli v1.2.6 // a response encoding that ClickHouse's HTTP clients may ask for
	github.com/anishathalye/porcupine v1.1.0 // tests check concurrent histories of the embedded event store for linearizability
	github.com/cockroachdb/datadriven v1.0.3 // scenario tests as readable text
	github.com/cockroachdb/pebble/v2 v2.1.7 // storage of the embedded event store: group commit, checksums, a crashable file system for tests
	github.com/dlclark/regexp2 v1.11.5 // .NET regular expressions in filters of the event store's other clients
	github.com/ebitengine/purego v0.11.3 // calls ClickHouse's library without cgo
	github.com/go-json-experiment/json v1.27.2 // Go 1.27's jsontext: one pass over JSON as it stands, taking and refusing what encoding/json does
	github.com/google/uuid v1.6.0 // identifiers
	github.com/hamba/avro/v2 v2.31.0 // the schemas of Avro files, as Event Hubs Capture writes them
	github.com/klauspost/compress v1.20.3 // zstd and gzip of ClickHouse's HTTP interface; snappy of Avro files
	github.com/pierrec/lz4/v4 v4.1.33 // lz4 of ClickHouse's HTTP interface
	github.com/prometheus/client_golang v1.25.0 // metrics in the format that everybody scrapes
	github.com/rivo/uniseg v0.4.7 // how many columns a text takes on a terminal: Asian letters, emoji, accents
	github.com/santhosh-tekuri/jsonschema/v6 v6.0.3 // tests check the JSON Schemas that `schema export` writes as a reader of the topics would
	github.com/segmentio/kafka-go v0.4.51 // the client of every broker
	github.com/spf13/cobra v1.10.2 // the command line
	github.com/spf13/pflag v1.0.9 // flags, as cobra has them; a test walks them
	github.com/twmb/franz-go v1.22.2 // tests look at brokers through a second client
	github.com/twmb/franz-go/pkg/kfake v0.0.0-20260918054303-01f206a7e32c // the embedded broker
	github.com/twmb/franz-go/pkg/kmsg v1.15.0 // Kafka's messages, for what kafka-go cannot ask
	go.yaml.in/yaml/v3 v3.0.6 // catalogue and configuration
	golang.org/x/crypto v0.58.0 // argon2id: people's passwords; bcrypt: those of the event store's users as htpasswd writes them
	golang.org/x/net v0.61.0 // tests parse the pages of a package
	golang.org/x/sync v0.24.0 // groups of goroutines with one error
	golang.org/x/sys v0.49.0 // file locks, signals, Landlock and seccomp
	golang.org/x/term v0.47.0 // whether there is a terminal, its width, a password typed unseen
	golang.org/x/text v0.43.0 // names of persons in one form; names, plural forms and order of languages
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260817212433-ac3dfec99bb1 // the errors that BatchAppend packs into its answers
	google.golang.org/grpc v1.85.0 // the embedded event store's server, and appends to any
	google.golang.org/protobuf v1.36.12 // its messages
	modernc.org/sqlite v1.62.0 // the vault, without cgo
	pgregory.net/rapid v1.3.0 // property tests
)

require (
	github.com/BurntSushi/toml v1.4.1-0.20240526193622-a339e1f7089c // indirect
	github.com/DataDog/zstd v1.5.7 // indirect
	github.com/RaduBerinde/axisds v0.1.0 // indirect
	github.com/RaduBerinde/btreemap v0.0.0-20250419174037-3d62b7205d54 // indirect
	github.com/beorn7/perks v1.0.1 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/cockroachdb/crlib v0.0.0-20241112164430-1264a2edc35b // indirect
	github.com/cockroachdb/errors v1.11.3 // indirect
	github.com/cockroachdb/logtags v0.0.0-20230118201751-21c54148d20b // indirect
	github.com/cockroachdb/redact v1.1.5 // indirect
	github.com/cockroachdb/swiss v0.0.0-20260820225851-333444432258 // indirect
	github.com/cockroachdb/tokenbucket v0.0.0-20230807174530-cc333fc44b06 // indirect
	github.com/dustin/go-humanize v1.1.0 // indirect
	github.com/getsentry/sentry-go v0.27.0 // indirect
	github.com/go-faster/city v1.0.1 // indirect
	github.com/go-faster/errors v0.7.1 // indirect
	github.com/go-viper/mapstructure/v2 v2.4.0 // indirect
	github.com/gogo/protobuf v1.3.2 // indirect
	github.com/golang/snappy v1.0.0 // indirect
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/json-iterator/go v1.1.12 // indirect
	github.com/kr/pretty v0.3.1 // indirect
	github.com/kr/text v0.2.0 // indirect
	github.com/mattn/go-isatty v0.0.24 // indirect
	github.com/minio/minlz v1.0.1-0.20250507153514-87eb42fe8882 // indirect
	github.com/modern-go/concurrent v0.0.0-20180306012644-bacd9c7ef1dd // indirect
	github.com/modern-go/reflect2 v1.0.2 // indirect
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	github.com/ncruces/go-strftime v1.1.0 // indirect
	github.com/paulmach/orb v0.13.0 // indirect
	github.com/pkg/errors v0.9.1 // indirect
	github.com/pmezard/go-difflib v1.0.0 // indirect
	github.com/prometheus/client_model v0.6.3 // indirect
	github.com/prometheus/common v0.72.0 // indirect
	github.com/prometheus/procfs v0.22.0 // indirect
	github.com/remyoudompheng/bigfft v0.0.0-20230129092748-24d4a6f8daec // indirect
	github.com/rogpeppe/go-internal v1.16.0 // indirect
	github.com/segmentio/asm v1.2.1 // indirect
	github.com/shopspring/decimal v1.5.0 // indirect
	github.com/xdg-go/pbkdf2 v1.0.0 // indirect
	github.com/xdg-go/scram v1.1.2 // indirect
	github.com/xdg-go/stringprep v1.0.4 // indirect
	go.opentelemetry.io/otel v1.47.0 // indirect
	go.opentelemetry.io/otel/trace v1.47.0 // indirect
	golang.org/x/exp v0.0.0-20231110203233-9a3e6036ecaa // indirect
	golang.org/x/exp/typeparams v0.0.0-20231108232855-2478ac86f678 // indirect
	golang.org/x/mod v0.42.0 // indirect
	golang.org/x/tools v0.52.0 // indirect
	honnef.co/go/tools v0.8.2 // indirect
	modernc.org/libc v1.80.1 // indirect
	modernc.org/mathutil v1.7.1 // indirect
	modernc.org/memory v1.12.1 // indirect
)

tool honnef.co/go/tools/cmd/staticcheck
