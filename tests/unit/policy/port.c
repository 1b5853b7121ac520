/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ports. */
#include "helpers.h"

#include "schema.h"

static void test_good(void **state)
{
    static const struct {
        const char *text;
        enum port_kind kind;
        uint16_t first, last;
    } cases[] = {
        {"1/tcp", PORT_TCP, 1, 1},         {"65535/udp", PORT_UDP, 65535, 65535},
        {"132/sctp", PORT_SCTP, 132, 132}, {"1-65535/tcp", PORT_TCP, 1, 65535},
        {"7-7/udp", PORT_UDP, 7, 7},       {"tcp", PORT_TCP, 0, 65535},
        {"udp", PORT_UDP, 0, 65535},       {"sctp", PORT_SCTP, 0, 65535},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const char *why = NULL;
        struct port port;

        assert_int_equal(port_parse(cases[i].text, &port, &why), 0);
        assert_int_equal(port.kind, cases[i].kind);
        assert_int_equal(port.first, cases[i].first);
        assert_int_equal(port.last, cases[i].last);
        assert_null(why);
    }
}

static void test_icmp(void **state)
{
    static const struct {
        const char *text;
        int icmp4, icmp6;
    } cases[] = {
        {"icmp", -1, -1},
        {"icmp/echo-request", 8, 128},
        {"icmp/echo-reply", 0, 129},
        {"icmp/destination-unreachable", 3, 1},
        {"icmp/packet-too-big", -1, 2},
        {"icmp/time-exceeded", 11, 3},
        {"icmp/parameter-problem", 12, 4},
        {"icmp/timestamp-request", 13, -1},
        {"icmp/mld-listener-report", -1, 131},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const char *why = NULL;
        struct port port;

        assert_int_equal(port_parse(cases[i].text, &port, &why), 0);
        assert_int_equal(port.kind, PORT_ICMP);
        assert_int_equal(port.icmp4_type, cases[i].icmp4);
        assert_int_equal(port.icmp6_type, cases[i].icmp6);
        assert_int_equal(port.icmp_name == NULL, i == 0);
        if (port.icmp_name)
            assert_string_equal(port.icmp_name, strchr(cases[i].text, '/') + 1);
    }
}

/* Nothing bad is ever read as something else: above all, SCTP and what is not known never become another
 * protocol. */
static void test_bad(void **state)
{
    static const struct {
        const char *text;
        enum policy_code code;
        const char *meant;
    } cases[] = {
        {"", CODE_PORT, ""},
        {"/", CODE_PORT, ""},
        {"80", CODE_PORT, "80/tcp"},
        {"0/tcp", CODE_PORT_RANGE, ""},
        {"65536/tcp", CODE_PORT_RANGE, ""},
        {"4294967376/tcp", CODE_PORT_RANGE, ""}, /* 80 modulo 2^32 */
        {"18446744073709551696/tcp", CODE_PORT_RANGE, ""},
        {"00/tcp", CODE_PORT, ""},
        {"080/tcp", CODE_PORT, ""},
        {"+80/tcp", CODE_PORT, ""},
        {" 80/tcp", CODE_PORT, ""},
        {"80 /tcp", CODE_PORT, ""},
        {"80/tcp\n", CODE_PORT, ""},
        {"8_0/tcp", CODE_PORT, ""},
        {"80,81/tcp", CODE_PORT, ""},
        {"90-80/tcp", CODE_PORT_ORDER, "80-90/tcp"},
        {"80-90-100/tcp", CODE_PORT, ""},
        {"80-/tcp", CODE_PORT, ""},
        {"-80/tcp", CODE_PORT, ""},
        {"80/SCTP", CODE_PORT, "80/sctp"},
        {"80/sctpx", CODE_PORT, ""},
        {"80/sct", CODE_PORT, ""},
        {"SCTP", CODE_PORT, ""},
        {"80/udplite", CODE_PORT, ""},
        {"udp/53", CODE_PORT, "53/udp"},
        {"80/tcp/80", CODE_PORT, ""},
        {"icmp/", CODE_ICMP, ""},
        {"icmp/8", CODE_ICMP, "icmp/echo-request"},
        {"icmp/255", CODE_ICMP, ""},
        {"icmp/nd-neighbor-advert", CODE_ICMP, ""},
        {"icmpv6", CODE_PORT, "icmp"},
        {"echo-reply/icmp", CODE_PORT, "icmp/echo-reply"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct port port = {.first = 4711};
        struct port_error error;
        const char *why = NULL;

        assert_int_equal(port_parse_full(cases[i].text, &port, &error), -EINVAL);
        assert_int_equal(error.code, cases[i].code);
        assert_string_equal(error.meant, cases[i].meant);
        assert_int_equal(port.first, 4711); /* not written */
        assert_int_equal(port_parse(cases[i].text, &port, &why), -EINVAL);
        assert_string_equal(why, error.why);
    }
}

/* What is suggested must itself be good. */
static void test_suggestions_are_good(void **state)
{
    static const char *const texts[] = {
        "80",        "1-2",       "tcp/80", "80/TCP",          "9-8/udp",
        "icmp/ping", "icmp/echo", "ping",   "icmp/echo-reqst", "echo-request/icmp"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct port_error error;
        struct port port;
        const char *why;

        assert_int_equal(port_parse_full(texts[i], &port, &error), -EINVAL);
        assert_string_not_equal(error.meant, "");
        assert_int_equal(port_parse(error.meant, &port, &why), 0);
    }
}

static void test_covers(void **state)
{
    static const struct {
        const char *a, *b;
        bool expected;
    } cases[] = {
        {"tcp", "80/tcp", true},
        {"80/tcp", "tcp", false},
        {"1-65535/tcp", "tcp", false}, /* port 0 */
        {"80-90/tcp", "80-90/tcp", true},
        {"80-90/tcp", "85-91/tcp", false},
        {"80-90/tcp", "85/udp", false},
        {"sctp", "80/tcp", false},
        {"icmp", "icmp/echo-request", true},
        {"icmp/echo-request", "icmp", false},
        {"icmp/echo-request", "icmp/echo-reply", false},
        {"icmp/echo-request", "icmp/echo-request", true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct port a, b;
        const char *why;

        assert_int_equal(port_parse(cases[i].a, &a, &why), 0);
        assert_int_equal(port_parse(cases[i].b, &b, &why), 0);
        assert_int_equal(port_covers(&a, &b), cases[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),   cmocka_unit_test(test_icmp),
        cmocka_unit_test(test_bad),    cmocka_unit_test(test_suggestions_are_good),
        cmocka_unit_test(test_covers),
    };

    return cmocka_run_group_tests_name("policy port", tests, NULL, NULL);
}
