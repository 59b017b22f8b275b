#!/bin/sh
# Fetches other people's clients from their registries, each at the version that this folder pins
# and, byte for byte, as its lock has it; and axe-core, which make pages runs in a browser:
#
#	fetch.sh CACHE-DIR KAFKA-CACHE-DIR [python|node|java|kafka|go|kcat|axe]…
#	python='CACHE-DIR/python-…'
#	…
#
# It prints where each is. CACHE-DIR keeps what was fetched, one folder for each lock, until a month
# has passed without its use; KAFKA-CACHE-DIR is the one of make acceptance. kcat is the system's.
# What is missing on this machine is an error that names the fix.
set -eu
umask 077
if [ $# -lt 2 ]; then
	sed -n '2,12s/^# \{0,1\}//p' "$0" >&2
	exit 2
fi
here=$(cd "$(dirname "$0")" && pwd) cache=$1 kafka=$2
shift 2
[ $# -gt 0 ] || set -- python node java kafka go kcat
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)

need() { # need COMMAND FIX
	command -v "$1" >/dev/null || { echo "fetch.sh: $1 is missing: $2" >&2; exit 1; }
}
place() { # place NAME FILE…: where that is kept which these files pin
	name=$1; shift
	echo "$cache/$name-$(cat "$@" | sha256sum | cut -c1-16)"
}
work=""
trap '[ -z "$work" ] || rm -rf "$work"' EXIT
whole() { # whole WORK DIR: renaming makes it whole or absent
	mv "$1" "$2" 2>/dev/null || [ -d "$2" ]
	echo "fetched $2" >&2
}

for part; do
	case $part in
	python)
		need python3 "Python 3.11 or later; on Debian: apt-get install python3-venv"
		dir=$(place "python-$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')" "$here/python/requirements.txt")
		if [ ! -d "$dir" ]; then
			work=$(mktemp -d "$cache/fetch.XXXXXX")
			python3 -m venv "$work/venv" >&2 || { echo "fetch.sh: python3 has no venv: on Debian, apt-get install python3-venv" >&2; exit 1; }
			"$work/venv/bin/python" -m pip install -q --disable-pip-version-check --no-compile --no-deps --require-hashes \
				--only-binary :all: --target "$work/lib" -r "$here/python/requirements.txt" >&2
			whole "$work/lib" "$dir"
		fi ;;
	node | axe)
		need node "Node.js 20 or later; on Debian: apt-get install nodejs npm"
		need npm "on Debian: apt-get install npm"
		dir=$(place $part "$here/$part/package-lock.json")
		if [ ! -d "$dir" ]; then
			work=$(mktemp -d "$cache/fetch.XXXXXX")
			cp "$here/$part/package.json" "$here/$part/package-lock.json" "$here/$part/.npmrc" "$work"
			npm ci --prefix "$work" --ignore-scripts --no-audit --no-fund --loglevel error >&2
			whole "$work/node_modules" "$dir"
		fi ;;
	java)
		dir=$(place jdbc "$here/java/jdbc.sha256")
		sh "$here/../../consumers/kafka/kafkatest/jars.sh" "$dir" "$here/java/jdbc.sha256" \
			com.clickhouse:clickhouse-jdbc:0.9.4:all org.slf4j:slf4j-nop:2.0.17 ;;
	kafka)
		dir=$cache/kafka-bin
		sh "$here/../../consumers/kafka/kafkatest/apache-kafka-tools.sh" "$kafka" "$dir" >/dev/null ;;
	go)
		need go "see https://go.dev/dl"
		dir=$(place go "$here"/go/*)
		if [ ! -d "$dir" ]; then
			work=$(mktemp -d "$cache/fetch.XXXXXX")
			mkdir "$work/bin"
			(cd "$here/go" && GOFLAGS="-mod=readonly -buildvcs=false" CGO_ENABLED=0 go build -o "$work/bin/eventstore" .) >&2
			whole "$work/bin" "$dir"
		fi ;;
	kcat)
		need kcat "on Debian: apt-get install kcat"
		dir=$(command -v kcat) ;;
	*)
		echo "fetch.sh: $part is none of python, node, java, kafka, go, kcat, axe" >&2
		exit 2 ;;
	esac
	[ -z "$work" ] || rm -rf "$work"
	work=""
	[ "$part" = kcat ] || touch "$dir"
	echo "$part='$dir'"
done
# What no run has used for a month is of locks that are gone.
find "$cache" -mindepth 1 -maxdepth 1 -mtime +30 -exec rm -rf {} +
