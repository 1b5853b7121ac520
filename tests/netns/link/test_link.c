// SPDX-License-Identifier: GPL-2.0-or-later
/* Links of the real kernel, in a namespace of each test's own, with ip(8) as the hand that moves them. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "link/link.h"
#include "link/neighbour.h"
#include "util/mem.h"

#define SKIPPED 77 /* what ctest takes for "not run" */

struct fixture {
    sd_event *event;
    struct link_monitor *monitor;
    struct link *links; /* as the events tell them */
    size_t n, n_resets, n_gone;
    pid_t other; /* holds a second namespace */
};

static void shell(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void shell(const char *format, ...)
{
    char command[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    if (system(command) != 0)
        fail_msg("failed: %s", command);
}

static struct link *find(struct fixture *fixture, const char *name)
{
    for (size_t i = 0; i < fixture->n; i++) {
        if (strcmp(fixture->links[i].name, name) == 0)
            return &fixture->links[i];
    }
    return NULL;
}

static void forget(struct fixture *fixture, unsigned index)
{
    for (size_t i = 0; i < fixture->n; i++) {
        if (fixture->links[i].index == index) {
            fixture->links[i] = fixture->links[--fixture->n];
            return;
        }
    }
}

static void on_link(const struct link *link, bool gone, void *userdata)
{
    struct fixture *fixture = userdata;

    forget(fixture, link->index);
    fixture->n_gone += gone;
    if (!gone)
        *ARRAY_ADD(fixture->links, fixture->n) = *link;
}

static void on_reset(void *userdata)
{
    struct fixture *fixture = userdata;

    fixture->n = 0;
    fixture->n_resets++;
}

/* A process in a namespace of its own, which is there when this returns. */
static pid_t hold_namespace(void)
{
    int ready[2];
    pid_t pid;
    char byte;

    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (unshare(CLONE_NEWNET) < 0 || write(ready[1], "x", 1) != 1)
            _exit(1);
        pause();
        _exit(0);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return pid;
}

static void end_other(struct fixture *fixture)
{
    if (fixture->other > 0) {
        kill(fixture->other, SIGKILL);
        waitpid(fixture->other, NULL, 0);
        fixture->other = 0;
    }
}

static int setup(void **state)
{
    struct fixture *fixture = xnew(struct fixture);

    if (unshare(CLONE_NEWNET) < 0 || sd_event_new(&fixture->event) < 0) {
        free(fixture);
        return -1;
    }
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    link_monitor_close(fixture->monitor);
    sd_event_unref(fixture->event);
    end_other(fixture);
    free(fixture->links);
    free(fixture);
    return 0;
}

static void watch(struct fixture *fixture)
{
    assert_int_equal(link_monitor_open(fixture->event, on_link, on_reset, fixture, &fixture->monitor), 0);
}

/* Takes in all that is there to be taken in. */
static void run(struct fixture *fixture)
{
    while (sd_event_run(fixture->event, 50000) > 0)
        continue;
}

static void links_are_listed_at_the_start(void **state)
{
    struct fixture *fixture = *state;
    const struct link *bridge, *port;

    shell(
        "ip link add br0 type bridge && ip link add v0 type veth peer name p0 && ip link set v0 master br0");
    watch(fixture);
    bridge = find(fixture, "br0");
    port = find(fixture, "v0");
    assert_non_null(bridge);
    assert_non_null(port);
    assert_non_null(find(fixture, "lo"));
    assert_true(bridge->is_bridge && !bridge->is_veth && bridge->master == 0);
    assert_true(port->is_veth && !port->is_bridge);
    assert_int_equal(port->master, bridge->index);
    assert_int_equal(port->peer_index, find(fixture, "p0")->index);
    assert_int_equal(port->peer_netns, -1);
    assert_int_equal(fixture->n_resets, 0);
}

static void events_follow_the_links(void **state)
{
    struct fixture *fixture = *state;
    unsigned index;

    watch(fixture);
    assert_null(find(fixture, "v0"));
    shell("ip link add br0 type bridge && ip link add v0 type veth peer name p0");
    run(fixture);
    assert_non_null(find(fixture, "v0"));
    assert_int_equal(find(fixture, "v0")->master, 0);
    index = find(fixture, "v0")->index;

    shell("ip link set v0 master br0");
    run(fixture);
    assert_int_equal(find(fixture, "v0")->master, find(fixture, "br0")->index);

    shell("ip link set v0 name renamed");
    run(fixture);
    assert_null(find(fixture, "v0"));
    assert_int_equal(find(fixture, "renamed")->index, index);

    shell("ip link set renamed nomaster"); /* draws a DELLINK in the bridge's family: the link stays */
    run(fixture);
    assert_int_equal(fixture->n_gone, 0);
    assert_int_equal(find(fixture, "renamed")->master, 0);

    shell("ip link del renamed");
    run(fixture);
    assert_null(find(fixture, "renamed"));
    assert_null(find(fixture, "p0"));
    assert_int_equal(fixture->n_gone, 2);
}

static void assert_mac(struct fixture *fixture, const char *port, const char *expected)
{
    char text[MAC_TEXT_MAX];
    struct mac mac;

    assert_non_null(find(fixture, port));
    assert_int_equal(link_peer_mac(fixture->monitor, find(fixture, port), &mac), 0);
    assert_string_equal(mac_format(&mac, text), expected);
}

static void peer_mac_in_the_same_namespace(void **state)
{
    struct fixture *fixture = *state;

    shell("ip link add v0 type veth peer name p0 address 02:42:ac:11:00:02");
    watch(fixture);
    assert_mac(fixture, "v0", "02:42:ac:11:00:02");
}

static void peer_mac_across_namespaces(void **state)
{
    struct fixture *fixture = *state;
    struct link before;
    struct mac mac;

    fixture->other = hold_namespace();
    watch(fixture);
    shell("ip link add v0 type veth peer name eth0 netns %d address 02:42:ac:11:00:03", (int)fixture->other);
    run(fixture);
    assert_true(find(fixture, "v0")->peer_netns >= 0);
    assert_mac(fixture, "v0", "02:42:ac:11:00:03");
    shell("nsenter -t %d -n ip link set eth0 address 02:42:ac:11:00:04", (int)fixture->other);
    assert_mac(fixture, "v0", "02:42:ac:11:00:04");

    before = *find(fixture, "v0");
    shell("nsenter -t %d -n ip link del eth0", (int)fixture->other);
    assert_int_equal(link_peer_mac(fixture->monitor, &before, &mac), -ENODEV);
    end_other(fixture);
    for (int i = 0; i < 100 && link_peer_mac(fixture->monitor, &before, &mac) == -EINVAL; i++)
        usleep(20000);
    assert_int_equal(link_peer_mac(fixture->monitor, &before, &mac), -ENODEV);
}

/* Another interface with the peer's old number is not the peer. */
static void reused_index_is_not_the_peer(void **state)
{
    struct fixture *fixture = *state;
    struct link wrong;
    struct mac mac;

    shell("ip link add v0 type veth peer name p0 && ip link add v1 type veth peer name p1");
    watch(fixture);
    wrong = *find(fixture, "v0");
    wrong.peer_index = find(fixture, "p1")->index;
    assert_int_equal(link_peer_mac(fixture->monitor, &wrong, &mac), -ENODEV);
    wrong.peer_index = find(fixture, "lo")->index;
    assert_int_equal(link_peer_mac(fixture->monitor, &wrong, &mac), -ENODEV);
    assert_int_equal(link_peer_mac(fixture->monitor, find(fixture, "lo"), &mac), -ENODEV);
}

static void switches_are_set_and_seen(void **state)
{
    struct fixture *fixture = *state;
    unsigned index;

    if (link_require_br_netfilter() == -EOPNOTSUPP)
        skip();
    shell("ip link add br0 up type bridge && ip link add br1 type bridge");
    watch(fixture);
    index = find(fixture, "br0")->index;
    assert_false(find(fixture, "br0")->switches.nf_call_iptables);
    assert_int_equal(link_set_switches(fixture->monitor, index, &(struct bridge_switches){true, false, true}),
                     0);
    run(fixture);
    assert_true(find(fixture, "br0")->switches.nf_call_iptables);
    assert_false(find(fixture, "br0")->switches.nf_call_ip6tables);
    assert_true(find(fixture, "br0")->switches.no_linklocal_learn);
    shell("ip -d link show br0 | grep -q 'no_linklocal_learn 1'");
    shell("ip -d link show br1 | grep -q 'no_linklocal_learn 0'");
    assert_int_equal(link_set_switches(fixture->monitor, index, &(struct bridge_switches){true, true, true}),
                     0);
    shell("ip -d link show br0 | grep -q 'nf_call_iptables 1 nf_call_ip6tables 1'");
    shell("ip -d link show br1 | grep -q 'nf_call_iptables 0 nf_call_ip6tables 0'");
    assert_int_equal(
        link_set_switches(fixture->monitor, index, &(struct bridge_switches){false, false, false}), 0);
    run(fixture);
    assert_false(find(fixture, "br0")->switches.nf_call_iptables);
    assert_int_equal(link_set_switches(fixture->monitor, 4711, &(struct bridge_switches){true, true, true}),
                     -ENODEV);
    assert_int_not_equal(link_set_switches(fixture->monitor, find(fixture, "lo")->index,
                                           &(struct bridge_switches){true, true, true}),
                         0);
}

/* Where br_netfilter is there, the sysctls are its administrator's. */
static void br_netfilter_is_left_alone_when_there(void **state)
{
    (void)state;
    if (link_require_br_netfilter() == -EOPNOTSUPP)
        skip();
    shell("echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables");
    assert_int_equal(link_require_br_netfilter(), 0);
    shell("test $(cat /proc/sys/net/bridge/bridge-nf-call-iptables) = 1");
}

/* A kernel without it, made by hiding the directory in a mount namespace of a child. */
static void missing_br_netfilter_is_said(void **state)
{
    int status;
    pid_t pid;

    (void)state;
    if (access("/proc/sys/net/bridge", F_OK) < 0)
        skip();
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("tmpfs", "/proc/sys/net/bridge", "tmpfs", MS_RDONLY, NULL) < 0)
            _exit(1);
        _exit(link_require_br_netfilter() == -EOPNOTSUPP ? 0 : 2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static bool has_address(const struct ip *v, size_t n, const char *text)
{
    char buffer[IP_TEXT_MAX];

    for (size_t i = 0; i < n; i++) {
        if (strcmp(ip_format(v[i], buffer), text) == 0)
            return true;
    }
    return false;
}

static void host_addresses_are_listed(void **state)
{
    struct fixture *fixture = *state;
    struct ip *addresses = NULL;
    size_t n = 99;

    assert_int_equal(link_monitor_open(NULL, NULL, NULL, NULL, &fixture->monitor), 0);
    assert_int_equal(link_host_addresses(fixture->monitor, &addresses, &n), 0);
    assert_int_equal(n, 0);
    free(addresses);
    shell("ip link set lo up && ip link add d0 type bridge && ip link set d0 up && ip addr add 192.0.2.7/24 "
          "dev d0 && "
          "ip addr add 192.0.2.9 peer 192.0.2.10 dev d0 && ip addr add 2001:db8::7/64 dev d0 nodad");
    assert_int_equal(link_host_addresses(fixture->monitor, &addresses, &n), 0);
    assert_true(has_address(addresses, n, "127.0.0.1"));
    assert_true(has_address(addresses, n, "::1"));
    assert_true(has_address(addresses, n, "192.0.2.7"));
    assert_true(has_address(addresses, n, "192.0.2.9"));
    assert_false(has_address(addresses, n, "192.0.2.10"));
    assert_true(has_address(addresses, n, "2001:db8::7"));
    free(addresses);
}

/* More news than the socket holds: everything is listed again, and the picture is right in the end. */
static void lost_events_are_made_up_for(void **state)
{
    struct fixture *fixture = *state;

    watch(fixture);
    shell("ip link add gone type bridge");
    run(fixture);
    assert_non_null(find(fixture, "gone"));
    shell("ip link del gone; ip link add d0 type bridge; yes 'link set d0 mtu 1400\nlink set d0 mtu 1401' | "
          "head -n 20000 | ip -batch - && ip link add last type bridge");
    run(fixture);
    assert_true(fixture->n_resets >= 1);
    assert_null(find(fixture, "gone"));
    assert_non_null(find(fixture, "last"));
    assert_non_null(find(fixture, "d0"));
    shell("ip link del last");
    run(fixture);
    assert_null(find(fixture, "last"));
}

/* Thousands of links: several datagrams, and a list that changes while it is read. */
static void many_links_are_listed(void **state)
{
    struct fixture *fixture = *state;
    char name[IFNAMSIZ];

    shell("i=0; while [ $i -lt 400 ]; do echo \"link add m$i type bridge\"; i=$((i+1)); done | ip -batch -");
    watch(fixture);
    for (int i = 0; i < 400; i++) {
        snprintf(name, sizeof(name), "m%d", i);
        assert_non_null(find(fixture, name));
    }
}

/* The kernel adds some of its own, such as that of a multicast group. */
static const struct neighbour *find_neighbour(const struct neighbours *list, bool fdb, const char *mac)
{
    char text[MAC_TEXT_MAX];

    for (size_t i = 0; i < list->n; i++)
        if (list->v[i].is_fdb == fdb && strcmp(mac_format(&list->v[i].mac, text), mac) == 0)
            return &list->v[i];
    fail_msg("no %s entry of %s", fdb ? "fdb" : "neighbour", mac);
    return NULL;
}

/* Of both kinds and families, and many. */
static void neighbours_are_listed(void **state)
{
    struct neighbours list = {0};
    const struct neighbour *found;
    char text[IP_TEXT_MAX];

    (void)state;
    shell(
        "ip link add br0 type bridge && ip link add v0 type veth peer name v1 && ip link set v0 master br0 up && "
        "ip link set br0 up && bridge fdb add 02:42:0a:5b:00:02 dev v0 master static && "
        "ip neigh add 10.91.0.2 lladdr 02:42:0a:5b:00:02 dev br0 nud permanent && "
        "i=1; while [ $i -lt 250 ]; do echo \"neigh add fd91::$i lladdr 02:42:00:00:00:01 dev v1\"; i=$((i+1)); done | "
        "ip -batch -");
    assert_int_equal(neighbours_read(&list), 0);
    assert_true(list.n >= 251);
    found = find_neighbour(&list, false, "02:42:0a:5b:00:02");
    assert_string_equal(ip_format(found->ip, text), "10.91.0.2");
    assert_string_equal(found->interface, "br0");
    assert_string_equal(neighbour_state_name(found->state), "permanent");
    found = find_neighbour(&list, true, "02:42:0a:5b:00:02");
    assert_int_equal(found->master, if_nametoindex("br0"));
    assert_string_equal(found->interface, "v0");
    free(list.v);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(links_are_listed_at_the_start),
        TEST(events_follow_the_links),
        TEST(peer_mac_in_the_same_namespace),
        TEST(peer_mac_across_namespaces),
        TEST(reused_index_is_not_the_peer),
        TEST(switches_are_set_and_seen),
        TEST(br_netfilter_is_left_alone_when_there),
        TEST(missing_br_netfilter_is_said),
        TEST(host_addresses_are_listed),
        TEST(lost_events_are_made_up_for),
        TEST(many_links_are_listed),
        TEST(neighbours_are_listed),
    };

    if (geteuid() != 0)
        return SKIPPED;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
