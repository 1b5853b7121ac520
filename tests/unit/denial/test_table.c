// SPDX-License-Identifier: GPL-2.0-or-later
/* Packets into records: when a record begins and ends, what it counts, and who has room. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <linux/if_ether.h>

#include "denial/table.h"

#define SEC 1000000ull
#define BEGIN (1000 * SEC)

static struct denied_packet packet_of(unsigned source, uint16_t port)
{
    return (struct denied_packet){
        .point = DENY_EGRESS,
        .ether_type = ETH_P_IP,
        .has_ip = true,
        .source = {.num = 0x0a000000u + source, .family = IP4},
        .destination = {.num = 0xc0000201u, .family = IP4},
        .has_proto = true,
        .proto = IPPROTO_TCP,
        .has_head = true,
        .has_ports = true,
        .source_port = 40000,
        .destination_port = port,
    };
}

static struct denial *add(struct denials *denials, const struct denied_packet *packet, uint64_t now,
                          bool is_new)
{
    struct denial *other, *denial;
    bool new;

    denial = denials_add(denials, packet, now, &new, &other);
    assert_non_null(denial);
    assert_null(other);
    assert_int_equal(new, is_new);
    return denial;
}

static void one_connection_is_one_record(void **state)
{
    _cleanup_(denials_freep) struct denials *denials = denials_new(NULL);
    struct denied_packet packet = packet_of(2, 80), answer = packet_of(2, 81);
    struct denial *denial = add(denials, &packet, BEGIN, true);
    uint64_t next;

    (void)state;
    packet.source_port++; /* a client tries again from another port */
    assert_ptr_equal(add(denials, &packet, BEGIN + SEC, false), denial);
    assert_ptr_not_equal(add(denials, &answer, BEGIN + SEC, true), denial);
    assert_int_equal(denial->count, 2);
    assert_null(denials_due(denials, BEGIN + 4 * SEC, &next));
    assert_int_equal(next, BEGIN + 5 * SEC);
    assert_ptr_equal(denials_due(denials, BEGIN + 5 * SEC, &next), denial);
}

static void the_meter_counts(void **state)
{
    _cleanup_(denials_freep) struct denials *denials = denials_new(NULL);
    struct denied_packet packet = packet_of(2, 80);
    struct denial *denial = add(denials, &packet, BEGIN, true);

    (void)state;
    assert_false(denial_poll(denial, true, 700000, SEC / 2, BEGIN + 5 * SEC));
    assert_int_equal(denial->count, 700000);
    assert_int_equal(denial->last_seen, BEGIN + 5 * SEC - SEC / 2);
    assert_false(denial_poll(denial, true, 700000, 5 * SEC + SEC / 2, BEGIN + 10 * SEC));
    assert_true(denial_poll(denial, true, 700000, 10 * SEC + SEC / 2, BEGIN + 15 * SEC));
    denials_close(denials, denial, BEGIN + 15 * SEC);
    assert_int_equal(denials_open(denials), 0);
    /* The same again, before the kernel has forgotten its count. */
    assert_ptr_equal(add(denials, &packet, BEGIN + 30 * SEC, true), denial);
    assert_false(denial_poll(denial, true, 700003, 0, BEGIN + 35 * SEC));
    assert_int_equal(denial->count, 3);
}

static void a_meter_that_begins_anew(void **state)
{
    _cleanup_(denials_freep) struct denials *denials = denials_new(NULL);
    struct denied_packet packet = packet_of(2, 80);
    struct denial *denial = add(denials, &packet, BEGIN, true);

    (void)state;
    (void)denial_poll(denial, true, 50, 0, BEGIN + 5 * SEC);
    denials_close(denials, denial, BEGIN + 20 * SEC);
    (void)add(denials, &packet, BEGIN + 30 * SEC, true);
    assert_false(denial_poll(denial, true, 4, 0, BEGIN + 31 * SEC)); /* the rules were loaded again */
    assert_int_equal(denial->count, 4);
}

