import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.common.TopicPartition;

/** What a system is asked to do: BROKERS QUERY FROM TO [key=value...]. The queries are those of ../../src/nexmark/queries.rs. */
record Job(String brokers, String query, String from, String to, Map<String, String> options) {
    /** How far events may be out of order, ms. */
    static final long DELAY_MS = 4_000;
    private static final Set<String> OPTIONS = Set.of("exactly_once", "commit_ms", "store", "emit", "scratch");

    static Job of(String[] arguments) {
        Map<String, String> options = new HashMap<>();
        for (String option : List.of(arguments).subList(4, arguments.length)) {
            String[] pair = option.split("=", 2);
            if (pair.length != 2 || !OPTIONS.contains(pair[0])) {
                throw new IllegalArgumentException("found " + option + ", expected KEY=VALUE with a key of " + OPTIONS);
            }
            options.put(pair[0], pair[1]);
        }
        return new Job(arguments[0], arguments[1], arguments[2], arguments[3], options);
    }

    boolean exactlyOnce() {
        return Boolean.parseBoolean(options.getOrDefault("exactly_once", "true"));
    }

    long commitMs() {
        return Long.parseLong(options.getOrDefault("commit_ms", "1000"));
    }

    /** True where state is kept on the heap, not in RocksDB. */
    boolean onHeap() {
        return options.getOrDefault("store", "memory").equals("memory");
    }

    /** Kafka Streams: true where windows are emitted by the store when they close, false where a buffer behind it waits. */
    boolean emitOnClose() {
        return options.getOrDefault("emit", "close").equals("close");
    }

    /** A folder of this job's own. */
    String scratch() {
        return options.get("scratch");
    }

    /** The windows of a query: size (or gap) and slide in ms; slide 0 for sessions. */
    record Windows(boolean byAuction, long sizeMs, long slideMs) {
        boolean isSession() {
            return slideMs == 0;
        }
    }

    /** Null for a query without windows. */
    Windows windows() {
        return switch (query) {
            case "q0", "q1", "q2", "shuffle", "recovery" -> null;
            case "q5c" -> new Windows(true, 10_000, 2_000);
            case "q11" -> new Windows(false, 10_000, 0);
            case "q12e" -> new Windows(false, 10_000, 10_000);
            case "hop-10s" -> new Windows(true, 60_000, 10_000);
            case "hop-1s" -> new Windows(true, 60_000, 1_000);
            default -> throw new IllegalArgumentException("there is no query " + query);
        };
    }

    /** True for ShuffleBench's job, over random bytes. */
    boolean shuffles() {
        return query.equals("shuffle");
    }

    /** True for the job that is killed and started again in the same folder: it has no end. */
    boolean recovers() {
        return query.equals("recovery");
    }

    /** The end of each partition of a topic. */
    static long[] ends(Admin admin, String topic) throws Exception {
        int partitions = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size();
        Map<TopicPartition, OffsetSpec> asked = new HashMap<>();
        for (int partition = 0; partition < partitions; partition++) {
            asked.put(new TopicPartition(topic, partition), OffsetSpec.latest());
        }
        long[] ends = new long[partitions];
        admin.listOffsets(asked).all().get().forEach((at, end) -> ends[at.partition()] = end.offset());
        return ends;
    }

    /** Events in the topic that is read. */
    long events() throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", brokers))) {
            long all = 0;
            for (long end : ends(admin, from)) {
                all += end;
            }
            return all;
        }
    }
}
