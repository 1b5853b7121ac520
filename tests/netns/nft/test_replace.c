// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tables that stand are replaced while packets pass between two containers on a bridge: of those that are denied none gets
 * through, of those that are allowed none is lost. COFFERDAM_REPLACEMENTS says how often (a leak of the other ways shows
 * in a few of a hundred, on several CPUs).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"
#include "link/link.h"
#include "nft/lock_tables.h"
#include "policy/parse.h"
#include "ruleset/compile.h"
#include "ruleset/lock_tables.h"
#include "util/fd.h"
#include "util/mem.h"

#define REPLACEMENTS 25
#define SENDERS 2
#define ALLOWED_PORT 5000
#define DENIED_PORT 5001
#define PAUSE_US 20 /* between two packets that are allowed: what the kernel's queues take */

static const char policy_text[] = "policy: a\n"
                                  "select: {name: a}\n"
                                  "egress:\n"
                                  "  - {to: [{name: b}], ports: [5000/udp]}\n"
                                  "---\n"
                                  "policy: b\n"
                                  "select: {name: b}\n"
                                  "ingress:\n"
                                  "  - {from: [{name: a}], ports: [5000/udp]}\n";

struct host {
    struct fixture fixture; /* first: it is the fixture's set-up that makes it */
    pid_t containers[2], senders[SENDERS];
    size_t n_senders;
    bool routed;
    uint64_t *sent; /* shared with the senders, one each */
    struct policy_set *policies;
    struct inventory *inventory;
    struct compiler *compiler;
};

/* ---- two containers ----------------------------------------------------------------------------------- */

