import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.function.LongConsumer;

/** ShuffleBench's rules, and what is kept of each: the same for every system. See example-plugins/shuffle-match and shuffle-count. */
final class Rules {
    private static final int STATE_BYTES = 32;
    private static final int RULES = 1_000;
    private static final double SELECTIVITY = 0.2;
    private static final int SLOT_BITS = 16;
    private static final int SLOT_SHIFT = 63 - SLOT_BITS;
    private static final int TOLD = 10;

    private final long[] firsts = new long[RULES];
    private final int[][] slots = new int[1 << SLOT_BITS][];
    private final long width = (long) (SELECTIVITY / RULES * 0x1p63);

    Rules() {
        int[] none = {};
        java.util.Arrays.fill(slots, none);
        for (int rule = 0; rule < RULES; rule++) {
            long first = mix(rule) & Long.MAX_VALUE;
            firsts[rule] = first;
            long covered = (first >>> SLOT_SHIFT) + (((first & ((1L << SLOT_SHIFT) - 1)) + width) >>> SLOT_SHIFT);
            for (long slot = first >>> SLOT_SHIFT; slot <= covered; slot++) {
                int at = (int) (slot % slots.length);
                slots[at] = java.util.Arrays.copyOf(slots[at], slots[at].length + 1);
                slots[at][slots[at].length - 1] = rule;
            }
        }
    }

    private static long mix(long number) {
        long mixed = (number + 1) * 0x9E3779B97F4A7C15L;
        mixed = (mixed ^ (mixed >>> 30)) * 0xBF58476D1CE4E5B9L;
        mixed = (mixed ^ (mixed >>> 27)) * 0x94D049BB133111EBL;
        return mixed ^ (mixed >>> 31);
    }

    static long head(byte[] record) {
        return ByteBuffer.wrap(record).getLong();
    }

    /** Every rule that a record with this head matches. */
    void forEachMatching(long head, LongConsumer matching) {
        long half = head & Long.MAX_VALUE;
        for (int rule : slots[(int) (half >>> SLOT_SHIFT)]) {
            if (((half - firsts[rule]) & Long.MAX_VALUE) < width) {
                matching.accept(rule);
            }
        }
    }

    /** What is kept of a rule without records. */
    static byte[] none() {
        return new byte[STATE_BYTES];
    }

    /** Adds a record to what is kept of a rule; every tenth time the answer is what to write, and what is kept begins again. */
    static byte[] add(byte[] state, long rule, long head, long at) {
        ByteBuffer kept = ByteBuffer.wrap(state).order(ByteOrder.LITTLE_ENDIAN);
        long count = kept.getLong(0) + 1;
        long sum = kept.getLong(8) + head;
        long first = count == 1 ? at : kept.getLong(16);
        if (count == TOLD) {
            java.util.Arrays.fill(state, (byte) 0);
            return ("{\"rule\":" + rule + ",\"count\":" + count + ",\"sum\":" + sum + ",\"first\":" + first + ",\"last\":" + at
                + "}").getBytes(StandardCharsets.ISO_8859_1);
        }
        kept.putLong(0, count).putLong(8, sum).putLong(16, first).putLong(24, at);
        return null;
    }
}
