/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the control socket's verbs share. */
#pragma once

#include <jansson.h>

#include "control/server.h"
#include "util/diag.h"

struct daemon;
struct flow;
struct inventory;
struct status_facts;

/* An error whose first line is the first error among the diagnostics. */
json_t *verb_error_of(const struct diags *diags, const char *otherwise);

/* verbs.c */
/* Has use called with all that the daemon knows for the status document, valid for the call. */
void status_facts_with(struct daemon *daemon, void (*use)(const struct status_facts *facts, void *userdata),
                       void *userdata);

/* metrics_io.c */
json_t *verb_metrics(struct daemon *daemon, const json_t *request, const struct control_peer *peer);

/* verbs_apply.c */
json_t *verb_apply(struct daemon *daemon, const json_t *request, const struct control_peer *peer);
json_t *verb_confirm(struct daemon *daemon, const json_t *request, const struct control_peer *peer);
json_t *verb_rollback(struct daemon *daemon, const json_t *request, const struct control_peer *peer);

/* verbs_label.c, verbs_label_list.c */
json_t *verb_label(struct daemon *daemon, const json_t *request, const struct control_peer *peer);
json_t *verb_label_list(struct daemon *daemon, const json_t *request, const struct control_peer *peer);
/* label_plan.c: what these labels would change, as plan_connections() says it (a new reference; it is left alone where it
 * cannot be said); and what they would end, which is added to the log. 0 or a negative errno. */
struct cut_log;
struct given_labels;
int label_plan(struct daemon *daemon, const struct given_labels *list, json_t **ret_plan,
               struct cut_log *log);
json_t *verb_label_reset(struct daemon *daemon, const json_t *request, const struct control_peer *peer);

/* verbs_learn.c */
json_t *verb_learn(struct daemon *daemon, const json_t *request, const struct control_peer *peer);
json_t *verb_learn_show(struct daemon *daemon, const json_t *request, const struct control_peer *peer);
json_t *verb_learn_list(struct daemon *daemon, const json_t *request, const struct control_peer *peer);
json_t *verb_learn_stop(struct daemon *daemon, const json_t *request, const struct control_peer *peer);
json_t *verb_learn_forget(struct daemon *daemon, const json_t *request, const struct control_peer *peer);

/* watch.c */
json_t *verb_watch(struct daemon *daemon, const json_t *request, const struct control_peer *peer);

/* verbs_history.c */
/* Why number cannot be had, as history_load() says by its error. */
json_t *history_refuse(const struct daemon *daemon, unsigned number, int error);
/* NULL; or an answer that says what is wrong with "number". *ret 0: there is none. */
json_t *history_take_number(const json_t *request, unsigned *ret);
json_t *verb_history(struct daemon *daemon, const json_t *request, const struct control_peer *peer);
