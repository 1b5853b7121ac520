/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "cli/cli.h"

static char *table_text(bool colour, size_t columns, size_t n, const char *const *cells, enum cli_style style)
{
    _cleanup_(cli_table_freep) struct cli_table *table = cli_table_new(columns);
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    for (size_t i = 0; i < n; i++)
        cli_table_add(table, style, cells[i]);
    cli_table_print(table, out, colour);
    fclose(out);
    return text;
}

static void test_table(void **state)
{
    (void)state;
    static const char *const cells[] = {"a", "longer", "x", "größe", NULL, NULL, "b", "c\n", "y"};
    _cleanup_free_ char *plain = table_text(false, 3, ARRAY_SIZE(cells), cells, STYLE_BAD);
    assert_string_equal(plain, "  a      longer  x\n"
                               "  größe\n"
                               "  b      c\\x0a   y\n");
    _cleanup_free_ char *colour = table_text(true, 3, 3, cells, STYLE_GOOD);
    assert_string_equal(colour, "  \033[32ma\033[0m  \033[32mlonger\033[0m  \033[32mx\033[0m\n");
    _cleanup_free_ char *empty = table_text(false, 3, 0, cells, STYLE_NONE);
    assert_string_equal(empty, "");
}

static const char status[] =
    "{'format_version': '1.0',"
    " 'daemon': {'version': '0.1.0', 'pid': 42, 'started': '2026-11-20T10:00:00Z', 'policies_dir': '/p',"
    "  'policies': 2, 'policies_loaded': '2026-11-20T10:00:01Z', 'last_load_error': null, 'default_mode': "
    "'enforce'},"
    " 'engine': {'connected': true, 'version': '20.10.24', 'api': '1.41', 'socket': '/var/run/docker.sock',"
    "  'error': null},"
    " 'networks': [{'name': 'shop', 'bridge': 'br-1', 'managed': true, 'enforced': true, 'reason': null},"
    "  {'name': 'none', 'bridge': null, 'managed': false, 'enforced': false, 'reason': 'its driver is null'},"
    "  {'name': 'lan', 'bridge': null, 'managed': false, 'enforced': false, 'reason': 'its driver is "
    "macvlan'}],"
    " 'containers': ["
    "  {'name': 'web', 'running': true, 'enforced': true, 'reason': null, 'ignored_labels': ['role'],"
    "   'policies': [{'name': 'shop-web', 'mode': 'enforce'}, {'name': 'trial', 'mode': 'audit'}],"
    "   'endpoints': [{'network': 'shop', 'ipv4': '172.18.0.2', 'ipv6': 'fd00::2', 'live': true, 'reason': "
    "null},"
    "                 {'network': 'back', 'ipv4': '172.19.0.2', 'ipv6': null, 'live': true, 'reason': "
    "null}]},"
    "  {'name': 'exporter', 'running': true, 'enforced': false, 'reason': 'uses the host\\'s network',"
    "   'caution': 'is privileged',"
    "   'ignored_labels': [], 'policies': [], 'endpoints': []},"
    "  {'name': 'old', 'running': false, 'enforced': false, 'reason': null, 'ignored_labels': [], "
    "'policies': [],"
    "   'endpoints': [{'network': 'shop', 'ipv4': null, 'ipv6': null, 'live': false, 'reason': null}]}],"
    " 'problems': ['policy trial selects no container']}";

static const char status_expected[] =
    "cofferdamd 0.1.0, pid 42, since 2026-11-20T10:00:00Z\n"
    "2 policies from /p, loaded 2026-11-20T10:00:01Z\n"
    "Docker Engine 20.10.24 (API 1.41) at /var/run/docker.sock\n"
    "\n"
    "Networks\n"
    "  shop  br-1  enforced\n"
    "  lan   -     not managed: its driver is macvlan\n"
    "\n"
    "Containers\n"
    "  NAME      POLICIES                 NETWORK  ADDRESSES           STATE\n"
    "  web       shop-web, trial (audit)  shop     172.18.0.2 fd00::2  enforced\n"
    "                                     back     172.19.0.2\n"
    "  exporter  -                        -        -                   not enforced: uses the host's "
    "network\n"
    "  old       -                        shop     -                   stopped\n"
    "\n"
    "Problems\n"
    "  policy trial selects no container\n"
    "\n"
    "Notes\n"
    "  web: labels that only repeat the image's do not count: role\n"
    "  exporter is privileged\n";

