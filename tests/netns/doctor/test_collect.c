// SPDX-License-Identifier: GPL-2.0-or-later
/* What the collector sees of the real kernel, in a namespace of each test's own, and that its look changes nothing. */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <libmnl/libmnl.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <sys/syscall.h>

#include "doctor/collect.h"
#include "doctor/doctor.h"
#include "util/mem.h"

#define SKIPPED 77 /* what ctest takes for "not run" */

static void shell(const char *command)
{
    if (system(command) != 0)
        fail_msg("failed: %s", command);
}

static char *witness(const char *command)
{
    FILE *pipe = popen(command, "r");
    char *text = NULL;
    size_t n = 0;

    assert_non_null(pipe);
    for (int c; (c = fgetc(pipe)) != EOF;)
        *ARRAY_ADD(text, n) = (char)c;
    *ARRAY_ADD(text, n) = '\0';
    assert_int_equal(pclose(pipe), 0);
    return text;
}

static int own_namespace(void **state)
{
    (void)state;
    return unshare(CLONE_NEWNET);
}

struct look {
    struct host_facts facts;
    struct findings findings;
};

/* Kernel and rules alone; the Engine and the daemon are not asked. */
static void look(struct look *look)
{
    *look = (struct look){.facts.self.settings = settings_new()};
    look->facts.engine.error = xstrdup("not asked");
    collect_kernel(&look->facts.kernel);
    collect_firewall(&look->facts.firewall);
    doctor_examine(&look->facts, &look->findings);
}

static void look_away(struct look *look)
{
    findings_clear(&look->findings);
    host_facts_clear(&look->facts);
}

static void assert_found(const struct look *look, const char *id, enum finding_level level, const char *text)
{
    for (size_t i = 0; i < look->findings.n; i++) {
        const struct finding *finding = &look->findings.v[i];

        if (strcmp(finding->id, id) != 0)
            continue;
        if (finding->level != level || (text && !strstr(finding->found, text)))
            fail_msg("%s is %s: %s", id, finding_level_name(finding->level), finding->found);
        return;
    }
    fail_msg("no check %s", id);
}

/* ---- rules -------------------------------------------------------------------------------------------- */

static void an_empty_host_is_well(void **state)
{
    static const char *const ids[] = {
        "flowtables",      "netdev-hooks",    "same-priority", "mark-bit",       "untracked", "translation",
        "other-firewalls", "iptables-legacy", "kernel-rules",  "route-localnet", "xdp"};
    struct look seen;

    (void)state;
    look(&seen);
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
        assert_found(&seen, ids[i], FINDING_OK, NULL);
    assert_int_equal(seen.facts.kernel.n_devices, 1); /* lo */
    look_away(&seen);
}

#define FOREIGN                                                                                              \
    "table inet router {\n"                                                                                  \
    " chain same { type filter hook input priority -10; }\n"                                                 \
    " chain raw { type filter hook prerouting priority -300; udp dport 53 notrack; }\n"                      \
    " chain post { type nat hook postrouting priority 100; oifname one masquerade; }\n"                      \
    "}\n"                                                                                                    \
    "table bridge other {\n"                                                                                 \
    " chain late { type filter hook forward priority 50; }\n"                                                \
    "}\n"                                                                                                    \
    "table netdev edge {\n"                                                                                  \
    " chain in { type filter hook ingress device one priority 0; udp dport 9 fwd to two; }\n"                \
    "}\n"                                                                                                    \
    "table ip filter {\n"                                                                                    \
    " chain ufw-before-forward { ip daddr 192.0.2.1 reject; }\n"                                             \
    " chain FORWARD { type filter hook forward priority 0; policy drop; jump ufw-before-forward; }\n"        \
    "}\n"                                                                                                    \
    "table inet closed {\n"                                                                                  \
    " chain forward { type filter hook forward priority 20; policy drop; }\n"                                \
    "}\n"

/* Kernels can be without; then the unit tests of the codec have to do. */
#define FLOWTABLE                                                                                            \
    "table inet fast {\n"                                                                                    \
    " flowtable fast { hook ingress priority 0; devices = { one, two }; }\n"                                 \
    " chain forward { type filter hook forward priority 5; ip protocol tcp flow add @fast; }\n"              \
    "}\n"

