/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What was done without a daemon: it is read as it was written, damage opens nothing, and a merge can be done again. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "files/lock_files.h"
#include "files/state_files.h"
#include "util/mem.h"
#include "verdict/lock_list.h"

#define CONTAINERS 4

/* ---- making them -------------------------------------------------------------------------------------- */

/* c0, c1, ... with the IDs aaaa0, aaaa1, ... and the addresses 10.0.0.1, 10.0.0.2, ... */
static struct inventory *make_inventory(void)
{
    struct inventory *inventory = inventory_new();

    for (unsigned i = 0; i < CONTAINERS; i++) {
        struct container *container = container_new();
        struct endpoint *endpoint = ARRAY_ADD(container->endpoints, container->n_endpoints);

        container->id = xasprintf("aaaa%u", i);
        container->name = xasprintf("c%u", i);
        container->running = true;
        endpoint->id = xstrdup("endpoint");
        endpoint->ip[IP4] = (struct ip){.num = 0x0a000001 + i, .family = IP4};
        endpoint->has_ip[IP4] = true;
        inventory_put_container(inventory, container);
    }
    return inventory;
}

static struct lock_op make_op(enum lock_op_kind kind, unsigned request)
{
    struct lock_op op = {.kind = kind, .time = 1700000000, .by = xstrdup("user 0")};

    snprintf(op.request, sizeof(op.request), "%032x", request);
    return op;
}

static struct lock_op lock_of(unsigned request, const char *name, const char *address)
{
    struct lock_op op = make_op(LOCK_OP_LOCK, request);
    struct lock *lock = lock_new();
    const char *why;

    lock->name = xstrdup_null(name);
    if (name)
        lock->id = xasprintf("aaaa%s", name + 1);
    if (address)
        assert_int_equal(lock_by_address(lock, address, &why), 0);
    op.locks = lock_list_new();
    lock_list_add(op.locks, lock);
    return op;
}

static struct lock_op release_of(unsigned request, const char *word)
{
    struct lock_op op = make_op(LOCK_OP_RELEASE, request);

    *ARRAY_ADD(op.words, op.n_words) = xstrdup(word);
    return op;
}

static struct lock_pending some_ops(void)
{
    const struct lock_op ops[] = {lock_of(1, "c0", NULL), release_of(2, "c0"), lock_of(3, "c1", NULL),
                                  make_op(LOCK_OP_RELEASE_ALL, 4), lock_of(5, NULL, "10.0.0.3")};
    struct lock_pending pending = {.v = xcalloc(ARRAY_SIZE(ops), sizeof(ops[0])), .n = ARRAY_SIZE(ops)};

    memcpy(pending.v, ops, sizeof(ops));
    return pending;
}

/* The caller frees it. */
static char *format_all(const struct lock_pending *pending)
{
    char *text = xstrdup("");

    for (size_t i = 0; i < pending->n; i++) {
        _cleanup_free_ char *line = lock_op_format(&pending->v[i], i + 1);
        char *longer = xasprintf("%s%s", text, line);

        free(text);
        text = longer;
    }
    return text;
}

/* "c0 c1 ": whom the list locks down. */
static void meant(const struct lock_list *list, const struct inventory *inventory, char ret[static 64])
{
    ret[0] = '\0';
    for (unsigned i = 0; i < CONTAINERS; i++) {
        const struct container *container;
        char name[16];

        snprintf(name, sizeof(name), "c%u", i);
        assert_int_equal(inventory_find(inventory, name, &container), 0);
        if (lock_effect(list, inventory, container).cut)
            strcat(strcat(ret, name), " ");
    }
}

static void assert_meant(const struct lock_list *list, const struct inventory *inventory, const char *want)
{
    char is[64];

    meant(list, inventory, is);
    assert_string_equal(is, want);
}

/* ---- the file ----------------------------------------------------------------------------------------- */

static void what_is_written_is_read_again(void **state)
{
    _cleanup_pending_ struct lock_pending pending = some_ops(), read = {0};
    _cleanup_free_ char *text = format_all(&pending), *again = NULL;

    (void)state;
    lock_pending_parse(text, strlen(text), &read);
    assert_false(read.damaged);
    again = format_all(&read);
    /* each lock has learned its request */
    _cleanup_pending_ struct lock_pending read_again = {0};
    lock_pending_parse(again, strlen(again), &read_again);
    _cleanup_free_ char *third = format_all(&read_again);
    assert_string_equal(again, third);
    assert_int_equal(read_again.n, 5);
    assert_string_equal(read_again.v[2].locks->v[0]->name, "c1");
    assert_string_equal(read_again.v[1].words[0], "c0");
    assert_int_equal(read_again.v[3].kind, LOCK_OP_RELEASE_ALL);
}

static bool locks_name(const struct lock_pending *pending, const char *text)
{
    for (size_t i = 0; i < pending->n; i++)
        for (size_t j = 0; pending->v[i].kind == LOCK_OP_LOCK && j < pending->v[i].locks->n; j++)
            if (strcmp(lock_text(pending->v[i].locks->v[j]), text) == 0)
                return true;
    return false;
}