static void without_a_meter_what_was_told_counts(void **state)
{
    _cleanup_(denials_freep) struct denials *denials = denials_new(NULL);
    struct denied_packet packet = packet_of(2, 80);
    struct denial *denial = add(denials, &packet, BEGIN, true);

    (void)state;
    assert_false(denial_poll(denial, false, 0, 0, BEGIN + 5 * SEC));
    assert_true(denial_poll(denial, false, 0, 0, BEGIN + 10 * SEC));
    assert_int_equal(denial->count, 1);
}

/* Each pause is twice the one before: RFC 6298, 5.5. */
static void retries_of_a_syn_are_one_record(void **state)
{
    _cleanup_(denials_freep) struct denials *denials = denials_new(NULL);
    struct denied_packet packet = packet_of(2, 80);
    struct denial *denial = add(denials, &packet, BEGIN, true);
    static const unsigned retries[] = {0, 1, 3, 7, 15, 31};

    (void)state;
    for (unsigned second = 5; second < 55; second += 5) {
        uint64_t n = 0, last = 0;

        for (size_t i = 0; i < sizeof(retries) / sizeof(*retries); i++)
            if (retries[i] <= second) {
                n++;
                last = retries[i];
            }
        assert_false(denial_poll(denial, true, n, (second - last) * SEC, BEGIN + second * SEC));
    }
    assert_int_equal(denial->count, 6);
}

static void no_record_is_older_than_a_minute(void **state)
{
    _cleanup_(denials_freep) struct denials *denials = denials_new(NULL);
    struct denied_packet packet = packet_of(2, 80);
    struct denial *denial = add(denials, &packet, BEGIN, true);
    unsigned second = 5;

    (void)state;
    while (!denial_poll(denial, true, second, 0, BEGIN + second * SEC))
        second += 5;
    assert_int_equal(second, 60);
}

static void another_reason_is_another_record(void **state)
{
    _cleanup_(denials_freep) struct denials *denials = denials_new(NULL);
    struct denied_packet packet = packet_of(2, 80);
    struct denial *denial = add(denials, &packet, BEGIN, true), *other;
    bool is_new;

    (void)state;
    packet.point = DENY_LOCKED;
    assert_null(denials_add(denials, &packet, BEGIN + SEC, &is_new, &other));
    assert_ptr_equal(other, denial);
    denials_close(denials, other, BEGIN + SEC);
    assert_ptr_equal(add(denials, &packet, BEGIN + SEC, true), denial);
    assert_int_equal(denial->packet.point, DENY_LOCKED);
}

static size_t n_freed;

static void count_freed(void *facts)
{
    (void)facts;
    n_freed++;
}

static void who_has_most_makes_room(void **state)
{
    _cleanup_(denials_freep) struct denials *denials = denials_new(count_freed);
    struct denied_packet packet;
    struct denial *other, *crowded;
    size_t n = 0;
    bool is_new;

    (void)state;
    for (unsigned port = 1; port < 10000; port++) {
        packet = packet_of(2, (uint16_t)port);
        struct denial *denial = denials_add(denials, &packet, BEGIN + port, &is_new, &other);
        if (!denial)
            continue;
        denial->facts = denial;
        n++;
    }
    assert_true(n >= DENIALS_MAX / 2 && n <= DENIALS_MAX);
    assert_int_equal(denials_lost(denials), 9999 - n);
    for (unsigned source = 3; source < 900; source++)
        for (uint16_t port = 1; port <= 3; port++) {
            packet = packet_of(source, port);
            crowded = denials_crowded(denials, &packet);
            if (crowded) {
                struct denied_packet flooder = packet_of(2, 1);

                assert_true(ip_equal(crowded->packet.source, flooder.source));
                denials_close(denials, crowded, BEGIN + 10 * SEC);
                assert_null(denials_crowded(denials, &packet));
            }
            assert_non_null(denials_add(denials, &packet, BEGIN + 10 * SEC, &is_new, &other));
            assert_true(is_new);
        }
    assert_true(n_freed > 0);
}

