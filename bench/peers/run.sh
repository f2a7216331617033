#!/usr/bin/env bash
# Another system over the same topic, to its end, with the output committed. The last line of its output is JSON: events, CPU time of
# the process (user and system, all threads), the same when the first fifth of the events was in, and its peak memory.
#
#   bench/peers/run.sh flink|streams BROKERS QUERY FROM TO [exactly_once=true|false] [commit_ms=1000] [store=memory|rocksdb]
#                      [emit=close|suppress] [scratch=FOLDER]
#
# The query `recovery` has no end: it is killed, and goes on with what is in FOLDER. With a FOLDER the process becomes that of the system.
#
# WASMILL_PEERS_HEAP is the JVM's heap (2g). What it downloads and builds is kept in ${WASMILL_CACHE:-~/.cache/wasmill}/peers. Needs
# a JDK of version 17 or newer, and Maven.
set -euo pipefail
cd "$(dirname "$0")"

fail() { echo "peers: $*" >&2; exit 1; }

system=${1:-}
case $system in
flink) main=Flink ;;
streams) main=Streams ;;
*) sed -n '2,13s/^# \{0,1\}//p' run.sh >&2; exit 2 ;;
esac
[[ $# -ge 5 ]] || fail "usage: run.sh SYSTEM BROKERS QUERY FROM TO [KEY=VALUE...]"
command -v javac >/dev/null && command -v mvn >/dev/null || fail "javac (17 or newer) and mvn are needed: install them"

home=${WASMILL_CACHE:-$HOME/.cache/wasmill}/peers/$system
if ! { cmp -s "$system.xml" "$home/pom.xml" && LC_ALL=C ls "$home/libs" 2>/dev/null | cmp -s - "$home/libs.txt"; }; then
  rm -rf "$home"
  mkdir -p "$home"
  mvn -q -B -f "$system.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$home/libs" >"$home/fetch.log" 2>&1 ||
    fail "mvn could not download $system: see $home/fetch.log"
  LC_ALL=C ls "$home/libs" >"$home/libs.txt"
  cp "$system.xml" "$home/pom.xml" # Last: it says that the download is complete.
fi
stamp=$(cat src/*.java | sha256sum)
if [[ "$(cat "$home/stamp" 2>/dev/null)" != "$stamp" ]]; then
  rm -rf "$home/classes"
  javac -nowarn -Xlint:none -d "$home/classes" -cp "$home/libs/*" src/{Job,Usage,Bid,Rules,Kept,$main}.java
  echo "$stamp" >"$home/stamp"
fi

scratch=
for option in "${@:6}"; do if [[ $option == scratch=* ]]; then scratch=${option#scratch=}; fi; done
if [[ -n $scratch ]]; then
  before=exec
else
  before=
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
fi
mkdir -p "$scratch/tmp"
opens=()
for package in lang net util util.concurrent io text time; do opens+=(--add-opens "java.base/java.$package=ALL-UNNAMED"); done
$before java -Xmx"${WASMILL_PEERS_HEAP:-2g}" "${opens[@]}" -Djava.io.tmpdir="$scratch/tmp" -Dorg.slf4j.simpleLogger.defaultLogLevel=error \
  -cp "$home/classes:$home/libs/*" "$main" "${@:2}" scratch="$scratch"