static void shell(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void shell(const char *format, ...)
{
    char command[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    free(witness(command));
}

/* A process in a network namespace of its own, which is there when this returns. */
static pid_t hold_namespace(void)
{
    int ready[2];
    char byte;

    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (unshare(CLONE_NEWNET) < 0 || write(ready[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return pid;
}

static void end(pid_t pid)
{
    if (pid <= 0)
        return;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void compile(struct host *host);

/* On one bridge, or, so that what passes between them is routed, each on its own. */
static void make_containers(struct host *host, bool routed)
{
    /* This namespace's; while it is on, a bridge's own switch says nothing. */
    shell("echo 0 >/proc/sys/net/bridge/bridge-nf-call-iptables; echo 1 >/proc/sys/net/ipv4/ip_forward");
    for (int i = 0; i < 1 + routed; i++)
        shell("ip link add br%d type bridge nf_call_iptables 1 nf_call_ip6tables 1 mcast_snooping 0 && "
              "ip link set br%d address 02:00:00:00:00:1%d up && ip address add 10.9.%d.1/24 dev br%d",
              i, i, i, i, i);
    for (int i = 0; i < 2; i++) {
        pid_t pid = host->containers[i] = hold_namespace();
        int bridge = routed ? i : 0;

        shell("ip link add p%d type veth peer name eth0 netns %d && ip link set p%d master br%d up", i, pid,
              i, bridge);
        shell("nsenter -t %d -n sh -c 'ip link set eth0 address 02:00:00:00:00:0%d up && "
              "ip address add 10.9.%d.%d/24 dev eth0 && ip route add default via 10.9.%d.1'",
              pid, 2 + i, bridge, 2 + i, bridge);
        shell("ip neighbour add 10.9.%d.%d lladdr 02:00:00:00:00:0%d dev br%d nud permanent", bridge, 2 + i,
              2 + i, bridge);
        shell(
            "nsenter -t %d -n sh -c 'ip neighbour add 10.9.%d.1 lladdr 02:00:00:00:00:1%d dev eth0 nud permanent; "
            "ip neighbour add 10.9.0.%d lladdr 02:00:00:00:00:0%d dev eth0 nud permanent'",
            pid, bridge, bridge, 3 - i, 3 - i);
    }
    host->routed = routed;
    compile(host);
}

/* A socket stays in the namespace in which it was made. */
static int socket_of(pid_t container, const char *address, uint16_t port, bool connects)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    int room = 16 * 1024 * 1024;
    char path[64];
    _cleanup_close_ int ours = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

    snprintf(path, sizeof(path), "/proc/%d/ns/net", container);
    _cleanup_close_ int theirs = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(setns(theirs, CLONE_NEWNET), 0);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(setns(ours, CLONE_NEWNET), 0);
    assert_int_equal(inet_pton(AF_INET, address, &to.sin_addr), 1);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)), 0);
    if (connects)
        assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    else
        assert_int_equal(bind(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

static const char *sink_address(const struct host *host)
{
    return host->routed ? "10.9.1.3" : "10.9.0.3";
}

static void start_sender(struct host *host, uint16_t port, unsigned pause_us)
{
    int fd = socket_of(host->containers[0], sink_address(host), port, true);
    uint64_t *sent = &host->sent[host->n_senders];
    cpu_set_t cpu;

    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        CPU_ZERO(&cpu);
        CPU_SET(host->n_senders % (size_t)sysconf(_SC_NPROCESSORS_ONLN), &cpu);
        (void)sched_setaffinity(0, sizeof(cpu), &cpu);
        for (;;) {
            if (send(fd, "x", 1, 0) == 1)
                __atomic_add_fetch(sent, 1, __ATOMIC_SEQ_CST);
            if (pause_us)
                usleep(pause_us);
        }
    }
    close(fd);
    host->senders[host->n_senders++] = pid;
}

static void stop_senders(struct host *host)
{
    while (host->n_senders > 0)
        end(host->senders[--host->n_senders]);
}

static uint64_t received(int fd)
{
    char byte;
    uint64_t n = 0;

    while (recv(fd, &byte, 1, 0) >= 0)
        n++;
    assert_int_equal(errno, EAGAIN);
    return n;
}

/* ---- their rules -------------------------------------------------------------------------------------- */

static void add_network(struct inventory *inventory, unsigned number)
{
    struct network *network = network_new();

    network->id = xasprintf("n%u", number);
    network->name = xasprintf("n%u", number);
    network->driver = xstrdup("bridge");
    network->scope = xstrdup("local");
    network->bridge = xasprintf("br%u", number);
    network->managed = true;
    inventory_put_network(inventory, network);
}

static void add_container(struct inventory *inventory, const char *name, unsigned number, unsigned network)
{
    struct container *container = container_new();
    struct endpoint *endpoint = ARRAY_ADD(container->endpoints, container->n_endpoints);

    container->id = xasprintf("%064u", number);
    container->name = xstrdup(name);
    container->image = xstrdup("image");
    container->running = container->labels_known = container->dns_known = true;
    endpoint->network_id = xasprintf("n%u", network);
    endpoint->network_name = xasprintf("n%u", network);
    endpoint->id = xstrdup(name);
    endpoint->mac = (struct mac){{2, 0, 0, 0, 0, (uint8_t)(2 + number)}};
    endpoint->ip[IP4] = (struct ip){.num = 0x0a090002u + (network << 8) + number, .family = IP4};
    endpoint->has_mac = endpoint->has_ip[IP4] = true;
    snprintf(endpoint->port, sizeof(endpoint->port), "p%u", number);
    inventory_put_container(inventory, container);
}

static void compile(struct host *host)
{
    static const struct compile_options options = {MODE_ENFORCE, UNKNOWN_DENY, MARK_DEFAULT, 0, 0};
    _cleanup_diags_ struct diags diags = {0};

    host->policies = policy_set_new();
    (void)policy_parse(host->policies, "test.yaml", policy_text, strlen(policy_text), &diags);
    assert_int_equal(policy_set_finish(host->policies, &diags), 0);
    host->inventory = inventory_new();
    add_network(host->inventory, 0);
    add_network(host->inventory, 1);
    add_container(host->inventory, "a", 0, 0);
    add_container(host->inventory, "b", 1, host->routed);
    host->compiler = compiler_new(host->policies, &options);
    compiler_load(host->compiler, host->inventory);
}

static int set_up(void **state)
{
    struct host *host = xnew(struct host);
    void *fixture = NULL;
    bool can = false;

    if (fixture_setup(&fixture) < 0 || link_require_br_netfilter() < 0) {
        free(host);
        return -1;
    }
    host->fixture = *(struct fixture *)fixture;
    free(fixture);
    host->sent =
        mmap(NULL, SENDERS * sizeof(*host->sent), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    *state = host;
    if (nft_can_protect(host->fixture.nft, &can) < 0)
        return -1;
    nft_protect(host->fixture.nft, can);
    return 0;
}

static int tear_down(void **state)
{
    struct host *host = *state;

    stop_senders(host);
    for (int i = 0; i < 2; i++)
        end(host->containers[i]);
    munmap(host->sent, SENDERS * sizeof(*host->sent));
    compiler_free(host->compiler);
    inventory_free(host->inventory);
    policy_set_free(host->policies);
    nft_socket_close(host->fixture.nft);
    diags_clear(&host->fixture.diags);
    free(host);
    return 0;
}

/* ---- replacing them ----------------------------------------------------------------------------------- */

/*
 * Another program's chain of the same hook and priority, which takes its time and does nothing. Made after our tables
 * and before their successors, it comes between the two, and a packet is there when the rules change far more often.
 */
#define SLOW_RULES 100
#define SLOW_JUMPS 10

static char *slow_chain(const char *family, int priority)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    fprintf(out, "table %s slow\ndelete table %s slow\ntable %s slow {\nchain slow {\n", family, family,
            family);
    for (int i = 0; i < SLOW_RULES; i++)
        fputs("meta mark 0xdead0000 drop\n", out);
    fprintf(out, "}\nchain forward {\ntype filter hook forward priority %d; policy accept;\n", priority);
    for (int i = 0; i < SLOW_JUMPS; i++)
        fputs("jump slow\n", out);
    fputs("}\n}\n", out);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void load_text(const char *text)
{
    FILE *nft = popen("nft -f -", "w");

    assert_non_null(nft);
    fputs(text, nft);
    assert_int_equal(pclose(nft), 0);
}

typedef void (*replacing)(const struct ruleset *to, struct delta *ret);

static unsigned replacements(void)
{
    const char *text = getenv("COFFERDAM_REPLACEMENTS");

    return text ? (unsigned)atoi(text) : REPLACEMENTS;
}

static void replace(struct host *host, replacing how)
{
    _cleanup_delta_ struct delta delta = {0};

    how(compiler_ruleset(host->compiler), &delta);
    assert_done(&host->fixture, nft_apply(host->fixture.nft, &delta, &host->fixture.diags));
}

/* How many replacements let something through. between: nft text, or NULL. */
static unsigned count_leaks(struct host *host, replacing how, const char *between, const char *what, int sink)
{
    unsigned n = replacements(), leaks = 0;
    uint64_t packets = 0, most = 0, before = host->sent[0] + host->sent[1];

    for (unsigned i = 0; i < n; i++) {
        if (between)
            load_text(between);
        replace(host, how);
        usleep(500);
        uint64_t leaked = received(sink);
        leaks += leaked > 0;
        packets += leaked;
        most = leaked > most ? leaked : most;
    }
    print_message("%s, %s%s: %u of %u replacements leaked (%llu packets, at most %llu at once, of %llu)\n",
                  what, how == delta_load ? "one transaction" : "standby", between ? ", a chain between" : "",
                  leaks, n, (unsigned long long)packets, (unsigned long long)most,
                  (unsigned long long)(host->sent[0] + host->sent[1] - before));
    return leaks;
}

/* The packets do arrive where there are no rules; then the rules come. */
static int flood(struct host *host, bool routed, uint16_t port)
{
    int sink;

    make_containers(host, routed);
    sink = socket_of(host->containers[1], sink_address(host), port, false);
    for (int i = 0; i < SENDERS; i++)
        start_sender(host, port, 0);
    usleep(50000);
    assert_true(received(sink) > 100);
    replace(host, delta_load);
    usleep(10000);
    (void)received(sink);
    return sink;
}

/* What is not asserted is what the kernel does with one transaction: that is nothing to rely on either way. */
static void compare_ways(struct host *host, const char *slow, const char *what, int sink)
{
    const char *const between[] = {NULL, slow};

    for (size_t i = 0; i < ARRAY_SIZE(between); i++) {
        (void)count_leaks(host, delta_load, between[i], what, sink);
        assert_int_equal(count_leaks(host, delta_replace, between[i], what, sink), 0);
    }
    close(sink);
}

static void what_the_policies_deny_stays_denied(void **state)
{
    struct host *host = *state;
    _cleanup_free_ char *slow = slow_chain("inet", -10);
    int sink = flood(host, true, DENIED_PORT);

    compare_ways(host, slow, "denied by policy", sink);
}

/* Bridge netfilter is off: only the bridge's chain seen is there to stop what the inet rules do not see. */
static void what_the_inet_rules_do_not_see_stays_denied(void **state)
{
    struct host *host = *state;
    _cleanup_free_ char *slow = slow_chain("bridge", 50);
    int sink = flood(host, false, ALLOWED_PORT);

    shell("ip link set br0 type bridge nf_call_iptables 0");
    usleep(10000);
    (void)received(sink);
    compare_ways(host, slow, "not seen", sink);
}

/* By a queue that other people's packets have filled, which is none of our doing. */
static uint64_t dropped_by_queues(const struct host *host)
{
    static const char format[] =
        "{ ip -j -s link show p0; nsenter -t %d -n ip -j -s link show eth0; } | "
        "grep -o '\"rx\":{[^}]*' | grep -o '\"dropped\":[0-9]*' | cut -d: -f2 | paste -sd+ | bc";
    char command[256];

    snprintf(command, sizeof(command), format, host->containers[1]);
    _cleanup_free_ char *text = witness(command);
    return strtoull(text, NULL, 10);
}

/* How many packets of an allowed flow are lost while the tables are replaced; full queues apart. */
static uint64_t count_lost(struct host *host, bool routed)
{
    uint64_t arrived = 0;
    int sink;

    make_containers(host, routed);
    sink = socket_of(host->containers[1], sink_address(host), ALLOWED_PORT, false);
    replace(host, delta_load);
    start_sender(host, ALLOWED_PORT, PAUSE_US);
    usleep(50000);
    for (unsigned i = 0; i < replacements(); i++) {
        replace(host, delta_replace);
        arrived += received(sink);
    }
    stop_senders(host);
    usleep(10000);
    arrived += received(sink);
    close(sink);
    uint64_t sent = host->sent[0], queues = dropped_by_queues(host);
    print_message("allowed, %s: %llu of %llu packets arrived during %u replacements, %llu met a full queue\n",
                  routed ? "routed" : "on one bridge", (unsigned long long)arrived, (unsigned long long)sent,
                  replacements(), (unsigned long long)queues);
    assert_true(arrived > 0);
    return sent > arrived + queues ? sent - arrived - queues : 0;
}

static void what_is_allowed_is_not_lost(void **state)
{
    assert_int_equal(count_lost(*state, true), 0);
}

/*
 * Not so on one bridge: there, frames are dropped behind br_netfilter, by a chain seen, while the tables are replaced, in
 * one transaction as well. That is no leak; it is counted, not asserted.
 */
static void what_is_allowed_on_one_bridge_may_be_lost(void **state)
{
    (void)count_lost(*state, false);
}

/* ---- lock tables -------------------------------------------------------------------------------------- */

static void lock_more(struct lock_list *list, const char *name, unsigned cut, const char *exception)
{
    struct lock *lock = lock_new();
    const char *why;

    lock->name = xstrdup(name);
    lock->cut = cut;
    if (exception)
        assert_int_equal(lock_allow(lock, exception, &why), 0);
    lock_list_add(list, lock);
}

/* Container b is cut in each of these, whatever else is, and however much of it. */
static struct lock_list *lock_b(unsigned how)
{
    struct lock_list *list = lock_list_new();

    lock_more(list, "b", how % 4 == 3 ? CUT_IN : CUT_BOTH, how % 4 == 2 ? "192.0.2.7:22/tcp" : NULL);
    if (how % 2)
        lock_more(list, "a", how % 3 ? CUT_IN : CUT_BOTH, NULL);
    return list;
}

static void apply_locks(struct host *host, unsigned how)
{
    _cleanup_(lock_list_freep) struct lock_list *list = lock_b(how);
    const struct compile_options log = {.log_group = how % 6 < 4 ? 64 : 0, .log_rate = 100};
    _cleanup_(ruleset_freep) struct ruleset *ruleset = lock_tables_compile(list, host->inventory, &log);

    assert_done(&host->fixture, lock_tables_apply(host->fixture.nft, ruleset, &host->fixture.diags));
    assert_done(&host->fixture, lock_tables_verify(host->fixture.nft, ruleset, &host->fixture.diags));
}

/* What only replacing the tables mends, or a sweep. */
static void tamper(unsigned how)
{
    if (how % 5 == 4)
        shell("nft add counter inet cofferdam_lockdown theirs");
    if (how % 5 == 3)
        shell("nft add chain bridge cofferdam_lockdown theirs");
}

static void locks_change_without_a_gap(struct host *host, bool routed)
{
    uint64_t leaked = 0;
    bool exist = false;
    int sink;

    make_containers(host, routed);
    sink = socket_of(host->containers[1], sink_address(host), DENIED_PORT, false);
    for (int i = 0; i < SENDERS; i++)
        start_sender(host, DENIED_PORT, 0);
    usleep(50000);
    assert_true(received(sink) > 100);
    apply_locks(host, 0);
    usleep(10000);
    (void)received(sink);
    for (unsigned i = 1; i <= 4 * replacements(); i++) {
        tamper(i);
        (void)received(sink);
        apply_locks(host, i);
        leaked += received(sink);
    }
    print_message("%s: %u changes of the lock tables leaked %llu packets of %llu\n",
                  routed ? "routed" : "on one bridge", 4 * replacements(), (unsigned long long)leaked,
                  (unsigned long long)(host->sent[0] + host->sent[1]));
    assert_int_equal(leaked, 0);
    assert_done(&host->fixture, lock_tables_remove(host->fixture.nft, &host->fixture.diags));
    assert_done(&host->fixture, lock_tables_exist(host->fixture.nft, &exist));
    assert_false(exist);
    usleep(50000);
    assert_true(received(sink) > 100);
    close(sink);
}

static void lock_tables_change_without_a_gap(void **state)
{
    locks_change_without_a_gap(*state, true);
}

static void lock_tables_change_without_a_gap_on_one_bridge(void **state)
{
    locks_change_without_a_gap(*state, false);
}

/* The socket may be one that protects what it makes: these are anybody's. */
static void lock_tables_belong_to_nobody(void **state)
{
    struct host *host = *state;
    struct nft_table_state table;

    compile(host);
    apply_locks(host, 0);
    assert_int_equal(nft_pair_state(host->fixture.nft, PAIR_LOCK, TABLE_INET, false, &table), 0);
    assert_true(table.exists);
    assert_int_equal(table.flags, 0);
    replace(host, delta_load);
    shell("nft list ruleset >/dev/null && nft delete table bridge cofferdam_lockdown");
    apply_locks(host, 1);
    assert_done(&host->fixture, lock_tables_remove(host->fixture.nft, &host->fixture.diags));
    assert_done(&host->fixture, lock_tables_remove(host->fixture.nft, &host->fixture.diags));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_the_policies_deny_stays_denied), TEST(what_the_inet_rules_do_not_see_stays_denied),
        TEST(what_is_allowed_is_not_lost),         TEST(what_is_allowed_on_one_bridge_may_be_lost),
        TEST(lock_tables_change_without_a_gap),    TEST(lock_tables_change_without_a_gap_on_one_bridge),
        TEST(lock_tables_belong_to_nobody),
    };

    if (geteuid() != 0)
        return SKIPPED;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
