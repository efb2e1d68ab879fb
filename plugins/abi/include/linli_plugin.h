/* linli_plugin.h - the binary interface between Linli and its plugins, ABI 1.0.
 *
 * This file is the reference. Pure C11 (also C++11), no dependency but the C library's headers. The Rust crate
 * `linli-plugin-abi` mirrors it and a test holds both to the same layout.
 *
 * A plugin is a shared library that exports one symbol, `linli_plugin_entry_v1`, and a manifest `plugin.toml` whose
 * text the library also carries inside. The manifest declares, the code decides: groups, standards, fields, reasons,
 * tags and cautions are tables of the manifest; the code answers with ordinals into them, counted from 0 in the
 * order of the manifest. So everything a plugin can ever say about a person can be read without running it.
 *
 * Rules that hold for every call
 *  - Memory is freed by the side that made it. Nothing made on one side is freed on the other.
 *  - Pointers given as arguments live until the call returns, unless said otherwise. Copy what is needed longer.
 *  - A struct that may grow starts with `struct_size`, written by the side that made it. A reader touches a member
 *    only if `struct_size` covers it. Members are only ever appended; `reserved` members are written as zero.
 *  - Text is UTF-8 with a length, never NUL-terminated. A `ptr` of length 0 may be NULL.
 *  - No exception, panic or longjmp leaves a function of this interface, in either direction.
 *  - A callback of the host never re-enters the plugin.
 *  - Function tags: [load] only while loading, on one thread; [any] from any thread, possibly at the same time as
 *    itself; [one] one call at a time for one instance, but not always on the same thread.
 *
 * Order of calls
 *      linli_plugin_entry_v1                [load]  once or more; always the same constant data
 *      describe                             [load]  once or more; always the same constant data
 *      create                               [any]   0..n instances; if it fails, destroy is not called
 *        get_interface                      [any]   any time between create and destroy
 *        functions of the interfaces        as tagged
 *      destroy                              [one]   once per instance; nothing of it is called afterwards
 *    The library is never unloaded. After LINLI_E_PANIC the host destroys the instance and makes a new one.
 *
 * Errors
 *    A status other than LINLI_OK means that the whole call failed and that whatever it wrote is ignored. A failed
 *    call never removes a duty: the host keeps the last assessment in force. Say why through `linli_call.error`
 *    before returning; never put a person's data into that text, it is logged.
 *
 * Platforms: 64-bit, little endian. */
#ifndef LINLI_PLUGIN_H
#define LINLI_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LINLI_EXPORT __attribute__((visibility("default")))

/* The bytes "LINLIPG1", read as a little-endian number. */
#define LINLI_PLUGIN_MAGIC UINT64_C(0x314750494C4E494C)
/* Differs: the plugin is not loaded. */
#define LINLI_ABI_MAJOR 1u
/* Additions only; each side uses the smaller of the two. Independent of the version of Linli. */
#define LINLI_ABI_MINOR 0u

typedef struct linli_str { const char *ptr; size_t len; } linli_str;        /* borrowed text */
typedef struct linli_bytes { const uint8_t *ptr; size_t len; } linli_bytes; /* borrowed bytes */

/* ---- status ------------------------------------------------------------------------------------------------- */
typedef int32_t linli_status;
enum {
    LINLI_OK = 0,
    LINLI_E_INVALID = 1,     /* the input breaks this interface: wrong magic, column, type, offset */
    LINLI_E_UNSUPPORTED = 2, /* not implemented by this plugin */
    LINLI_E_FULL = 3,        /* the sink did not grow: return it when `grow` returned it */
    LINLI_E_CANCELLED = 4,   /* `cancel` was set */
    LINLI_E_UNAVAILABLE = 5, /* for now: try again later (connectors) */
    LINLI_E_REFUSED = 6,     /* the other side said no for good (connectors) */
    LINLI_E_CONFIG = 7,      /* the configuration is not acceptable (create) */
    LINLI_E_INTERNAL = 100,  /* a defect of the plugin that it noticed */
    LINLI_E_PANIC = 101      /* a panic or exception was caught: the instance is not used again */
};

