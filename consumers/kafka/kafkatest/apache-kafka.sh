#!/bin/sh
# Starts one node of Apache Kafka (KRaft, no containers) that lets nobody in without an account,
# for the acceptance tests, and prints its pid and the file that describes it:
#
#	apache-kafka.sh CACHE-DIR DATA-DIR PORT DEPLOY-DIR
#	pid=12345 kafka=DATA-DIR/kafka.json
#
# CACHE-DIR keeps the jars, fetched once through Maven. DATA-DIR must not exist: it is this node's,
# with its log, its certificates and the accounts' passwords. PORT to PORT+4 must be free.
# DEPLOY-DIR is deploy/kafka: its broker.properties are the node's, its acls.sh gives the accounts
# their rights. The node listens on loopback only; end it with kill. Needs Java 17, mvn, openssl
# and bash.
set -eu
umask 077
if [ $# -ne 4 ]; then
	sed -n '2,12s/^# \{0,1\}//p' "$0" >&2
	exit 2
fi
here=$(cd "$(dirname "$0")" && pwd) cache=$1 data=$2 port=$3 deploy=$(cd "$4" && pwd)
for need in java mvn openssl bash; do
	command -v "$need" >/dev/null || { echo "apache-kafka.sh: $need is not installed" >&2; exit 1; }
done
if [ -e "$data" ]; then
	echo "apache-kafka.sh: $data exists already" >&2
	exit 1
fi
mkdir -p "$cache" "$data/bin" "$data/tls"
data=$(cd "$data" && pwd)

# The tools under the names that the documentation has, and the server.
tools=$(sh "$here/apache-kafka-tools.sh" "$cache" "$data/bin")
eval "$tools"
PATH=$data/bin:$PATH

# An authority, the node's certificate, and one for a client whose account is its name.
cd "$data/tls"
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ledgerline-test-authority -keyout ca.key -out ca.pem 2>/dev/null
for name in broker relay reader stranger; do
	openssl req -newkey rsa:2048 -nodes -subj "/CN=$name" -keyout "$name.key" -out "$name.csr" 2>/dev/null
	printf 'subjectAltName=IP:127.0.0.1,DNS:localhost\n' >"$name.ext"
	openssl x509 -req -in "$name.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile "$name.ext" -out "$name.pem" 2>/dev/null
done
cat broker.key broker.pem >broker.keystore.pem
cd "$data"

secret() { openssl rand -hex 16; }
admin=$(secret) relay=$(secret) consumer=$(secret) reader=$(secret)

cat "$deploy/broker.properties" - >"$data/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$((port + 1))
controller.listener.names=CONTROLLER
inter.broker.listener.name=MUTUAL
listeners=SASL://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 1)),SASLTLS://127.0.0.1:$((port + 2)),MUTUAL://127.0.0.1:$((port + 3)),PLAIN://127.0.0.1:$((port + 4))
advertised.listeners=SASL://127.0.0.1:$port,SASLTLS://127.0.0.1:$((port + 2)),MUTUAL://127.0.0.1:$((port + 3)),PLAIN://127.0.0.1:$((port + 4))
listener.security.protocol.map=SASL:SASL_PLAINTEXT,CONTROLLER:SSL,SASLTLS:SASL_SSL,MUTUAL:SSL,PLAIN:PLAINTEXT
listener.name.controller.ssl.client.auth=required
listener.name.mutual.ssl.client.auth=required
# One account for PLAIN, on the TLS port only.
listener.name.sasltls.sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512,PLAIN
listener.name.sasltls.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_reader="$reader";
listener.name.sasltls.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasltls.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location=$data/tls/broker.keystore.pem
ssl.truststore.type=PEM
ssl.truststore.location=$data/tls/ca.pem
log.dirs=$data/logs
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
PROPERTIES
# The tool takes an id that begins with a hyphen for an option, as Kafka's own ids never do.
cluster=L$(openssl rand 16 | base64 | tr '+/' '-_' | tr -d '=' | cut -c2-)
# This first password is in an argument, since the tool takes it nowhere else: it lives as long as
# this test's node.
kafka-storage.sh format -t "$cluster" -c "$data/server.properties" --add-scram "SCRAM-SHA-256=[name=admin,password=$admin]" >"$data/format.log" 2>&1 || {
	cat "$data/format.log" >&2
	exit 1
}
java -Xmx512m -cp "$lib/*" kafka.Kafka "$data/server.properties" >"$data/server.log" 2>&1 &
pid=$!
echo "$pid" >"$data/pid"
die() {
	echo "apache-kafka.sh: $1:" >&2
	tail -n 20 "$2" >&2
	kill -9 "$pid" 2>/dev/null || true
	exit 1
}

# Ready is when the broker's listener accepts.
tries=0
until bash -c "exec 3<>/dev/tcp/127.0.0.1/$port" 2>/dev/null; do
	tries=$((tries + 1))
	if ! kill -0 "$pid" 2>/dev/null || [ "$tries" -gt 600 ]; then
		die "the node did not start" "$data/server.log"
	fi
	sleep 0.1
done

# Accounts and rights, as deploy/kafka/README.md has them.
cat >"$data/admin.properties" <<PROPERTIES
security.protocol=SASL_PLAINTEXT
sasl.mechanism=SCRAM-SHA-256
sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="admin" password="$admin";
PROPERTIES
export BROKERS=127.0.0.1:$port
(
	set -e
	account() { # name, file
		kafka-configs.sh --bootstrap-server "$BROKERS" --command-config admin.properties --alter \
			--entity-type users --entity-name "$1" --add-config-file "$2"
	}
	# In a file the brackets of the command line are left out, and there is one mechanism to a call.
	printf 'SCRAM-SHA-256=password=%s\n' "$relay" >relay.scram
	printf 'SCRAM-SHA-256=password=%s\n' "$consumer" >consumer.scram
	printf 'SCRAM-SHA-256=password=%s\n' "$reader" >reader.scram
	printf 'SCRAM-SHA-512=password=%s\n' "$reader" >reader512.scram
	account relay relay.scram
	account consumer consumer.scram
	account reader reader.scram
	account reader reader512.scram
	sh "$deploy/acls.sh"
) >"$data/accounts.log" 2>&1 &
wait $! || die "accounts and rights" "$data/accounts.log"

cat >"$data/kafka.json" <<JSON
{"sasl":"127.0.0.1:$port","saslTLS":"127.0.0.1:$((port + 2))","mutualTLS":"127.0.0.1:$((port + 3))","plain":"127.0.0.1:$((port + 4))",
 "ca":"$data/tls/ca.pem","certs":"$data/tls",
 "accounts":{"admin":"$admin","relay":"$relay","consumer":"$consumer","reader":"$reader"}}
JSON
echo "pid=$pid kafka=$data/kafka.json"
