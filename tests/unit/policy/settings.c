/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The settings file. */
#include "helpers.h"

#include "policy/settings.h"

static int parse(struct settings *settings, const char *text)
{
    _cleanup_diags_ struct diags diags = {0};
    int r = settings_parse(settings, "cofferdam.yaml", text, strlen(text), &diags);

    assert_int_equal(r, diags.n_errors ? -EBADMSG : 0);
    return r;
}

static void test_defaults(void **state)
{
    static const char *const texts[] = {"", "# nothing\n", "---\n", "{}\n"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        _cleanup_(settings_freep) struct settings *settings = settings_new();

        assert_int_equal(parse(settings, texts[i]), 0);
        assert_null(settings->docker);
        assert_string_equal(settings->policies, "/etc/cofferdam/policies");
        assert_string_equal(settings->state, "/var/lib/cofferdam");
        assert_string_equal(settings->control, "/run/cofferdam/control.sock");
        assert_string_equal(settings->audit, "/var/log/cofferdam/audit.log");
        assert_null(settings->control_group);
        assert_int_equal(settings->control_group_may, GROUP_MAY_READ);
        assert_true(settings->managed_all);
        assert_int_equal(settings->n_unmanaged, 0);
        assert_int_equal(settings->default_mode, MODE_ENFORCE);
        assert_int_equal(settings->unknown_endpoints, UNKNOWN_DENY);
        assert_int_equal(settings->protect_table, PROTECT_AUTO);
        assert_false(settings->trust_image_labels);
        assert_int_equal(settings->mark, 0x2000);
        assert_int_equal(settings->log.denied, LOG_DENIED_ON);
        assert_int_equal(settings->log.allowed, LOG_ALLOWED_OFF);
        assert_int_equal(settings->log.journal, LOG_JOURNAL_ON);
        assert_string_equal(settings->log.file, "/var/log/cofferdam/verdicts.log");
        assert_null(settings->metrics.textfile);
        assert_int_equal(settings->metrics.every, 15000000);
    }
}

static void test_all(void **state)
{
    _cleanup_(settings_freep) struct settings *settings = settings_new();

    (void)state;
    assert_int_equal(parse(settings,
                           "docker: unix:///run/d.sock\npolicies: /p\nstate: /s\ncontrol: /c\n"
                           "networks: {managed: [a, b], unmanaged: [c]}\ndefault_mode: audit\n"
                           "unknown_endpoints: internet\nprotect_table: off\nimage_labels: trust\n"
                           "mark: 0x80000000\naudit: /l\n"
                           "control_group: ops\ncontrol_group_may: change\n"
                           "log: {group: 7, rate: 9, denied: off, allowed: on, journal: off, file: /l}\n"
                           "metrics: {textfile: /m.prom, every: 1m30s}\n"),
                     0);
    assert_string_equal(settings->docker, "unix:///run/d.sock");
    assert_string_equal(settings->policies, "/p");
    assert_string_equal(settings->state, "/s");
    assert_string_equal(settings->control, "/c");
    assert_string_equal(settings->audit, "/l");
    assert_string_equal(settings->control_group, "ops");
    assert_int_equal(settings->control_group_may, GROUP_MAY_CHANGE);
    assert_false(settings->managed_all);
    assert_int_equal(settings->n_managed, 2);
    assert_string_equal(settings->managed[1], "b");
    assert_int_equal(settings->n_unmanaged, 1);
    assert_string_equal(settings->unmanaged[0], "c");
    assert_int_equal(settings->default_mode, MODE_AUDIT);
    assert_int_equal(settings->unknown_endpoints, UNKNOWN_INTERNET);
    assert_int_equal(settings->protect_table, PROTECT_OFF);
    assert_true(settings->trust_image_labels);
    assert_int_equal(settings->mark, 0x80000000);
    assert_int_equal(settings->log.group, 7);
    assert_int_equal(settings->log.rate, 9);
    assert_int_equal(settings->log.denied, LOG_DENIED_OFF);
    assert_int_equal(settings->log.allowed, LOG_ALLOWED_ON);
    assert_int_equal(settings->log.journal, LOG_JOURNAL_OFF);
    assert_string_equal(settings->log.file, "/l");
    assert_int_equal(parse(settings, "log: {file: off}\n"), 0);
    assert_null(settings->log.file);
    assert_true(parse(settings, "log: {file: relative}\n") < 0);
}

