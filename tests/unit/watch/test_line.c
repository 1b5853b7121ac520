/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What stands in the line of a record. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "util/mem.h"
#include "watch/line.h"

#define END(name) "{'kind': 'container', 'container': {'id': '0123', 'name': '" name "'}}"

static char *line_of(const char *text)
{
    _cleanup_free_ char *json = xstrdup(text);
    struct watch_line line;

    for (char *c = json; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    json_t *record = json_loads(json, 0, NULL);
    assert_non_null(record);
    watch_line_of(record, &line);
    char *whole = xasprintf("%s -> %s | %s | %s | %s | %s", line.from, line.to, line.protocol, line.verdict,
                            line.direction, line.reason);
    watch_line_clear(&line);
    json_decref(record);
    return whole;
}

static void lines(void **state)
{
    static const struct {
        const char *record, *line;
    } cases[] = {
        {"{'network': {'transport': 'tcp'}, 'destination': {'ip': '10.91.0.3', 'port': 5432}, 'rule': {'name': 'no-rule'},"
         " 'event': {'duration': 300000000}, 'cofferdam': {'verdict': 'deny', 'direction': 'egress', 'count': 1,"
         " 'policies': ['shop-web'], 'source': " END("web") ", 'destination': " END("db") "}}",
         "web -> db:5432 | tcp | DENIED | egress | no-rule (policy shop-web)"},
        {"{'network': {'transport': 'udp'}, 'source': {'ip': '2001:db8::7'}, 'destination': {'ip': 'fd91::2', 'port': 53},"
         " 'rule': {'name': 'no-rule'}, 'event': {'duration': 59100000000},"
         " 'cofferdam': {'verdict': 'deny', 'direction': 'ingress', 'count': 1204, 'policies': [],"
         " 'source': {'kind': 'outside'}, 'destination': {'kind': 'unknown'}}}",
         "[2001:db8::7] -> [fd91::2]:53 | udp | DENIED | ingress | no-rule (no policy); 1204 packets in 1m"},
        {"{'network': {'transport': 'tcp'}, 'source': {'ip': '203.0.113.7'}, 'destination': {'port': 80},"
         " 'rule': {'name': 'no-rule'}, 'event': {'duration': 20}, 'cofferdam': {'verdict': 'deny', 'direction': 'ingress',"
         " 'count': 2, 'policies': ['a', 'b'], 'source': {'kind': 'outside'}, 'destination': " END(
             "web") "}}",
         "203.0.113.7 -> web:80 | tcp | DENIED | ingress | no-rule (policies a, b); 2 packets"},
        {"{'network': {'transport': 'icmp'}, 'destination': {'ip': '10.91.0.1'}, 'rule': {'name': 'no-ping', 'ruleset': 'web'},"
         " 'cofferdam': {'verdict': 'deny', 'direction': 'egress', 'icmp': {'type': 8, 'code': 0},"
         " 'source': " END("web") ", 'destination': {'kind': 'host'}}}",
         "web -> host | icmp/echo-request | DENIED | egress | no-ping (policy web)"},
        {"{'network': {'transport': 'ipv6-icmp'}, 'destination': {'ip': 'fd91::1'}, 'event': {'reason': 'locked down'},"
         " 'cofferdam': {'verdict': 'deny', 'direction': 'egress', 'icmp': {'type': 133}, 'lockdown': 'web',"
         " 'source': " END("web") ", 'destination': {'kind': 'outside'}}}",
         "web -> [fd91::1] | icmp/133 | DENIED | egress | locked down (web)"},
        {"{'network': {'type': 'arp', 'transport': 'arp'}, 'source': {'mac': '02-42-AC-12-00-02'}, 'cofferdam':"
         " {'verdict': 'deny', 'point': 'spoofed', 'source': {'kind': 'unknown'}}}",
         "02-42-AC-12-00-02 -> ? | arp | DENIED | - | spoofed"},
        {"{'network': {'iana_number': '47'}, 'destination': {'port': 8080}, 'event': {'action': 'audited'}, 'cofferdam':"
         " {'verdict': 'allow', 'count': 3, 'direction': 'ingress', 'staged': {'verdict': 'deny', 'direction': 'egress',"
         " 'rule': 'no-gre', 'policy': 'strict'}}}",
         "? -> ?:8080 | protocol-47 | AUDITED | egress | would be denied: no-gre (staged policy strict); 3 connections"},
        {"{'cofferdam': {'verdict': 'allow', 'staged': {'verdict': 'deny', 'direction': 'ingress', 'reason': 'no rule'}}}",
         "? -> ? | ? | AUDITED | ingress | would be denied: no rule"},
        {"{'rule': {'name': 'no-rule'}, 'cofferdam': {'verdict': 'deny', 'direction': 'egress', 'policies': ['a'],"
         " 'staged': {'verdict': 'allow', 'direction': 'egress', 'rule': 'egress 2', 'policy': 'next'}}}",
         "? -> ? | ? | DENIED | egress | no-rule (policy a); would be allowed: egress 2 (staged policy next)"},
        {"{'network': {'transport': 'tcp'}, 'destination': {'port': 5432}, 'cofferdam': {'verdict': 'allow', 'count': 1,"
         " 'direction': 'egress', 'egress': {'rule': 'egress 1', 'policy': 'web'}, 'ingress': {'rule': 'app', 'policy': 'db'},"
         " 'source': " END("web") ", 'destination': " END("db") "}}",
         "web -> db:5432 | tcp | ALLOWED | both | egress 1 (policy web), app (policy db)"},
        {"{'cofferdam': {'verdict': 'allow', 'direction': 'ingress', 'ingress': {'reason': 'default_mode: audit'}}}",
         "? -> ? | ? | ALLOWED | ingress | default_mode: audit"},
        {"{}", "? -> ? | ? | DENIED | - | "},
        {"{'cofferdam': 'x', 'event': [], 'destination': {'port': 'x'}, 'network': 7}",
         "? -> ? | ? | DENIED | - | "},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _cleanup_free_ char *line = line_of(cases[i].record);

        assert_string_equal(line, cases[i].line);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lines)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
