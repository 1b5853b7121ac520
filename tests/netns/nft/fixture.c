// SPDX-License-Identifier: GPL-2.0-or-later
#include "fixture.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "ruleset/delta.h"
#include "ruleset/print.h"
#include "util/mem.h"

int fixture_setup(void **state)
{
    struct fixture *fixture = xnew(struct fixture);

    if (unshare(CLONE_NEWNET) < 0 || nft_socket_open(&fixture->nft) < 0) {
        free(fixture);
        return -1;
    }
    *state = fixture;
    return 0;
}

int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;

    nft_socket_close(fixture->nft);
    diags_clear(&fixture->diags);
    free(fixture);
    return 0;
}

static char *run(const char *command, int *ret_status)
{
    FILE *pipe = popen(command, "r");
    char *text = NULL;
    size_t n = 0;

    assert_non_null(pipe);
    for (int c; (c = fgetc(pipe)) != EOF;)
        *ARRAY_ADD(text, n) = (char)c;
    *ARRAY_ADD(text, n) = '\0';
    *ret_status = pclose(pipe);
    return text;
}

int witness_status(const char *command)
{
    int status;

    free(run(command, &status));
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

char *witness(const char *command)
{
    int status;
    char *text = run(command, &status);

    if (status != 0)
        fail_msg("%s: status %d: %s", command, status, text);
    return text;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* "a, b }" -> sorted; the pieces point into the list, which is changed. */
static void print_sorted(char *list, FILE *out)
{
    char **pieces = NULL, *save = NULL;
    size_t n = 0;

    for (char *piece = strtok_r(list, ",", &save); piece; piece = strtok_r(NULL, ",", &save)) {
        size_t len;

        piece += strspn(piece, " \t\n");
        len = strlen(piece);
        while (len > 0 && strchr(" \t\n", piece[len - 1]))
            piece[--len] = '\0';
        *ARRAY_ADD(pieces, n) = piece;
    }
    qsort(pieces, n, sizeof(*pieces), compare_texts);
    for (size_t i = 0; i < n; i++)
        fprintf(out, "%s%s", i ? ", " : "", pieces[i]);
    free(pieces);
}

static void print_without_empty_lines(const char *text, size_t len, FILE *out)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] != '\n' || (i > 0 && text[i - 1] != '\n'))
            fputc(text[i], out);
    }
}

char *normalise(const char *text)
{
    static const char start[] = "elements = { ";
    char *result = NULL;
    size_t len;
    FILE *out = open_memstream(&result, &len);

    assert_non_null(out);
    for (;;) {
        const char *list = strstr(text, start);
        const char *end = list ? strchr(list + strlen(start), '}') : NULL;
        char *copy;

        if (!list || !end)
            break;
        list += strlen(start);
        print_without_empty_lines(text, (size_t)(list - text), out);
        copy = xstrndup(list, (size_t)(end - list));
        print_sorted(copy, out);
        fputc(' ', out);
        free(copy);
        text = end;
    }
    print_without_empty_lines(text, strlen(text), out);
    fclose(out);
    return result;
}

char *ruleset_text(const struct ruleset *ruleset)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    ruleset_print(ruleset, out);
    fclose(out);
    return text;
}

static void assert_lists(const struct ruleset *ruleset, const char *command)
{
    _cleanup_free_ char *printed = ruleset_text(ruleset);
    _cleanup_free_ char *listed = witness(command);
    _cleanup_free_ char *expected = normalise(printed);
    _cleanup_free_ char *found = normalise(listed);

    assert_string_equal(found, expected);
}

#define LIST "nft -s list table bridge cofferdam; nft -s list table inet cofferdam"

void assert_listed(const struct ruleset *ruleset)
{
    assert_lists(ruleset, LIST);
}

void assert_listed_protected(const struct ruleset *ruleset)
{
    _cleanup_free_ char *owned = witness("{ " LIST "; } | grep -c '^\tflags owner$'");
    _cleanup_free_ char *name = witness("{ " LIST "; } | grep -c ' # progname '");

    assert_string_equal(owned, "2\n");
    assert_string_equal(name, "2\n");
    assert_lists(ruleset, "{ " LIST "; } | sed '/^\tflags owner$/d; s/ # progname .*//'");
}

void assert_listed_orphaned(const struct ruleset *ruleset)
{
    _cleanup_free_ char *flags = witness("{ " LIST "; } | grep -cE '^\tflags *(persist)?$'");

    assert_string_equal(flags, "2\n");
    assert_lists(ruleset, "{ " LIST "; } | sed '/^\tflags/d'");
}

void assert_done(struct fixture *fixture, int r)
{
    diags_print(&fixture->diags, stderr, false);
    assert_int_equal(r, 0);
    assert_int_equal(fixture->diags.n, 0);
}

void assert_said(const struct fixture *fixture, const char *text)
{
    for (size_t i = 0; i < fixture->diags.n; i++) {
        const struct diag *diag = &fixture->diags.v[i];

        if (strstr(diag->message, text) || (diag->help && strstr(diag->help, text)))
            return;
    }
    diags_print(&fixture->diags, stderr, false);
    fail_msg("nothing says: %s", text);
}

void load(struct fixture *fixture, const struct ruleset *ruleset)
{
    _cleanup_delta_ struct delta delta = {0};

    delta_load(ruleset, &delta);
    assert_done(fixture, nft_apply(fixture->nft, &delta, &fixture->diags));
}