/* Read over what is there: what the file names is replaced, the rest stays. */
static void test_over(void **state)
{
    _cleanup_(settings_freep) struct settings *settings = settings_new();

    (void)state;
    assert_int_equal(
        parse(settings, "policies: /p\nnetworks: {managed: [a], unmanaged: [c, d]}\nimage_labels: trust\n"),
        0);
    assert_int_equal(parse(settings, "networks: {managed: all}\nimage_labels: ignore\naudit: off\n"), 0);
    assert_string_equal(settings->audit, AUDIT_OFF);
    assert_string_equal(settings->policies, "/p");
    assert_true(settings->managed_all);
    assert_int_equal(settings->n_managed, 0);
    assert_int_equal(settings->n_unmanaged, 2);
    assert_false(settings->trust_image_labels);
    assert_int_equal(parse(settings, "networks: {unmanaged: [e]}\n"), 0);
    assert_int_equal(settings->n_unmanaged, 1);
    assert_string_equal(settings->unmanaged[0], "e");
}

static void test_bad(void **state)
{
    static const char *const texts[] = {
        "docker: tcp://h:1\n",
        "docker: docker.sock\n",
        "docker: unix://relative\n",
        "policies: p\n",
        "networks: all\n",
        "networks: {managed: []}\n",
        "networks: {managed: x}\n",
        "networks: {managed: [a, a]}\n",
        "networks: {managed: [a], unmanaged: [a]}\n",
        "default_mode: off\n",
        "log: {group: 65536}\n",
        "log: {rate: 0}\n",
        "log: {rate: 1e3}\n",
        "log: {group: -1}\n",
        "metrics: off\n",
        "metrics: {every: 15}\n",
        "metrics: {every: 2h}\n",
        "metrics: {textfile: cofferdam.prom}\n",
        "nope: 1\n",
        "audit: audit.log\n",
        "audit: [/a]\n",
        "control_group:\n",
        "control_group: [a]\n",
        "control_group_may: write\n",
        "policies: /a\npolicies: /b\n",
        "{}\n---\n{}\n",
        "- a\n",
        "image_labels: true\n",
        "mark: 0\n",
        "mark: 0x0\n",
        "mark: 0x3000\n",
        "mark: 0x100000000\n",
        "mark: 0x000002000\n",
        "mark: 8192\n",
        "mark: 0x\n",
        "mark: 0x-1\n",
        "mark: 0x2000 0\n",
        "mark: '0x2000'\n",
        "mark: [0x2000]\n",
        "mark: {a: 1}\n",
        "mark:\n",
        "state:\n",
        "\xff",
        "control: /&x\n---\n[",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        _cleanup_(settings_freep) struct settings *settings = settings_new();

        assert_int_equal(parse(settings, texts[i]), -EBADMSG);
        assert_int_equal(settings->mark, MARK_DEFAULT);
    }
    assert_null(settings_free(NULL));
}

/* A socket's path has 107 bytes at most, with or without the scheme in front of it. */
static void test_socket_length(void **state)
{
    (void)state;
    for (int len = 106; len <= 108; len++) {
        for (int scheme = 0; scheme < 2; scheme++) {
            _cleanup_(settings_freep) struct settings *settings = settings_new();
            _cleanup_free_ char *text = xasprintf("docker: %s/%0*d\n", scheme ? "unix://" : "", len - 1, 0);

            assert_int_equal(parse(settings, text), len <= 107 ? 0 : -EBADMSG);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults), cmocka_unit_test(test_all),           cmocka_unit_test(test_over),
        cmocka_unit_test(test_bad),      cmocka_unit_test(test_socket_length),
    };

    return cmocka_run_group_tests_name("policy settings", tests, NULL, NULL);
}
