/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes to nodes: places, characters, documents, and how much is refused how fast. */
#include "helpers.h"

#include <time.h>

#include "tree.h"

/* The documents of a text, as they come; stops at the first that cannot be read. */
struct documents {
    struct source source;
    struct node *v[8];
    size_t n;
    int last;
};

static void read_documents(struct documents *documents, const char *text)
{
    const struct diags none = {0};
    struct yaml_reader *reader;

    *documents = (struct documents){0};
    source_init(&documents->source, "t", text, strlen(text), &none);
    assert_int_equal(source_check(&documents->source), 0);
    reader = yaml_reader_new(&documents->source);
    while ((documents->last = yaml_reader_next(reader, &documents->v[documents->n])) > 0)
        documents->n++;
    yaml_reader_free(reader);
}

static void free_documents(struct documents *documents)
{
    for (size_t i = 0; i < documents->n; i++)
        node_free(documents->v[i]);
    source_clear(&documents->source);
}

static void test_places(void **state)
{
    struct documents documents;
    const struct node *root, *list;

    (void)state;
    read_documents(&documents, "\xef\xbb\xbf# head\nkey: väl # x\n'ö: 1': [a, \"b c\", {d: e}]\n");
    assert_int_equal(documents.n, 1);
    root = documents.v[0];
    assert_int_equal(root->kind, NODE_MAPPING);
    assert_int_equal(root->n, 2);
    assert_int_equal(root->pos.line, 2);
    assert_int_equal(root->pos.column, 1);
    assert_int_equal(root->pairs[0].value->pos.column, 6);
    assert_int_equal(root->pairs[0].value->pos.width, 3); /* characters, not bytes */
    list = mapping_get(root, "ö: 1");
    assert_non_null(list);
    assert_int_equal(list->kind, NODE_LIST);
    assert_false(list->block);
    assert_int_equal(list->n, 3);
    assert_int_equal(list->pos.line, 3);
    assert_int_equal(list->pos.column, 9);
    assert_true(list->items[0]->plain);
    assert_false(list->items[1]->plain);
    assert_string_equal(list->items[1]->text, "b c");
    assert_int_equal(list->items[1]->pos.column, 13);
    assert_int_equal(list->items[1]->pos.width, 5);
    assert_string_equal(mapping_get(list->items[2], "d")->text, "e");
    assert_null(mapping_get(root, "none"));
    assert_null(mapping_get(list, "d"));
    free_documents(&documents);
}

static void test_null(void **state)
{
    static const bool expected[] = {true, true, true, true, false, false, false, true};
    struct documents documents;

    (void)state;
    read_documents(&documents, "[~, null, Null, NULL, 'null', \"\", nULL, ]\n---\n- \n");
    assert_int_equal(documents.n, 2);
    for (size_t i = 0; i < documents.v[0]->n; i++)
        assert_int_equal(node_is_null(documents.v[0]->items[i]), expected[i]);
    assert_int_equal(documents.v[0]->n, 7);
    assert_true(node_is_null(documents.v[1]->items[0]));
    free_documents(&documents);
}

static void test_documents(void **state)
{
    struct documents documents;

    (void)state;
    read_documents(&documents, "a\n--- b\n...\n---\nc: d\n---\n");
    assert_int_equal(documents.n, 4);
    assert_int_equal(documents.last, 0);
    assert_string_equal(documents.v[1]->text, "b");
    assert_int_equal(documents.v[2]->pos.line, 5);
    assert_true(node_is_null(documents.v[3]));
    assert_int_equal(documents.v[3]->pos.line, 6);
    free_documents(&documents);
}

