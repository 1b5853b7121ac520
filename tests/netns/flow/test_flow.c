// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The real connection tracking table, filled by real packets: namespaces a (10.1.0.2, fd00:1::2) and b (10.2.0.2,
 * fd00:2::2) with the test's own between them, which forwards; nft(8) makes the translations and conntrack(8) is the
 * witness.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <linux/netfilter/nf_conntrack_tcp.h>

#include "flow/socket.h"
#include "util/mem.h"

#define SKIPPED 77 /* what ctest takes for "not run" */
#define SOCKETS_MAX 64

struct fixture {
    int own, a, b; /* network namespaces */
    struct flow_socket *flows;
    int sockets[SOCKETS_MAX];
    size_t n_sockets;
};

struct flow_list {
    struct flow *v;
    size_t n;
};

static void shell(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void shell(const char *format, ...)
{
    char command[2048];
    va_list args;

    va_start(args, format);
    vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    if (system(command) != 0)
        fail_msg("failed: %s", command);
}

/* ---- namespaces --------------------------------------------------------------------------------------- */

static int this_namespace(void)
{
    return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

static void enter(int namespace)
{
    if (setns(namespace, CLONE_NEWNET) < 0)
        fail_msg("setns: %s", strerror(errno));
}

static void connect_namespace(const struct fixture *fixture, int namespace, const char *name, int number)
{
    shell(
        "ip link add v%s type veth peer name eth0 netns /proc/%d/fd/%d && ip addr add 10.%d.0.1/24 dev v%s && "
        "ip addr add fd00:%d::1/64 dev v%s nodad && ip link set v%s up",
        name, (int)getpid(), namespace, number, name, number, name, name);
    enter(namespace);
    shell(
        "ip link set lo up && ip addr add 10.%d.0.2/24 dev eth0 && ip addr add fd00:%d::2/64 dev eth0 nodad "
        "&& ip link set eth0 up && ip route add default via 10.%d.0.1 && ip route add default via fd00:%d::1",
        number, number, number, number);
    enter(fixture->own);
}

static const char rules[] =
    "table inet test {\n"
    "  chain zones { type filter hook prerouting priority -300; udp dport 7007 ct zone set 7;\n"
    "                udp dport 7005 ct original zone set 5; }\n"
    "  chain seen { type filter hook forward priority 0; ct state new counter; }\n"
    "  chain in { type nat hook prerouting priority -100;\n"
    "             ip daddr 10.1.0.1 tcp dport 8080 dnat ip to 10.2.0.2:80;\n"
    "             ip6 daddr fd00:1::1 udp dport 8053 dnat ip6 to [fd00:2::2]:53; }\n"
    "  chain out { type nat hook postrouting priority 100; oifname \"vb\" tcp dport 81 masquerade;\n"
    "              oifname \"vb\" udp dport 53 masquerade; }\n"
    "}\n";

static int setup(void **state)
{
    struct fixture *fixture = xnew(struct fixture);

    if (unshare(CLONE_NEWNET) < 0 || (fixture->a = this_namespace()) < 0 || unshare(CLONE_NEWNET) < 0 ||
        (fixture->b = this_namespace()) < 0 || unshare(CLONE_NEWNET) < 0 ||
        (fixture->own = this_namespace()) < 0 || flow_socket_open(&fixture->flows) < 0)
        return -1;
    *state = fixture;
    connect_namespace(fixture, fixture->a, "a", 1);
    connect_namespace(fixture, fixture->b, "b", 2);
    shell("ip link set lo up && sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 && "
          "printf '%%s' '%s' | nft -f - && sysctl -q -w net.netfilter.nf_conntrack_acct=1 "
          "net.netfilter.nf_conntrack_timestamp=1",
          rules);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    for (size_t i = 0; i < fixture->n_sockets; i++)
        close(fixture->sockets[i]);
    flow_socket_close(fixture->flows);
    close(fixture->a);
    close(fixture->b);
    close(fixture->own);
    free(fixture);
    return 0;
}

/* ---- packets ------------------------------------------------------------------------------------------ */

/* A socket stays in the namespace that it was made in. */
static int make_socket(struct fixture *fixture, int namespace, int family, int type, int proto)
{
    int fd;

    enter(namespace);
    fd = socket(family, type | SOCK_CLOEXEC, proto);
    enter(fixture->own);
    assert_true(fd >= 0);
    assert_true(fixture->n_sockets < SOCKETS_MAX);
    fixture->sockets[fixture->n_sockets++] = fd;
    return fd;
}

static socklen_t make_address(const char *text, uint16_t port, struct sockaddr_storage *ret)
{
    struct sockaddr_in *four = (struct sockaddr_in *)ret;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)ret;

    memset(ret, 0, sizeof(*ret));
    if (strchr(text, ':')) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
        assert_int_equal(inet_pton(AF_INET6, text, &six->sin6_addr), 1);
        return sizeof(*six);
    }
    four->sin_family = AF_INET;
    four->sin_port = htons(port);
    assert_int_equal(inet_pton(AF_INET, text, &four->sin_addr), 1);
    return sizeof(*four);
}