/* JSON with single quotes, for the sake of the reader. */
static json_t *load(const char *text)
{
    _cleanup_free_ char *quoted = xstrdup(text);
    json_error_t error;

    for (char *c = quoted; *c; c++)
        if (*c == '\'')
            *c = c > quoted && c[-1] == '\\' ? '\'' : '"';
    char *out = quoted;
    for (const char *c = quoted; *c; c++)
        if (!(c[0] == '\\' && c[1] == '\''))
            *out++ = *c;
    *out = '\0';
    json_t *json = json_loads(quoted, 0, &error);
    if (!json)
        fail_msg("%s at %d", error.text, error.position);
    return json;
}

static char *printed_by(void (*print)(const json_t *, int, FILE *, bool), json_t *result, int exit_status,
                        bool colour)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    print(result, exit_status, out, colour);
    fclose(out);
    return text;
}

static char *printed(json_t *result, int exit_status, bool colour)
{
    return printed_by(status_print, result, exit_status, colour);
}

static void test_status(void **state)
{
    (void)state;
    json_t *result = load(status);
    _cleanup_free_ char *text = printed(result, STATUS_OK, false);
    assert_string_equal(text, status_expected);
    json_decref(result);
}

static void test_status_troubles(void **state)
{
    (void)state;
    json_t *result = load("{'daemon': {'version': '0.1.0', 'pid': 1, 'started': 'S', 'policies_dir': '/p',"
                          "  'policies': 0, 'policies_loaded': null, 'default_mode': 'audit',"
                          "  'last_load_error': 'a.yaml:1:1: error: bad'},"
                          " 'engine': {'connected': false, 'socket': '/s', 'error': 'refused'},"
                          " 'networks': [], 'containers': [], 'problems': []}");
    _cleanup_free_ char *text = printed(result, STATUS_OK, false);
    assert_string_equal(
        text, "cofferdamd 0.1.0, pid 1, since S\n"
              "0 policies from /p\n"
              "default_mode is audit: containers that no policy selects are not restricted\n"
              "The last load failed; the policies before it are in force:\n"
              "a.yaml:1:1: error: bad\n"
              "No connection to the Docker Engine at /s: refused; the rules in the kernel stay in force\n"
              "\n"
              "Networks\n"
              "  none known\n"
              "\n"
              "Containers\n"
              "  none known\n");
    json_decref(result);
}