static void test_goes_on_behind_a_broken_document(void **state)
{
    _cleanup_(policy_set_freep) struct policy_set *set = policy_set_new();
    _cleanup_diags_ struct diags diags = {0};
    const char text[] =
        "policy: a\nselect: [\n---\npolicy: b\nselect: {all: true}\n--- }\n---\npolicy: c\nmode: x\n";

    (void)state;
    assert_int_equal(policy_parse(set, "f", text, strlen(text), &diags), -EBADMSG);
    assert_int_equal(set->n_policies, 1);
    assert_string_equal(set->policies[0].name, "b");
    assert_int_equal(diags.n_errors, 4);
    assert_int_equal(diags.v[0].line, 3);
    assert_int_equal(diags.v[1].line, 6);
    assert_int_equal(diags.v[2].line, 8); /* 'select' is missing */
    assert_int_equal(diags.v[3].line, 9);
    assert_int_equal(diags.v[3].column, 7);
}

static void test_utf8(void **state)
{
    static const struct {
        const char *bytes;
        size_t len, size;
        uint32_t character;
    } cases[] = {
        {"a", 1, 1, 'a'},
        {"\0", 1, 1, 0},
        {"\xc3\xa4x", 3, 2, 0xe4},
        {"\xe2\x82\xac", 3, 3, 0x20ac},
        {"\xf0\x9f\x90\xb3", 4, 4, 0x1f433},
        {"\xf4\x8f\xbf\xbf", 4, 4, 0x10ffff},
        {"\xc3", 1, 0, 0},             /* cut off */
        {"\xc3(", 2, 0, 0},            /* no continuation */
        {"\x80", 1, 0, 0},             /* nothing but continuation */
        {"\xc0\x80", 2, 0, 0},         /* overlong NUL */
        {"\xc1\xbf", 2, 0, 0},         /* overlong */
        {"\xe0\x9f\xbf", 3, 0, 0},     /* overlong */
        {"\xf0\x8f\xbf\xbf", 4, 0, 0}, /* overlong */
        {"\xed\xa0\x80", 3, 0, 0},     /* surrogate */
        {"\xf4\x90\x80\x80", 4, 0, 0}, /* above the last */
        {"\xf5\x80\x80\x80", 4, 0, 0},
        {"\xff", 1, 0, 0},
        {"", 0, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint32_t character = 0;

        assert_int_equal(utf8_decode(cases[i].bytes, cases[i].len, &character), cases[i].size);
        if (cases[i].size)
            assert_int_equal(character, cases[i].character);
    }
}

static void test_characters(void **state)
{
    static const uint32_t control[] = {0, 7, '\r', 0x1b, 0x7f, 0x85, 0x9f, 0xfffe, 0xffff};
    static const uint32_t invisible[] = {0xad,   0x61c,  0x200b, 0x200e, 0x200f, 0x2028, 0x2029,
                                         0x202a, 0x202e, 0x2060, 0x2066, 0x2069, 0xfeff};
    static const uint32_t printable[] = {'\n', '\t', ' ', '~', 0xa0, 0xe4, 0x20ac, 0x2027, 0x202f, 0x1f433};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(control); i++)
        assert_int_equal(char_classify(control[i]), CHAR_CONTROL);
    for (size_t i = 0; i < ARRAY_SIZE(invisible); i++)
        assert_int_equal(char_classify(invisible[i]), CHAR_INVISIBLE);
    for (size_t i = 0; i < ARRAY_SIZE(printable); i++)
        assert_int_equal(char_classify(printable[i]), CHAR_PRINTABLE);
}

/* What a message quotes is cut between characters, and cannot steer a terminal. */
static void test_shown(void **state)
{
    char shown[SHOWN_MAX], many[400];
    uint32_t character;

    (void)state;
    assert_string_equal(text_shown("plain ä", shown), "plain ä");
    assert_string_equal(text_shown("a\x1b[31m\nb\xff", shown), "a?[31m?b?");
    memset(many, 'x', sizeof(many));
    for (size_t i = 1; i + 1 < sizeof(many); i += 2)
        memcpy(many + i, "\xc3\xa4", 2);
    many[sizeof(many) - 1] = '\0';
    text_shown(many, shown);
    assert_true(strlen(shown) < SHOWN_MAX);
    assert_string_equal(shown + strlen(shown) - 3, "...");
    for (size_t at = 0, size; at < strlen(shown); at += size) {
        size = utf8_decode(shown + at, strlen(shown) - at, &character);
        assert_true(size > 0);
    }
}

