/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one table of diagnostic codes. A new code gets the next free number; none is ever moved or given out
 * again. */
#include "policy/codes.h"

static const struct {
    const char *id, *title;
} codes[POLICY_CODES] = {
    [CODE_SYNTAX] = {"C001", "not valid YAML"},
    [CODE_FILE_SIZE] = {"C002", "file too large"},
    [CODE_UTF8] = {"C003", "not valid UTF-8"},
    [CODE_ENCODING] = {"C004", "encoding other than UTF-8"},
    [CODE_CONTROL] = {"C005", "control character"},
    [CODE_INVISIBLE] = {"C006", "invisible or direction-changing character"},
    [CODE_DEPTH] = {"C007", "nested too deeply"},
    [CODE_EMPTY] = {"C008", "empty file or document"},
    [CODE_ANCHOR] = {"C009", "anchor"},
    [CODE_ALIAS] = {"C010", "alias"},
    [CODE_MERGE] = {"C011", "merge key"},
    [CODE_TAG] = {"C012", "tag"},
    [CODE_DUPLICATE_KEY] = {"C013", "duplicate key"},
    [CODE_KEY_TEXT] = {"C014", "key that is not plain text"},
    [CODE_TEXT_LENGTH] = {"C015", "text too long"},
    [CODE_TOO_MANY] = {"C016", "too many errors"},

    [CODE_UNKNOWN_KEY] = {"C020", "unknown key"},
    [CODE_MISPLACED_KEY] = {"C021", "key that means nothing here"},
    [CODE_MISSING_KEY] = {"C022", "required key missing"},
    [CODE_TYPE] = {"C023", "wrong type"},
    [CODE_NO_VALUE] = {"C024", "key without a value"},
    [CODE_BOOL] = {"C025", "not true or false"},
    [CODE_WORD] = {"C026", "unknown word"},
    [CODE_EMPTY_LIST] = {"C027", "empty list"},
    [CODE_CONFLICT] = {"C028", "keys that exclude each other"},

    [CODE_VERSION] = {"C030", "unknown version of the language"},
    [CODE_NAME] = {"C031", "bad name"},
    [CODE_POLICY_TWICE] = {"C032", "policy name used twice"},
    [CODE_RULE_TWICE] = {"C033", "rule name used twice"},
    [CODE_EMPTY_SELECT] = {"C034", "selector without keys"},
    [CODE_ALL] = {"C035", "'all' that is not true"},
    [CODE_COMPOSE] = {"C036", "bad Compose project or service"},
    [CODE_GLOB] = {"C037", "bad glob"},
    [CODE_PEER] = {"C038", "unknown peer"},
    [CODE_DNS] = {"C039", "'dns' where it cannot be meant"},
    [CODE_CIDR] = {"C040", "bad CIDR block"},
    [CODE_HOST_BITS] = {"C041", "host bits set"},
    [CODE_EXCEPT] = {"C042", "exception outside its block"},
    [CODE_PORT] = {"C043", "bad port"},
    [CODE_PORT_RANGE] = {"C044", "port number out of range"},
    [CODE_PORT_ORDER] = {"C045", "reversed port range"},
    [CODE_ICMP] = {"C046", "unknown ICMP type"},
    [CODE_REJECT_AUDIT] = {"C047", "'reject' with audit mode"},

    [CODE_NUMBER] = {"C050", "not a number in range"},
    [CODE_PATH] = {"C051", "bad path"},
    [CODE_NETWORK_TWICE] = {"C052", "network listed twice"},

    [CODE_READ] = {"C060", "cannot be read"},
    [CODE_FILE_TYPE] = {"C061", "not a regular file"},
    [CODE_TOO_MANY_FILES] = {"C062", "too many files"},

    [CODE_EXPECTATION] = {"C070", "expectation that fails"},

    [CODE_WRITABLE] = {"C101", "writable by everybody"},
    [CODE_OWNER] = {"C102", "owned by somebody else"},
    [CODE_NO_FILES] = {"C103", "no policy files"},
    [CODE_SAME_RULE] = {"C104", "two rules alike"},
    [CODE_VOID_RULE] = {"C105", "rule without effect"},
    [CODE_COVERED_PEER] = {"C106", "peer covered by another"},
    [CODE_COVERED_PORT] = {"C107", "port covered by another"},
    [CODE_ALL_BESIDE] = {"C108", "'all' beside other keys"},
    [CODE_EXACT_NAME] = {"C109", "glob where the name is exact"},
    [CODE_SELECTS_NOTHING] = {"C110", "policy that selects nothing"},
    [CODE_PEER_NOTHING] = {"C111", "peer that matches nothing"},
    [CODE_IMAGE_LABEL] = {"C112", "label that only the image sets"},
    [CODE_NO_LOOKUPS] = {"C113", "internet without lookups"},
    [CODE_NOTHING_TESTED] = {"C114", "expectation that tests nothing"},
    [CODE_COVERED_RULE] = {"C115", "rule covered by another"},
    [CODE_DENIED_RULE] = {"C116", "rule of which all is denied"},
    [CODE_HALF_RULE] = {"C117", "rule without its other half"},
    [CODE_BLOCKED_RULE] = {"C118", "rule that Docker blocks"},
    [CODE_NO_LISTENER] = {"C119", "port on which nobody listens"},
};

const char *policy_code_id(enum policy_code code)
{
    return codes[code].id;
}

const char *policy_code_title(enum policy_code code)
{
    return codes[code].title;
}

enum diag_level policy_code_level(enum policy_code code)
{
    return code < CODE_WRITABLE ? DIAG_ERROR : DIAG_WARNING;
}
