// SPDX-License-Identifier: GPL-2.0-or-later
/* Tables that belong to our socket: can they, do they, and how they become its own. */
#include <errno.h>

#include "socket_private.h"
#include "util/mem.h"

#define PROBE_MESSAGES 3

int nft_can_protect(struct nft_socket *socket, bool *ret)
{
    _cleanup_nft_batch_ struct nft_batch batch = {0};
    struct answers answers;
    int r;

    nft_encode_probe(socket_take_seq(socket, PROBE_MESSAGES), &batch);
    r = socket_exchange(socket, &batch, &answers);
    if (r < 0)
        return r;
    if (answers.n_errors && (answers.errors[0].error == -EPERM || answers.errors[0].error == -ENOMEM))
        return answers.errors[0].error; /* that says nothing of what the kernel knows */
    *ret = answers.n_errors == 0 && !answers.overrun;
    return 0;
}

static int report_owned(const struct op *op, uint32_t owner, struct diags *diags)
{
    struct diag *diag = diag_add(
        diags, DIAG_ERROR, NULL, NULL,
        "table %s %s belongs to another netlink socket, that of process %u (netlink port ID): only through "
        "that socket can it be changed",
        table_family_name(op->table), op_table_name(op), (unsigned)owner);

    diag_help(diag,
              "is another cofferdamd running, or does systemd keep the socket of one that has ended? It "
              "hands it to the service cofferdamd alone; `systemctl clean --what=fdstore cofferdamd` "
              "makes it let go");
    return -EPERM;
}

/* Who persists without an owner is to be claimed: by adding it again, with the flags of ours. */
static int find_orphans(struct nft_socket *socket, struct op_list *orphans, struct diags *diags)
{
    static const struct op tables[] = {
        {.kind = OP_ADD_TABLE, .table = TABLE_INET},
        {.kind = OP_ADD_TABLE, .table = TABLE_BRIDGE},
        {.kind = OP_ADD_TABLE, .table = TABLE_INET, .standby = true},
        {.kind = OP_ADD_TABLE, .table = TABLE_BRIDGE, .standby = true},
    };

    for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
        struct nft_table_state state;
        int r = tables[i].standby ? nft_standby_state(socket, tables[i].table, &state)
                                  : nft_table_state(socket, tables[i].table, &state);

        if (r < 0) {
            report_socket_error("cannot look for our tables in the kernel", r, diags);
            return r;
        }
        if (state.flags & NFT_TABLE_OWNER && state.owner != nft_socket_port(socket))
            return report_owned(&tables[i], state.owner, diags);
        if ((state.flags & NFT_TABLE_PROTECTED) == NFT_TABLE_PERSIST)
            *ARRAY_ADD(orphans->v, orphans->n) = tables[i];
    }
    return 0;
}

/* Insists on the generation at which they were found, or a table could be made that nobody had left. */
static int try_claim(struct nft_socket *socket, struct diags *diags)
{
    _cleanup_nft_batch_ struct nft_batch batch = {0};
    struct op_list orphans = {0};
    uint32_t before;
    int r = nft_generation(socket, &before);

    if (r < 0)
        report_socket_error("cannot read the generation of the nftables rules", r, diags);
    else
        r = find_orphans(socket, &orphans, diags);
    if (r == 0 && orphans.n > 0 && socket_protects(socket)) {
        r = socket_encode(socket, &orphans, false, &batch, diags);
        if (r == 0)
            r = socket_attempt(socket, &orphans, &batch, before, false, diags);
    }
    free(orphans.v);
    return r;
}

int nft_claim(struct nft_socket *socket, struct diags *diags)
{
    for (int i = 0; i < ATTEMPTS; i++) {
        int r = try_claim(socket, diags);

        if (r <= 0)
            return r;
    }
    diag_add(diags, DIAG_ERROR, NULL, NULL,
             "the tables of an earlier cofferdamd cannot be taken over: another program changes the firewall "
             "all the time");
    return -EBUSY;
}