/* ---- what the host offers; valid from create until destroy has returned ------------------------------------- */
enum { LINLI_LOG_DEBUG = 1, LINLI_LOG_INFO = 2, LINLI_LOG_WARN = 3, LINLI_LOG_ERROR = 4 };

typedef struct linli_host {
    uint32_t struct_size, abi_major, abi_minor, reserved;
    void *ctx;
    /* [any] Writes a line to the host's log, copied before it returns. No personal data. */
    void (*log)(void *ctx, uint32_t level, linli_str message);
    /* [any] An interface of the host by id; NULL: not offered. None is defined in ABI 1.0. */
    const void *(*get_interface)(void *ctx, linli_str id);
} linli_host;

/* ---- one call ----------------------------------------------------------------------------------------------- */
typedef struct linli_call {
    uint32_t struct_size;
    uint32_t budget_ms;     /* how long the host waits for this call in total; 0: not limited. Rules never read a
                               clock: it is the host that sets `cancel` when the time is over. */
    const uint32_t *cancel; /* read it now and then (acquire order); not 0: return LINLI_E_CANCELLED soon.
                               A call that does not return in time is given up and its instance never used again. */
    void *ctx;
    /* Why this call fails. Copied before it returns; the last text counts. No personal data. */
    void (*error)(const struct linli_call *self, linli_str message);
} linli_call;

/* ---- entry -------------------------------------------------------------------------------------------------- */
typedef struct linli_instance linli_instance; /* the plugin's own; the host only carries the pointer */

typedef struct linli_description {
    uint32_t struct_size, reserved;
    linli_bytes manifest;  /* the text of plugin.toml, byte for byte as it lies beside the library */
    linli_str build_info;  /* compiler, SDK and its version; for messages only */
} linli_description;

typedef struct linli_plugin {
    uint64_t magic; /* LINLI_PLUGIN_MAGIC */
    uint32_t struct_size, abi_major, abi_minor;
    uint32_t flags; /* LINLI_P_*; unknown bits: the plugin is not loaded */
    const linli_description *(*describe)(void);  /* [load] constant data; no I/O, no thread, below 100 ms */
    /* [any] `config` is the plugin's configuration as JSON text, checked against the manifest; empty: defaults. */
    linli_status (*create)(const linli_host *host, const linli_call *call, linli_bytes config, linli_instance **out);
    void (*destroy)(linli_instance *self);       /* [one] joins every thread that the instance started */
    const void *(*get_interface)(linli_instance *self, linli_str id); /* [any] NULL: not implemented */
} linli_plugin;

enum {
    LINLI_P_ISOLATED_ONLY = 1u, /* may run in a child process only, such as a library with a Go runtime */
    LINLI_P_THREADS = 2u        /* starts threads of its own */
};

/* The only symbol that a plugin exports. Returns constant data and does nothing else. The arguments are the host's
 * own version, so that one library may serve two majors; NULL: this host is not supported. */
typedef const linli_plugin *(*linli_entry_fn)(uint32_t host_abi_major, uint32_t host_abi_minor);
LINLI_EXPORT const linli_plugin *linli_plugin_entry_v1(uint32_t host_abi_major, uint32_t host_abi_minor);

/* ==== interface "linli.rules/1": the rules of care groups =====================================================
 * Pure computation: no clock, no I/O, no global state. Same bytes in, same bytes out; the answer about a resident
 * depends on that resident's row alone, so a batch may be split, merged and reordered. */
#define LINLI_IF_RULES "linli.rules/1"

/* A batch is columnar and position independent: every `_off` is a number of bytes from the start of the batch, so
 * that the same bytes serve in process, in memory shared with a child process and over a socket. The batch starts
 * on an 8-byte boundary, and so does every array in it. The host owns the batch; the plugin only reads it. */
#define LINLI_BATCH_MAGIC 0x424C4E4Cu /* "LNLB" */
#define LINLI_BATCH_VERSION 1u

