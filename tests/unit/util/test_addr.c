// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "util/addr.h"
#include "util/mem.h"

static struct ip ip(const char *text)
{
    struct ip address;

    assert_int_equal(ip_parse(text, &address), 0);
    return address;
}

static struct ip_range range(const char *first, const char *last)
{
    return (struct ip_range){ip(first).num, ip(last).num};
}

static void parses_addresses(void **state)
{
    static const char *const good[] = {"0.0.0.0", "10.1.2.3", "255.255.255.255",
                                       "::",      "fd00::1",  "2001:db8::ffff"};
    static const char *const bad[] = {"",        "10.1.2",       "010.0.0.1", "10.1.2.3.4",
                                      "1::2::3", "fe80::1%eth0", " 1.2.3.4"};
    char text[IP_TEXT_MAX];
    struct ip address;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        assert_string_equal(ip_format(ip(good[i]), text), good[i]);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(ip_parse(bad[i], &address), -EINVAL);
}

static void parses_cidr(void **state)
{
    static const struct {
        const char *text;
        int result;
        const char *network;
    } cases[] = {
        {"10.0.0.0/8", 0, "10.0.0.0/8"},    {"10.0.0.1", 0, "10.0.0.1"},
        {"0.0.0.0/0", 0, "0.0.0.0/0"},      {"::/0", 0, "::/0"},
        {"fd00::/64", 0, "fd00::/64"},      {"10.0.0.1/8", -EDOM, "10.0.0.0/8"},
        {"fd00::1/64", -EDOM, "fd00::/64"}, {"10.0.0.0/33", -ERANGE, NULL},
        {"::/129", -ERANGE, NULL},          {"10.0.0.0/", -EINVAL, NULL},
        {"10.0.0.0/08", -EINVAL, NULL},     {"10.0.0.0/+8", -EINVAL, NULL},
        {"10.0.0/8", -EINVAL, NULL},        {"/8", -EINVAL, NULL},
        {"10.0.0.0/8/8", -EINVAL, NULL},    {"10.0.0.0/4294967304", -EINVAL, NULL},
    };
    char text[CIDR_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct cidr cidr;

        assert_int_equal(cidr_parse(cases[i].text, &cidr), cases[i].result);
        if (cases[i].network)
            assert_string_equal(cidr_format(&cidr, text), cases[i].network);
    }
}

