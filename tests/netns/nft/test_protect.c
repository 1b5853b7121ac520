// SPDX-License-Identifier: GPL-2.0-or-later
/* Tables with an owner in the real kernel: who can change them, who inherits them, and how the socket moves on. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "../../unit/nft/sample.h"
#include "fixture.h"
#include "nft/encode.h"
#include "nft/monitor.h"
#include "ruleset/delta.h"
#include "util/fd.h"
#include "util/mem.h"

static struct nft_table_state state_of(struct nft_socket *socket, enum table_id table)
{
    struct nft_table_state state;

    assert_int_equal(nft_table_state(socket, table, &state), 0);
    return state;
}

static void assert_state(struct nft_socket *socket, uint32_t flags, uint32_t owner)
{
    static const enum table_id tables[] = {TABLE_INET, TABLE_BRIDGE};

    for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
        struct nft_table_state state = state_of(socket, tables[i]);

        assert_true(state.exists);
        assert_int_equal(state.flags, flags);
        assert_int_equal(state.owner, owner);
    }
}

static void protect(struct fixture *fixture)
{
    bool can = false;

    assert_int_equal(nft_can_protect(fixture->nft, &can), 0);
    if (!can)
        skip();
    nft_protect(fixture->nft, true);
}

/* As when the process ends and another starts. */
static void reopen(struct fixture *fixture)
{
    fixture->nft = nft_socket_close(fixture->nft);
    assert_int_equal(nft_socket_open(&fixture->nft), 0);
}

/* What anybody with the right to can try; nft says EPERM to each but the flush, which passes our tables over. */
static void assert_nobody_else_can(void)
{
    static const char *const commands[] = {
        "nft delete table inet cofferdam 2>&1",
        "nft delete table bridge cofferdam 2>&1",
        "nft flush table inet cofferdam 2>&1",
        "nft insert rule inet cofferdam forward accept 2>&1",
        "nft flush chain inet cofferdam forward 2>&1",
        "nft 'delete element inet cofferdam live4 { 10.0.0.1 }' 2>&1",
        "nft 'add table inet cofferdam { flags dormant; }' 2>&1",
    };

    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        assert_int_not_equal(witness_status(commands[i]), 0);
    free(witness("nft flush ruleset"));
}

static void probing_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_free_ char *listed = NULL;
    uint32_t before, after;
    bool can = false;

    assert_int_equal(nft_generation(fixture->nft, &before), 0);
    assert_int_equal(nft_can_protect(fixture->nft, &can), 0);
    assert_int_equal(nft_can_protect(fixture->nft, &can), 0);
    assert_int_equal(nft_generation(fixture->nft, &after), 0);
    assert_int_equal(before, after);
    listed = witness("nft list tables");
    assert_string_equal(listed, "");
}

static void tables_are_unprotected_unless_told(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(ruleset_freep) struct ruleset *ruleset = sample_small();

    assert_false(state_of(fixture->nft, TABLE_INET).exists);
    load(fixture, ruleset);
    assert_state(fixture->nft, 0, 0);
}

static void nobody_else_can_change_them(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(ruleset_freep) struct ruleset *nothing = ruleset_new();
    _cleanup_(ruleset_freep) struct ruleset *small = sample_small();
    _cleanup_(ruleset_freep) struct ruleset *everything = sample_everything();
    _cleanup_delta_ struct delta delta = {0};

    protect(fixture);
    load(fixture, small);
    assert_state(fixture->nft, NFT_TABLE_PROTECTED, nft_socket_port(fixture->nft));
    assert_nobody_else_can();
    assert_listed_protected(small);

    delta_between(small, nothing, &delta); /* we can */
    assert_done(fixture, nft_apply(fixture->nft, &delta, &fixture->diags));
    assert_listed_protected(nothing);
    delta_clear(&delta);
    delta_between(nothing, everything, &delta);
    assert_done(fixture, nft_apply(fixture->nft, &delta, &fixture->diags));
    assert_listed_protected(everything);
    load(fixture, small);
    assert_listed_protected(small);
    delta_clear(&delta);
    delta_teardown(&delta);
    assert_done(fixture, nft_apply(fixture->nft, &delta, &fixture->diags));
    assert_false(state_of(fixture->nft, TABLE_INET).exists);
}

