/* A connector that keeps every rule of the header, written from the header and connector.proto alone; with one of the
 * definitions below it breaks that rule and no other. Each definition is named like the rule that it breaks. */
#define _GNU_SOURCE
#include "linli_plugin.h"
#include "manifest.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct linli_instance {
    const linli_host *host;
};

struct linli_exchange {
    linli_instance *instance;
    int at;
    uint32_t op;
    char key[65];
    uint8_t *request;
    size_t request_len;
};

#ifdef BREAK_SAME_STEPS
static atomic_int runs;
#endif
#ifdef BREAK_WANDERING
static _Thread_local int began_here;
#endif

static linli_status fail(const linli_call *call, linli_status status, const char *why) {
#ifndef BREAK_FAILURE_SAYS_WHY
    call->error(call, (linli_str){ why, strlen(why) });
#else
    (void)call;
    (void)why;
#endif
    return status;
}

/* ---- protobuf, as far as it is needed --------------------------------------------------------------------- */

/* Reads a number; the place behind it, or NULL. */
static const uint8_t *number(const uint8_t *at, const uint8_t *end, uint64_t *value) {
    *value = 0;
    for (int shift = 0; at < end && shift < 64; shift += 7) {
        *value |= (uint64_t)(*at & 0x7f) << shift;
        if (!(*at++ & 0x80))
            return at;
    }
    return NULL;
}

/* The member below `below` that a message has, or 0; -1: it is no message. */
static int member(linli_bytes message, unsigned below) {
    const uint8_t *at = message.ptr, *end = at + message.len;
    int found = 0;
    while (at < end) {
        uint64_t tag, len;
        if (!(at = number(at, end, &tag)) || tag >> 3 == 0 || !(at = number(at, end, &len)))
            return -1;
        if ((tag & 7) == 2) {
            if (len > (uint64_t)(end - at))
                return -1;
            at += len;
        } else if ((tag & 7) != 0) {
            return -1;
        }
        if (tag >> 3 < below)
            found = (int)(tag >> 3);
    }
    return found;
}

struct writer {
    uint8_t bytes[4096];
    size_t len;
};

static void put(struct writer *to, const void *bytes, size_t len) {
    memcpy(to->bytes + to->len, bytes, len);
    to->len += len;
}

/* A member with bytes: shorter than 16,384. */
static void put_member(struct writer *to, unsigned field, const void *bytes, size_t len) {
    uint8_t head[3] = { (uint8_t)(field << 3 | 2), (uint8_t)(len | 0x80), (uint8_t)(len >> 7) };
    put(to, head, sizeof head);
    put(to, bytes, len);
}

static void put_text(struct writer *to, unsigned field, const char *words) {
    put_member(to, field, words, strlen(words));
}

static void release(linli_buffer *self) {
#ifndef BREAK_RUN_MEMORY
    free(self->owner);
#endif
    self->ptr = NULL;
}

static linli_status give(linli_buffer *out, const struct writer *from) {
    uint8_t *bytes = malloc(from->len + 65536);
    if (!bytes)
        return LINLI_E_INTERNAL;
    memset(bytes, 0, from->len + 65536);
    memcpy(bytes, from->bytes, from->len);
    *out = (linli_buffer){ bytes, from->len, bytes, release };
    return LINLI_OK;
}

/* ---- the connector ---------------------------------------------------------------------------------------- */

static linli_status start(linli_instance *self, const linli_call *call, uint32_t op, linli_bytes request,
                          linli_str key, linli_exchange **out) {
    int operation = member(request, 5);
#ifdef BREAK_WANDERING
    began_here = 1;
#endif
#ifdef BREAK_WRONG_REQUEST
    if (operation < 0)
        operation = (int)op;
#endif
    if (operation < 1 || (uint32_t)operation != op)
        return fail(call, LINLI_E_INVALID, "the request is not one for this operation");
    linli_exchange *made = calloc(1, sizeof *made);
    uint8_t *copy = malloc(request.len + 1);
    if (!made || !copy || key.len >= sizeof made->key)
        return fail(call, LINLI_E_INTERNAL, "there is no memory");
    memcpy(copy, request.ptr, request.len);
    memcpy(made->key, key.ptr, key.len);
    made->instance = self;
    made->op = op;
    made->request = copy;
    made->request_len = request.len;
    *out = made;
    return LINLI_OK;
}

