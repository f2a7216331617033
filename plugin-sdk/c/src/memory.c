/* Memory that is taken piece by piece and given back all at once. */
#include "sdk.h"
#include <stdlib.h>

/* The first piece; enough for a batch of some columns. */
#define CHUNK_BYTES_MIN ((size_t)64 << 10)

struct wm_chunk {
    struct wm_chunk *next;
    max_align_t content[];
};

wm_arena wm_call_memory, wm_kept_memory;
wm_arena *wm_memory = &wm_call_memory;

static void add_chunk(wm_arena *arena, size_t bytes) {
    struct wm_chunk *chunk = malloc(sizeof(struct wm_chunk) + bytes);
    if (!chunk)
        WM_FAIL("out of memory: %zu bytes more than %zu", bytes, arena->bytes);
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    arena->at = (char *)chunk->content;
    arena->end = arena->at + bytes;
    arena->bytes += bytes;
}

void *wm_arena_take(wm_arena *arena, size_t bytes, size_t align) {
    char *place = (char *)(((uintptr_t)arena->at + align - 1) & ~(uintptr_t)(align - 1));
    if (!arena->at || place > arena->end || bytes > (size_t)(arena->end - place)) {
        if (bytes > SIZE_MAX / 4)
            WM_FAIL("out of memory: %zu bytes were asked for", bytes);
        size_t wanted = arena->bytes > CHUNK_BYTES_MIN ? arena->bytes : CHUNK_BYTES_MIN;
        add_chunk(arena, wanted > bytes + align ? wanted : bytes + align);
        place = (char *)(((uintptr_t)arena->at + align - 1) & ~(uintptr_t)(align - 1));
    }
    arena->at = place + bytes;
    return place;
}

void wm_arena_reset(wm_arena *arena) {
    if (!arena->chunks)
        return;
    if (!arena->chunks->next) {
        arena->at = (char *)arena->chunks->content;
        return;
    }
    const size_t bytes = arena->bytes;
    while (arena->chunks) {
        struct wm_chunk *next = arena->chunks->next;
        free(arena->chunks);
        arena->chunks = next;
    }
    *arena = (wm_arena){0};
    add_chunk(arena, bytes);
}

void *wm_take(size_t bytes) {
    return wm_arena_take(wm_memory, bytes, sizeof(max_align_t) < 16 ? sizeof(max_align_t) : 16);
}

void *wm_alloc(size_t bytes) {
    return memset(wm_take(bytes), 0, bytes);
}

void *wm_grow(const void *old, size_t used, size_t bytes) {
    void *place = wm_take(bytes);
    if (used)
        memcpy(place, old, used);
    return place;
}
