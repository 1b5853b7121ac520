/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The codes of the diagnostics about policy files and the settings file. A code never changes its meaning and
 * is never given out again; cofferdam-policy(5) explains each. C001 to C099 are errors, C101 and up are
 * warnings.
 */
#pragma once

#include <stddef.h>

#include "util/diag.h"

enum policy_code {
    /* the file as bytes and as YAML */
    CODE_SYNTAX,
    CODE_FILE_SIZE,
    CODE_UTF8,
    CODE_ENCODING,
    CODE_CONTROL,
    CODE_INVISIBLE,
    CODE_DEPTH,
    CODE_EMPTY,
    CODE_ANCHOR,
    CODE_ALIAS,
    CODE_MERGE,
    CODE_TAG,
    CODE_DUPLICATE_KEY,
    CODE_KEY_TEXT,
    CODE_TEXT_LENGTH,
    CODE_TOO_MANY,
    /* keys and types */
    CODE_UNKNOWN_KEY,
    CODE_MISPLACED_KEY,
    CODE_MISSING_KEY,
    CODE_TYPE,
    CODE_NO_VALUE,
    CODE_BOOL,
    CODE_WORD,
    CODE_EMPTY_LIST,
    CODE_CONFLICT,
    /* values */
    CODE_VERSION,
    CODE_NAME,
    CODE_POLICY_TWICE,
    CODE_RULE_TWICE,
    CODE_EMPTY_SELECT,
    CODE_ALL,
    CODE_COMPOSE,
    CODE_GLOB,
    CODE_PEER,
    CODE_DNS,
    CODE_CIDR,
    CODE_HOST_BITS,
    CODE_EXCEPT,
    CODE_PORT,
    CODE_PORT_RANGE,
    CODE_PORT_ORDER,
    CODE_ICMP,
    CODE_REJECT_AUDIT,
    /* settings */
    CODE_NUMBER,
    CODE_PATH,
    CODE_NETWORK_TWICE,
    /* reading files */
    CODE_READ,
    CODE_FILE_TYPE,
    CODE_TOO_MANY_FILES,
    /* the set as a whole, tested against an inventory */
    CODE_EXPECTATION,
    /* warnings */
    CODE_WRITABLE,
    CODE_OWNER,
    CODE_NO_FILES,
    CODE_SAME_RULE,
    CODE_VOID_RULE,
    CODE_COVERED_PEER,
    CODE_COVERED_PORT,
    CODE_ALL_BESIDE,
    CODE_EXACT_NAME,
    CODE_SELECTS_NOTHING,
    CODE_PEER_NOTHING,
    CODE_IMAGE_LABEL,
    CODE_NO_LOOKUPS,
    CODE_NOTHING_TESTED,
    CODE_COVERED_RULE,
    CODE_DENIED_RULE,
    CODE_HALF_RULE,
    CODE_BLOCKED_RULE,
    CODE_NO_LISTENER,
    POLICY_CODES,
};

/* C101 and up are warnings. */
enum diag_level policy_code_level(enum policy_code code);
const char *policy_code_id(enum policy_code code);    /* "C012" */
const char *policy_code_title(enum policy_code code); /* a few words, for the manual */
