#include "frame.h"

static uint64_t big_endian(const uint8_t *bytes, size_t len) {
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++)
        value = value << 8 | bytes[i];
    return value;
}

uint16_t frame_checksum(const uint8_t *bytes, size_t len) {
    uint16_t sum = 0xFFFF;
    for (size_t i = 0; i < len; i++) {
        sum ^= (uint16_t)(bytes[i] << 8);
        for (int bit = 0; bit < 8; bit++)
            sum = (uint16_t)(sum & 0x8000 ? sum << 1 ^ 0x1021 : sum << 1);
    }
    return sum;
}

frame_status frame_read(const uint8_t *bytes, size_t len, frame *into, size_t *used) {
    if (len < HEAD_BYTES)
        return FRAME_CUT;
    if (bytes[0] != FRAME_SYNC)
        return FRAME_NO_SYNC;
    const size_t count = bytes[1];
    if (count < 1 || count > READINGS_MAX)
        return FRAME_BAD_COUNT;
    const size_t body = HEAD_BYTES + count * READING_BYTES;
    if (len < body + CHECKSUM_BYTES)
        return FRAME_CUT;
    if (frame_checksum(bytes, body) != big_endian(bytes + body, CHECKSUM_BYTES))
        return FRAME_BAD_CHECKSUM;
    into->device = (uint32_t)big_endian(bytes + 2, 4);
    into->at = (int64_t)big_endian(bytes + 6, 8);
    into->readings_count = count;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *at = bytes + HEAD_BYTES + i * READING_BYTES;
        into->readings[i] = (reading){at[0], (int32_t)(uint32_t)big_endian(at + 1, 4) / 1e6};
    }
    *used = body + CHECKSUM_BYTES;
    return FRAME_GOOD;
}

const char *frame_says(frame_status status) {
    switch (status) {
    case FRAME_CUT:
        return "it ends too early";
    case FRAME_NO_SYNC:
        return "it does not begin with a5";
    case FRAME_BAD_COUNT:
        return "it has no or more than 32 readings";
    case FRAME_BAD_CHECKSUM:
        return "its checksum is wrong";
    default:
        return "it is good";
    }
}