static void foreign_rules_are_found(void **state)
{
    struct look seen;

    (void)state;
    shell("ip link add one type veth peer name two && ip link set one up && ip link set two up");
    shell("nft -f - <<'END'\n" FOREIGN "END");
    look(&seen);
    assert_found(&seen, "same-priority", FINDING_NOTE, "chain same in table inet router");
    assert_found(&seen, "same-priority", FINDING_NOTE, "chain late in table bridge other");
    assert_found(&seen, "untracked", FINDING_NOTE, "chain raw in table inet router");
    assert_found(&seen, "translation", FINDING_NOTE, "chain post in table inet router");
    assert_found(&seen, "netdev-hooks", FINDING_NOTE, "chain in in table netdev edge, devices one");
    assert_found(&seen, "other-firewalls", FINDING_WARN, "ufw: chain FORWARD in table ip filter");
    assert_found(&seen, "other-firewalls", FINDING_WARN,
                 "chain forward in table inet closed drops everything");
    assert_found(&seen, "mark-bit", FINDING_OK, NULL);
    look_away(&seen);
}

static void flow_tables_are_found(void **state)
{
    struct look seen;

    (void)state;
    shell("ip link add one type veth peer name two");
    if (system("nft -f - 2>/dev/null <<'END'\n" FLOWTABLE "END") != 0)
        skip(); /* this kernel has none */
    look(&seen);
    assert_found(&seen, "flowtables", FINDING_BAD, "flow table fast in table inet fast, devices ");
    assert_found(&seen, "flowtables", FINDING_BAD, "one");
    assert_found(&seen, "flowtables", FINDING_BAD, "two");
    look_away(&seen);
}

static void docker_alone_is_well(void **state)
{
    struct look seen;

    (void)state;
    shell("nft -f - <<'END'\n"
          "table ip filter {\n"
          " chain DOCKER-FORWARD { drop; }\n"
          " chain FORWARD { type filter hook forward priority 0; policy drop; jump DOCKER-FORWARD; }\n"
          "}\n"
          "table ip docker-bridges {\n"
          " chain filter-FORWARD { type filter hook forward priority 0; drop; }\n"
          "}\n"
          "END");
    look(&seen);
    assert_found(&seen, "other-firewalls", FINDING_OK, NULL);
    look_away(&seen);
}

/* Whether a rule in the forward hook that changes the mark so may change the bit 0x2000. */
static void change_mark(const char *rule, bool touches)
{
    _cleanup_free_ char *command =
        xasprintf("nft 'flush ruleset; table inet qos { chain sub { %s; }; "
                  "chain forward { type filter hook forward priority 0; jump sub; }; }'",
                  rule);
    struct look seen;

    shell(command);
    look(&seen);
    assert_found(&seen, "mark-bit", touches ? FINDING_WARN : FINDING_OK, touches ? "table inet qos" : NULL);
    look_away(&seen);
}

static void changes_of_our_mark_bit_are_found(void **state)
{
    (void)state;
    change_mark("meta mark set 7", true); /* clears it */
    change_mark("meta mark set meta mark or 0x2000", true);
    change_mark("meta mark set meta mark and 0xffffdfff", true);
    change_mark("meta mark set meta mark xor 0x2000", true);
    change_mark("meta mark set meta mark or 0x1000", false);
    change_mark("meta mark set meta mark and 0xffff2fff", false);
    change_mark("meta mark set ct mark", true);
    change_mark("meta mark set ct mark and 0x2000", true); /* keeps no other bit, and takes that one */
    change_mark("meta mark set ip dscp map { 1 : 2 }", true);
    change_mark("meta mark 0x2000 accept", false);
    change_mark("ct mark set meta mark", false);
}

static void iptables(const char *rule, const char *id, enum finding_level level, const char *text)
{
    _cleanup_free_ char *command = xasprintf("nft flush ruleset && iptables-nft %s", rule);
    struct look seen;

    shell(command);
    look(&seen);
    assert_found(&seen, id, level, text);
    look_away(&seen);
}

static void the_extensions_of_iptables_are_read(void **state)
{
    (void)state;
    iptables("-t raw -A PREROUTING -p udp -j CT --notrack", "untracked", FINDING_NOTE,
             "chain PREROUTING in table ip raw");
    iptables("-t raw -A PREROUTING -p udp -j CT --zone 3", "untracked", FINDING_OK, NULL);
    iptables("-A FORWARD -p udp -j REJECT", "other-firewalls", FINDING_NOTE,
             "drops some of what is forwarded");
    iptables("-A FORWARD -p udp -j ACCEPT", "other-firewalls", FINDING_OK, NULL);
    iptables("-A FORWARD -p udp -j MARK --set-mark 7", "mark-bit", FINDING_WARN, "table ip filter");
    iptables("-A FORWARD -p udp -j MARK --set-xmark 0x1000/0x1000", "mark-bit", FINDING_OK, NULL);
    iptables("-A FORWARD -p udp -j MARK --set-xmark 0x2000/0x2000", "mark-bit", FINDING_WARN, NULL);
    iptables("-A FORWARD -p udp -j CONNMARK --restore-mark", "mark-bit", FINDING_WARN, NULL);
    iptables("-A FORWARD -p udp -j CONNMARK --restore-mark --nfmask 0xff --ctmask 0xff", "mark-bit",
             FINDING_OK, NULL);
    iptables("-A FORWARD -p udp -j CONNMARK --restore-mark --nfmask 0 --ctmask 0x2000", "mark-bit",
             FINDING_WARN, NULL);
    iptables("-A FORWARD -p udp -j CONNMARK --save-mark", "mark-bit", FINDING_OK, NULL);
}

