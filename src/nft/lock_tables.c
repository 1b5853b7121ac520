/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nft/lock_tables.h"

#include <errno.h>

#include "ack.h"
#include "nft/read.h"
#include "ruleset/compare.h"
#include "socket_private.h"

/* Whatever tables the socket makes otherwise: these must outlive it, and be anybody's to remove. */
static int apply_unprotected(struct nft_socket *socket, const struct delta *delta, struct diags *diags)
{
    bool protects = socket_protects(socket);

    nft_protect(socket, false);
    int r = nft_apply(socket, delta, diags);
    nft_protect(socket, protects);
    return r;
}

static int read_back(struct nft_socket *socket, struct nft_tables *ret, struct diags *diags)
{
    int r = nft_read_pair(socket, PAIR_LOCK, ret);

    if (r < 0)
        report_socket_error("cannot read the tables " LOCK_TABLE_NAME, r, diags);
    return r;
}

int lock_tables_apply(struct nft_socket *socket, const struct ruleset *ruleset, struct diags *diags)
{
    _cleanup_nft_tables_ struct nft_tables tables = {0};
    _cleanup_delta_ struct delta delta = {0};
    int r = read_back(socket, &tables, diags);

    if (r < 0)
        return r;
    delta_between(tables.ruleset, ruleset, &delta);
    return apply_unprotected(socket, &delta, diags);
}

int lock_tables_verify(struct nft_socket *socket, const struct ruleset *ruleset, struct diags *diags)
{
    _cleanup_differences_ struct differences differences = {0};
    _cleanup_nft_tables_ struct nft_tables tables = {0};
    int r = read_back(socket, &tables, diags);

    if (r < 0)
        return r;
    ruleset_compare(tables.ruleset, ruleset, 1, &differences);
    if (differences.n == 0)
        return 0;
    diag_add(diags, DIAG_ERROR, NULL, NULL,
             "the tables " LOCK_TABLE_NAME " are not as they should be: %s %s %s: %s",
             difference_what_name(differences.v[0].what), difference_kind_name(differences.v[0].kind),
             differences.v[0].name, differences.v[0].text);
    return -EBADMSG;
}

int lock_tables_remove(struct nft_socket *socket, struct diags *diags)
{
    _cleanup_delta_ struct delta delta = {.pair = PAIR_LOCK};

    delta_teardown(&delta);
    return apply_unprotected(socket, &delta, diags);
}

int lock_tables_exist(struct nft_socket *socket, bool *ret)
{
    bool found = false;

    for (size_t i = 0; i < 2 * TABLES; i++) {
        struct nft_table_state state;
        int r =
            nft_pair_state(socket, PAIR_LOCK, i % TABLES ? TABLE_BRIDGE : TABLE_INET, i >= TABLES, &state);

        if (r < 0)
            return r;
        found = found || state.exists;
    }
    *ret = found;
    return 0;
}
