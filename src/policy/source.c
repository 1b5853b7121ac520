/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "source.h"

#include <errno.h>
#include <string.h>

#include "policy/parse.h"

#define BAD_LINES_MAX 10           /* lines with bad characters that are worth showing */
#define SHOWN_LINE_MAX 400         /* characters of a source line */
#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */
#define BYTE_ORDER_MARK "\xef\xbb\xbf"

void source_init(struct source *source, const char *file, const char *bytes, size_t len,
                 const struct diags *diags)
{
    *source = (struct source){.file = file, .bytes = bytes, .len = len};
    source->errors_left = diags->n_errors < ERRORS_MAX ? ERRORS_MAX - diags->n_errors : 0;
    /* The run ended before this file: one more message would say nothing new. */
    source->too_many = diags->n_errors > ERRORS_MAX;
    if (len >= 3 && memcmp(bytes, BYTE_ORDER_MARK, 3) == 0) {
        source->bytes += 3;
        source->len -= 3;
    }
}

void source_clear(struct source *source)
{
    free(source->lines);
    diags_clear(&source->found);
    diags_clear(&source->overflow);
    *source = (struct source){0};
}

/* ---- characters --------------------------------------------------------------------------------------- */

static bool between(uint32_t character, uint32_t first, uint32_t last)
{
    return character >= first && character <= last;
}

enum char_class char_classify(uint32_t c)
{
    if (c == '\n' || c == '\t')
        return CHAR_PRINTABLE;
    if (c < 0x20 || between(c, 0x7f, 0x9f) || between(c, 0xfffe, 0xffff))
        return CHAR_CONTROL;
    /* Marks, embeddings, overrides and isolates of writing direction: a line could read other than it is (the
     * "Trojan Source" attacks). Line and paragraph separators and byte order marks: not seen, but YAML minds
     * them. */
    if (c == 0x061c || between(c, 0x200b, 0x200f) || between(c, 0x2028, 0x202e) ||
        between(c, 0x2060, 0x2069) || c == 0xfeff || c == 0x00ad)
        return CHAR_INVISIBLE;
    return CHAR_PRINTABLE;
}

/* ---- lines -------------------------------------------------------------------------------------------- */

static void find_lines(struct source *source)
{
    if (source->lines)
        return;
    for (size_t at = 0; at <= source->len;) {
        const char *end = memchr(source->bytes + at, '\n', source->len - at);

        *ARRAY_ADD(source->lines, source->n_lines) = at;
        if (!end)
            break;
        at = (size_t)(end - source->bytes) + 1;
    }
}

/* Bytes of the line, counted from 1, without its end. */
static size_t line_bytes(const struct source *source, size_t line, const char **ret)
{
    size_t begin, end;

    *ret = "";
    if (line < 1 || line > source->n_lines)
        return 0;
    begin = source->lines[line - 1];
    end = line < source->n_lines ? source->lines[line] - 1 : source->len;
    if (end > begin && source->bytes[end - 1] == '\r')
        end--;
    *ret = source->bytes + begin;
    return end - begin;
}

static unsigned count_chars(const char *bytes, size_t len)
{
    unsigned n = 0;

    for (size_t at = 0, size; at < len; at += size, n++) {
        uint32_t character;

        size = utf8_decode(bytes + at, len - at, &character);
        if (!size)
            size = 1;
    }
    return n;
}

unsigned source_line_width(const struct source *source, unsigned line)
{
    const char *bytes;
    size_t len = line_bytes(source, line, &bytes);

    return count_chars(bytes, len);
}

size_t source_next_document(const struct source *source, size_t line)
{
    for (size_t next = line + 1; next <= source->n_lines; next++) {
        const char *bytes;
        size_t len = line_bytes(source, next, &bytes);

        if (len >= 3 && memcmp(bytes, "---", 3) == 0 && (len == 3 || bytes[3] == ' ' || bytes[3] == '\t'))
            return next;
    }
    return 0;
}

/*
 * The line as it may be shown: one column for each character, but nothing that a terminal or a JSON writer
 * would choke on. A line that is too long is cut; when the place meant is in the part cut off, nothing is
 * shown.
 */
static void show_line(const struct source *source, struct diag *diag)
{
    char shown[SHOWN_LINE_MAX * 4 + 1];
    size_t len, at = 0, n = 0, size;
    unsigned chars = 0;
    const char *bytes;

    if (!diag->line || diag->column > SHOWN_LINE_MAX)
        return;
    len = line_bytes(source, diag->line, &bytes);
    for (; at < len && chars < SHOWN_LINE_MAX; at += size, chars++) {
        uint32_t character = 0;

        size = utf8_decode(bytes + at, len - at, &character);
        if (!size || char_classify(character) != CHAR_PRINTABLE) {
            memcpy(shown + n, REPLACEMENT, 3);
            n += 3;
            size = size ? size : 1;
            continue;
        }
        memcpy(shown + n, bytes + at, size);
        n += size;
    }
    if (!n)
        return; /* an empty line shows nothing */
    if (diag->width > SHOWN_LINE_MAX - diag->column)
        diag->width = SHOWN_LINE_MAX - diag->column + 1;
    diag_source_line(diag, shown, n);
}

/* ---- reports ------------------------------------------------------------------------------------------ */

__attribute__((format(printf, 6, 0))) static struct diag *report(struct source *source, struct diags *to,
                                                                 enum diag_level level, enum policy_code code,
                                                                 const struct source_pos *pos,
                                                                 const char *format, va_list args)
{
    struct source_pos place = pos ? *pos : (struct source_pos){.width = 1};
    _cleanup_free_ char *message = xvasprintf(format, args);
    struct diag *diag;

    if (to == &source->overflow)
        diags_clear(to);
    place.file = source->file;
    diag = diag_add(to, level, policy_code_id(code), &place, "%s", message);
    find_lines(source);
    show_line(source, diag);
    return diag;
}

