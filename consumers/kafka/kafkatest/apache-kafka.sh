#!/bin/sh
# Starts one node of Apache Kafka (KRaft, no containers) for the acceptance tests and prints its pid and port:
#
#	apache-kafka.sh CACHE-DIR DATA-DIR PORT [VERSION]
#	pid=12345 port=19092
#
# CACHE-DIR keeps the jars, fetched once through Maven. DATA-DIR must not exist: it is this node's, with its log. PORT
# and PORT+1 must be free. The node listens on loopback only; end it with kill. Needs Java 17, mvn and bash.
set -eu
if [ $# -lt 3 ] || [ $# -gt 4 ]; then
	sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
	exit 2
fi
cache=$1 data=$2 port=$3 version=${4:-4.3.1}
controller=$((port + 1))
lib=$cache/kafka-$version
for need in java mvn bash; do
	command -v "$need" >/dev/null || { echo "apache-kafka.sh: $need is not installed" >&2; exit 1; }
done
if [ -e "$data" ]; then
	echo "apache-kafka.sh: $data exists already" >&2
	exit 1
fi
mkdir -p "$cache" "$data"
data=$(cd "$data" && pwd)

if [ ! -d "$lib" ]; then
	work=$(mktemp -d "$cache/fetch.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	cat >"$work/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>ledgerline</groupId><artifactId>apache-kafka</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$version</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-nop</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
POM
	mvn -q -B -f "$work/pom.xml" dependency:copy-dependencies -DoutputDirectory="$work/lib" >"$work/mvn.log" 2>&1 || {
		tail -n 20 "$work/mvn.log" >&2
		exit 1
	}
	# Renaming makes it whole or absent.
	mv "$work/lib" "$lib" 2>/dev/null || [ -d "$lib" ]
fi

cat >"$data/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$port
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$data/logs
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
PROPERTIES
cluster=$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=')
java -cp "$lib/*" kafka.tools.StorageTool format -t "$cluster" -c "$data/server.properties" >"$data/format.log" 2>&1 || {
	cat "$data/format.log" >&2
	exit 1
}
java -Xmx512m -cp "$lib/*" kafka.Kafka "$data/server.properties" >"$data/server.log" 2>&1 &
pid=$!
echo "$pid" >"$data/pid"

# Ready is when the broker's listener accepts.
tries=0
until bash -c "exec 3<>/dev/tcp/127.0.0.1/$port" 2>/dev/null; do
	tries=$((tries + 1))
	if ! kill -0 "$pid" 2>/dev/null || [ "$tries" -gt 600 ]; then
		echo "apache-kafka.sh: the node did not start:" >&2
		tail -n 20 "$data/server.log" >&2
		kill "$pid" 2>/dev/null || true
		exit 1
	fi
	sleep 0.1
done
echo "pid=$pid port=$port"
