/* Turns binary frames of sensors into rows: a record's value is one frame or several, end to end, as a gateway packs them.
 *
 * Each reading becomes a row with the frame's time as its event time and the device as its key. A record with a broken frame goes to the
 * dead letters whole, with the frame and the byte that it begins at: what stands after a broken frame cannot be trusted. */
#include "frame.h"
#include <wasmill.h>

/* The value as it came: no format is decoded. */
WM_RECORD(packet, value(bytes));

WM_ROW(measured,
    s64(device),
    text(channel),
    f64(reading),
    key(of),
    time(at)
);
WM_PORTS(measured);

/* `encoding` is "raw", or "hex" where frames travel as a JSON string of hexadecimal digits. */
WM_CONFIG(config, text(encoding, "raw"));

static bool known_encoding(const void *of, wm_str *why) {
    const config *c = of;
    if (wm_equal(c->encoding, WM_STR("raw")) || wm_equal(c->encoding, WM_STR("hex")))
        return true;
    *why = wm_format("encoding = \"%.*s\", expected \"raw\" or \"hex\"", WM_ARG(c->encoding));
    return false;
}

static int digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The bytes of a JSON string of hexadecimal digits; null when it is none. */
static wm_str from_hex(wm_str json) {
    const size_t len = json.len >= 2 ? (json.len - 2) / 2 : 0;
    char *bytes = wm_alloc(len + 1);
    if (json.len != 2 * len + 2 || json.ptr[0] != '"' || json.ptr[json.len - 1] != '"')
        return (wm_str){NULL, 0};
    for (size_t i = 0; i < len; i++) {
        const int high = digit(json.ptr[2 * i + 1]), low = digit(json.ptr[2 * i + 2]);
        if (high < 0 || low < 0)
            return (wm_str){NULL, 0};
        bytes[i] = (char)(high << 4 | low);
    }
    return (wm_str){bytes, len};
}

static wm_str channel_name(uint8_t channel) {
    static const char *const names[] = {"temperature", "humidity", "pressure"};
    const bool known = channel >= 1 && channel <= sizeof names / sizeof *names;
    return known ? wm_str_of(names[channel - 1]) : wm_format("channel-%u", channel);
}

static void emit(const frame *f, wm_out *out) {
    const wm_str key = wm_format("%u", f->device);
    for (size_t i = 0; i < f->readings_count; i++)
        WM_EMIT(out, measured,
            .device = f->device,
            .channel = channel_name(f->readings[i].channel),
            .reading = f->readings[i].value,
            .of = key,
            .at = f->at);
}

static void decode(const packet *p, const config *c, wm_out *out) {
    const wm_str raw = wm_equal(c->encoding, WM_STR("hex")) ? from_hex(p->bytes) : p->bytes;
    if (wm_is_null(raw)) {
        wm_reject(out, wm_is_null(p->bytes) ? "a record without a value" : "no JSON string of hexadecimal digits");
        return;
    }
    size_t at = 0, frames = 0;
    for (size_t used; at < raw.len; at += used, frames++) {
        frame f;
        const frame_status status = frame_read((const uint8_t *)raw.ptr + at, raw.len - at, &f, &used);
        if (status != FRAME_GOOD) {
            wm_reject(out, "frame %zu, at byte %zu: %s", frames, at, frame_says(status));
            wm_count("broken_frames", 1);
            return;
        }
        emit(&f, out);
    }
    wm_count("frames", frames);
}

WM_TRANSFORM(decode, packet, config,
    .name = "frame-codec",
    .version = "1.0.0",
    .description = "Turns binary frames of sensors into rows.",
    .check = known_encoding);