/* ---- size, depth, time -------------------------------------------------------------------------------- */

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Refused within this much of the processor's time; even with sanitizers that is far from what the input
 * could cost. */
#define SOON 2.0

static void expect_soon(const char *bytes, size_t len, const char *code)
{
    double begin = seconds();
    _cleanup_free_ char *codes = codes_of(bytes, len);

    if (strncmp(codes, code, strlen(code)) != 0)
        fail_msg("%.20s...: %s instead of %s", bytes, codes, code);
    assert_true(seconds() - begin < SOON);
}

static char *repeat(const char *unit, size_t len)
{
    char *text = xcalloc(len + 1, 1);
    size_t unit_len = strlen(unit);

    for (size_t i = 0; i < len; i++)
        text[i] = unit[i % unit_len];
    return text;
}

static void test_two_megabytes_of_brackets(void **state)
{
    _cleanup_free_ char *text = repeat("[", 2 * 1024 * 1024);

    (void)state;
    expect_soon(text, 2 * 1024 * 1024, "C002");
}

static void test_costly_files(void **state)
{
    static const struct {
        const char *unit, *code;
    } cases[] = {
        {"[", "C007"},       {"{a: ", "C007"},     {"- ", "C007"},
        {"? ", "C007"},      {"[\n---\n", "C001"}, {"{", "C007"},
        {"a: *b\n", "C010"}, {"&a ", "C009"},      {"!a ", "C012"},
        {"a", "C015"},       {"'", "C0"},          {"- a\n", "C023"},
        {"a: b\n", "C013"},  {"---\n", "C008"},    {"[[[[[[[[[[],[],[],[],[],[]]]]]]]]],", "C0"},
        {"\xff\n", "C003"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *text = repeat(cases[i].unit, POLICY_FILE_MAX);

        expect_soon(text, POLICY_FILE_MAX, cases[i].code);
    }
}

/* Many different keys: looking for duplicates must not compare each with each. */
static void test_many_keys(void **state)
{
    _cleanup_free_ char *text = xcalloc(POLICY_FILE_MAX + 32, 1);
    size_t len = (size_t)sprintf(text, "policy: p\nselect: {labels: {");

    (void)state;
    for (int i = 0; len < POLICY_FILE_MAX - 32; i++)
        len += (size_t)sprintf(text + len, "k%d: v, ", i);
    len += (size_t)sprintf(text + len, "k1: v}}\n");
    expect_soon(text, len, "C013");
}

static void test_size_limit(void **state)
{
    _cleanup_free_ char *text = repeat("#", POLICY_FILE_MAX + 1);

    (void)state;
    memcpy(text, "policy: p\nselect: {all: true}\n", 30);
    expect_soon(text, POLICY_FILE_MAX, ""); /* just fits */
    {
        _cleanup_free_ char *codes = codes_of(text, POLICY_FILE_MAX);
        assert_string_equal(codes, "");
    }
    expect_soon(text, POLICY_FILE_MAX + 1, "C002");
}

/* The 32nd level is allowed, the 33rd is not. */
static void test_depth_limit(void **state)
{
    for (unsigned depth = 30; depth <= 34; depth++) {
        _cleanup_free_ char *open = repeat("[", depth), *close = repeat("]", depth);
        _cleanup_free_ char *text = xasprintf("%s%s", open, close);

        (void)state;
        assert_codes(text, depth <= YAML_DEPTH_MAX ? "C023" : "C007");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),       cmocka_unit_test(test_null),
        cmocka_unit_test(test_documents),    cmocka_unit_test(test_goes_on_behind_a_broken_document),
        cmocka_unit_test(test_utf8),         cmocka_unit_test(test_characters),
        cmocka_unit_test(test_shown),        cmocka_unit_test(test_two_megabytes_of_brackets),
        cmocka_unit_test(test_costly_files), cmocka_unit_test(test_many_keys),
        cmocka_unit_test(test_size_limit),   cmocka_unit_test(test_depth_limit),
    };

    return cmocka_run_group_tests_name("policy tree", tests, NULL, NULL);
}