typedef struct linli_batch {
    uint32_t magic;       /* LINLI_BATCH_MAGIC */
    uint16_t version;     /* LINLI_BATCH_VERSION */
    uint16_t header_size; /* sizeof(linli_batch) of the writer */
    uint32_t total_size;  /* bytes, this header included */
    uint32_t rows;        /* residents */
    uint32_t fields;      /* fields declared in the manifest */
    uint32_t parameters;  /* parameters declared in the manifest */
    uint32_t columns_off; /* linli_column[1 + fields + parameters]: `today` (a date, the civil date of the resident's
                             site), then the fields, then the parameters, each in the order of the manifest */
    uint16_t column_size; /* sizeof(linli_column) of the writer: the step from one column to the next */
    uint16_t reserved;
} linli_batch;

enum {                    /* type of a column            element of `values` */
    LINLI_T_BOOL = 1,     /* yes or no                   uint8_t, 0 or 1 */
    LINLI_T_INTEGER = 2,  /* a whole number              int64_t */
    LINLI_T_DATE = 3,     /* a civil date                int32_t, days since 1970-01-01 */
    LINLI_T_CODE = 4,     /* one of the field's values   uint32_t, ordinal in the field's `values` in the manifest */
    LINLI_T_TEXT = 5      /* text                        bytes; element i is [offsets[i], offsets[i + 1]) */
};
enum { LINLI_COL_CONSTANT = 1u }; /* one element, which holds for every row */

typedef struct linli_column {
    uint16_t type;         /* LINLI_T_* */
    uint16_t flags;        /* LINLI_COL_* */
    uint32_t values_off;   /* elements by row (or the one element) */
    uint32_t validity_off; /* bitmap, bit i of byte i / 8 from the least significant: row i has a value.
                              0: every row has one */
    uint32_t offsets_off;  /* text only: uint32_t[elements + 1] */
    uint32_t since_off;    /* int32_t by row (or one): the first day on which the fact counts, which is the later of
                              the day it became true and the day it was recorded; LINLI_NO_DATE: it always counted.
                              0: LINLI_NO_DATE for every row */
    uint32_t reserved;
} linli_column;

/* Dates lie between 1850-01-01 and 2199-12-31, in batches and in answers. An `until` or an expiry that a rule computes
 * beyond the last one is not said; a `since` before the first one is LINLI_NO_DATE. */
#define LINLI_DATE_FIRST (-43829)
#define LINLI_DATE_LAST 84005
#define LINLI_NO_DATE INT32_MIN
#define LINLI_NO_REASON 0xFFFFu

/* One statement about one resident. What each kind uses (anything else is LINLI_NO_DATE, LINLI_NO_REASON or 0):
 *
 *   kind        ordinal in       reason    since                         until
 *   MEMBERSHIP  groups           required  first day, see below          first day no longer a member, if known in
 *                                                                        advance (first birthday): after today
 *   TIER        0 general,       required  first day                     -
 *               1 key, 2 high
 *   TAG         tags             required  first day                     -
 *   CAUTION     cautions         required  -                             -
 *   EXPIRES     -                optional  -                             day from which this answer may be wrong and
 *                                                                        must be asked for again: after today
 *   ISSUE       fields           required  -                             -      (the field's fact is not acceptable)
 *
 * `since` is the plugin's to say, because only the rule knows which facts decided: it is the latest of the `since`
 * of those facts and of the dates that the rule itself computes (an 80th birthday). It is not after today;
 * LINLI_NO_DATE: it always was so. As the facts' `since` already hold the day of recording, the result is "max(the
 * day the fact became true, the day it was recorded)" and never the day of the run.
 * At most one MEMBERSHIP per group, and no two equal statements, about one resident. Several TIER statements: the
 * highest counts, with the reasons given for it. Several EXPIRES: the earliest counts. Order does not matter.
 * The host checks all of this; one wrong record fails the whole call. */
