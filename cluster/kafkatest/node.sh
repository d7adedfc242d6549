#!/usr/bin/env bash
# Runs a node of an Apache Kafka, in KRaft mode, until standard input ends:
#
#	node.sh DIR OPTION_OF_JAVA...
#	node.sh --class-path          prints where the classes are, and runs nothing
#
# DIR has server.properties, and format, options of the format of its data; the caller removes it. The pid of the Java process goes to DIR/pid. Maven fetches the jars
# of pom.xml once, to $SAMSA_KAFKA_DIR, by default a directory of the user's cache. Beside them is an archive of what Java makes of their classes,
# with which a node starts in half the time. While there is none, DIR/no-archive says where the caller may put one.
set -euo pipefail
dir=$1
shift
pom=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/pom.xml

home=${SAMSA_KAFKA_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/samsa-kafka}
jars=$home/$(cksum <"$pom" | cut -d' ' -f1)
mkdir -p "$home"
exec 9>"$jars.lock"
flock 9
if [ ! -e "$jars/.complete" ]; then
	rm -rf "$jars"
	mkdir -p "$jars"
	mvn -q -B -f "$pom" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$jars"
	touch "$jars/.complete"
fi
exec 9>&-

cp="$jars/*"
if [ "$dir" = --class-path ]; then
	echo "$cp"
	exit
fi
archive=$jars/$(ls -lL "$(command -v java)" | cksum | cut -d' ' -f1).jsa # of this Java: that of another one is of no use
archived=(-XX:SharedArchiveFile="$archive") record=()
if [ ! -e "$archive" ]; then
	archived=() record=(-XX:+RecordDynamicDumpInfo)
	echo "$archive" >"$dir/no-archive"
fi
if [ ! -e "$dir/data/meta.properties" ]; then
	mapfile -t format <"$dir/format"
	java "${archived[@]}" -cp "$cp" -XX:TieredStopAtLevel=1 kafka.tools.StorageTool format -t samsakafkatest0000000A -c "$dir/server.properties" "${format[@]}"
fi

exec 3<&0 # the shell gives /dev/null to what runs in the background
java -server "${archived[@]}" "${record[@]}" "$@" -Djava.awt.headless=true -Dlog4j2.level=WARN -cp "$cp" kafka.Kafka "$dir/server.properties" </dev/null 3<&- &
node=$!
echo "$node" >"$dir/pid"
cat <&3 >/dev/null &
input=$!
# Nobody needs what it would do at an orderly end: the data is removed, or it is to die.
trap 'kill -KILL $node $input 2>/dev/null || true; wait' EXIT
wait -n "$node" "$input"
