import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/** A record of the recovery job, and the kilobyte of state of its key: the same for every system. See example-plugins/recovery-count. */
final class Kept {
    private static final JsonFactory JSON = new JsonFactory();
    private static final int WORDS = 126;

    long key;
    long number;

    /** Reads a record into this one. */
    void read(byte[] record) {
        try (JsonParser json = JSON.createParser(record)) {
            json.nextToken();
            for (String name = json.nextFieldName(); name != null; name = json.nextFieldName()) {
                json.nextToken();
                switch (name) {
                    case "key" -> key = json.getLongValue();
                    case "number" -> number = json.getLongValue();
                    default -> json.skipChildren();
                }
            }
        } catch (IOException error) {
            throw new IllegalArgumentException(new String(record, StandardCharsets.UTF_8), error);
        }
    }

    /** What is kept of a key before its first record. */
    static byte[] none(long key) {
        ByteBuffer kept = ByteBuffer.allocate((2 + WORDS) * Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        for (int word = 0; word < WORDS; word++) {
            kept.putLong((2 + word) * Long.BYTES, mix(key * WORDS + word));
        }
        return kept.array();
    }

    /** Adds a number to what is kept of a key; the answer is what to write. */
    static byte[] add(byte[] state, long key, long number) {
        ByteBuffer kept = ByteBuffer.wrap(state).order(ByteOrder.LITTLE_ENDIAN);
        long count = kept.getLong(0) + 1;
        long sum = kept.getLong(8) + number;
        kept.putLong(0, count).putLong(8, sum);
        long check = 0;
        for (int word = 0; word < WORDS; word++) {
            check += kept.getLong((2 + word) * Long.BYTES);
        }
        return ("{\"key\":" + key + ",\"count\":" + count + ",\"sum\":" + sum + ",\"check\":" + check + "}")
            .getBytes(StandardCharsets.ISO_8859_1);
    }

    private static long mix(long number) {
        long mixed = (number + 1) * 0x9E3779B97F4A7C15L;
        mixed = (mixed ^ (mixed >>> 30)) * 0xBF58476D1CE4E5B9L;
        mixed = (mixed ^ (mixed >>> 27)) * 0x94D049BB133111EBL;
        return mixed ^ (mixed >>> 31);
    }
}