static void orphans_stand_and_are_claimed(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(ruleset_freep) struct ruleset *ruleset = sample_everything();

    protect(fixture);
    load(fixture, ruleset);
    reopen(fixture);
    assert_state(fixture->nft, NFT_TABLE_PERSIST, 0);
    assert_listed_orphaned(ruleset);
    assert_done(fixture, nft_claim(fixture->nft, &fixture->diags)); /* does not protect: leaves them */
    assert_state(fixture->nft, NFT_TABLE_PERSIST, 0);

    nft_protect(fixture->nft, true);
    assert_done(fixture, nft_claim(fixture->nft, &fixture->diags));
    assert_state(fixture->nft, NFT_TABLE_PROTECTED, nft_socket_port(fixture->nft));
    assert_nobody_else_can();
    assert_listed_protected(ruleset); /* and nothing in them has changed */
    assert_done(fixture, nft_claim(fixture->nft, &fixture->diags));
}

static void only_what_is_orphaned_is_claimed(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(ruleset_freep) struct ruleset *ruleset = sample_small();

    protect(fixture);
    assert_done(fixture, nft_claim(fixture->nft, &fixture->diags));
    assert_false(state_of(fixture->nft, TABLE_INET).exists);
    load(fixture, ruleset);
    reopen(fixture);
    free(witness("nft delete table bridge cofferdam"));
    nft_protect(fixture->nft, true);
    assert_done(fixture, nft_claim(fixture->nft, &fixture->diags));
    assert_false(state_of(fixture->nft, TABLE_BRIDGE).exists);
    assert_int_equal(state_of(fixture->nft, TABLE_INET).owner, nft_socket_port(fixture->nft));
    reopen(fixture);
    free(witness("nft delete table inet cofferdam && nft add table inet cofferdam"));
    nft_protect(fixture->nft, true);
    assert_done(fixture, nft_claim(fixture->nft, &fixture->diags));
    assert_int_equal(state_of(fixture->nft, TABLE_INET).flags, 0);
}

/* A daemon was killed while its standby stood. */
static void an_orphaned_standby_is_claimed(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(ruleset_freep) struct ruleset *ruleset = sample_small();
    _cleanup_(nft_socket_closep) struct nft_socket *other = NULL;
    _cleanup_delta_ struct delta delta = {0};
    struct delta killed = {0};
    struct nft_table_state standby;

    protect(fixture);
    load(fixture, ruleset);
    delta_replace(ruleset, &delta);
    killed.phases[PHASE_PREPARE] = delta.phases[PHASE_PREPARE]; /* borrowed */
    assert_done(fixture, nft_apply(fixture->nft, &killed, &fixture->diags));
    reopen(fixture);
    nft_protect(fixture->nft, true);
    assert_done(fixture, nft_claim(fixture->nft, &fixture->diags));
    assert_int_equal(nft_standby_state(fixture->nft, TABLE_INET, &standby), 0);
    assert_int_equal(standby.owner, nft_socket_port(fixture->nft));
    assert_int_not_equal(witness_status("nft delete table bridge cofferdam-standby 2>&1"), 0);
    assert_int_equal(nft_socket_open(&other), 0);
    assert_int_equal(nft_claim(other, &fixture->diags), -EPERM);
    diags_clear(&fixture->diags);
    assert_done(fixture, nft_apply(fixture->nft, &delta, &fixture->diags));
    assert_int_equal(nft_standby_state(fixture->nft, TABLE_INET, &standby), 0);
    assert_false(standby.exists);
}

