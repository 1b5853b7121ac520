#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Captures answers of a real Docker Engine for the unit tests: capture.sh FOLDER
#
# Starts a dockerd of its own in a network namespace of its own, with its own data root, runs containers of every kind
# of network, saves what the API answers, and removes all of it. Needs root, docker.io, busybox-static and curl.
# DOCKERD names another dockerd program to start, API another version of the API to speak (v1.51).
set -eu

out=$(realpath "$1")
mkdir -p "$out"
work=$(mktemp -d /tmp/capture.XXXXXX)
ns=capture-$$
api=${API:-v1.41}
sock=$work/docker.sock
export DOCKER_HOST=unix://$sock

cleanup() {
    set +e
    [ -z "${events:-}" ] || kill "$events" 2>/dev/null
    docker ps -aq 2>/dev/null | xargs -r docker rm -f >/dev/null 2>&1
    [ -s "$work/pid" ] && kill "$(cat "$work/pid")"
    [ -z "${daemon:-}" ] || wait "$daemon" 2>/dev/null
    for mount in $(awk -v w="$work" 'index($2, w) == 1 {print $2}' /proc/mounts | sort -r); do umount -l "$mount"; done
    ip netns del "$ns"
    rm -rf "$work"
}
trap cleanup EXIT

ip netns add "$ns"
ip -n "$ns" link set lo up
nsenter --net="/run/netns/$ns" "${DOCKERD:-dockerd}" --data-root "$work/data" --exec-root "$work/exec" -H "unix://$sock" \
    --pidfile "$work/pid" >"$work/log" 2>&1 &
daemon=$!
for _ in $(seq 100); do
    docker version >/dev/null 2>&1 && break
    sleep 0.3
done
docker version >/dev/null || { tail -20 "$work/log" >&2; exit 1; }

mkdir -p "$work/root/bin"
cp /bin/busybox "$work/root/bin/"
ln -s busybox "$work/root/bin/sh"
tar -C "$work/root" -c . | docker import --change 'LABEL role=db' --change 'LABEL vendor="Ex \"quoted\" é"' \
    --change 'CMD ["/bin/busybox", "sleep", "3600"]' - test/box:1 >/dev/null

get() { curl -s --unix-socket "$sock" "http://docker/$1"; }
curl -sN --unix-socket "$sock" "http://docker/$api/events?filters=%7B%22type%22%3A%5B%22container%22%2C%22network%22%5D%7D" \
    >"$out/events.jsonl" &
events=$!

docker network create --label tier=front front >/dev/null
docker network create --ipv6 --subnet fd12:3456::/64 --subnet 172.30.0.0/16 -o com.docker.network.bridge.name=br-six six \
    >/dev/null
docker network create --internal inner >/dev/null
# Not every kernel has macvlan.
lan=
docker network create -d macvlan lan >/dev/null 2>&1 && lan=lan
docker run -d --name db --label role=db --label own=yes --label com.docker.compose.project=shop \
    --label com.docker.compose.service=db --dns 10.0.0.53 --dns fd00::53 --network front test/box:1 >/dev/null
docker network connect six db
docker run -d --name web --label execID=forged --label name=forged -p 8080:80 test/box:1 >/dev/null
docker run -d --name onhost --network host test/box:1 >/dev/null
docker run -d --name alone --network none test/box:1 >/dev/null
docker run -d --name joined --network container:web test/box:1 >/dev/null
[ -z "$lan" ] || docker run -d --name macv --network lan test/box:1 >/dev/null
docker run -d --name linked --link web:w test/box:1 >/dev/null
docker run -d --name gone --network front test/box:1 >/dev/null
docker create --name never --network six test/box:1 >/dev/null
docker run -d --name paused --network inner test/box:1 >/dev/null
docker pause paused >/dev/null
docker stop -t 0 gone >/dev/null
docker rename alone alone2
docker exec web /bin/busybox true
docker network disconnect six db
docker network connect --ip6 fd12:3456::77 six db

get version >"$out/version.json"
get "$api/info" >"$out/info.json"
get "$api/containers/json?all=1" >"$out/containers.json"
get "$api/networks" >"$out/networks.json"
for c in db web onhost joined gone never paused; do
    get "$api/containers/$c/json" >"$out/container-$c.json"
done
for n in bridge front six; do
    get "$api/networks/$n" >"$out/network-$n.json"
done
get "$api/images/$(docker inspect -f '{{.Image}}' db)/json" >"$out/image.json"
get "$api/containers/nosuch/json" >"$out/error-404.json"
get v1.99/containers/json >"$out/error-400.json"
docker rm -f gone never >/dev/null
docker network rm front 2>/dev/null || true
sleep 0.5
