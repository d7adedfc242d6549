#!/usr/bin/env bash
# Runs Apache Kafka on loopback, one broker in KRaft mode, until standard input ends:
#
#	broker.sh DIR PORT CONTROLLER_PORT
#
# DIR exists; its data goes there, and the caller removes it. Both ports are free. Settings are Kafka's
# defaults and heap and collector those of its start script, but that retention and the removal of
# deleted segments come within a second and not within minutes, and that a new group does not wait for
# members. Maven fetches the jars of pom.xml once, to $SAMSA_KAFKA_DIR, by default a directory of the
# user's cache.
set -euo pipefail
dir=$1 port=$2 controller=$3
pom=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/pom.xml

jars=${SAMSA_KAFKA_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/samsa-kafka}/$(cksum <"$pom" | cut -d' ' -f1)
if [ ! -e "$jars/.complete" ]; then
	rm -rf "$jars"
	mkdir -p "$jars"
	mvn -q -B -f "$pom" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$jars"
	touch "$jars/.complete"
fi

cat >"$dir/server.properties" <<END
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:$controller
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
controller.listener.names=CONTROLLER
log.dirs=$dir/data
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.retention.check.interval.ms=1000
log.segment.delete.delay.ms=1000
END

cp="$jars/*"
java -cp "$cp" kafka.tools.StorageTool format --standalone -t samsabenchkafka000000A -c "$dir/server.properties"

exec 3<&0 # the shell gives /dev/null to what runs in the background
java -server -Xms1G -Xmx1G -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35 \
	-XX:+ExplicitGCInvokesConcurrent -Djava.awt.headless=true -Dlog4j2.level=WARN \
	-cp "$cp" kafka.Kafka "$dir/server.properties" </dev/null 3<&- &
broker=$!
cat <&3 >/dev/null &
input=$!
# Nobody needs what it would do at an orderly end: the data is removed.
trap 'kill -KILL $broker $input 2>/dev/null || true; wait' EXIT
wait -n "$broker" "$input"
