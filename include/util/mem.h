/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory: allocation that does not fail, scope-bound release, growing arrays.
 *
 * Running out of memory ends the process with a message. That is the fail-closed answer here: the rules in
 * the kernel outlive the daemon, the service manager starts it again, and it rebuilds its state from the
 * kernel, the Engine and the policy files. No half-made change can reach the kernel, because a change is one
 * netlink batch.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

/* All return memory that the caller frees with free(); none returns NULL. */
void *xcalloc(size_t n, size_t size) __attribute__((malloc, alloc_size(1, 2), returns_nonnull));
void *xreallocarray(void *old, size_t n, size_t size) __attribute__((alloc_size(2, 3), returns_nonnull));
char *xstrdup(const char *text) __attribute__((malloc, returns_nonnull));
char *xstrndup(const char *text, size_t len) __attribute__((malloc, returns_nonnull));
char *xasprintf(const char *format, ...) __attribute__((malloc, format(printf, 1, 2), returns_nonnull));
char *xvasprintf(const char *format, va_list args)
    __attribute__((malloc, format(printf, 1, 0), returns_nonnull));

#define xnew(type) ((type *)xcalloc(1, sizeof(type)))

/* xstrdup() that maps NULL to NULL. */
static inline char *xstrdup_null(const char *text)
{
    return text ? xstrdup(text) : NULL;
}

/* Room for one more item in an array of n: the storage doubles when n is a power of two. */
void *array_grow(void *array, size_t n, size_t item_size) __attribute__((returns_nonnull));

/* Appends a zeroed item and yields a pointer to it:  *ARRAY_ADD(list->v, list->n) = item; */
#define ARRAY_ADD(array, n) (((array) = array_grow((array), (n), sizeof(*(array)))), &(array)[(n)++])

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* _cleanup_(x_freep) releases a variable at the end of its scope; STEAL() hands it out before that. */
#define _cleanup_(function) __attribute__((cleanup(function)))
#define _cleanup_free_ _cleanup_(free_ptr)
#define STEAL(pointer)                                                                                       \
    __extension__({                                                                                          \
        __typeof__(pointer) stolen_ = (pointer);                                                             \
        (pointer) = NULL;                                                                                    \
        stolen_;                                                                                             \
    })

static inline void free_ptr(void *pointer)
{
    free(*(void **)pointer);
}

/* Defines free_fnp(T **), for use with _cleanup_(), from free_fn(T *). */
#define DEFINE_CLEANUP(type, free_fn)                                                                        \
    static inline void free_fn##p(type *pointer)                                                             \
    {                                                                                                        \
        if (*pointer)                                                                                        \
            (void)free_fn(*pointer);                                                                         \
    }                                                                                                        \
    struct cleanup_needs_semicolon_
