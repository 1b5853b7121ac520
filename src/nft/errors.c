// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From an errno in answer to a message to a sentence that helps: which operation, where it comes from, what
 * to do.
 */
#include <errno.h>
#include <string.h>

#include "ack.h"
#include "ruleset/print.h"
#include "util/mem.h"

#define REPORTED_MAX 8 /* the first errors name the cause; what follows are its consequences */

#define ADVICE_DRIFT "somebody else has changed the table; load all rules anew"
#define ADVICE_KERNEL                                                                                        \
    "the kernel lacks a part of nf_tables that this needs; `grep -E 'NF_TABLES|NFT_' "                       \
    "/boot/config-$(uname -r)` shows what it was built with"

/* strerror() in the C locale, by a function that needs no buffer. */
static const char *error_text(int error)
{
    const char *text = strerrordesc_np(error < 0 ? -error : error);

    if (error == -ERESTART)
        return "the rules were changed by somebody else at the same time";
    return text ? text : "unknown error";
}

static const char *advise_frame(int error)
{
    switch (error) {
    case -EPERM:
        return "run it as root, or with CAP_NET_ADMIN in this network namespace";
    case -ENOMEM:
    case -ENOBUFS:
        return "the kernel is short of memory for this transaction; free some and try again";
    case -EMSGSIZE:
        return "the batch is larger than the socket's send buffer may be: run with CAP_NET_ADMIN in the "
               "initial "
               "user namespace, or raise net.core.wmem_max";
    case -EOPNOTSUPP:
    case -EPROTONOSUPPORT:
    case -EAFNOSUPPORT:
        return ADVICE_KERNEL;
    case -ERESTART:
    case -EAGAIN:
        return "another program changes the firewall all the time; try again";
    default:
        return NULL;
    }
}

static const char *advise_element(int error)
{
    switch (error) {
    case -ENFILE:
        return "the set in the kernel is full, but ours have no limit; " ADVICE_DRIFT;
    case -ENOENT:
        return "the set, the chain it leads to or the element to delete is not in the kernel; " ADVICE_DRIFT;
    case -EEXIST:
    case -EBUSY:
    case -ENOTEMPTY:
        return "the kernel holds another element with that key, or an interval that overlaps "
               "it; " ADVICE_DRIFT;
    case -EOPNOTSUPP:
        return "a base chain cannot be jumped to";
    default:
        return NULL;
    }
}

static const char *advise_object(int error)
{
    switch (error) {
    case -ENOENT:
        return "what it names is not in the kernel, or the kernel lacks an expression that it "
               "uses; " ADVICE_DRIFT;
    case -EEXIST:
        return "the kernel holds an object of that name already; " ADVICE_DRIFT;
    case -EBUSY:
        return "rules or map elements still refer to it; " ADVICE_DRIFT;
    case -EMLINK:
        return "chains jump into each other deeper than the kernel's 16 levels";
    case -ELOOP:
        return "chains jump into each other in a circle";
    case -EOPNOTSUPP:
    case -EPROTO:
    case -EPROTONOSUPPORT:
    case -EAFNOSUPPORT:
        return ADVICE_KERNEL;
    default:
        return NULL;
    }
}

static const char *advise(const struct op *op, int error)
{
    if (error == -EPERM)
        return "another process owns the table (flags owner): stop that process";
    if (error == -ENOMEM)
        return advise_frame(error);
    switch (op->kind) {
    case OP_ADD_ELEMENT:
    case OP_DELETE_ELEMENT:
        return advise_element(error);
    case OP_ADD_TABLE:
    case OP_REMOVE_TABLE:
    case OP_ADD_SET:
    case OP_ADD_CHAIN:
    case OP_ADD_RULES:
    case OP_FLUSH_CHAIN:
    case OP_DELETE_CHAIN:
    case OP_DELETE_SET:
        return advise_object(error);
    }
    return NULL;
}

