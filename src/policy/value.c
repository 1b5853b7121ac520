/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names, globs and CIDR blocks: text that must have a certain form. */
#include <errno.h>
#include <string.h>

#include "schema.h"

#define NAME_MAX_LEN 63

/* ---- names of policies and rules ---------------------------------------------------------------------- */

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool name_is_good(const char *name)
{
    size_t len = strlen(name);

    if (!len || len > NAME_MAX_LEN || !is_alnum(name[0]) || !is_alnum(name[len - 1]))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!is_alnum(name[i]) && name[i] != '-' && name[i] != '.')
            return false;
    return true;
}

/*
 * The name with what is wrong in it mended: "Shop_DB" gives "shop-db". Empty when nothing of it is left, or
 * it is written in other letters. */
static void mend_name(const char *name, char mended[static NAME_MAX_LEN + 1])
{
    size_t n = 0;

    for (const char *c = name; *c; c++)
        if ((unsigned char)*c >= 0x80)
            name = "";
    for (; *name && n < NAME_MAX_LEN; name++) {
        char c = *name >= 'A' && *name <= 'Z' ? (char)(*name - 'A' + 'a') : *name;

        if (is_alnum(c) || (n && (c == '.' || c == '-')))
            mended[n++] = c;
        else if (n && mended[n - 1] != '-')
            mended[n++] = '-';
    }
    while (n && !is_alnum(mended[n - 1]))
        n--;
    mended[n] = '\0';
}

static bool check_name(struct import *import, const char *what, const struct node *value)
{
    char shown[SHOWN_MAX], mended[NAME_MAX_LEN + 1];
    struct diag *diag;

    if (name_is_good(value->text))
        return true;
    if (strlen(value->text) > NAME_MAX_LEN) {
        report_node(import, CODE_NAME, value, "the name of a %s has at most %d characters", what,
                    NAME_MAX_LEN);
        return false;
    }
    diag = report_node(
        import, CODE_NAME, value,
        "'%s' is no name for a %s: small letters, digits, '-' and '.', a letter or digit at both ends",
        text_shown(value->text, shown), what);
    mend_name(value->text, mended);
    if (*mended)
        diag_help(diag, "for example '%s'", mended);
    return false;
}

bool check_policy_name(struct import *import, const struct node *value)
{
    return check_name(import, "policy", value);
}

bool check_rule_name(struct import *import, const struct node *value)
{
    if (!check_name(import, "rule", value))
        return false;
    if (strspn(value->text, "0123456789") != strlen(value->text))
        return true;
    report_node(import, CODE_NAME, value,
                "the name of a rule cannot be a number: rules without a name are counted");
    return false;
}

/* ---- globs -------------------------------------------------------------------------------------------- */

/* Looks at a bracket expression from behind its '['; returns behind its ']', or NULL with *ret_why set. */
static const char *skip_bracket(const char *c, const char **ret_why)
{
    const char *first;

    if (*c == '^') {
        *ret_why = "'[^' has no meaning in a glob: write '[!' for 'none of'";
        return NULL;
    }
    first = *c == '!' ? ++c : c;
    for (; *c && (*c != ']' || c == first); c++) {
        if (*c == '[' && (c[1] == ':' || c[1] == '.' || c[1] == '=')) {
            *ret_why = "character classes are not supported: list the characters, such as [0-9a-f]";
            return NULL;
        }
        if (c[1] == '-' && c[2] && c[2] != ']') {
            if ((unsigned char)c[2] < (unsigned char)*c) {
                *ret_why = "a range in brackets runs backwards";
                return NULL;
            }
            c += 2;
        }
    }
    if (*c)
        return c + 1;
    *ret_why = "'[' has no ']': write [[] for the bracket itself";
    return NULL;
}

static const char *glob_problem(const char *glob)
{
    const char *why = NULL;

    if (strchr(glob, '\\'))
        return "a backslash has no meaning in a glob: write [*], [?] or [[] for the character itself";
    for (const char *c = glob; c && *c;) {
        c++;
        if (c[-1] == '[')
            c = skip_bracket(c, &why);
    }
    return why;
}

bool check_glob(struct import *import, const struct node *value)
{
    const char *why = glob_problem(value->text);
    char shown[SHOWN_MAX];

    if (!why)
        return true;
    diag_help(report_node(import, CODE_GLOB, value, "bad glob '%s'", text_shown(value->text, shown)), "%s",
              why);
    return false;
}

/* ---- CIDR blocks -------------------------------------------------------------------------------------- */

static bool is_mapped(const struct cidr *cidr)
{
    return cidr->net.family == IP6 && cidr->len >= 96 && (cidr->net.num >> 32) == 0xffff;
}

static void report_cidr(struct import *import, const struct node *value, int problem,
                        const struct cidr *network)
{
    char shown[SHOWN_MAX], text[CIDR_TEXT_MAX];
    const char *example = "write an address and a prefix length, such as 10.20.0.0/16 or fd00:1::/64";

    text_shown(value->text, shown);
    if (problem == -ERANGE)
        diag_help(report_node(import, CODE_CIDR, value, "the prefix length of '%s' is too long", shown),
                  "IPv4 addresses have 32 bits, IPv6 addresses 128");
    else if (problem == -EDOM)
        diag_help(report_node(import, CODE_HOST_BITS, value, "'%s' has bits set behind its prefix", shown),
                  "the network is %s; a single address is written without a prefix length",
                  cidr_format(network, text));
    else
        diag_help(report_node(import, CODE_CIDR, value, "'%s' is no CIDR block", shown), "%s", example);
}

bool import_cidr(struct import *import, const struct node *value, struct cidr *ret)
{
    const char *text = import_text(import, "a CIDR block", value, SCALAR_MAX);
    struct cidr cidr = {0};
    int r;

    if (!text)
        return false;
    r = cidr_parse(text, &cidr);
    if (r < 0) {
        report_cidr(import, value, r, &cidr);
        return false;
    }
    if (is_mapped(&cidr)) {
        diag_help(report_node(import, CODE_CIDR, value, "IPv4-mapped addresses are never on the wire"),
                  "write the block as IPv4");
        return false;
    }
    *ret = cidr;
    return true;
}