/* Who can change the rules in the kernel; a daemon that does not know it says nothing. */
static void test_status_tables(void **state)
{
    static const struct {
        const char *tables, *line;
    } cases[] = {
        {"{'protected': true, 'kept': true, 'reason': null}",
         "Tables in the kernel protected: owner and persist, kept by the service manager\n"},
        {"{'protected': true, 'kept': false, 'reason': null}",
         "Tables in the kernel protected: owner and persist, while the daemon runs\n"},
        {"{'protected': false, 'kept': false, 'reason': 'protect_table is off'}",
         "Tables in the kernel not protected: protect_table is off\n"},
        {"null", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *document =
            xasprintf("{'daemon': {}, 'engine': {}, 'tables': %s}", cases[i].tables);
        json_t *result = load(document);
        _cleanup_free_ char *text = printed(result, STATUS_OK, false);

        if (cases[i].line)
            assert_non_null(strstr(text, cases[i].line));
        else
            assert_null(strstr(text, "Tables"));
        json_decref(result);
    }
}

/* Policies that an earlier daemon has saved are in force, those of the files are not. */
static void test_status_kept(void **state)
{
    (void)state;
    json_t *result =
        load("{'daemon': {'version': '0.1.0', 'pid': 1, 'started': 'S', 'policies_dir': '/p',"
             "  'policies': 2, 'policies_loaded': 'T', 'policies_in_force': false, 'policies_kept': true,"
             "  'last_load_error': 'a.yaml:1:1: error: bad'}}");
    _cleanup_free_ char *text = printed(result, STATUS_OK, false);
    assert_non_null(strstr(text,
                           "2 policies from /p, loaded T\n"
                           "Their rules are not in the kernel yet: what stands there stays\n"
                           "The policy files had errors at the start; the last set without errors is in "
                           "force:\n"
                           "a.yaml:1:1: error: bad\n"));
    json_decref(result);
}

/* Empty lists mean that there is nothing only where the daemon says that all is well. */
static void test_status_unknown(void **state)
{
    (void)state;
    json_t *result = load("{'daemon': {'version': '0.1.0', 'pid': 1, 'started': 'S', 'policies_dir': '/p',"
                          "  'policies': 1, 'default_mode': 'enforce'},"
                          " 'engine': {'connected': true, 'socket': '/s', 'version': '20', 'api': '1.41'},"
                          " 'networks': [], 'containers': [], 'problems': ['P']}");
    _cleanup_free_ char *fine = printed(result, STATUS_OK, false);
    _cleanup_free_ char *unknown = printed(result, STATUS_ATTENTION, false);
    assert_string_equal(fine, "cofferdamd 0.1.0, pid 1, since S\n"
                              "1 policy from /p\n"
                              "Docker Engine 20 (API 1.41) at /s\n"
                              "\n"
                              "Networks\n"
                              "  none\n"
                              "\n"
                              "Containers\n"
                              "  none\n"
                              "\n"
                              "Problems\n"
                              "  P\n");
    assert_string_equal(unknown, "cofferdamd 0.1.0, pid 1, since S\n"
                                 "1 policy from /p\n"
                                 "Docker Engine 20 (API 1.41) at /s\n"
                                 "Not everything is enforced: see the states and problems below\n"
                                 "\n"
                                 "Networks\n"
                                 "  none known\n"
                                 "\n"
                                 "Containers\n"
                                 "  none known\n"
                                 "\n"
                                 "Problems\n"
                                 "  P\n");
    json_decref(result);
}

/* An answer that lacks everything is no reason to crash. */
static void test_status_empty(void **state)
{
    (void)state;
    json_t *result = json_object();
    _cleanup_free_ char *text = printed(result, STATUS_OK, true);
    assert_non_null(strstr(text, "Containers"));
    json_decref(result);
}

/* ---- verify ------------------------------------------------------------------------------------------- */

static void assert_verify(const char *answer, int exit_status, const char *expected)
{
    json_t *result = load(answer);
    _cleanup_free_ char *text = printed_by(verify_print, result, exit_status, false);

    assert_string_equal(text, expected);
    json_decref(result);
}

static void test_verify_same(void **state)
{
    (void)state;
    assert_verify("{'same': true, 'objects': 143, 'differences': [], 'more': 0, 'repairing': false}",
                  STATUS_OK, "the kernel holds what it should: 2 tables, 143 objects\n");
}

static void test_verify_drift(void **state)
{
    (void)state;
    assert_verify(
        "{'same': false, 'objects': 143, 'more': 12, 'repairing': false, 'differences': ["
        " {'table': 'inet cofferdam', 'kind': 'rule', 'name': 'forward', 'what': 'foreign', 'text': 'accept'},"
        " {'table': 'inet cofferdam', 'kind': 'element', 'name': 'live4', 'what': 'missing',"
        "  'text': '172.18.0.2'},"
        " {'table': 'bridge cofferdam', 'kind': 'chain', 'name': 'prerouting', 'what': 'different',"
        "  'text': 'type filter hook prerouting priority 0; policy accept;'},"
        " {'table': 'bridge cofferdam', 'kind': 'table', 'what': 'odd'}]}",
        STATUS_ATTENTION,
        "DRIFT: 16 differences; the daemon is not repairing them: see `cofferdam status`\n"
        "  +  inet cofferdam    rule     forward     accept\n"
        "  -  inet cofferdam    element  live4       172.18.0.2\n"
        "  ~  bridge cofferdam  chain    prerouting  type filter hook prerouting priority 0; policy accept;\n"
        "  ?  bridge cofferdam  table\n"
        "  and 12 more\n");
}

/* What is said of the kernel is good only when all that the answer says is. */
static void test_verify_doubtful(void **state)
{
    static const char *const doubtful[] = {
        "{}",
        "{'same': false, 'differences': [], 'more': 0}",
        "{'same': 1, 'differences': [], 'more': 0}",
        "{'same': 'true', 'differences': [], 'more': 0}",
        "{'same': null}",
        "{'same': true, 'objects': 1}",
        "{'same': false, 'differences': {}, 'more': -3}",
    };
    static const char unexplained[] = "DRIFT: the kernel does not hold what it should\n";

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(doubtful); i++)
        assert_verify(doubtful[i], STATUS_OK, unexplained);
    assert_verify("{'same': true, 'objects': 1, 'differences': [], 'more': 0}", STATUS_ATTENTION,
                  unexplained);
    assert_verify("{'same': true, 'objects': 1, 'differences': [], 'more': 1, 'repairing': true}", STATUS_OK,
                  "DRIFT: 1 difference; the daemon is repairing it\n  and 1 more\n");
    assert_verify("{'same': true, 'objects': 1, 'differences': [7], 'more': 0, 'repairing': true}", STATUS_OK,
                  "DRIFT: 1 difference; the daemon is repairing it\n  ?\n");
}