static void another_owner_is_named(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(ruleset_freep) struct ruleset *ruleset = sample_small();
    _cleanup_(nft_socket_closep) struct nft_socket *other = NULL;
    _cleanup_delta_ struct delta delta = {0};
    char process[32];

    protect(fixture);
    load(fixture, ruleset);
    assert_int_equal(nft_socket_open(&other), 0);
    for (int protects = 0; protects < 2; protects++) {
        nft_protect(other, protects);
        assert_int_equal(nft_claim(other, &fixture->diags), -EPERM);
        snprintf(process, sizeof(process), "process %u ", nft_socket_port(fixture->nft));
        assert_said(fixture, process);
        assert_said(fixture, "is another cofferdamd running");
        diags_clear(&fixture->diags);
        delta_load(ruleset, &delta);
        assert_int_equal(nft_apply(other, &delta, &fixture->diags), -EPERM);
        delta_clear(&delta);
        diags_clear(&fixture->diags);
    }
    assert_state(other, NFT_TABLE_PROTECTED, nft_socket_port(fixture->nft));
}

/* ---- four combinations, and a fifth ---------------------------------------------------------------------- */

enum standing { UNPROTECTED, ORPHANED, OWN };

static void stand(struct fixture *fixture, enum standing standing, const struct ruleset *ruleset)
{
    nft_protect(fixture->nft, standing != UNPROTECTED);
    load(fixture, ruleset);
    if (standing != OWN)
        reopen(fixture);
}

static void loading_works_whatever_stands(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(ruleset_freep) struct ruleset *before = sample_everything();
    _cleanup_(ruleset_freep) struct ruleset *after = sample_small();

    protect(fixture);
    for (int i = 0; i < 6; i++) {
        bool wanted = i % 2;
        _cleanup_delta_ struct delta delta = {0};

        stand(fixture, i / 2, before);
        nft_protect(fixture->nft, wanted);
        assert_done(fixture, nft_claim(fixture->nft, &fixture->diags));
        delta_load(after, &delta);
        assert_done(fixture, nft_validate(fixture->nft, &delta, &fixture->diags));
        assert_done(fixture, nft_apply(fixture->nft, &delta, &fixture->diags));
        assert_state(fixture->nft, wanted ? NFT_TABLE_PROTECTED : 0,
                     wanted ? nft_socket_port(fixture->nft) : 0);
        (wanted ? assert_listed_protected : assert_listed)(after);
    }
}

/* The orphan of another daemon's is removed with the rest, whatever the socket does with tables of its own. */
static void orphans_are_torn_down(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(ruleset_freep) struct ruleset *ruleset = sample_small();

    protect(fixture);
    for (int protects = 0; protects < 2; protects++) {
        _cleanup_delta_ struct delta delta = {0};

        stand(fixture, ORPHANED, ruleset);
        nft_protect(fixture->nft, protects);
        delta_teardown(&delta);
        assert_done(fixture, nft_apply(fixture->nft, &delta, &fixture->diags));
        assert_false(state_of(fixture->nft, TABLE_INET).exists);
        assert_false(state_of(fixture->nft, TABLE_BRIDGE).exists);
    }
}

/* ---- the socket moves on ------------------------------------------------------------------------------- */

static unsigned n_told;

static void on_change(const struct nft_change *change, void *userdata)
{
    (void)change, (void)userdata;
    n_told++;
}

/* The answers to a request that nobody has waited for. */
static void leave_unread(int fd)
{
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    char buffer[64];

    for (uint32_t seq = 1; seq < 40; seq++) {
        struct nlmsghdr *message = nftnl_nlmsg_build_hdr(buffer, NFT_MSG_GETGEN, AF_UNSPEC, 0, seq);

        assert_int_equal(
            sendto(fd, message, message->nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof(kernel)),
            message->nlmsg_len);
    }
}