static void tables_of_the_old_iptables_are_found(void **state)
{
    struct look seen;

    (void)state;
    if (system("iptables-legacy -t mangle -S >/dev/null 2>&1") != 0)
        skip(); /* this machine has none */
    look(&seen);
    assert_found(&seen, "iptables-legacy", FINDING_NOTE, "mangle");
    look_away(&seen);
}

/* ---- interfaces --------------------------------------------------------------------------------------- */

static struct fact_device *device(struct host_facts *facts, const char *name)
{
    for (size_t i = 0; i < facts->kernel.n_devices; i++)
        if (strcmp(facts->kernel.devices[i].link.name, name) == 0)
            return &facts->kernel.devices[i];
    fail_msg("no %s", name);
    return NULL;
}

static void interfaces_are_read(void **state)
{
    struct look seen;

    (void)state;
    shell("ip link add uplink type veth peer name other && ip link add old type bridge &&"
          " ip link add new type bridge no_linklocal_learn 1 nf_call_iptables 1 &&"
          " sysctl -qw net.ipv4.conf.uplink.route_localnet=1 net.ipv6.conf.new.accept_ra=2");
    look(&seen);
    assert_found(&seen, "route-localnet", FINDING_BAD, "route_localnet is on for uplink");
    assert_int_equal(device(&seen.facts, "uplink")->sysctl[DEV_ROUTE_LOCALNET].value, 1);
    assert_int_equal(device(&seen.facts, "new")->sysctl[DEV_ACCEPT_RA].value, 2);
    assert_false(device(&seen.facts, "old")->link.switches.no_linklocal_learn);
    assert_true(device(&seen.facts, "new")->link.switches.no_linklocal_learn);
    assert_true(device(&seen.facts, "new")->link.switches.nf_call_iptables);
    look_away(&seen);
}

/* Loads a program that passes every packet; negative where the kernel takes none. */
static int load_xdp(void)
{
    static const struct bpf_insn program[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
        {.code = BPF_JMP | BPF_EXIT},
    };
    union bpf_attr attr = {.prog_type = BPF_PROG_TYPE_XDP,
                           .insn_cnt = ARRAY_SIZE(program),
                           .insns = (uintptr_t)program,
                           .license = (uintptr_t) "GPL"};

    return (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
}

static bool attach_xdp(const char *device, int program)
{
    char buffer[256] __attribute__((aligned(8))) = {0};
    struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
    struct ifinfomsg *info = mnl_nlmsg_put_extra_header(message, sizeof(*info));
    struct mnl_socket *socket = mnl_socket_open(NETLINK_ROUTE);
    struct nlattr *xdp;
    ssize_t n;

    message->nlmsg_type = RTM_SETLINK;
    message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    info->ifi_index = (int)if_nametoindex(device);
    xdp = mnl_attr_nest_start(message, IFLA_XDP);
    mnl_attr_put_u32(message, IFLA_XDP_FD, (uint32_t)program);
    mnl_attr_put_u32(message, IFLA_XDP_FLAGS, XDP_FLAGS_SKB_MODE);
    mnl_attr_nest_end(message, xdp);
    assert_non_null(socket);
    assert_true(mnl_socket_sendto(socket, message, message->nlmsg_len) > 0);
    n = mnl_socket_recvfrom(socket, buffer, sizeof(buffer));
    mnl_socket_close(socket);
    return mnl_cb_run(buffer, (size_t)(n > 0 ? n : 0), 0, 0, NULL, NULL) >= 0;
}

static void xdp_programs_are_found(void **state)
{
    int program = load_xdp();
    struct look seen;

    (void)state;
    shell("ip link add one type veth peer name two");
    if (program < 0 || !attach_xdp("one", program))
        skip(); /* this kernel has none */
    look(&seen);
    assert_found(&seen, "xdp", FINDING_NOTE, "an XDP program is on one");
    assert_false(device(&seen.facts, "two")->link.has_xdp);
    look_away(&seen);
    close(program);
}

/* ---- processes ---------------------------------------------------------------------------------------- */

static int listen_on(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, 1) == 0 ? fd
                                                                                                        : -1;
}