/* Any byte: the locks of other lines are still there, and no release in front of the damage is. */
static void damage_opens_nothing(void **state)
{
    static const char *const names[] = {"c0", "", "c1", "", "10.0.0.3"};
    _cleanup_pending_ struct lock_pending pending = some_ops();
    _cleanup_free_ char *text = format_all(&pending);
    size_t len = strlen(text), line = 0;

    (void)state;
    for (size_t i = 0; i < len; i++) {
        bool at_end = text[i] == '\n';
        _cleanup_pending_ struct lock_pending read = {0};

        text[i] ^= 1;
        lock_pending_parse(text, len, &read);
        text[i] ^= 1;
        assert_true(read.damaged);
        for (size_t j = 0; j < ARRAY_SIZE(names); j++)
            if (names[j][0] && j != line && !(at_end && j == line + 1))
                assert_true(locks_name(&read, names[j]));
        for (size_t j = 0; j < read.n; j++)
            assert_true(read.v[j].kind == LOCK_OP_LOCK || strtoul(read.v[j].request, NULL, 16) > line + 1);
        line += at_end;
    }
}

static void a_line_that_is_missing_is_damage(void **state)
{
    _cleanup_pending_ struct lock_pending pending = some_ops(), read = {0};
    _cleanup_free_ char *text = format_all(&pending);
    char *second = strchr(text, '\n') + 1, *third = strchr(second, '\n') + 1;

    (void)state;
    memmove(second, third, strlen(third) + 1);
    lock_pending_parse(text, strlen(text), &read);
    assert_true(read.damaged);
    assert_true(locks_name(&read, "c0") && locks_name(&read, "c1"));
}

static void nothing_to_be_read_is_damage(void **state)
{
    static const char *const texts[] = {"", "\n", "{}", "0123456789abcdef {}\n", "\xff\xff"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        _cleanup_pending_ struct lock_pending read = {0};

        lock_pending_parse(texts[i], strlen(texts[i]), &read);
        assert_true(read.damaged);
        assert_int_equal(read.n, 0);
    }
}

/* ---- merging ------------------------------------------------------------------------------------------ */

static void in_order(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inventory = make_inventory();
    _cleanup_pending_ struct lock_pending pending = some_ops();
    _cleanup_(lock_list_freep) struct lock_list *list = NULL, *again = NULL;

    (void)state;
    pending.n = 3;
    list = lock_pending_merge(NULL, &pending, inventory);
    assert_meant(list, inventory, "c1 ");
    pending.n = 5;
    again = lock_pending_merge(list, &pending, inventory);
    assert_meant(again, inventory, "c2 ");
    assert_string_equal(again->v[0]->name, "c2"); /* by who has the address */
    assert_false(lock_is_nameless(again->v[0]));
}

static void an_address_that_nobody_has_stays(void **state)
{
    _cleanup_(inventory_freep) struct inventory *nobody = inventory_new(), *inventory = make_inventory();
    _cleanup_pending_ struct lock_pending pending = some_ops();
    _cleanup_(lock_list_freep) struct lock_list *list = lock_pending_merge(NULL, &pending, nobody);

    (void)state;
    assert_int_equal(list->n, 1);
    assert_true(lock_is_nameless(list->v[0]));
    assert_meant(list, inventory, "c2 ");
    assert_true(lock_list_identify(list, inventory));
    assert_false(lock_list_identify(list, inventory));
    assert_string_equal(lock_text(list->v[0]), "c2");
}

/* A release that was carried out must not be, a second time, behind a later lockdown. */
static void a_release_is_not_repeated(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inventory = make_inventory();
    _cleanup_pending_ struct lock_pending pending = {.v = xcalloc(1, sizeof(struct lock_op)), .n = 1};
    _cleanup_pending_ struct lock_pending later = {.v = xcalloc(1, sizeof(struct lock_op)), .n = 1};
    _cleanup_(lock_list_freep) struct lock_list *first = NULL, *second = NULL, *third = NULL;

    (void)state;
    pending.v[0] = release_of(1, "c0");
    later.v[0] = lock_of(2, "c0", NULL);
    first = lock_pending_merge(NULL, &pending, inventory);
    second = lock_pending_merge(first, &later, inventory);
    third = lock_pending_merge(second, &pending, inventory);
    assert_meant(third, inventory, "c0 ");
}

/* ---- against a naive model ---------------------------------------------------------------------------- */

static struct lock_op random_op(unsigned request, bool model[static CONTAINERS])
{
    unsigned who = (unsigned)rand() % CONTAINERS, what = (unsigned)rand() % 8;
    char name[16], address[16], id[16];

    snprintf(name, sizeof(name), "c%u", who);
    snprintf(id, sizeof(id), "aaaa%u", who);
    snprintf(address, sizeof(address), "10.0.0.%u", who + 1);
    if (what == 0) {
        memset(model, 0, CONTAINERS * sizeof(*model));
        return make_op(LOCK_OP_RELEASE_ALL, request);
    }
    model[who] = what < 5;
    if (what < 4)
        return lock_of(request, name, NULL);
    if (what == 4)
        return lock_of(request, NULL, address);
    return release_of(request, what == 5 ? name : id);
}

