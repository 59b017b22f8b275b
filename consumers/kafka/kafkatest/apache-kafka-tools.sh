#!/bin/sh
# Fetches Apache Kafka, its server and its tools, and makes them runnable under the names that its
# documentation has:
#
#	apache-kafka-tools.sh CACHE-DIR BIN-DIR
#	lib='CACHE-DIR/kafka-4.3.1'
#
# CACHE-DIR keeps the jars, fetched once through Maven. BIN-DIR gets kafka-topics.sh and its like.
# Needs Java 17 and mvn.
set -eu
if [ $# -ne 2 ]; then
	sed -n '2,10s/^# \{0,1\}//p' "$0" >&2
	exit 2
fi
here=$(cd "$(dirname "$0")" && pwd) version=4.3.1 bin=$2
mkdir -p "$1" "$bin"
lib=$(cd "$1" && pwd)/kafka-$version
sh "$here/jars.sh" "$lib" "$here/apache-kafka.sha256" \
	"org.apache.kafka:kafka_2.13:$version" "org.apache.kafka:kafka-tools:$version" org.slf4j:slf4j-nop:1.7.36
tool() {
	printf '#!/bin/sh\nexec java -Xmx256m -XX:TieredStopAtLevel=1 -cp "%s/*" %s "$@"\n' "$lib" "$2" >"$bin/$1"
	chmod 700 "$bin/$1"
}
tool kafka-storage.sh kafka.tools.StorageTool
tool kafka-configs.sh kafka.admin.ConfigCommand
tool kafka-acls.sh org.apache.kafka.tools.AclCommand
tool kafka-topics.sh org.apache.kafka.tools.TopicCommand
tool kafka-get-offsets.sh org.apache.kafka.tools.GetOffsetShell
tool kafka-console-consumer.sh org.apache.kafka.tools.consumer.ConsoleConsumer
tool kafka-console-producer.sh org.apache.kafka.tools.ConsoleProducer
tool kafka-consumer-groups.sh org.apache.kafka.tools.consumer.group.ConsumerGroupCommand
echo "lib='$lib'"