static int client(struct fixture *fixture, const char *to, int type, int proto)
{
    return make_socket(fixture, fixture->a, strchr(to, ':') ? AF_INET6 : AF_INET, type, proto);
}

static void send_to(int fd, const char *to, uint16_t port, const void *bytes, size_t n)
{
    struct sockaddr_storage address;
    socklen_t len = make_address(to, port, &address);
    ssize_t sent;

    do /* whoever does not listen says so, by and by */
        sent = sendto(fd, bytes, n, 0, (struct sockaddr *)&address, len);
    while (sent < 0 && errno == ECONNREFUSED);
    assert_int_equal(sent, (ssize_t)n);
}

static int send_udp(struct fixture *fixture, const char *to, uint16_t port)
{
    int fd = client(fixture, to, SOCK_DGRAM, 0);

    send_to(fd, to, port, "x", 1);
    return fd;
}

static void listen_tcp(struct fixture *fixture, uint16_t port)
{
    int fd = make_socket(fixture, fixture->b, AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_storage any;
    socklen_t len = make_address("::", port, &any);

    assert_int_equal(bind(fd, (struct sockaddr *)&any, len), 0);
    assert_int_equal(listen(fd, 16), 0);
}

/* Connects, and returns the client's port. */
static uint16_t connect_tcp(struct fixture *fixture, const char *to, uint16_t port)
{
    int fd = client(fixture, to, SOCK_STREAM, 0);
    struct sockaddr_storage address;
    socklen_t len = make_address(to, port, &address);

    if (connect(fd, (struct sockaddr *)&address, len) < 0)
        fail_msg("connect to %s: %s", to, strerror(errno));
    len = sizeof(address);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    return ntohs(((struct sockaddr_in *)&address)->sin_port); /* at the same place in both families */
}

static void ping(struct fixture *fixture, const char *to, uint16_t id)
{
    if (strchr(to, ':')) {
        struct icmp6_hdr request = {.icmp6_type = ICMP6_ECHO_REQUEST};

        request.icmp6_id = htons(id);
        send_to(client(fixture, to, SOCK_RAW, IPPROTO_ICMPV6), to, 0, &request, sizeof(request));
    } else {
        struct icmphdr request = {.type = ICMP_ECHO};

        request.un.echo.id = htons(id);
        request.checksum = (uint16_t) ~(htons(ICMP_ECHO << 8) + htons(id));
        send_to(client(fixture, to, SOCK_RAW, IPPROTO_ICMP), to, 0, &request, sizeof(request));
    }
}

/* ---- flows -------------------------------------------------------------------------------------------- */

static int collect(const struct flow *flow, void *userdata)
{
    struct flow_list *list = userdata;

    *ARRAY_ADD(list->v, list->n) = *flow;
    return 0;
}

static void list_clear(struct flow_list *list)
{
    free(list->v);
}

static bool is_to(const struct flow *flow, uint8_t proto, const char *to, uint16_t port)
{
    char text[IP_TEXT_MAX];

    return flow->proto == proto && strcmp(ip_format(flow->original.destination, text), to) == 0 &&
           (flow->has_ports ? flow->original.destination_port : flow->icmp_id) == port;
}

/* How many there are to this destination; the last of them. source_port 0: from any. */
static size_t find(struct fixture *fixture, uint8_t proto, const char *to, uint16_t port,
                   uint16_t source_port, struct flow *ret)
{
    _cleanup_(list_clear) struct flow_list list = {0};
    size_t found = 0;

    assert_int_equal(flow_dump(fixture->flows, collect, &list), 0);
    for (size_t i = 0; i < list.n; i++) {
        if (!is_to(&list.v[i], proto, to, port) ||
            (source_port && list.v[i].original.source_port != source_port))
            continue;
        if (ret)
            *ret = list.v[i];
        found++;
    }
    return found;
}

static struct flow find_one(struct fixture *fixture, uint8_t proto, const char *to, uint16_t port)
{
    struct flow flow = {0};

    assert_int_equal(find(fixture, proto, to, port, 0, &flow), 1);
    return flow;
}

static void assert_ip(struct ip ip, const char *expected)
{
    char text[IP_TEXT_MAX];

    assert_string_equal(ip_format(ip, text), expected);
}

static void assert_tuple(const struct flow_tuple *tuple, const char *source, const char *destination)
{
    assert_ip(tuple->source, source);
    assert_ip(tuple->destination, destination);
}

static void tcp_with_translated_destination(void **state)
{
    struct fixture *fixture = *state;
    uint16_t port;
    struct flow flow;

    listen_tcp(fixture, 80);
    port = connect_tcp(fixture, "10.1.0.1", 8080);
    flow = find_one(fixture, IPPROTO_TCP, "10.1.0.1", 8080);
    assert_int_equal(flow.family, IP4);
    assert_tuple(&flow.original, "10.1.0.2", "10.1.0.1");
    assert_tuple(&flow.reply, "10.2.0.2", "10.1.0.2");
    assert_int_equal(flow.original.source_port, port);
    assert_int_equal(flow.reply.source_port, 80);
    assert_int_equal(flow.reply.destination_port, port);
    assert_true(flow.confirmed && flow.assured && flow.dnat && !flow.snat && !flow.expected);
    assert_true(flow_in_default_zone(&flow));
    assert_true(flow.has_counters && flow.original_counters.packets >= 2 && flow.reply_counters.packets >= 1);
    assert_true(flow.original_counters.bytes >= 100 && flow.reply_counters.bytes >= 40);
    assert_true(flow.start_ns / 1000000000 > 1700000000);
    assert_true(flow.timeout > 1000);
    assert_int_equal(flow.tcp_state, TCP_CONNTRACK_ESTABLISHED);
    shell(
        "conntrack -L -o id 2>/dev/null | grep 'src=10.1.0.2 dst=10.1.0.1 sport=%u dport=8080 .*src=10.2.0.2 "
        "dst=10.1.0.2 sport=80 dport=%u .*id=%u' >/dev/null",
        port, port, flow.id);
}

static void tcp_with_translated_source(void **state)
{
    struct fixture *fixture = *state;
    struct flow flow;

    listen_tcp(fixture, 81);
    connect_tcp(fixture, "fd00:2::2", 81);
    flow = find_one(fixture, IPPROTO_TCP, "fd00:2::2", 81);
    assert_int_equal(flow.family, IP6);
    assert_tuple(&flow.original, "fd00:1::2", "fd00:2::2");
    assert_tuple(&flow.reply, "fd00:2::2", "fd00:2::1");
    assert_true(flow.snat && !flow.dnat);
}

static void udp_with_both_translated(void **state)
{
    struct fixture *fixture = *state;
    struct flow flow;

    send_udp(fixture, "fd00:1::1", 8053);
    flow = find_one(fixture, IPPROTO_UDP, "fd00:1::1", 8053);
    assert_tuple(&flow.original, "fd00:1::2", "fd00:1::1");
    assert_tuple(&flow.reply, "fd00:2::2", "fd00:2::1");
    assert_int_equal(flow.reply.source_port, 53);
    assert_true(flow.snat && flow.dnat && flow.confirmed && !flow.assured);
}

static void icmp_of_both_families(void **state)
{
    struct fixture *fixture = *state;
    struct flow flow;

    ping(fixture, "10.2.0.2", 4711);
    ping(fixture, "fd00:2::2", 4712);
    flow = find_one(fixture, IPPROTO_ICMP, "10.2.0.2", 4711);
    assert_int_equal(flow.icmp_type, ICMP_ECHO);
    assert_false(flow.has_ports);
    assert_int_equal(flow_delete(fixture->flows, &flow, 1, NULL), 0);
    assert_int_equal(find(fixture, IPPROTO_ICMP, "10.2.0.2", 4711, 0, NULL), 0);
    flow = find_one(fixture, IPPROTO_ICMPV6, "fd00:2::2", 4712);
    assert_int_equal(flow.icmp_type, ICMP6_ECHO_REQUEST);
    assert_int_equal(flow_delete(fixture->flows, &flow, 1, NULL), 0);
    assert_int_equal(find(fixture, IPPROTO_ICMPV6, "fd00:2::2", 4712, 0, NULL), 0);
}

/* Same addresses, same service, another client port; and every other kind. */
static void exactly_one_entry_is_deleted(void **state)
{
    static const char *const servers[] = {"10.2.0.2", "fd00:2::2", "10.1.0.1"};
    struct fixture *fixture = *state;

    listen_tcp(fixture, 80);
    for (size_t i = 0; i < ARRAY_SIZE(servers); i++) {
        uint16_t service = i == 2 ? 8080 : 80;
        uint16_t victim = connect_tcp(fixture, servers[i], service);
        uint16_t bystander = connect_tcp(fixture, servers[i], service);
        size_t deleted = 99;
        struct flow flow;

        send_udp(fixture, servers[i], service);
        assert_int_equal(find(fixture, IPPROTO_TCP, servers[i], service, victim, &flow), 1);
        assert_int_equal(flow_delete(fixture->flows, &flow, 1, &deleted), 0);
        assert_int_equal(deleted, 1);
        assert_int_equal(find(fixture, IPPROTO_TCP, servers[i], service, victim, NULL), 0);
        assert_int_equal(find(fixture, IPPROTO_TCP, servers[i], service, bystander, NULL), 1);
        assert_int_equal(find(fixture, IPPROTO_UDP, servers[i], service, 0, NULL), 1);
        shell("! conntrack -L -f ipv%d 2>/dev/null | grep -q 'sport=%u dport=%u '", i == 1 ? 6 : 4, victim,
              service);
        shell("conntrack -L -f ipv%d 2>/dev/null | grep -q 'sport=%u dport=%u '", i == 1 ? 6 : 4, bystander,
              service);

        assert_int_equal(flow_delete(fixture->flows, &flow, 1, &deleted), 0); /* gone already */
        assert_int_equal(deleted, 0);
    }
    assert_int_equal(flow_delete(fixture->flows, NULL, 0, NULL), 0);
}

/*
 * The kernel makes the ID from where the entry stands in memory, so that a new one at the old's place has the old's
 * ID: others are put there in between.
 */
static void a_newer_entry_of_the_tuple_stays(void **state)
{
    struct fixture *fixture = *state;
    int fd = send_udp(fixture, "10.2.0.2", 5000);
    struct flow old = find_one(fixture, IPPROTO_UDP, "10.2.0.2", 5000), new = old;
    size_t deleted = 99;

    for (uint16_t i = 0; i < 500 && new.id == old.id; i++) {
        assert_int_equal(flow_delete(fixture->flows, &new, 1, NULL), 0);
        send_to(fd, "10.2.0.2", (uint16_t)(6000 + i), "x", 1);
        send_to(fd, "10.2.0.2", 5000, "x", 1);
        new = find_one(fixture, IPPROTO_UDP, "10.2.0.2", 5000);
    }
    assert_int_not_equal(new.id, old.id);
    assert_int_equal(new.original.source_port, old.original.source_port);
    assert_int_equal(flow_delete(fixture->flows, &old, 1, &deleted), 0);
    assert_int_equal(deleted, 0);
    assert_int_equal(find_one(fixture, IPPROTO_UDP, "10.2.0.2", 5000).id, new.id);
    assert_int_equal(flow_delete(fixture->flows, &new, 1, &deleted), 0);
    assert_int_equal(deleted, 1);
}

static void zones_are_told_apart(void **state)
{
    struct fixture *fixture = *state;
    struct flow both, one;
    size_t deleted = 99;

    send_udp(fixture, "10.2.0.2", 7007);
    send_udp(fixture, "10.2.0.2", 7005);
    both = find_one(fixture, IPPROTO_UDP, "10.2.0.2", 7007);
    assert_int_equal(both.zone, 7);
    one = find_one(fixture, IPPROTO_UDP, "10.2.0.2", 7005);
    assert_int_equal(one.zone, 0);
    assert_int_equal(one.zone_original, 5);
    assert_int_equal(one.zone_reply, 0);
    assert_false(flow_in_default_zone(&both) || flow_in_default_zone(&one));

    both.zone = 8;
    assert_int_equal(flow_delete(fixture->flows, &both, 1, &deleted), 0);
    assert_int_equal(deleted, 0);
    both.zone = 7;
    assert_int_equal(flow_delete(fixture->flows, &both, 1, &deleted), 0);
    assert_int_equal(deleted, 1);
    assert_int_equal(flow_delete(fixture->flows, &one, 1, &deleted), 0);
    assert_int_equal(deleted, 1);
    assert_int_equal(find(fixture, IPPROTO_UDP, "10.2.0.2", 7007, 0, NULL), 0);
    assert_int_equal(find(fixture, IPPROTO_UDP, "10.2.0.2", 7005, 0, NULL), 0);
}

/* ---- sweeps ------------------------------------------------------------------------------------------- */

static bool is_even(const struct flow *flow, void *userdata)
{
    (void)userdata;
    return flow->proto == IPPROTO_UDP && flow->original.destination_port % 2 == 0;
}

static size_t count(struct fixture *fixture, bool (*which)(const struct flow *flow, void *userdata))
{
    _cleanup_(list_clear) struct flow_list list = {0};
    size_t n = 0;

    assert_int_equal(flow_dump(fixture->flows, collect, &list), 0);
    for (size_t i = 0; i < list.n; i++)
        n += which(&list.v[i], NULL);
    return n;
}

static bool is_odd(const struct flow *flow, void *userdata)
{
    return flow->proto == IPPROTO_UDP && !is_even(flow, userdata);
}

static void many_are_deleted_and_as_many_stay(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(list_clear) struct flow_list list = {0};
    size_t kept = 0, deleted = 0;
    int fd = client(fixture, "10.2.0.2", SOCK_DGRAM, 0);

    for (unsigned i = 0; i < 2000; i++)
        send_to(fd, "10.2.0.2", (uint16_t)(10000 + i), "x", 1);
    assert_int_equal(flow_dump(fixture->flows, collect, &list), 0);
    for (size_t i = 0; i < list.n; i++) {
        if (is_even(&list.v[i], NULL))
            list.v[kept++] = list.v[i];
    }
    assert_int_equal(kept, 1000);
    list.v[500].id ^= 1; /* names nothing */
    assert_int_equal(flow_delete(fixture->flows, list.v, kept, &deleted), 0);
    assert_int_equal(deleted, 999);
    assert_int_equal(count(fixture, is_even), 1);
    assert_int_equal(count(fixture, is_odd), 1000);
}

static bool any(const struct flow *flow, void *userdata)
{
    (void)flow, (void)userdata;
    return true;
}

/* Of those that it was built without, as newer ones are without DCCP, the kernel knows the addresses alone. */
static void protocols_that_the_kernel_may_not_know(void **state)
{
    static const int protocols[] = {IPPROTO_DCCP, IPPROTO_SCTP, IPPROTO_UDPLITE,
                                    IPPROTO_GRE,  IPPROTO_ESP,  253};
    static const char *const servers[] = {"10.2.0.2", "fd00:2::2"};
    static const uint8_t packet[16] = {0};
    struct fixture *fixture = *state;
    size_t ended = 0, n = 0;

    for (size_t i = 0; i < ARRAY_SIZE(protocols); i++)
        for (size_t j = 0; j < ARRAY_SIZE(servers); j++)
            send_to(client(fixture, servers[j], SOCK_RAW, protocols[i]), servers[j], 0, packet,
                    sizeof(packet));
    n = count(fixture, any);
    assert_true(n >= 2 * 3); /* of some the kernel wants more than zeros */
    assert_int_equal(flow_sweep(fixture->flows, any, NULL, &ended), 0);
    assert_int_equal(ended, n);
    assert_int_equal(count(fixture, any), 0);
}

/* More than is kept in memory at once: entries go while the rest of the table is still being read. */
static void a_sweep_takes_all_that_must_end(void **state)
{
    struct fixture *fixture = *state;
    int fd = client(fixture, "10.2.0.2", SOCK_DGRAM, 0);
    size_t ended = 0;

    for (unsigned i = 0; i < 40000; i++)
        send_to(fd, "10.2.0.2", (uint16_t)(10000 + i), "x", 1);
    send_udp(fixture, "10.2.0.2", 7007 - 1);
    assert_int_equal(count(fixture, is_even), 20001);
    assert_int_equal(flow_sweep(fixture->flows, is_even, NULL, &ended), 0);
    assert_int_equal(ended, 20001);
    assert_int_equal(count(fixture, is_even), 0);
    assert_int_equal(count(fixture, is_odd), 20000);
    assert_int_equal(flow_sweep(fixture->flows, is_even, NULL, &ended), 0);
    assert_int_equal(ended, 0);
}

static bool is_anything(const struct flow *flow, void *userdata)
{
    (void)userdata;
    assert_true(flow_in_default_zone(flow));
    return true;
}

static void a_sweep_leaves_other_zones_alone(void **state)
{
    struct fixture *fixture = *state;
    size_t ended = 0;

    send_udp(fixture, "10.2.0.2", 7007);
    send_udp(fixture, "10.2.0.2", 7005);
    send_udp(fixture, "10.2.0.2", 7006);
    assert_int_equal(flow_sweep(fixture->flows, is_anything, NULL, &ended), 0);
    assert_true(ended >= 1);
    assert_int_equal(find(fixture, IPPROTO_UDP, "10.2.0.2", 7006, 0, NULL), 0);
    assert_int_equal(find(fixture, IPPROTO_UDP, "10.2.0.2", 7007, 0, NULL), 1);
    assert_int_equal(find(fixture, IPPROTO_UDP, "10.2.0.2", 7005, 0, NULL), 1);
}

struct late {
    int fd;
    unsigned calls;
};

/* Near the end of the first reading, entries appear where it has been already. */
static bool is_even_and_more_come(const struct flow *flow, void *userdata)
{
    struct late *late = userdata;

    if (++late->calls == 1900) {
        for (unsigned i = 0; i < 200; i++)
            send_to(late->fd, "10.2.0.2", (uint16_t)(20000 + i), "x", 1);
    }
    return is_even(flow, NULL);
}

static void a_sweep_looks_again(void **state)
{
    struct fixture *fixture = *state;
    int fd = client(fixture, "10.2.0.2", SOCK_DGRAM, 0);
    struct late late = {.fd = fd};
    size_t ended = 0;

    for (unsigned i = 0; i < 2000; i++)
        send_to(fd, "10.2.0.2", (uint16_t)(10000 + i), "x", 1);
    assert_int_equal(flow_sweep(fixture->flows, is_even_and_more_come, &late, &ended), 0);
    assert_true(late.calls > 1900);
    assert_int_equal(ended, 1100);
    assert_int_equal(count(fixture, is_even), 0);
    assert_int_equal(count(fixture, is_odd), 1100);
}

static int stop(const struct flow *flow, void *userdata)
{
    (void)flow;
    ++*(unsigned *)userdata;
    return -EINTR;
}

static void a_handler_can_end_the_dump(void **state)
{
    struct fixture *fixture = *state;
    unsigned calls = 0;

    send_udp(fixture, "10.2.0.2", 5000);
    send_udp(fixture, "10.2.0.2", 5001);
    assert_int_equal(flow_dump(fixture->flows, stop, &calls), -EINTR);
    assert_int_equal(calls, 1);
    assert_int_equal(find(fixture, IPPROTO_UDP, "10.2.0.2", 5001, 0, NULL), 1);
}

/* ---- capabilities ------------------------------------------------------------------------------------- */

/* Of those that there are. */
static int keep_capabilities(uint32_t mask)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];

    if (syscall(SYS_capget, &header, data) < 0)
        return -1;
    data[0] = (struct __user_cap_data_struct){.effective = data[0].permitted & mask,
                                              .permitted = data[0].permitted & mask};
    data[1] = (struct __user_cap_data_struct){0};
    return (int)syscall(SYS_capset, &header, data);
}