static void assert_model(const struct lock_list *list, const struct inventory *inventory,
                         const bool model[static CONTAINERS])
{
    char want[64] = "", name[16];

    for (unsigned i = 0; i < CONTAINERS; i++)
        if (model[i]) {
            snprintf(name, sizeof(name), "c%u ", i);
            strcat(want, name);
        }
    assert_meant(list, inventory, want);
}

/* In one go, in two with the first part again, and with what comes of it again: always the same. */
static void as_the_naive_model(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inventory = make_inventory();

    (void)state;
    srand(1);
    for (unsigned round = 0; round < 2000; round++) {
        unsigned n = 1 + (unsigned)rand() % 12, part = (unsigned)rand() % (n + 1);
        bool model[CONTAINERS] = {0};
        _cleanup_pending_ struct lock_pending pending = {.v = xcalloc(n, sizeof(struct lock_op)), .n = n};

        for (unsigned i = 0; i < n; i++)
            pending.v[i] = random_op(round * 100 + i, model);
        _cleanup_(lock_list_freep) struct lock_list *whole = lock_pending_merge(NULL, &pending, inventory);
        assert_model(whole, inventory, model);
        pending.n = part;
        _cleanup_(lock_list_freep) struct lock_list *some = lock_pending_merge(NULL, &pending, inventory);
        pending.n = n;
        _cleanup_(lock_list_freep) struct lock_list *rest = lock_pending_merge(some, &pending, inventory);
        assert_model(rest, inventory, model);
        _cleanup_(lock_list_freep) struct lock_list *again = lock_pending_merge(rest, &pending, inventory);
        assert_model(again, inventory, model);
    }
}

/* ---- on the disk -------------------------------------------------------------------------------------- */

#define WRITERS 8
#define EACH 10

static void write_some(const char *directory, unsigned writer)
{
    for (unsigned i = 0; i < EACH; i++) {
        struct lock_op op = lock_of(writer * 100 + i, "c0", NULL);
        int fd = -1;

        if (lock_pending_hold(directory, 20000, &fd) < 0 || lock_pending_append(directory, &op) < 0)
            _exit(1);
        close(fd);
        lock_op_clear(&op);
    }
    _exit(0);
}

static void many_may_write(void **state)
{
    char directory[] = "/tmp/cofferdam-pending-XXXXXX";
    _cleanup_pending_ struct lock_pending read = {0};
    int status;

    (void)state;
    assert_non_null(mkdtemp(directory));
    for (unsigned i = 0; i < WRITERS; i++)
        if (fork() == 0)
            write_some(directory, i);
    for (unsigned i = 0; i < WRITERS; i++) {
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    assert_int_equal(lock_pending_load(directory, &read), 0);
    assert_false(read.damaged);
    assert_int_equal(read.n, WRITERS * EACH);
    assert_int_equal(state_remove(directory, LOCK_PENDING_FILE), 0);
    assert_int_equal(state_remove(directory, LOCK_PENDING_LOCK), 0);
    assert_int_equal(rmdir(directory), 0);
}

static void what_is_damaged_is_kept_in_front(void **state)
{
    char directory[] = "/tmp/cofferdam-pending-XXXXXX";
    _cleanup_pending_ struct lock_pending read = {0};
    struct lock_op op = lock_of(1, "c0", NULL);

    (void)state;
    assert_non_null(mkdtemp(directory));
    assert_int_equal(lock_pending_load(directory, &read), -ENOENT);
    assert_int_equal(state_save(directory, LOCK_PENDING_FILE, "torn"), 0);
    assert_int_equal(lock_pending_append(directory, &op), 0);
    assert_int_equal(lock_pending_load(directory, &read), 0);
    assert_true(read.damaged);
    assert_true(locks_name(&read, "c0"));
    lock_op_clear(&op);
    assert_int_equal(state_remove(directory, LOCK_PENDING_FILE), 0);
    assert_int_equal(rmdir(directory), 0);
}

static void requests_differ(void **state)
{
    char a[LOCK_REQUEST_SIZE], b[LOCK_REQUEST_SIZE];

    (void)state;
    assert_int_equal(lock_request_new(a), 0);
    assert_int_equal(lock_request_new(b), 0);
    assert_true(lock_request_is_valid(a) && lock_request_is_valid(b));
    assert_string_not_equal(a, b);
    assert_false(lock_request_is_valid(""));
    assert_false(lock_request_is_valid("0123456789ABCDEF0123456789ABCDEF"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(damage_opens_nothing),
        cmocka_unit_test(a_line_that_is_missing_is_damage),
        cmocka_unit_test(nothing_to_be_read_is_damage),
        cmocka_unit_test(in_order),
        cmocka_unit_test(an_address_that_nobody_has_stays),
        cmocka_unit_test(a_release_is_not_repeated),
        cmocka_unit_test(as_the_naive_model),
        cmocka_unit_test(many_may_write),
        cmocka_unit_test(what_is_damaged_is_kept_in_front),
        cmocka_unit_test(requests_differ),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
