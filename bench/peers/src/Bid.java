import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import java.io.IOException;
import java.nio.charset.StandardCharsets;

/** A bid, and how events are read and results written: the same for every system, with Jackson's streaming parser. */
final class Bid {
    private static final JsonFactory JSON = new JsonFactory();
    private static final ThreadLocal<StringBuilder> TEXT = ThreadLocal.withInitial(() -> new StringBuilder(128));

    long auction;
    long bidder;
    long price;
    long dateTime;

    /** Reads an event into this bid. False for what is none; then nothing after its type is read. */
    boolean read(byte[] event) {
        try (JsonParser json = JSON.createParser(event)) {
            json.nextToken();
            for (String name = json.nextFieldName(); name != null; name = json.nextFieldName()) {
                json.nextToken();
                if (name.equals("event_type") && json.getIntValue() != 2) {
                    return false;
                } else if (name.equals("bid")) {
                    readFields(json);
                } else {
                    json.skipChildren();
                }
            }
            return true;
        } catch (IOException error) {
            throw new IllegalArgumentException(new String(event, StandardCharsets.UTF_8), error);
        }
    }

    private void readFields(JsonParser json) throws IOException {
        for (String name = json.nextFieldName(); name != null; name = json.nextFieldName()) {
            json.nextToken();
            switch (name) {
                case "auction" -> auction = json.getLongValue();
                case "bidder" -> bidder = json.getLongValue();
                case "price" -> price = json.getLongValue();
                case "dateTime" -> dateTime = json.getLongValue();
                default -> json.skipChildren();
            }
        }
    }

    long key(Job.Windows windows) {
        return windows.byAuction() ? auction : bidder;
    }

    /** What q0, q1 or q2 makes of an event; null for nothing. */
    byte[] answer(String query, byte[] event) {
        return switch (query) {
            case "q0" -> event;
            case "q1" -> !read(event) ? null : bytes(text().append("{\"auction\":").append(auction)
                .append(",\"bidder\":").append(bidder).append(",\"price\":").append(price * 908 / 1000)
                .append(",\"dateTime\":").append(dateTime));
            default -> !read(event) || auction % 123 != 0 ? null
                : bytes(text().append("{\"auction\":").append(auction).append(",\"price\":").append(price));
        };
    }

    /** What a windowed query writes. */
    static byte[] window(long key, long start, long end, long count) {
        return bytes(text().append("{\"key\":").append(key).append(",\"start\":").append(start)
            .append(",\"end\":").append(end).append(",\"count\":").append(count));
    }

    private static StringBuilder text() {
        StringBuilder text = TEXT.get();
        text.setLength(0);
        return text;
    }

    private static byte[] bytes(StringBuilder text) {
        return text.append('}').toString().getBytes(StandardCharsets.ISO_8859_1);
    }
}
