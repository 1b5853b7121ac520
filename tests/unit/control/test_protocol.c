/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control protocol's codec: diagnostics there and back, and answers that are none. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "control/protocol.h"

static void assert_same_text(const char *a, const char *b)
{
    if (!a || !b)
        assert_ptr_equal(a, b);
    else
        assert_string_equal(a, b);
}

static void assert_same_diag(const struct diag *a, const struct diag *b)
{
    assert_int_equal(a->level, b->level);
    assert_same_text(a->code, b->code);
    assert_same_text(a->file, b->file);
    assert_int_equal(a->line, b->line);
    assert_int_equal(a->column, b->column);
    if (a->line)
        assert_int_equal(a->width, b->width);
    assert_same_text(a->message, b->message);
    assert_same_text(a->help, b->help);
    assert_same_text(a->source_line, b->source_line);
    assert_same_text(a->other_message, b->other_message);
    if (a->other_message) {
        assert_same_text(a->other_file, b->other_file);
        assert_int_equal(a->other_line, b->other_line);
        assert_int_equal(a->other_column, b->other_column);
    }
}

static void diagnostics_survive_the_way(void **state)
{
    _cleanup_diags_ struct diags before = {0}, after = {0};
    const struct source_pos pos = {"policies/shop.yaml", 12, 5, 7}, other = {"policies/base.yaml", 3, 1, 1};
    struct diag *diag;

    (void)state;
    diag = diag_add(&before, DIAG_ERROR, "C012", &pos, "unknown key '%s'", "ingres");
    diag_help(diag, "did you mean 'ingress'?");
    diag_source_line(diag, "    ingres: \"ü\" \\", strlen("    ingres: \"ü\" \\"));
    diag_other(diag, &other, "first defined here");
    diag_add(&before, DIAG_WARNING, NULL, NULL, "something %d", 3);
    diag_add(&before, DIAG_NOTE, NULL, &(struct source_pos){.file = "a.yaml", .width = 1},
             "about the whole file");

    json_t *json = diags_to_json(&before);
    char *text = json_dumps(json, 0);
    json_t *read = json_loads(text, 0, NULL);
    assert_non_null(read);
    assert_int_equal(diags_from_json(read, &after), 0);
    assert_int_equal(after.n, before.n);
    assert_int_equal(after.n_errors, 1);
    for (size_t i = 0; i < before.n; i++)
        assert_same_diag(&before.v[i], &after.v[i]);
    json_decref(json);
    json_decref(read);
    free(text);
}

static void text_that_is_no_utf8_is_still_json(void **state)
{
    _cleanup_diags_ struct diags diags = {0};

    (void)state;
    diag_source_line(diag_add(&diags, DIAG_ERROR, NULL, NULL, "invalid UTF-8 in \xff.yaml"), "a\xff z", 4);
    json_t *json = diags_to_json(&diags);
    assert_string_equal(json_string_value(json_object_get(json_array_get(json, 0), "message")),
                        "invalid UTF-8 in ?.yaml");
    assert_true(json_is_null(json_object_get(json_array_get(json, 0), "source_line")));
    json_decref(json);
}

static void broken_diagnostics_are_refused_whole(void **state)
{
    static const char *const broken[] = {
        "{}",
        "[1]",
        "[{\"level\": \"error\"}]",
        "[{\"level\": \"fatal\", \"message\": \"x\"}]",
        "[{\"message\": \"x\"}]",
        "[{\"level\": \"error\", \"message\": \"x\", \"file\": \"f\", \"line\": -1}]",
        "[{\"level\": \"error\", \"message\": \"x\", \"file\": \"f\", \"line\": \"1\"}]",
        "[{\"level\": \"error\", \"message\": \"x\", \"file\": \"f\", \"line\": 4294967296}]",
        "[{\"level\": \"error\", \"message\": \"good\"}, {\"level\": \"error\", \"message\": 1}]",
        "[{\"level\": \"error\", \"message\": \"x\", \"other\": {\"file\": \"f\"}}]",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
        _cleanup_diags_ struct diags diags = {0};
        json_t *json = json_loads(broken[i], 0, NULL);
        assert_non_null(json);
        assert_int_equal(diags_from_json(json, &diags), -EBADMSG);
        assert_int_equal(diags.n, 0);
        json_decref(json);
    }
}

static void answers_have_the_documented_form(void **state)
{
    _cleanup_diags_ struct diags diags = {0};
    json_t *answer = control_answer(STATUS_ATTENTION, json_pack("{s:i}", "n", 1));
    char *text = json_dumps(answer, JSON_COMPACT | JSON_SORT_KEYS);

    (void)state;
    assert_string_equal(text, "{\"exit\":3,\"ok\":true,\"result\":{\"n\":1}}");
    free(text);
    json_decref(answer);

    diag_add(&diags, DIAG_ERROR, "C001", NULL, "bad");
    answer = control_error(STATUS_ERROR, "no", "do this", &diags);
    text = json_dumps(answer, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(text,
                        "{\"diagnostics\":[{\"code\":\"C001\",\"column\":null,\"file\":null,\"help\":null,"
                        "\"level\":\"error\",\"line\":null,\"message\":\"bad\",\"other\":null,"
                        "\"source_line\":null,\"width\":null}],"
                        "\"error\":\"no\",\"exit\":1,\"help\":\"do this\",\"ok\":false}");
    free(text);
    json_decref(answer);

    answer = control_error(STATUS_USAGE, "no", NULL, NULL);
    text = json_dumps(answer, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(text, "{\"diagnostics\":[],\"error\":\"no\",\"exit\":64,\"help\":null,\"ok\":false}");
    free(text);
    json_decref(answer);

    answer = control_request("status");
    text = json_dumps(answer, JSON_COMPACT);
    assert_string_equal(text, "{\"verb\":\"status\"}");
    free(text);
    json_decref(answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(diagnostics_survive_the_way),
        cmocka_unit_test(text_that_is_no_utf8_is_still_json),
        cmocka_unit_test(broken_diagnostics_are_refused_whole),
        cmocka_unit_test(answers_have_the_documented_form),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