/* A process that calls itself dockerd and listens, until its pipe is closed. */
static pid_t fake_dockerd(int *ret_pipe)
{
    int alive[2], ready[2];
    pid_t pid;
    char byte;

    assert_int_equal(pipe(alive), 0);
    assert_int_equal(pipe(ready), 0);
    pid = fork();
    if (pid == 0) {
        close(alive[1]);
        if (listen_on(2375) < 0)
            _exit(1);
        FILE *comm = fopen("/proc/self/comm", "w");
        if (!comm || fputs("dockerd", comm) < 0 || fclose(comm) != 0)
            _exit(1);
        (void)!write(ready[1], "", 1);
        (void)!read(alive[0], &byte, 1);
        _exit(0);
    }
    close(alive[0]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    *ret_pipe = alive[1];
    return pid;
}

static void an_open_engine_is_found(void **state)
{
    struct look seen;
    int alive;
    pid_t pid = fake_dockerd(&alive);
    int another = listen_on(2376); /* of a process that is no dockerd */
    const struct fact_engine *engine = &seen.facts.engine;
    size_t n = 0;

    (void)state;
    look(&seen);
    collect_processes(&seen.facts.engine);
    for (size_t i = 0; i < engine->n_dockerds; i++)
        n += engine->dockerds[i].here;
    assert_int_equal(n, 1);
    assert_true(another >= 0);
    findings_clear(&seen.findings);
    doctor_examine(&seen.facts, &seen.findings);
    assert_found(&seen, "engine-tcp", FINDING_BAD, "dockerd listens on 0.0.0.0 port 2375 and asks nobody");
    for (size_t i = 0; i < seen.findings.n; i++)
        assert_null(strstr(seen.findings.v[i].found, "port 2376"));
    look_away(&seen);
    close(another);
    close(alive);
    waitpid(pid, NULL, 0);
}

/* ---- without /proc ------------------------------------------------------------------------------------ */

static int look_without_proc(void)
{
    struct host_facts facts;

    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", "/proc", "tmpfs", 0, NULL) < 0)
        return 1;
    return doctor_collect(settings_new(), NULL, "/nowhere", &facts) == -ENOENT ? 0 : 2;
}

static void without_proc_nothing_is_claimed(void **state)
{
    pid_t pid = fork();
    int status;

    (void)state;
    if (pid == 0)
        _exit(look_without_proc());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* ---- looking changes nothing -------------------------------------------------------------------------- */

#define EVERYTHING "nft list ruleset; sysctl -a 2>/dev/null | grep '^net\\.' | grep -v random; ip -d link"

static uint32_t generation(void)
{
    struct nft_socket *socket;
    uint32_t value;

    assert_int_equal(nft_socket_open(&socket), 0);
    assert_int_equal(nft_generation(socket, &value), 0);
    nft_socket_close(socket);
    return value;
}

static void looking_changes_nothing(void **state)
{
    _cleanup_free_ char *before = NULL, *after = NULL;
    uint32_t began;
    struct look seen;

    (void)state;
    shell("ip link add one type veth peer name two && ip link add br0 type bridge");
    shell("nft -f - <<'END'\n" FOREIGN "END");
    look(&seen); /* what the kernel makes at the first use of connection tracking is there then */
    look_away(&seen);
    before = witness(EVERYTHING);
    began = generation();
    look(&seen);
    assert_null(seen.facts.firewall.trial_refused);
    assert_int_equal(generation(), began);
    after = witness(EVERYTHING);
    assert_string_equal(after, before);
    look_away(&seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_empty_host_is_well, own_namespace),
        cmocka_unit_test_setup(foreign_rules_are_found, own_namespace),
        cmocka_unit_test_setup(flow_tables_are_found, own_namespace),
        cmocka_unit_test_setup(docker_alone_is_well, own_namespace),
        cmocka_unit_test_setup(changes_of_our_mark_bit_are_found, own_namespace),
        cmocka_unit_test_setup(the_extensions_of_iptables_are_read, own_namespace),
        cmocka_unit_test_setup(tables_of_the_old_iptables_are_found, own_namespace),
        cmocka_unit_test_setup(xdp_programs_are_found, own_namespace),
        cmocka_unit_test_setup(interfaces_are_read, own_namespace),
        cmocka_unit_test_setup(an_open_engine_is_found, own_namespace),
        cmocka_unit_test(without_proc_nothing_is_claimed),
        cmocka_unit_test_setup(looking_changes_nothing, own_namespace),
    };

    if (unshare(CLONE_NEWNET) < 0) {
        puts("needs root");
        return SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