static const struct rule_stmt *op_rule(const struct op *op, size_t index)
{
    return op->kind == OP_ADD_RULES && index < op->chain->n_rules ? &op->chain->rules[index] : NULL;
}

static const char *op_origin(const struct op *op, const struct rule_stmt *rule)
{
    if (rule)
        return rule->origin;
    return op->set ? op->set->origin : NULL;
}

/* ", rule 3: tcp dport 22 accept" */
static char *printed_rule(const struct rule_stmt *rule, size_t index)
{
    _cleanup_free_ char *text = NULL;
    size_t len;
    FILE *out;

    if (!rule)
        return xstrdup("");
    out = open_memstream(&text, &len);
    if (!out)
        return xasprintf(", rule %zu", index + 1);
    rule_print(rule, out);
    if (fclose(out) != 0)
        return xasprintf(", rule %zu", index + 1);
    return xasprintf(", rule %zu: %s", index + 1, text);
}

static void report_op(const struct op *op, size_t index, bool exact, const struct ack *ack,
                      struct diags *diags)
{
    const struct rule_stmt *rule = op_rule(op, index);
    const char *origin = op_origin(op, rule), *advice = advise(op, ack->error);
    _cleanup_free_ char *what = op_text(op);
    _cleanup_free_ char *detail = printed_rule(rule, index);
    struct diag *diag;

    diag = diag_add(diags, DIAG_ERROR, NULL, NULL, "the kernel refused to %s%s%s: %s%s%s%s%s%s%s", what,
                    detail, exact ? "" : ", or one of the elements after it", error_text(ack->error),
                    ack->text[0] ? " (" : "", ack->text, ack->text[0] ? ")" : "", origin ? " [from " : "",
                    origin ? origin : "", origin ? "]" : "");
    if (advice)
        diag_help(diag, "%s", advice);
}

static void report_frame(const struct ack *ack, struct diags *diags)
{
    const char *advice = advise_frame(ack->error);
    struct diag *diag =
        diag_add(diags, DIAG_ERROR, NULL, NULL, "the kernel refused the nftables transaction: %s%s%s%s",
                 error_text(ack->error), ack->text[0] ? " (" : "", ack->text, ack->text[0] ? ")" : "");

    if (advice)
        diag_help(diag, "%s", advice);
}

void answers_report(const struct answers *answers, const struct nft_batch *batch, const struct op_list *ops,
                    struct diags *diags)
{
    for (size_t i = 0; i < answers->n_errors && i < REPORTED_MAX; i++) {
        const struct ack *ack = &answers->errors[i];
        size_t rule;
        bool exact;
        size_t op = nft_batch_find_op(batch, ack->seq, ack->offset, &rule, &exact);

        if (op < ops->n)
            report_op(&ops->v[op], rule, exact, ack, diags);
        else
            report_frame(ack, diags);
    }
    if (answers->n_errors > REPORTED_MAX)
        diag_add(diags, DIAG_NOTE, NULL, NULL, "%zu more error%s of the same transaction %s not shown",
                 answers->n_errors - REPORTED_MAX, answers->n_errors - REPORTED_MAX == 1 ? "" : "s",
                 answers->n_errors - REPORTED_MAX == 1 ? "is" : "are");
    if (answers->overrun)
        diag_add(diags, DIAG_NOTE, NULL, NULL, "the kernel had more to say than the socket could hold");
}

void report_encode_error(const struct op *op, int error, struct diags *diags)
{
    _cleanup_free_ char *what = op_text(op);

    diag_add(diags, DIAG_ERROR, NULL, NULL, "cannot %s: %s", what,
             error == -E2BIG ? "a name, comment or rule is longer than the kernel allows"
                             : "it says something that no nftables rule or element can say");
}

void report_socket_error(const char *what, int error, struct diags *diags)
{
    struct diag *diag = diag_add(diags, DIAG_ERROR, NULL, NULL, "%s: %s", what, error_text(error));
    const char *advice = advise_frame(error);

    if (advice)
        diag_help(diag, "%s", advice);
}
