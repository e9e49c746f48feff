#!/usr/bin/env bash
# prepare.sh [1-5]: a small installation in which nobody receives what is published, for the cause with that number, or for any.
# It runs until it is interrupted. README.md says what to do with it.
set -euo pipefail
cd "$(dirname "$0")"
cause=${1:-$((RANDOM % 5 + 1))}
port=${INCIDENT_PORT:-4100}
dir=$(mktemp -d)
gateway=${GATEWAY:-$dir/gateway}
trap 'kill $(jobs -p) 2>/dev/null; wait; rm -rf "$dir"' EXIT

[ -x "$gateway" ] || (cd ../.. && CGO_ENABLED=0 go build -o "$gateway" ./cmd/gateway)
redis=$((port + 10)) other=$((port + 11)) admin=$((port + 1))
for server in $redis $other; do
  if redis-cli -p "$server" ping >/dev/null 2>&1; then echo "port $server is in use: set INCIDENT_PORT" >&2; exit 1; fi
  redis-server --port "$server" --bind 127.0.0.1 --save '' --dir "$dir" >"$dir/redis-$server.log" &
done

# What the application does, and how the pod is set up, when all is well.
server=$redis
channel=roost:topic:rooms:lobby
body='{"event":"new_msg","payload":{"body":"tick"}}'
rules='topics: [{topic: "rooms:*", join: allow, push: broadcast}]'
sharded=off
case $cause in
1) channel=topic:rooms:lobby ;;
2) body='{"event":"new_msg","payload":"tick"}' ;;
3) sharded=on ;;
4) server=$other ;;
5) rules='topics: [{topic: "rooms:lobby", join: deny, push: broadcast}]' ;;
*) echo "prepare.sh [1-5]" >&2; exit 2 ;;
esac

echo "$rules" >"$dir/topics.yaml"
cat >"$dir/env" <<EOF
export PATH=$(dirname "$gateway"):\$PATH
export REDIS_URL=redis://127.0.0.1:$redis ROOST_TOPICS_FILE=$dir/topics.yaml ROOST_REDIS_SHARDED_PUBSUB=$sharded
export ADMIN=http://127.0.0.1:$admin SOCKET=ws://127.0.0.1:$port/socket TOPIC=rooms:lobby
EOF
. "$dir/env"
until redis-cli -p "$redis" ping >/dev/null 2>&1 && redis-cli -p "$other" ping >/dev/null 2>&1; do sleep 0.1; done
PORT=$port ROOST_ADMIN_PORT=$admin "$gateway" >"$dir/pod.log" 2>&1 &
pod=$!
until curl -sf "$ADMIN/readyz" >/dev/null; do
  kill -0 $pod 2>/dev/null || { cat "$dir/pod.log" >&2; exit 1; }
  sleep 0.1
done
while sleep 0.3; do redis-cli -p "$server" publish "$channel" "$body" >/dev/null || true; done &        # the application
while sleep 0.5; do "$gateway" listen "$SOCKET" "$TOPIC" >>"$dir/client.log" 2>&1 || true; done &        # a client, which joins again and again

cat <<EOF
ready

  . $dir/env

An application publishes to the topic $TOPIC about three times a second. A client has joined it, and gets nothing:

  tail -f $dir/client.log

The pod's log is $dir/pod.log. Why does nobody receive? docs/operations.md#nobody-receives
EOF
wait