static void taken_socket_still_owns_them(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(ruleset_freep) struct ruleset *before = sample_everything();
    _cleanup_(ruleset_freep) struct ruleset *after = sample_small();
    _cleanup_(nft_socket_closep) struct nft_socket *other = NULL;
    _cleanup_(nft_monitor_closep) struct nft_monitor *monitor = NULL;
    uint32_t port = nft_socket_port(fixture->nft), generation, same;
    int kept;

    protect(fixture);
    load(fixture, before);
    kept = dup(nft_socket_fd(fixture->nft));
    assert_true(kept >= 0);
    leave_unread(kept);
    fixture->nft = nft_socket_close(fixture->nft);
    assert_nobody_else_can();
    assert_listed_protected(before);
    assert_int_equal(nft_socket_open(&other), 0);
    assert_int_equal(nft_claim(other, &fixture->diags), -EPERM);
    diags_clear(&fixture->diags);

    assert_int_equal(nft_socket_take(kept, &fixture->nft), 0);
    assert_int_equal(nft_socket_fd(fixture->nft), kept);
    assert_true(fcntl(kept, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(nft_socket_port(fixture->nft), port);
    assert_int_equal(recv(kept, &generation, sizeof(generation), MSG_DONTWAIT | MSG_PEEK), -1);
    nft_protect(fixture->nft, true);
    assert_done(fixture, nft_claim(fixture->nft, &fixture->diags));
    assert_int_equal(nft_generation(fixture->nft, &generation), 0);
    assert_int_equal(nft_generation(other, &same), 0);
    assert_int_equal(generation, same);

    n_told = 0;
    assert_int_equal(nft_monitor_open(NULL, fixture->nft, NFT_MONITOR_ROOM, on_change, NULL, &monitor), 0);
    load(fixture, after);
    assert_listed_protected(after);
    assert_state(fixture->nft, NFT_TABLE_PROTECTED, port);
    assert_int_equal(nft_monitor_read(monitor), 0);
    assert_int_equal(n_told, 0); /* its own doing, by its port */
}

/* A full queue makes the kernel say ENOBUFS once: that is no reason to lose the tables. */
static void overrun_is_drained(void **state)
{
    struct fixture *fixture = *state;
    int kept = dup(nft_socket_fd(fixture->nft)), room = 1;
    uint32_t generation;

    assert_int_equal(setsockopt(kept, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)), 0);
    leave_unread(kept);
    fixture->nft = nft_socket_close(fixture->nft);
    assert_int_equal(nft_socket_take(kept, &fixture->nft), 0);
    assert_int_equal(nft_generation(fixture->nft, &generation), 0);
}

static void assert_not_taken(int fd, int error)
{
    struct nft_socket *socket = NULL;

    assert_true(fd >= 0);
    assert_int_equal(nft_socket_take(fd, &socket), error);
    assert_null(socket);
    assert_int_not_equal(fcntl(fd, F_GETFD), -1); /* still the caller's */
    close(fd);
}

static int netlink_socket(int protocol, unsigned groups, bool bound)
{
    int fd = socket(AF_NETLINK, SOCK_RAW, protocol);
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = groups};

    if (bound)
        assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void only_our_kind_of_socket_is_taken(void **state)
{
    (void)state;
    assert_not_taken(open("/dev/null", O_RDONLY), -ENOTSOCK);
    assert_not_taken(socket(AF_UNIX, SOCK_STREAM, 0), -EPROTOTYPE);
    assert_not_taken(netlink_socket(NETLINK_ROUTE, 0, true), -EPROTOTYPE);
    assert_not_taken(netlink_socket(NETLINK_NETFILTER, 0, false), -EINVAL);
    assert_not_taken(netlink_socket(NETLINK_NETFILTER, 1u << (NFNLGRP_NFTABLES - 1), true), -EINVAL);
    int elsewhere = netlink_socket(NETLINK_NETFILTER, 0, true);
    assert_int_equal(unshare(CLONE_NEWNET), 0);
    assert_not_taken(elsewhere, -EXDEV);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(probing_changes_nothing),
        TEST(tables_are_unprotected_unless_told),
        TEST(nobody_else_can_change_them),
        TEST(orphans_stand_and_are_claimed),
        TEST(only_what_is_orphaned_is_claimed),
        TEST(another_owner_is_named),
        TEST(an_orphaned_standby_is_claimed),
        TEST(loading_works_whatever_stands),
        TEST(orphans_are_torn_down),
        TEST(taken_socket_still_owns_them),
        TEST(overrun_is_drained),
        TEST(only_our_kind_of_socket_is_taken),
    };

    if (geteuid() != 0)
        return SKIPPED;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