/* In a child, with no other capability than these: what a sweep says there. */
static int sweep_with(uint32_t capabilities)
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        struct flow_socket *flows;
        size_t ended = 0;
        int r;

        if (keep_capabilities(capabilities) < 0 || flow_socket_open(&flows) < 0)
            _exit(200);
        r = flow_sweep(flows, is_even, NULL, &ended);
        _exit(r < 0 ? -r : 100 + (int)ended);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void net_admin_is_enough_and_needed(void **state)
{
    struct fixture *fixture = *state;

    send_udp(fixture, "10.2.0.2", 5000);
    assert_int_equal(sweep_with(0), EPERM);
    assert_int_equal(sweep_with(~(1u << CAP_NET_ADMIN)), EPERM);
    assert_int_equal(count(fixture, is_even), 1);
    assert_int_equal(sweep_with(1u << CAP_NET_ADMIN), 101);
    assert_int_equal(count(fixture, is_even), 0);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(tcp_with_translated_destination),
        TEST(tcp_with_translated_source),
        TEST(udp_with_both_translated),
        TEST(icmp_of_both_families),
        TEST(protocols_that_the_kernel_may_not_know),
        TEST(exactly_one_entry_is_deleted),
        TEST(a_newer_entry_of_the_tuple_stays),
        TEST(zones_are_told_apart),
        TEST(many_are_deleted_and_as_many_stay),
        TEST(a_sweep_takes_all_that_must_end),
        TEST(a_sweep_leaves_other_zones_alone),
        TEST(a_sweep_looks_again),
        TEST(a_handler_can_end_the_dump),
        TEST(net_admin_is_enough_and_needed),
    };

    if (geteuid() != 0)
        return SKIPPED;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
