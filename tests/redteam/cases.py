# SPDX-License-Identifier: GPL-2.0-or-later
"""The list of attacks and failures that must have a test, and the tests that each has, as FILE::NAME below tests/: a class, or
one test. Those in e2e/ and redteam/ run a real Docker Engine and send real packets."""

CASES = {
    "a container's first packets, before anybody knows it": [
        "redteam/test_moments.py::Moments", "e2e/test_starts.py::test_starts", "e2e/test_starts.py::test_starts_with_a_slow_daemon",
        "e2e/test_starts.py::test_starts_while_the_daemon_is_killed"],
    "a neighbour on the bridge, bridge netfilter on and off": [
        "redteam/test_published.py::_direct", "e2e/test_one_bridge.py::OneBridge", "e2e/test_traces.py::test_global_bridge_netfilter_off",
        "e2e/test_traces.py::test_global_bridge_netfilter_on", "e2e/test_guard.py::test_turned_off_while_the_daemon_runs"],
    "VLAN tags, one and several": ["redteam/test_frames.py::Frames"],
    "LLC and SNAP, lengths that lie": ["redteam/test_frames.py::Frames"],
    "IPv6 link-local addresses where the network has no IPv6": ["redteam/test_neighbours.py::LinkLocal"],
    "ARP in another's name": ["redteam/test_arp.py::Arp"],
    "neighbour discovery in another's name, router advertisements, redirects": ["redteam/test_discovery.py::Discovery"],
    "another's address or MAC as the source, and addresses that are nobody's": [
        "redteam/test_spoofing.py::Sources", "redteam/test_lan.py::_forged_senders",
        "e2e/test_lifecycle.py::test_another_containers_address_is_no_address_either"],
    "the host's own services, by each of its addresses": ["redteam/test_host.py::Host"],
    "a container of another bridge, directly and by a published port": [
        "redteam/test_published.py::test_it_is_the_host_or_that_container", "redteam/test_published.py::WithProxy",
        "redteam/test_published.py::WithoutProxy", "e2e/test_two_bridges.py::TwoBridges"],
    "a neighbour outside that routes to containers, and to ports published on the loopback address": ["redteam/test_lan.py::Lan"],
    "data in names that are looked up": ["redteam/test_lookups.py::Lookups"],
    "connections that stand when the policy is narrowed": [
        "redteam/test_moments.py::test_narrowing_ends_what_stands", "e2e/test_tightening.py::test_ports_are_taken_away",
        "netns/flow/test_flow.c::exactly_one_entry_is_deleted"],
    "TCP that begins in the middle: bare ACK, RST, SYN with FIN": ["redteam/test_tcp.py::MidStream"],
    "fragments: tiny, overlapping, without a first one, nested; and large datagrams that are allowed": [
        "redteam/test_fragments.py::Fragments", "redteam/test_workload.py::test_long_datagrams", "e2e/test_guard.py::test_fragments"],
    "tampering with the rules": [
        "e2e/test_tampering.py::test_each_is_repaired", "e2e/test_tampering.py::test_nothing_of_it_succeeds",
        "e2e/test_protect.py::test_what_others_do_changes_nothing", "netns/nft/test_protect.c::nobody_else_can_change_them",
        "netns/nft/test_read.c::tampering_is_found_and_put_right"],
    "the daemon killed at each system call": [
        "e2e/test_kills.py::test_apply", "e2e/test_kills.py::test_start_of_a_container", "e2e/test_kills.py::test_start_of_the_daemon",
        "unit/daemon/test_policy_state.c::test_torn"],
    "errors of netlink: lost, cut short, refused, changed meanwhile": [
        "netns/nft/test_errors.c::lost_errors_are_no_success", "netns/nft/test_errors.c::changes_by_others_are_survived",
        "netns/nft/test_errors.c::drift_is_an_error_not_a_merge", "netns/nft/test_errors.c::too_long_is_said_before_sending",
        "unit/nft/test_ack.c::malformed_acks_are_harmless", "unit/nft/test_ack.c::only_passing_failures_are_retried",
        "unit/nft/test_decode.c::garbage_is_survived", "unit/nft/test_decode.c::what_is_cut_short_is_an_error",
        "unit/daemon/test_brain.c::whatever_fails_has_everything_read_again"],
    "new policies under load": [
        "e2e/test_reloads.py::test_applies_that_change_nothing_in_meaning",
        "netns/nft/test_replace.c::what_the_policies_deny_stays_denied"],
    "events that are lost or late, and addresses that are used again": [
        "e2e/test_starts.py::test_a_paused_daemon_catches_up", "e2e/test_starts.py::test_one_address_swapped",
        "e2e/test_starts.py::test_the_flows_of_a_former_owner", "e2e/test_boot.py::test_dockerd_is_killed",
        "unit/daemon/test_brain.c::lost_notifications_are_made_up_for",
        "unit/daemon/test_property.c::any_script_ends_in_the_fresh_ruleset"],
    "hostile names and labels": [
        "redteam/test_names.py::Labels", "redteam/test_names.py::Networks", "redteam/test_names.py::Images",
        "unit/inventory/match.c::test_hostile_text", "unit/daemon/test_brain.c::labels_of_the_image_never_count",
        "unit/daemon/test_brain.c::labels_of_an_unreadable_image_are_not_trusted", "unit/docker/decode.c::test_apply_image_labels"],
    "hostile policy files": [
        "unit/policy/tree.c::test_two_megabytes_of_brackets", "unit/policy/tree.c::test_costly_files", "unit/policy/tree.c::test_utf8",
        "unit/policy/tree.c::test_characters", "unit/policy/tree.c::test_size_limit", "unit/policy/tree.c::test_depth_limit",
        "unit/policy/import.c::test_finish_finds_duplicates", "unit/policy/files.c::test_own",
        "e2e/test_daemon.py::test_a_broken_policy_leaves_the_old_ones_in_force"],
    # What was added to the list.
    "a port that is no container's, and a container that nobody knows yet": [
        "redteam/test_strangers.py::ByHand", "redteam/test_strangers.py::Unknown"],
    "a container on several networks": [
        "redteam/test_networks.py::BetweenNetworks", "redteam/test_networks.py::Limited", "redteam/test_networks.py::Internal"],
    "networks that are joined and left while packets flow": ["redteam/test_connects.py::Connects"],
    "networks and privileges that cannot be enforced": ["e2e/test_unenforced.py::Unenforced", "e2e/test_unenforced.py::Rootless"],
    "frames to a bridge's reserved addresses": ["redteam/test_frames.py::Reserved"],
    "packets of one's own that are framed for somebody else": ["redteam/test_spoofing.py::Destinations"],
    "DHCP and name servers on the link": ["redteam/test_neighbours.py::Servers"],
    "thousands of MACs": ["redteam/test_neighbours.py::Flooding"],
    "ICMP errors about others' connections": ["redteam/test_errors.py::Errors"],
    "connections that a helper of the kernel's expects": ["redteam/test_expectations.py::Expectations"],
    "IPv6 extension headers, IPv4 options, other protocols, source routes": [
        "redteam/test_headers.py::Headers", "redteam/test_headers.py::SourceRoutes"],
    "others' connections taken over": ["redteam/test_tcp.py::Hijack"],
    "tunnels of the host's": ["redteam/test_host.py::_tunnels"],
    "cloud metadata, and what else is not the Internet": ["redteam/test_lan.py::NotTheInternet"],
    "the Engine's API on the host": ["redteam/test_host.py::_engine_api"],
    "an allowed workload is not harmed": ["redteam/test_workload.py::Workload", "redteam/test_examples.py::Shop",
                                          "redteam/test_examples.py::Metrics"],
}