static void what_the_kernel_does_not_tell_of_is_lost(void **state)
{
    _cleanup_(denials_freep) struct denials *denials = denials_new(NULL);
    struct denied_packet packet = packet_of(2, 80), next = packet_of(2, 81);
    struct denial *denial = add(denials, &packet, BEGIN, true);

    (void)state;
    assert_true(denial_source_is_due(denial, BEGIN));
    denials_source_read(denials, denial, 1000, BEGIN); /* of before, such as another daemon's */
    assert_int_equal(denials_lost(denials), 0);
    assert_false(denial_source_is_due(denial, BEGIN + SEC));
    (void)add(denials, &next, BEGIN + SEC, true);
    denials_source_read(denials, denial, 1001, BEGIN + 5 * SEC);
    assert_int_equal(denials_lost(denials), 0);
    denials_source_read(denials, denial, 1051, BEGIN + 10 * SEC);
    assert_int_equal(denials_lost(denials), 50);
    denials_source_read(denials, denial, 3, BEGIN + 15 * SEC); /* it was forgotten meanwhile */
    assert_int_equal(denials_lost(denials), 53);
}

static void what_is_closed_goes_when_the_kernel_has_forgotten_it(void **state)
{
    _cleanup_(denials_freep) struct denials *denials = denials_new(NULL);
    struct denied_packet packet = packet_of(2, 80);
    struct denial *denial = add(denials, &packet, BEGIN, true);
    uint64_t next;

    (void)state;
    denials_close(denials, denial, BEGIN + 10 * SEC);
    assert_null(denials_due(denials, BEGIN + 60 * SEC, &next));
    assert_int_equal(next, BEGIN + 61 * SEC);
    assert_null(denials_due(denials, BEGIN + 61 * SEC, &next));
    assert_int_equal(next, UINT64_MAX);
    assert_null(denials_next(denials, NULL));
}

/* Of what no meter of the kernel's holds back. */
static void each_source_has_its_rate(void **state)
{
    _cleanup_(denials_freep) struct denials *denials = denials_new(NULL);
    struct denied_packet packet;
    size_t n = 0;

    (void)state;
    for (uint16_t port = 1; port <= 1000; port++) { /* in one second */
        packet = packet_of(2, port);
        if (denials_admit(denials, &packet, 100, BEGIN + port * SEC / 1000)) {
            (void)add(denials, &packet, BEGIN + port * SEC / 1000, true);
            n++;
        }
    }
    assert_in_range(n, 295, 305); /* twice a second's at once, and a second's */
    assert_int_equal(denials_lost(denials), 1000 - n);
    packet = packet_of(2, 1);
    assert_true(denials_admit(denials, &packet, 100, BEGIN + SEC)); /* one that is open */
    packet = packet_of(3, 999);
    assert_true(denials_admit(denials, &packet, 100, BEGIN + SEC)); /* another's */
    packet = packet_of(2, 2000);
    assert_true(denials_admit(denials, &packet, 100, BEGIN + 2 * SEC));
    /* From many addresses, to one whose share it is. */
    n = 0;
    for (unsigned source = 100; source < 1100; source++) {
        packet = packet_of(source, 80);
        packet.counts_for_destination = true;
        if (denials_admit(denials, &packet, 100, BEGIN + 3 * SEC)) {
            (void)add(denials, &packet, BEGIN + 3 * SEC, true);
            n++;
        }
    }
    assert_in_range(n, 200, 202);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_source_has_its_rate),
        cmocka_unit_test(one_connection_is_one_record),
        cmocka_unit_test(the_meter_counts),
        cmocka_unit_test(a_meter_that_begins_anew),
        cmocka_unit_test(without_a_meter_what_was_told_counts),
        cmocka_unit_test(retries_of_a_syn_are_one_record),
        cmocka_unit_test(no_record_is_older_than_a_minute),
        cmocka_unit_test(another_reason_is_another_record),
        cmocka_unit_test(who_has_most_makes_room),
        cmocka_unit_test(what_the_kernel_does_not_tell_of_is_lost),
        cmocka_unit_test(what_is_closed_goes_when_the_kernel_has_forgotten_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
