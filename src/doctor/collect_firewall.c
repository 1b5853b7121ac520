// SPDX-License-Identifier: GPL-2.0-or-later
/* All tables of nf_tables, and what the kernel says of ours. */
#include <errno.h>
#include <string.h>

#include "doctor/collect.h"
#include "ruleset/compile.h"
#include "util/diag.h"

/* The rules for a host without containers, in every kind of set that Cofferdam makes, as the standby: that name stands
 * for a moment only, while the tables themselves may be in force and somebody's own. */
static void try_rules(struct nft_socket *socket, struct fact_firewall *firewall)
{
    static const struct compile_options options = {.unknown_endpoints = UNKNOWN_INTERNET,
                                                   .mark = MARK_DEFAULT};
    _cleanup_(policy_set_freep) struct policy_set *policies = policy_set_new();
    _cleanup_(compiler_freep) struct compiler *compiler = compiler_new(policies, &options);
    _cleanup_delta_ struct delta delta = {0}, trial = {0};
    _cleanup_diags_ struct diags diags = {0};
    int r;

    delta_replace(compiler_ruleset(compiler), &delta);
    trial.phases[PHASE_PREPARE] = delta.phases[PHASE_PREPARE];
    delta.phases[PHASE_PREPARE] = (struct op_list){0};
    r = nft_validate(socket, &trial, &diags);
    if (r == -EPERM || r == -ENOMEM || r == -ENOBUFS || r == -EMSGSIZE) {
        firewall->trial_error = r; /* whoever asks, or the moment, is to blame */
    } else if (r < 0) {
        firewall->trial_refused = xstrdup(diags.n ? diags.v[0].message : strerror(-r));
        firewall->trial_help = xstrdup_null(diags.n ? diags.v[0].help : NULL);
    }
}

void collect_firewall(struct fact_firewall *ret)
{
    _cleanup_(nft_socket_closep) struct nft_socket *socket = NULL;

    *ret = (struct fact_firewall){0};
    ret->error = nft_socket_open(&socket);
    if (ret->error == 0)
        ret->error = nft_survey_read(socket, &ret->survey);
    if (ret->error == 0)
        ret->error = nft_can_protect(socket, &ret->can_protect);
    if (ret->error == 0)
        try_rules(socket, ret);
}