static void finds_the_block_of_a_range(void **state)
{
    struct cidr block;
    char text[CIDR_TEXT_MAX];

    (void)state;
    assert_true(cidr_from_range(IP4, range("10.0.0.0", "10.255.255.255"), &block));
    assert_string_equal(cidr_format(&block, text), "10.0.0.0/8");
    assert_true(cidr_from_range(IP6, range("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), &block));
    assert_string_equal(cidr_format(&block, text), "::/0");
    assert_true(cidr_from_range(IP4, range("10.0.0.1", "10.0.0.1"), &block));
    assert_false(cidr_from_range(IP4, range("10.0.0.1", "10.0.0.3"), &block));
    assert_false(cidr_from_range(IP4, range("10.0.0.0", "10.0.0.2"), &block));
}

static void parses_mac(void **state)
{
    static const char *const bad[] = {"", "02:42:ac:11:00", "02:42:ac:11:00:0g", "02-42-ac-11-00-02",
                                      "02:42:ac:11:00:02:"};
    char text[IP_TEXT_MAX];
    struct mac mac;

    (void)state;
    assert_int_equal(mac_parse("02:42:ac:11:00:02", &mac), 0);
    assert_string_equal(mac_format(&mac, text), "02:42:ac:11:00:02");
    /* RFC 4291, appendix A: the universal/local bit is inverted. */
    assert_string_equal(ip_format(mac_link_local(&mac), text), "fe80::42:acff:fe11:2");
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(mac_parse(bad[i], &mac), -EINVAL);
}

/* Every set of small numbers, against a bitmap: 4096 random operations on 0..63. */
static void ranges_agree_with_a_bitmap(void **state)
{
    struct ip_ranges set = {0};
    uint64_t bits = 0;
    unsigned seed = 1;

    (void)state;
    for (unsigned i = 0; i < 4096; i++) {
        struct ip_ranges other = {0};
        uint64_t other_bits = 0;

        for (unsigned j = 0; j < 3; j++) {
            unsigned first = (unsigned)rand_r(&seed) % 64,
                     last = first + (unsigned)rand_r(&seed) % (64 - first);

            ip_ranges_add(&other, (struct ip_range){first, last});
            for (unsigned k = first; k <= last; k++)
                other_bits |= UINT64_C(1) << k;
        }
        switch (rand_r(&seed) % 3) {
        case 0:
            for (size_t j = 0; j < other.n; j++)
                ip_ranges_add(&set, other.v[j]);
            bits |= other_bits;
            break;
        case 1:
            ip_ranges_subtract(&set, &other);
            bits &= ~other_bits;
            break;
        case 2:
            ip_ranges_intersect(&set, &other);
            bits &= other_bits;
            break;
        }
        for (unsigned k = 0; k < 64; k++)
            assert_int_equal(ip_ranges_contain(&set, k), bits >> k & 1);
        for (size_t j = 1; j < set.n; j++) /* sorted, disjoint, not adjacent */
            assert_true(set.v[j].first > set.v[j - 1].last + 1);
        ip_ranges_clear(&other);
    }
    ip_ranges_clear(&set);
}

static void ranges_reach_the_last_address(void **state)
{
    struct ip_ranges set = {0}, top = {0};

    (void)state;
    ip_ranges_fill(&set, IP6);
    assert_int_equal(set.n, 1);
    ip_ranges_add(
        &set, range("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
    assert_int_equal(set.n, 1);
    ip_ranges_add(&top, range("8000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
    ip_ranges_subtract(&set, &top);
    assert_true(ip_ranges_contain(&set, ip("7fff::").num));
    assert_false(ip_ranges_contain(&set, ip("8000::").num));
    ip_ranges_clear(&set);
    ip_ranges_clear(&top);
}

/* One address and all of them say the same: the ends of each range, and what is next to them. */
static void assert_internet_is(const struct ip_ranges *set, enum ip_family family)
{
    assert_true(set->n > 1);
    for (size_t i = 0; i < set->n; i++) {
        const struct ip_range *range = &set->v[i];

        assert_true(ip_is_internet((struct ip){.num = range->first, .family = family}));
        assert_true(ip_is_internet((struct ip){.num = range->last, .family = family}));
        assert_false(ip_is_internet((struct ip){.num = range->first - 1, .family = family}));
        assert_false(ip_is_internet((struct ip){.num = range->last + 1, .family = family}));
    }
}

static void internet_is_public_unicast(void **state)
{
    static const char *const public[] = {"1.1.1.1",           "8.8.8.8",
                                         "100.63.255.255",    "192.0.0.9",
                                         "172.32.0.1",        "223.255.255.255",
                                         "2a00:1450:4001::1", "2606:4700::1111",
                                         "64:ff9b::808:808",  "2001:4860:4860::8888"};
    static const char *const not_public[] = {
        "0.1.2.3",     "10.1.2.3",    "100.64.0.1",      "127.0.0.1",       "169.254.169.254",
        "172.17.0.1",  "192.168.1.1", "192.0.2.1",       "198.18.0.1",      "198.51.100.7",
        "203.0.113.9", "224.0.0.1",   "239.255.255.250", "255.255.255.255", "240.0.0.1",
        "::",          "::1",         "fe80::1",         "fd00:ec2::254",   "fc00::1",
        "ff02::1",     "2001:db8::1", "2002::1",         "fec0::1",         "3fff::1"};
    struct ip_ranges net[IP_FAMILIES] = {0};

    (void)state;
    ip_ranges_add_internet(&net[IP4], IP4);
    ip_ranges_add_internet(&net[IP6], IP6);
    for (size_t i = 0; i < ARRAY_SIZE(public); i++) {
        if (!ip_ranges_contain(&net[ip(public[i]).family], ip(public[i]).num))
            fail_msg("%s should be internet", public[i]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(not_public); i++) {
        if (ip_ranges_contain(&net[ip(not_public[i]).family], ip(not_public[i]).num))
            fail_msg("%s should not be internet", not_public[i]);
        assert_false(ip_is_internet(ip(not_public[i])));
    }
    for (enum ip_family family = IP4; family < IP_FAMILIES; family++)
        assert_internet_is(&net[family], family);
    ip_ranges_clear(&net[IP4]);
    ip_ranges_clear(&net[IP6]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_addresses),           cmocka_unit_test(parses_cidr),
        cmocka_unit_test(finds_the_block_of_a_range), cmocka_unit_test(parses_mac),
        cmocka_unit_test(ranges_agree_with_a_bitmap), cmocka_unit_test(ranges_reach_the_last_address),
        cmocka_unit_test(internet_is_public_unicast),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