static linli_status post(const linli_exchange *self, linli_buffer *out) {
    struct writer header = { .len = 0 }, request = { .len = 0 }, step = { .len = 0 };
    put_text(&header, 1, "idempotency-key");
#ifdef BREAK_IDEMPOTENCY_KEY
    put_text(&header, 2, self->op ? "always" : "");
#else
    put_text(&header, 2, self->key);
#endif
#ifdef BREAK_STEPS
    put_text(&request, 1, "DELETE");
#else
    put_text(&request, 1, "POST");
#endif
    put_text(&request, 2, "https://body.example/in");
    put_member(&request, 3, header.bytes, header.len);
#ifdef BREAK_SAME_STEPS
    char count[2] = { (char)('a' + atomic_fetch_add(&runs, 1) % 26), 0 };
    put_text(&request, 4, count);
#endif
#ifdef BREAK_WANDERING
    char count[2] = { (char)('a' + began_here), 0 };
    put_text(&request, 4, count);
#endif
    put_member(&step, 1, request.bytes, request.len);
    return give(out, &step);
}

static linli_status end_with(linli_exchange *self, linli_buffer *out, int worked) {
    struct writer inner = { .len = 0 }, end = { .len = 0 }, step = { .len = 0 };
    unsigned how = self->op == LINLI_OP_DELIVER ? 1 : 4;
    if (!worked) {
        put_text(&inner, 1, "the body did not answer");
        uint8_t retry[2] = { 2 << 3, 1 };
        put(&inner, retry, sizeof retry);
        how = 5;
    }
    put_member(&end, how, inner.bytes, inner.len);
    put_member(&step, 7, end.bytes, end.len);
    return give(out, &step);
}

static linli_status step(linli_exchange *self, const linli_call *call, linli_bytes input, linli_buffer *out) {
#ifndef BREAK_STOPS
    if (call->cancel && atomic_load_explicit((const _Atomic uint32_t *)call->cancel, memory_order_acquire))
        return fail(call, LINLI_E_CANCELLED, "told to stop");
#endif
#ifdef BREAK_LARGER_CALL
    if (call->struct_size != sizeof *call)
        return fail(call, LINLI_E_INVALID, "the call has another size");
#endif
#ifdef BREAK_NO_IO
    (void)!write(2, "", 0);
#endif
#ifdef BREAK_LEFT_BEHIND
    (void)!dup(0);
#endif
    if (self->at++ == 0) {
        if (input.len)
            return fail(call, LINLI_E_INVALID, "the first step takes no input");
#ifdef BREAK_HOSTED_APART
        if (getenv("PATH") == NULL)
            return end_with(self, out, 0);
#endif
        return post(self, out);
    }
    int kind = member(input, 6);
#ifdef BREAK_WRONG_INPUT
    if (kind < 1)
        kind = 5;
#endif
    if (kind != 1 && kind != 5)
        return fail(call, LINLI_E_INVALID, "the input does not answer an HTTPS request");
#ifdef BREAK_DISCREET
    if (kind == 5)
        self->instance->host->log(self->instance->host->ctx, LINLI_LOG_INFO,
                                  (linli_str){ (const char *)self->request, self->request_len });
#endif
#ifdef BREAK_ENDS
    if (kind == 5)
        abort();
#endif
    return end_with(self, out, kind == 1);
}

static void end(linli_exchange *self) {
    free(self->request);
    free(self);
}

static const linli_connector CONNECTOR = { sizeof(linli_connector), 0, start, step, end };

/* ---- the entry -------------------------------------------------------------------------------------------- */

static const linli_description DESCRIPTION = {
    sizeof(linli_description), 0, { MANIFEST, sizeof MANIFEST }, { "cc", 2 }
};

static const linli_description *describe(void) { return &DESCRIPTION; }

static linli_status create(const linli_host *host, const linli_call *call, linli_bytes config, linli_instance **out) {
    (void)config;
    linli_instance *made = malloc(sizeof *made);
    if (!made)
        return fail(call, LINLI_E_INTERNAL, "there is no memory");
    made->host = host;
    *out = made;
    return LINLI_OK;
}

static void destroy(linli_instance *self) { free(self); }

static const void *get_interface(linli_instance *self, linli_str id) {
    (void)self;
#ifdef BREAK_INTERFACES
    return NULL;
#endif
    if (id.len == sizeof LINLI_IF_CONNECTOR - 1 && memcmp(id.ptr, LINLI_IF_CONNECTOR, id.len) == 0)
        return &CONNECTOR;
    return NULL;
}

static const linli_plugin PLUGIN = {
    LINLI_PLUGIN_MAGIC, sizeof(linli_plugin), LINLI_ABI_MAJOR, LINLI_ABI_MINOR, 0,
    describe, create, destroy, get_interface
};

LINLI_EXPORT const linli_plugin *linli_plugin_entry_v1(uint32_t major, uint32_t minor) {
    (void)major;
    (void)minor;
    return &PLUGIN;
}
