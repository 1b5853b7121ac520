/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which name servers a resolv.conf gives to containers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "resolv.h"

static void assert_servers(const char *text, const char *expected, bool has_loopback, bool is_stub)
{
    struct name_servers servers;
    char list[1024] = "", ip[IP_TEXT_MAX];

    name_servers_parse(text, &servers);
    for (size_t i = 0; i < servers.n; i++) {
        strcat(list, i ? " " : "");
        strcat(list, ip_format(servers.v[i], ip));
    }
    assert_string_equal(list, expected);
    assert_int_equal(servers.has_loopback, has_loopback);
    assert_int_equal(servers.is_stub, is_stub);
    name_servers_clear(&servers);
}

static void reads_name_servers(void **state)
{
    (void)state;
    assert_servers("", "", false, false);
    assert_servers("nameserver 192.0.2.53\n", "192.0.2.53", false, false);
    assert_servers("# a comment\nsearch example.org\nnameserver\t192.0.2.53 # why\nnameserver 2001:db8::53",
                   "192.0.2.53 2001:db8::53", false, false);
    assert_servers("nameserver 192.0.2.53\r\n", "192.0.2.53", false, false);
    assert_servers(
        "nameservers 192.0.2.53\nnameserver192.0.2.53\n nameserver 192.0.2.54\n;nameserver 192.0.2.55\n", "",
        false, false);
    assert_servers("nameserver fe80::1%eth0\nnameserver not-an-address\nnameserver\nnameserver \n", "", false,
                   false);
}

static void leaves_loopback_out(void **state)
{
    (void)state;
    assert_servers("nameserver 127.0.0.1\nnameserver 192.0.2.53\n", "192.0.2.53", true, false);
    assert_servers("nameserver ::1\n", "", true, false);
    assert_servers("nameserver 127.0.0.53\noptions edns0\n", "", true, true);
    assert_servers("nameserver 127.0.0.53\nnameserver 192.0.2.53\n", "192.0.2.53", true, false);
}

static void caps_what_it_reads(void **state)
{
    char text[64 * 40] = "";
    struct name_servers servers;

    (void)state;
    for (int i = 0; i < 64; i++)
        strcat(text, "nameserver 192.0.2.53\n");
    name_servers_parse(text, &servers);
    assert_int_equal(servers.n, 32);
    name_servers_clear(&servers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_name_servers),
        cmocka_unit_test(leaves_loopback_out),
        cmocka_unit_test(caps_what_it_reads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
