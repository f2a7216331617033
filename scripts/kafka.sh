#!/usr/bin/env bash
# A real Kafka for tests and examples: one node (KRaft), from the Maven artifacts, on loopback.
#
#   scripts/kafka.sh fetch            download it once, into ${WASMILL_CACHE:-~/.cache/wasmill}/kafka-4.1.0
#   scripts/kafka.sh start DIR PORT [FEATURE=LEVEL...]
#                                     start a broker on 127.0.0.1:PORT (its controller on PORT + 1) with its data in DIR; a new one
#                                     with features at other levels than those of its release
#   scripts/kafka.sh stop DIR         stop it and wait for its end (DIR stays)
#   scripts/kafka.sh kill DIR         kill -9 it and wait for its end
#   scripts/kafka.sh topic DIR NAME [PARTITIONS [KEY=VALUE...]]   make a topic (1 partition)
#
# DIR holds server.properties, data, broker.log and broker.pid. A second start with the same DIR goes on with its data.
set -euo pipefail

version=4.1.0
home=${WASMILL_CACHE:-$HOME/.cache/wasmill}/kafka-$version

fail() { echo "kafka.sh: $*" >&2; exit 1; }

tools() { # Java 17 or newer and Maven
  if command -v java >/dev/null && command -v mvn >/dev/null; then return; fi
  [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null || fail "java (17 or newer) and mvn are needed: install them"
  (apt-get update -qq && apt-get install -y -qq openjdk-17-jre-headless maven) >&2 || fail "apt-get could not install java and maven"
}

fetch() {
  local work
  work=$(mktemp -d)
  pom >"$work/pom.xml"
  # All of it: a folder of caches may have lost some.
  if cmp -s "$work/pom.xml" "$home/pom.xml" && LC_ALL=C ls "$home/libs" 2>/dev/null | cmp -s - "$home/libs.txt"; then rm -r "$work"; return; fi
  tools
  rm -rf "$home"
  mkdir -p "$home"
  mvn -q -B -f "$work/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$home/libs" \
    >"$home/fetch.log" 2>&1 || fail "mvn could not download kafka $version: see $home/fetch.log"
  LC_ALL=C ls "$home/libs" >"$home/libs.txt"
  mv "$work/pom.xml" "$home/pom.xml" # Last: it says that the download is complete.
  rm -r "$work"
}

pom() {
  cat <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>wasmill</groupId><artifactId>kafka</artifactId><version>1</version>
<dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$version</version></dependency>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>$version</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
</dependencies></project>
POM
}

alive() { [[ -f $1/broker.pid ]] && grep -qs kafka.Kafka "/proc/$(cat "$1/broker.pid")/cmdline"; }

# Retention is off: test records carry old event times, and time retention would delete them.
properties() { # DIR PORT
  cat <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$(($2 + 1))
listeners=PLAINTEXT://127.0.0.1:$2,CONTROLLER://127.0.0.1:$(($2 + 1))
advertised.listeners=PLAINTEXT://127.0.0.1:$2
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs=$1/data
num.network.threads=2
num.io.threads=4
log.retention.ms=-1
log.retention.bytes=-1
log.cleaner.dedupe.buffer.size=16777216
log.cleaner.backoff.ms=500
log.initial.task.delay.ms=1000
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
transaction.max.timeout.ms=900000
transaction.abort.timed.out.transaction.cleanup.interval.ms=500
group.initial.rebalance.delay.ms=0
PROPERTIES
}

java_kafka() { java -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp "$home/libs/*" "$@"; }

start() { # DIR PORT [FEATURE=LEVEL...]
  [[ $# -ge 2 ]] || fail "start DIR PORT [FEATURE=LEVEL...]"
  fetch
  mkdir -p "$1"
  local dir features=()
  for feature in "${@:3}"; do features+=(--feature "$feature"); done
  dir=$(cd "$1" && pwd)
  alive "$dir" && return
  properties "$dir" "$2" >"$dir/server.properties"
  if [[ ! -f $dir/data/meta.properties ]]; then
    # An id may hold `-` and `_` too, but one that begins with `-` would be taken for an option.
    java_kafka kafka.tools.StorageTool format -t "$(head -c 16 /dev/urandom | base64 | tr '+/' 'ab' | tr -d =)" \
      -c "$dir/server.properties" "${features[@]}" >"$dir/format.log" 2>&1 || fail "could not format $dir/data: see $dir/format.log"
  fi
  nohup java -Xmx768m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.defaultLogLevel=warn \
    -cp "$home/libs/*" kafka.Kafka "$dir/server.properties" >>"$dir/broker.log" 2>&1 </dev/null &
  echo $! >"$dir/broker.pid"
  for _ in $(seq 600); do
    (exec 3<>"/dev/tcp/127.0.0.1/$2") 2>/dev/null && return
    alive "$dir" || sleep 0.2
    alive "$dir" || fail "the broker ended at start: see $dir/broker.log"
    sleep 0.1
  done
  fail "the broker does not listen on port $2: see $dir/broker.log"
}

stop() { # DIR SIGNAL
  alive "$1" || return 0
  kill "-$2" "$(cat "$1/broker.pid")"
  while alive "$1"; do sleep 0.05; done
  rm -f "$1/broker.pid"
}

topic() { # DIR NAME [PARTITIONS [KEY=VALUE...]]
  local dir=$1 name=$2 partitions=${3:-1} options=()
  shift $(($# < 3 ? $# : 3))
  for option in "$@"; do options+=(--config "$option"); done
  local address
  address=$(sed -n 's/^advertised.listeners=PLAINTEXT:\/\///p' "$dir/server.properties")
  java_kafka org.apache.kafka.tools.TopicCommand --bootstrap-server "$address" --create --topic "$name" \
    --partitions "$partitions" --replication-factor 1 "${options[@]}" 2>/dev/null
}

case ${1:-} in
fetch) fetch ;;
start) start "${@:2}" ;;
stop) stop "${2:?stop DIR}" TERM ;;
kill) stop "${2:?kill DIR}" KILL ;;
topic) topic "${2:?topic DIR NAME}" "${@:3}" ;;
*) sed -n '2,13s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