/* A comment in a rule that somebody has added is that somebody's text. */
static void test_verify_tricks(void **state)
{
    (void)state;
    json_t *result =
        json_pack("{s:b, s:i, s:b, s:[{s:s, s:s, s:s, s:s, s:s}]}", "same", 0, "more", 0, "repairing", 1,
                  "differences", "table", "inet cofferdam\r", "kind", "rule\t", "name", "\033[2J", "what",
                  "foreign", "text", "accept comment \"\xe2\x80\xae\n  -\"");
    _cleanup_free_ char *text = printed_by(verify_print, result, STATUS_ATTENTION, false);
    assert_string_equal(text, "DRIFT: 1 difference; the daemon is repairing it\n"
                              "  +  inet cofferdam\\x0d  rule\\x09  \\x1b[2J  accept comment "
                              "\"\\xe2\\x80\\xae\\x0a  -\"\n");
    json_decref(result);
}

/* ---- labels ------------------------------------------------------------------------------------------- */

static void assert_label(const char *answer, int exit_status, const char *expected)
{
    json_t *result = load(answer);
    _cleanup_free_ char *text = printed_by(label_print, result, exit_status, false);

    assert_string_equal(text, expected);
    json_decref(result);
}

#define LABEL_CHANGE                                                                                         \
    "'more': 0, 'problems': [], 'warnings': ['no policy asks about label x\\n'],"                            \
    " 'changes_text': '- db -> web  every port\\n',"                                                         \
    " 'connections': [{'from': 'db', 'to': 'web', 'port': '5432/tcp', 'bytes': null, 'age': null}],"         \
    " 'containers': [{'name': 'web', 'id': 'aa', 'running': true, 'not_enforced': null,"                     \
    "  'labels_before': {'a': '1', 'b': '1', 'c': '1'}, 'labels': {'a': '1', 'b': '2', 'd': '\\u001b'},"     \
    "  'selected_by': [{'name': 'q', 'mode': 'audit'}],"                                                     \
    "  'no_longer_selected_by': [{'name': 'r', 'mode': 'enforce'}]}]}"

