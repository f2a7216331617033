/* The frames of a sensor: what is on the wire, and nothing of wasmill.
 *
 * | bytes      | what                                                                                   |
 * |------------|----------------------------------------------------------------------------------------|
 * | 1          | 0xA5                                                                                   |
 * | 1          | how many readings: 1 to 32                                                             |
 * | 4          | the device's number                                                                    |
 * | 8          | when it measured: milliseconds since the Unix epoch, signed                            |
 * | 5 each     | a reading: its channel (1), and its value in millionths of the channel's unit (4, signed) |
 * | 2          | CRC-16/CCITT-FALSE of all bytes before                                                 |
 *
 * Numbers are big-endian. */
#ifndef FRAME_H
#define FRAME_H

#include <stddef.h>
#include <stdint.h>

#define FRAME_SYNC 0xA5
#define READINGS_MAX 32
#define READING_BYTES 5
#define HEAD_BYTES 14
#define CHECKSUM_BYTES 2

typedef struct reading {
    uint8_t channel;
    double value; /* In the channel's unit. */
} reading;

typedef struct frame {
    uint32_t device;
    int64_t at; /* Milliseconds since the Unix epoch. */
    size_t readings_count;
    reading readings[READINGS_MAX];
} frame;

/* What came of reading a frame. */
typedef enum frame_status { FRAME_GOOD, FRAME_CUT, FRAME_NO_SYNC, FRAME_BAD_COUNT, FRAME_BAD_CHECKSUM } frame_status;

/* Reads the frame that `bytes` begins with. `used` is its length when it is good. */
frame_status frame_read(const uint8_t *bytes, size_t len, frame *into, size_t *used);

/* What is wrong, in words. */
const char *frame_says(frame_status status);

/* The check value of "123456789" is 0x29B1. */
uint16_t frame_checksum(const uint8_t *bytes, size_t len);

#endif
