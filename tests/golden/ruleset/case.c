// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ruleset-case print|apply POLICIES... INVENTORY.json
 *
 * print writes the compiled ruleset as nft text; apply loads it into the kernel of the network namespace that
 * it runs in, and requires that what is read back is the same. --audit, --unknown-internet and --log, in front, set what the
 * host's settings would; --lock=CONTAINER,in|out|both[,PEER...] locks one down, --lock-address=IP and
 * --lock-interface=NAME what has no name. --alone: the lock tables instead, as the command makes them by itself.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "inventory/json.h"
#include "nft/lock_tables.h"
#include "nft/read.h"
#include "policy/parse.h"
#include "ruleset/compare.h"
#include "ruleset/compile.h"
#include "ruleset/lock_tables.h"
#include "ruleset/print.h"
#include "util/mem.h"
#include "verdict/lock.h"

static char *read_file(const char *path, size_t *ret_len)
{
    char *bytes = xcalloc(1, POLICY_FILE_MAX);
    FILE *file = fopen(path, "re");

    if (!file) {
        perror(path);
        exit(1);
    }
    *ret_len = fread(bytes, 1, POLICY_FILE_MAX, file);
    fclose(file);
    return bytes;
}

static void stop_on(const struct diags *diags)
{
    diags_print(diags, stderr, false);
    if (diags->n_errors)
        exit(1);
}

static struct policy_set *load_policies(char **paths, size_t n)
{
    struct policy_set *set = policy_set_new();
    _cleanup_diags_ struct diags diags = {0};

    for (size_t i = 0; i < n; i++) {
        const char *name = strrchr(paths[i], '/') ? strrchr(paths[i], '/') + 1 : paths[i];
        size_t len;
        _cleanup_free_ char *bytes = read_file(paths[i], &len);

        (void)policy_parse(set, name, bytes, len, &diags);
    }
    (void)policy_set_finish(set, &diags);
    stop_on(&diags);
    return set;
}

static struct inventory *load_inventory(const char *path)
{
    _cleanup_diags_ struct diags diags = {0};
    struct inventory *inventory = NULL;
    json_t *json = json_load_file(path, 0, NULL);

    if (!json || inventory_from_json(json, &inventory, &diags) < 0) {
        stop_on(&diags);
        fprintf(stderr, "%s: no inventory\n", path);
        exit(1);
    }
    json_decref(json);
    return inventory;
}

static int read_back(struct nft_socket *socket, const struct ruleset *ruleset)
{
    _cleanup_differences_ struct differences differences = {0};
    _cleanup_nft_tables_ struct nft_tables tables = {0};
    _cleanup_delta_ struct delta delta = {0};
    int r = nft_read_pair(socket, ruleset->pair, &tables);

    if (r < 0)
        return r;
    ruleset_compare(tables.ruleset, ruleset, 10, &differences);
    delta_between(tables.ruleset, ruleset, &delta);
    for (size_t i = 0; i < differences.n; i++)
        fprintf(stderr, "read back: %s %s %s: %s\n", difference_what_name(differences.v[i].what),
                difference_kind_name(differences.v[i].kind), differences.v[i].name, differences.v[i].text);
    return differences.n || delta_count(&delta) ? -EBADMSG : 0;
}

static int apply(const struct ruleset *ruleset)
{
    _cleanup_(nft_socket_closep) struct nft_socket *socket = NULL;
    _cleanup_diags_ struct diags diags = {0};
    _cleanup_delta_ struct delta delta = {0};
    int r = nft_socket_open(&socket);

    if (r == 0 && ruleset->pair == PAIR_LOCK) {
        r = lock_tables_apply(socket, ruleset, &diags);
    } else if (r == 0) {
        delta_load(ruleset, &delta);
        r = nft_apply(socket, &delta, &diags);
    }
    stop_on(&diags);
    if (r == 0)
        r = read_back(socket, ruleset);
    return r < 0;
}

static void add_lock(struct lock_list *locks, char *text)
{
    struct lock *lock = lock_new();
    const char *why;

    lock->name = xstrdup(strsep(&text, ","));
    lock->cut = lock_cut_parse(text ? strsep(&text, ",") : "");
    while (text)
        if (lock_allow(lock, strsep(&text, ","), &why) < 0)
            exit(64);
    lock_list_add(locks, lock);
}

static void add_nameless(struct lock_list *locks, int (*set)(struct lock *, const char *, const char **),
                         const char *text)
{
    struct lock *lock = lock_new();
    const char *why;

    if (set(lock, text, &why) < 0)
        exit(64);
    lock_list_add(locks, lock);
}

static int show(const char *how, const struct ruleset *ruleset)
{
    if (strcmp(how, "print") != 0)
        return apply(ruleset);
    ruleset_print(ruleset, stdout);
    return 0;
}

int main(int argc, char **argv)
{
    struct compile_options options = {MODE_ENFORCE, UNKNOWN_DENY, MARK_DEFAULT, 0, 0};
    _cleanup_(lock_list_freep) struct lock_list *locks = lock_list_new();
    bool alone = false;
    int first = 1;

    for (; first < argc && strncmp(argv[first], "--", 2) == 0; first++) {
        if (strcmp(argv[first], "--audit") == 0)
            options.default_mode = MODE_AUDIT;
        else if (strcmp(argv[first], "--unknown-internet") == 0)
            options.unknown_endpoints = UNKNOWN_INTERNET;
        else if (strcmp(argv[first], "--log") == 0)
            options.log_group = 64, options.log_rate = 100;
        else if (strncmp(argv[first], "--lock=", 7) == 0)
            add_lock(locks, argv[first] + 7);
        else if (strncmp(argv[first], "--lock-address=", 15) == 0)
            add_nameless(locks, lock_by_address, argv[first] + 15);
        else if (strncmp(argv[first], "--lock-interface=", 17) == 0)
            add_nameless(locks, lock_by_interface, argv[first] + 17);
        else if (strcmp(argv[first], "--alone") == 0)
            alone = true;
        else
            return 64;
    }
    if (argc - first < 2)
        return 64;
    _cleanup_(policy_set_freep) struct policy_set *policies =
        load_policies(argv + first + 1, (size_t)(argc - first - 2));
    _cleanup_(inventory_freep) struct inventory *inventory = load_inventory(argv[argc - 1]);
    _cleanup_(compiler_freep) struct compiler *compiler = compiler_new(policies, &options);

    compiler_set_locks(compiler, locks);
    compiler_load(compiler, inventory);
    stop_on(compiler_problems(compiler));
    if (!alone)
        return show(argv[first], compiler_ruleset(compiler));
    _cleanup_(ruleset_freep) struct ruleset *ruleset = lock_tables_compile(locks, inventory, &options);
    return show(argv[first], ruleset);
}