static void test_label_change(void **state)
{
    (void)state;
    assert_label("{'dry_run': false, 'verified': true, " LABEL_CHANGE, STATUS_OK,
                 "web\n  has b=2\n  has d=\\x1b\n  has no longer c=1\n  is now selected by q (audit)\n"
                 "  is no longer selected by r\nConnections\n- db -> web  every port\n"
                 "1 open connection was ended:\n  db  web  5432/tcp\n"
                 "no policy asks about label x\\x0a\nThe kernel was read back and holds it.\n");
    assert_label("{'dry_run': true, 'verified': false, " LABEL_CHANGE, STATUS_OK,
                 "web\n  would have b=2\n  would have d=\\x1b\n  would lose c=1\n"
                 "  would be selected by q (audit)\n  would no longer be selected by r\n"
                 "Connections\n- db -> web  every port\n1 open connection would be ended:\n  db  web  "
                 "5432/tcp\nno policy asks about label x\\x0a\nThis was a dry run: nothing was changed.\n");
    /* what does not say that all is well */
    assert_label("{}", STATUS_OK, "");
    assert_label("{'verified': 1}", STATUS_OK, "");
}

static void test_label_list(void **state)
{
    (void)state;
    assert_label(
        "{'lost': true, 'given': [{'container': 'web', 'id': 'aa', 'key': 'a', 'value': '1', 'follow': true,"
        "  'reason': null, 'since': 0, 'ended': null, 'by': 'root', 'containers': ['new', 'web']},"
        " {'container': 'db', 'id': 'bb', 'key': 'a', 'value': '1', 'follow': false, 'reason': 'x\\ny',"
        "  'since': 0, 'ended': 60, 'by': 'root', 'containers': []}]}",
        STATUS_OK,
        "The labels that were given are lost, and every container is locked down; `cofferdam label "
        "--reset`\ngoes on without them.\n"
        "Labels that were given\n  web  a=1\n    given by root at 1970-01-01T00:00:00Z, follows: no reason "
        "given\n    counts for new\n  db  a=1\n    given by root at 1970-01-01T00:00:00Z: x\\x0ay\n"
        "    ended at 1970-01-01T00:01:00Z, as that container was gone\n");
    assert_label("{'lost': false, 'given': []}", STATUS_OK, "No label was given.\n");
    assert_label("{'lost': false, 'container': 'a\\n', 'labels': []}", STATUS_OK, "a\\x0a has no label.\n");
}

static void assert_staged(const char *result, const char *expected)
{
    json_t *json = load(result);
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    staged_print(json, out, false);
    fclose(out);
    assert_string_equal(text, expected);
    free(text);
    json_decref(json);
}

#define NO_ROWS "'connections': 0, 'left_out': 0, 'rows': []"

static void test_staged(void **state)
{
    (void)state;
    assert_staged("{}", "This daemon does not tell: it is of another version\n");
    assert_staged("{'staged': {'policies': [], 'default_mode': null}}",
                  "Nothing is staged: no policy has `mode: audit`, and default_mode is enforce\n");
    assert_staged(
        "{'staged': {'since': '2026-11-21T08:00:00Z', 'seconds': 7800, 'watched': true, 'all': {'connections': 3,"
        " 'left_out': 2, 'rows': [{'change': 'deny', 'from': 'w\\u001beb', 'to': '192.0.2.1', 'port': '443/tcp',"
        " 'count': 2, 'first': '2026-11-21T08:00:01.5Z', 'last': '2026-11-21T08:00:02Z', 'reason': 'why',"
        " 'reference': 'a.yaml:3'}, {'change': 'allow', 'from': 'web', 'to': 'db', 'port': 'icmp', 'count': 1,"
        " 'first': '2026-11-21T08:00:03Z', 'last': '2026-11-21T08:00:03Z', 'reason': null, 'reference': null}]},"
        " 'policies': [{'name': 'shop', 'file': 'a.yaml', 'line': 1, 'containers': 1, " NO_ROWS "}],"
        " 'default_mode': {" NO_ROWS "}}}",
        "Watched since 2026-11-21T08:00:00Z (2h10m), when these policies came into force or the daemon was "
        "started\n"
        "\n"
        "All that is staged, enforced at once\n"
        "  CHANGE           FROM     TO         PORT     COUNT  FIRST                 LAST\n"
        "  would be denied  w\\x1beb  192.0.2.1  443/tcp  2      2026-11-21T08:00:01Z  2026-11-21T08:00:02Z  "
        "why (a.yaml:3)\n"
        "  would pass       web      db         icmp     1      2026-11-21T08:00:03Z  2026-11-21T08:00:03Z\n"
        "  2 more that there was no room for, from those who made most\n"
        "\n"
        "shop, enforced alone (a.yaml:1, 1 container)\n"
        "  nothing seen yet that it would change, in 2h10m of watching\n"
        "\n"
        "default_mode: enforce, alone\n"
        "  nothing seen yet that it would change, in 2h10m of watching\n");
}