struct diag *report_error(struct source *source, enum policy_code code, const struct source_pos *pos,
                          const char *format, ...)
{
    bool fits = source->found.n_errors < source->errors_left;
    struct diag *diag;
    va_list args;

    if (!fits)
        source->too_many = true;
    va_start(args, format);
    diag = report(source, fits ? &source->found : &source->overflow, DIAG_ERROR, code, pos, format, args);
    va_end(args);
    return diag;
}

struct diag *report_warning(struct source *source, enum policy_code code, const struct source_pos *pos,
                            const char *format, ...)
{
    bool fits = source->found.n - source->found.n_errors < WARNINGS_MAX;
    struct diag *diag;
    va_list args;

    va_start(args, format);
    diag = report(source, fits ? &source->found : &source->overflow, DIAG_WARNING, code, pos, format, args);
    va_end(args);
    return diag;
}

struct diag *policy_report(const struct policy_set *set, struct diags *diags, enum policy_code code,
                           const struct source_pos *pos, const char *format, ...)
{
    _cleanup_free_ char *message = NULL;
    struct diag *diag;
    va_list args;

    va_start(args, format);
    message = xvasprintf(format, args);
    va_end(args);
    diag = diag_add(diags, policy_code_level(code), policy_code_id(code), pos, "%s", message);
    for (size_t i = 0; i < set->n_files; i++) {
        const struct policy_file *file = &set->files[i];
        struct source source;

        if (file->path != pos->file)
            continue;
        source_init(&source, file->path, file->text, file->len, &(struct diags){0});
        find_lines(&source);
        show_line(&source, diag);
        source_clear(&source);
    }
    return diag;
}

int source_finish(struct source *source, struct diags *diags)
{
    bool said = diags->n_errors > ERRORS_MAX;
    bool bad = source->found.n_errors || source->too_many;

    diags_sort(&source->found);
    diags_move(diags, &source->found);
    if (source->too_many && !said)
        diag_add(diags, DIAG_ERROR, policy_code_id(CODE_TOO_MANY), NULL,
                 "too many errors: more than %d, the rest is not shown", ERRORS_MAX);
    return bad ? -EBADMSG : 0;
}

/* ---- the check of the bytes --------------------------------------------------------------------------- */

static int check_size_and_encoding(struct source *source)
{
    static const struct {
        const char *name, *mark;
        size_t len;
    } others[] = {
        {"UTF-32", "\xff\xfe\0\0", 4},
        {"UTF-32", "\0\0\xfe\xff", 4},
        {"UTF-16", "\xff\xfe", 2},
        {"UTF-16", "\xfe\xff", 2},
    };

    if (source->len > POLICY_FILE_MAX) {
        diag_help(report_error(source, CODE_FILE_SIZE, NULL, "the file is larger than %d KiB",
                               POLICY_FILE_MAX / 1024),
                  "split it: the files of a directory count together");
        return -EBADMSG;
    }
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        if (source->len < others[i].len || memcmp(source->bytes, others[i].mark, others[i].len) != 0)
            continue;
        diag_help(report_error(source, CODE_ENCODING, NULL, "the file is written in %s", others[i].name),
                  "save it as UTF-8");
        return -EBADMSG;
    }
    return 0;
}

/* Reports the character at `at`, if it is a bad one; says how long it is. */
static size_t check_char(struct source *source, const struct source_pos *pos, size_t at, bool *ret_bad)
{
    uint32_t character = 0;
    size_t size = utf8_decode(source->bytes + at, source->len - at, &character);

    *ret_bad = true;
    if (!size) {
        diag_help(report_error(source, CODE_UTF8, pos, "byte 0x%02x is not UTF-8",
                               (unsigned char)source->bytes[at]),
                  "save the file as UTF-8");
        return 1;
    }
    if (character == '\r' && at + 1 < source->len && source->bytes[at + 1] == '\n')
        character = '\n';
    switch (char_classify(character)) {
    case CHAR_CONTROL:
        diag_help(report_error(source, CODE_CONTROL, pos, "control character U+%04X", character),
                  "remove it");
        break;
    case CHAR_INVISIBLE:
        diag_help(report_error(source, CODE_INVISIBLE, pos,
                               "character U+%04X is invisible or changes the direction of text", character),
                  "remove it: the file would read other than it is");
        break;
    case CHAR_PRINTABLE:
        *ret_bad = false;
        break;
    }
    return size;
}

/* The first bad character of each line is shown: one broken line is one mistake. */
static int check_chars(struct source *source)
{
    struct source_pos pos = {.line = 1, .column = 1, .width = 1};
    size_t bad_lines = 0, reported_line = 0, size;
    uint32_t ignored;

    for (size_t at = 0; at < source->len && bad_lines < BAD_LINES_MAX; at += size, pos.column++) {
        bool bad = false;

        if (reported_line != pos.line)
            size = check_char(source, &pos, at, &bad);
        else
            size = utf8_decode(source->bytes + at, source->len - at, &ignored) ?: 1;
        if (bad) {
            reported_line = pos.line;
            bad_lines++;
        }
        if (source->bytes[at] == '\n') {
            pos.line++;
            pos.column = 0;
        }
    }
    return bad_lines ? -EBADMSG : 0;
}

int source_check(struct source *source)
{
    int r = check_size_and_encoding(source);

    if (r < 0)
        return r;
    find_lines(source);
    return check_chars(source);
}
