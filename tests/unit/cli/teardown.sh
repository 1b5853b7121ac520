#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# teardown.sh PROGRAM: `cofferdam teardown` without a daemon, in user and network namespaces of its own: our tables go,
# others' stay, the bridges' switches get back what the state file remembers. Ends with 77 where such namespaces or
# nftables are not to be had.
set -euo pipefail
program=$(readlink -f "$1")

if [ "${2:-}" != inside ]; then
    unshare --user --map-root-user --net --mount true 2>/dev/null || exit 77
    exec unshare --user --map-root-user --net --mount "$0" "$program" inside
fi

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/state"
: >"$folder/state/lock"
echo "audit: $folder/audit.log" >"$folder/settings.yaml"
nft add table inet other || exit 77
nft -f - <<'RULES'
table inet cofferdam {
    chain forward { type filter hook forward priority -10; policy accept; counter drop; }
}
table bridge cofferdam {
    set ports { type ifname; elements = { "veth1" } }
    chain forward { type filter hook forward priority 0; policy accept; iifname @ports drop; }
}
RULES
ip link add br-ours type bridge nf_call_iptables 1 nf_call_ip6tables 1
ip link add br-before type bridge nf_call_iptables 1 nf_call_ip6tables 1
ip link add br-other type bridge nf_call_iptables 1
cat >"$folder/state/bridges.json" <<'STATE'
{"format_version": "1.0", "bridges": [
  {"name": "br-ours", "changed": true, "nf_call_iptables": false, "nf_call_ip6tables": false},
  {"name": "br-before", "changed": true, "nf_call_iptables": true, "nf_call_ip6tables": false},
  {"name": "br-other", "changed": false, "nf_call_iptables": false, "nf_call_ip6tables": false},
  {"name": "br-gone", "changed": true, "nf_call_iptables": false, "nf_call_ip6tables": false}]}
STATE

teardown() {
    "$program" teardown --config "$folder/settings.yaml" --control "$folder/control.sock" --state "$folder/state" "$@" </dev/null
}
switches() { # BRIDGE
    ip -d link show "$1" | grep -o 'nf_call_ip[6]*tables [01]' | tr '\n' ' '
}

# Without --yes and without a terminal nothing happens.
teardown 2>"$folder/said" && fail "it went on without being told to"
grep -q -- --yes "$folder/said" || fail "it does not say how to go on"
[ "$(nft list tables | grep -c cofferdam)" = 2 ] || fail "tables went without being told to"

# A daemon that lives but does not answer is not worked against.
status=0
flock "$folder/state/lock" "$program" teardown --yes --config "$folder/settings.yaml" --control "$folder/control.sock" \
    --state "$folder/state" 2>"$folder/said" || status=$?
[ "$status" = 1 ] || fail "exit $status beside a living daemon"
grep -q 'a daemon runs but does not answer' "$folder/said" || fail "wrong reason: $(cat "$folder/said")"
[ "$(nft list tables | grep -c cofferdam)" = 2 ] || fail "tables went beside a living daemon"

out=$(teardown --yes) || fail "teardown --yes"
[[ $out == "the rules are removed"* ]] || fail "it said: $out"
[ "$(nft list tables)" = "table inet other" ] || fail "what is left: $(nft list tables)"
[ "$(switches br-ours)" = "nf_call_iptables 0 nf_call_ip6tables 0 " ] || fail "br-ours: $(switches br-ours)"
[ "$(switches br-before)" = "nf_call_iptables 1 nf_call_ip6tables 0 " ] || fail "br-before: $(switches br-before)"
[ "$(switches br-other)" = "nf_call_iptables 1 nf_call_ip6tables 0 " ] || fail "br-other: $(switches br-other)"
[ ! -e "$folder/state/bridges.json" ] || fail "the state file is left"

# Those that commands have cut with by themselves go too, alone and with ours; and who they cut is counted.
for own in inet none; do
    [ "$own" = none ] || nft add table inet cofferdam
    nft -f - <<'RULES'
table inet cofferdam_lockdown {
    set locked4 { type ipv4_addr; elements = { 10.91.0.2 } }
    chain forward { type filter hook forward priority -20; policy accept; ip saddr @locked4 counter drop; }
}
table bridge cofferdam_lockdown {
}
RULES
    out=$(teardown --yes) || fail "teardown of lock tables, ours: $own"
    [[ $out == "the rules are removed"* ]] || fail "of lock tables it said: $out"
    [ "$(nft list tables)" = "table inet other" ] || fail "what is left of lock tables: $(nft list tables)"
done
echo garbage >"$folder/state/lockdown-pending.json"
teardown --yes >/dev/null 2>"$folder/said" || fail "beside a damaged list"
grep -q 'lockdown-pending.json, is damaged: whoever was locked down will be free' "$folder/said" ||
    fail "it does not warn of a damaged list: $(cat "$folder/said")"
rm "$folder/state/lockdown-pending.json"*

out=$(teardown --yes --json) || fail "second teardown"
[[ $out == *"nothing of Cofferdam is in the kernel"* ]] || fail "the second time it said: $out"
/usr/bin/python3 -B "$(dirname "$0")/../../schemas.py" teardown <<<"$out" || fail "its JSON: $out"

# A socket that a daemon left behind is as good as none; any other file there is a mistake.
python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$folder/control.sock"
teardown --yes >/dev/null || fail "beside a dead socket"
rm "$folder/control.sock"
: >"$folder/control.sock"
nft add table inet cofferdam
teardown --yes >/dev/null 2>"$folder/said" && fail "a file that is no socket is fine"
grep -q 'is no socket' "$folder/said" || fail "wrong complaint: $(cat "$folder/said")"
[ "$(nft list tables | grep -c cofferdam)" = 1 ] || fail "tables went beside a file that is no socket"
rm "$folder/control.sock"
teardown --yes >/dev/null || fail "after the file went"

# Tables of a socket that somebody holds: it says so, and what to do, and touches neither them nor the state.
mkfifo "$folder/commands"
nft -i <"$folder/commands" >/dev/null 2>&1 &
owner=$!
exec 9>"$folder/commands"
echo 'add table inet cofferdam { flags owner; }' >&9
for _ in $(seq 100); do
    nft list table inet cofferdam >/dev/null 2>&1 && break
    sleep 0.02
done
echo '{"format_version": "1.0", "bridges": []}' >"$folder/state/bridges.json"
teardown --yes >/dev/null 2>"$folder/said" && fail "tables of another socket are removed"
grep -q 'the rules belong to a socket' "$folder/said" || fail "wrong complaint: $(cat "$folder/said")"
grep -q 'systemctl start cofferdamd' "$folder/said" || fail "it does not say what to do: $(cat "$folder/said")"
[ "$(nft list tables | grep -c cofferdam)" = 1 ] || fail "tables of another socket went"
[ -e "$folder/state/bridges.json" ] || fail "the state went before the tables"
exec 9>&-
wait "$owner" || true

echo garbage >"$folder/state/bridges.json"
teardown --yes >/dev/null 2>"$folder/said" && fail "a state file that makes no sense is fine"
grep -q 'makes no sense' "$folder/said" || fail "wrong complaint: $(cat "$folder/said")"