static const char rules[] =
    "{'rules': {'now': '2026-11-20T10:00:00Z', 'every': 10, 'error': 'the disk is full', 'list': ["
    " {'policy': 'db', 'direction': 'ingress', 'index': 1, 'name': null, 'deny': false, 'staged': false,"
    "  'shared': true, 'kernel_rules': 2, 'hits': 1204, 'bytes': 72240, 'denied': 0,"
    "  'last_hit': '2026-11-20T09:58:50Z', 'since': '2026-11-01T00:00:00Z', 'unused': false},"
    " {'policy': 'db', 'direction': 'ingress', 'index': 2, 'name': 'backup', 'deny': false, 'staged': false,"
    "  'shared': false, 'kernel_rules': 0, 'hits': 0, 'bytes': 0, 'denied': 0,"
    "  'last_hit': null, 'since': '2026-11-17T06:00:00Z', 'unused': true},"
    " {'policy': 'web', 'direction': 'egress', 'index': 1, 'name': 'no\\nmetadata', 'deny': true, 'staged': false,"
    "  'shared': false, 'kernel_rules': 0, 'hits': 0, 'bytes': 0, 'denied': 3,"
    "  'last_hit': '2026-11-20T09:59:51Z', 'since': '2026-11-20T09:00:00Z', 'unused': false},"
    " {'policy': 'web', 'direction': 'egress', 'index': 2, 'name': null, 'deny': false, 'staged': true,"
    "  'shared': false, 'kernel_rules': 0, 'hits': 0, 'bytes': 0, 'denied': 0,"
    "  'last_hit': null, 'since': '2026-11-20T09:00:00Z', 'unused': false},"
    " {'policy': 'web', 'direction': 'egress', 'index': 3, 'name': null, 'deny': false, 'staged': false,"
    "  'shared': false, 'kernel_rules': 1, 'hits': 7, 'bytes': 420, 'denied': 0,"
    "  'last_hit': '2026-11-20T11:00:00Z', 'since': '2026-11-20T09:00:00Z', 'unused': false}]}}";

static const char rules_expected[] =
    "  POLICY  RULE                        HITS  BYTES  LAST HIT\n"
    "  db      ingress 1                   1204  72240  1m10s ago      shared with other rules of its policy\n"
    "          ingress backup                 0      0  never in 3d4h  no container has it\n"
    "  web     deny egress no\\x0ametadata     3  -      9s ago         denied, of what the log tells\n"
    "          egress 2                       0      0  -              its policy is staged: not in the kernel\n"
    "          egress 3                       7    420  0s ago\n"
    "\n"
    "A hit is a packet that begins a connection, and BYTES are of these packets; what belongs to a\n"
    "connection that stands meets no rule.\n"
    "1 rule has let nothing pass for a day or longer; another rule may let pass the same.\n"
    "the disk is full\n";

static void test_rules(void **state)
{
    json_t *document = load(rules);
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    (void)state;
    assert_non_null(out);
    rules_print(document, out, false);
    fclose(out);
    assert_string_equal(text, rules_expected);
    free(text);
    json_decref(document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),           cmocka_unit_test(test_status),
        cmocka_unit_test(test_status_troubles), cmocka_unit_test(test_status_empty),
        cmocka_unit_test(test_status_tables),   cmocka_unit_test(test_status_unknown),
        cmocka_unit_test(test_status_kept),     cmocka_unit_test(test_verify_same),
        cmocka_unit_test(test_verify_drift),    cmocka_unit_test(test_verify_doubtful),
        cmocka_unit_test(test_verify_tricks),   cmocka_unit_test(test_label_change),
        cmocka_unit_test(test_label_list),      cmocka_unit_test(test_staged),
        cmocka_unit_test(test_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