enum {
    LINLI_F_MEMBERSHIP = 1, LINLI_F_TIER = 2, LINLI_F_TAG = 3, LINLI_F_CAUTION = 4, LINLI_F_EXPIRES = 5, LINLI_F_ISSUE = 6
};
enum { LINLI_BASIS_RULE = 0, LINLI_BASIS_DECLARED = 1, LINLI_BASIS_CERTIFICATE = 2 }; /* of a MEMBERSHIP */

typedef struct linli_finding {
    uint32_t resident; /* row of the batch */
    uint8_t kind;      /* LINLI_F_* */
    uint8_t basis;     /* LINLI_BASIS_* */
    uint16_t ordinal;
    uint16_t reason;   /* ordinal in the manifest's reasons */
    uint16_t reserved_a;
    int32_t since;     /* days since 1970-01-01 */
    int32_t until;     /* days since 1970-01-01; the day itself is no longer included */
    uint32_t reserved_b;
} linli_finding;

/* The host's memory, which the plugin fills: write items[len], then add 1 to len. When len == cap call `grow`: it
 * returns LINLI_OK with a larger cap (items may have moved), or LINLI_E_FULL beyond the host's bound. */
typedef struct linli_sink {
    uint32_t struct_size;
    uint32_t item_size; /* sizeof(linli_finding) of the host */
    void *ctx;
    linli_finding *items;
    uint32_t cap, len;
    linli_status (*grow)(struct linli_sink *self, uint32_t at_least); /* during the call only, on its thread */
} linli_sink;

typedef struct linli_rules {
    uint32_t struct_size, reserved;
    /* [one] What follows from the facts: every kind but ISSUE. */
    linli_status (*assess)(linli_instance *, const linli_call *, const linli_batch *, linli_sink *);
    /* [one] Which facts are not acceptable: ISSUE only. */
    linli_status (*validate)(linli_instance *, const linli_call *, const linli_batch *, linli_sink *);
} linli_rules;

/* ==== interface "linli.connector/1": bodies outside the company ===============================================
 * Sans-I/O: the plugin says which exchange it wants next (HTTP, mail, file, sleep); the host performs it with its own
 * TLS, credentials, deadline, retry and list of allowed hosts. Requests, steps and inputs are protobuf messages of
 * package linli.plugin.v1. Delivery is at least once; `idempotency_key` is what the other side removes doubles by.
 *
 * A run is one exchange: start, then step until the step is an end, then end. The first step takes no input; each other
 * one takes what came of the step before. A message that cannot be read, a request for another operation than `op` and
 * an input that does not answer the last step are LINLI_E_INVALID. Same inputs, same steps: whatever a run must
 * remember lies in its exchange. After a status other than LINLI_OK the host ends the exchange. A connector always runs
 * in a process of its own; many exchanges may be open in it at one time, each with an instance of its own. */
#define LINLI_IF_CONNECTOR "linli.connector/1"

enum { LINLI_OP_DELIVER = 1, LINLI_OP_POLL = 2, LINLI_OP_PULL_ROSTER = 3, LINLI_OP_PROBE = 4 };

/* Variable bytes made by the plugin: the host reads them and calls release once. */
typedef struct linli_buffer {
    uint8_t *ptr;
    size_t len;
    void *owner;
    void (*release)(struct linli_buffer *self);
} linli_buffer;

typedef struct linli_exchange linli_exchange; /* the plugin's own: one operation under way */

typedef struct linli_connector {
    uint32_t struct_size, reserved;
    /* [any] Begins an operation (LINLI_OP_*) by a StartRequest, which holds the key too. */
    linli_status (*start)(linli_instance *, const linli_call *, uint32_t op, linli_bytes request,
                          linli_str idempotency_key, linli_exchange **out);
    /* [one] per exchange: takes a StepInput (empty at first), gives a Step of at most 8 MiB. */
    linli_status (*step)(linli_exchange *, const linli_call *, linli_bytes input, linli_buffer *out);
    /* [one] Called exactly once for each exchange that start made, also after an error or a cancellation. */
    void (*end)(linli_exchange *);
} linli_connector;

#ifdef __cplusplus
}
#endif
#endif /* LINLI_PLUGIN_H */
