import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.LongSerializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.EmitStrategy;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.Repartitioned;
import org.apache.kafka.streams.kstream.SessionWindows;
import org.apache.kafka.streams.kstream.Suppressed;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.BuiltInDslStoreSuppliers;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.SessionStore;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.WindowStore;

/** The queries with Kafka Streams' DSL, one thread. */
public final class Streams {
    private static final byte[] ONE = {1};
    private static final long START_MS = 1_700_000_000_000L;
    private static final long EVENTS_PER_MS = 100;
    private static final Produced<byte[], byte[]> AS_BYTES = Produced.with(Serdes.ByteArray(), Serdes.ByteArray());

    public static void main(String[] arguments) throws Exception {
        Job job = Job.of(arguments);
        Properties settings = settings(job);
        StreamsBuilder builder = new StreamsBuilder();
        if (job.recovers()) {
            keep(job, builder, settings);
            return;
        }
        KStream<byte[], byte[]> events = builder.stream(job.from(), Consumed.with(Serdes.ByteArray(), counted()));
        ThreadLocal<Bid> bids = ThreadLocal.withInitial(Bid::new);
        if (job.shuffles()) {
            shuffle(job, builder, events);
        } else if (job.windows() == null) {
            events.mapValues(event -> bids.get().answer(job.query(), event)).filter((key, value) -> value != null)
                .to(job.to(), AS_BYTES);
        } else {
            countWindows(job, events, bids);
        }
        long all = job.events();
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", job.brokers()));
             KafkaStreams streams = new KafkaStreams(builder.build(settings), settings)) {
            Usage.watch(all);
            streams.setUncaughtExceptionHandler(error -> {
                error.printStackTrace();
                Runtime.getRuntime().halt(1);
                return null;
            });
            streams.start();
            while (Usage.taken() < all) {
                Thread.sleep(50);
            }
            awaitCommit(admin, job, job.from());
            String grouped = job.to() + "-by-repartition";
            if (job.shuffles()) {
                awaitCommit(admin, job, grouped);
            }
            if (job.windows() != null) {
                awaitCommit(admin, job, grouped);
                closeWindows(admin, job, grouped, START_MS + all / EVENTS_PER_MS);
                awaitCommit(admin, job, grouped);
            }
            streams.close(Duration.ofSeconds(60));
        }
        Usage.tell(all);
    }

    private static Properties settings(Job job) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, job.to()); // It names the internal topics.
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, job.brokers());
        settings.put(StreamsConfig.STATE_DIR_CONFIG, job.scratch());
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG,
            job.exactlyOnce() ? StreamsConfig.EXACTLY_ONCE_V2 : StreamsConfig.AT_LEAST_ONCE);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, job.commitMs());
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 10 << 20);
        settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        settings.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
        settings.put(StreamsConfig.consumerPrefix("max.poll.records"), 2000);
        settings.put(StreamsConfig.producerPrefix("batch.size"), 131_072);
        settings.put(StreamsConfig.producerPrefix("linger.ms"), 50);
        if (job.recovers()) {
            // Who comes under the same name takes the other's place at once; another one waits 45 s for the dead.
            settings.put(StreamsConfig.mainConsumerPrefix("group.instance.id"), "one");
            settings.put(StreamsConfig.restoreConsumerPrefix("max.partition.fetch.bytes"), 8 << 20);
        }
        if (job.onHeap()) {
            settings.put(StreamsConfig.DSL_STORE_SUPPLIERS_CLASS_CONFIG,
                BuiltInDslStoreSuppliers.InMemoryDslStoreSuppliers.class);
        }
        return settings;
    }

    private static Serde<byte[]> counted() {
        AtomicLong taken = Usage.counter();
        Deserializer<byte[]> reader = (topic, data) -> {
            Usage.take(taken);
            return data;
        };
        return Serdes.serdeFrom(new ByteArraySerializer(), reader);
    }

    private static void shuffle(Job job, StreamsBuilder builder, KStream<byte[], byte[]> records) {
        var supplier = job.onHeap() ? Stores.inMemoryKeyValueStore("kept") : Stores.persistentKeyValueStore("kept");
        builder.addStateStore(Stores.keyValueStoreBuilder(supplier, Serdes.Long(), Serdes.ByteArray()).withCachingEnabled());
        ThreadLocal<Rules> rules = ThreadLocal.withInitial(Rules::new);
        records.flatMap((none, record) -> {
            List<KeyValue<Long, byte[]>> matches = new ArrayList<>(4);
            long head = Rules.head(record);
            rules.get().forEachMatching(head, rule ->
                matches.add(KeyValue.pair(rule, ByteBuffer.allocate(Long.BYTES).putLong(head).array())));
            return matches;
        }).repartition(Repartitioned.with(Serdes.Long(), Serdes.ByteArray()).withName("by")).process(Tell::new, "kept")
            .to(job.to(), AS_BYTES);
    }

    /** Runs the recovery job until it is killed. */
    private static void keep(Job job, StreamsBuilder builder, Properties settings) throws InterruptedException {
        var supplier = job.onHeap() ? Stores.inMemoryKeyValueStore("kept") : Stores.persistentKeyValueStore("kept");
        builder.addStateStore(Stores.keyValueStoreBuilder(supplier, Serdes.Long(), Serdes.ByteArray()).withCachingEnabled());
        // The records have their keys: there is no topic in between.
        builder.stream(job.from(), Consumed.with(Serdes.Long(), Serdes.ByteArray())).process(Keep::new, "kept")
            .to(job.to(), AS_BYTES);
        KafkaStreams streams = new KafkaStreams(builder.build(settings), settings);
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
            return null;
        });
        streams.start();
        Thread.currentThread().join();
    }

    private static final class Keep implements Processor<Long, byte[], byte[], byte[]> {
        private final Kept update = new Kept();
        private ProcessorContext<byte[], byte[]> context;
        private KeyValueStore<Long, byte[]> kept;

        @Override
        public void init(ProcessorContext<byte[], byte[]> context) {
            this.context = context;
            kept = context.getStateStore("kept");
        }

        @Override
        public void process(Record<Long, byte[]> record) {
            update.read(record.value());
            byte[] state = kept.get(update.key);
            state = state == null ? Kept.none(update.key) : state;
            byte[] told = Kept.add(state, update.key, update.number);
            kept.put(update.key, state);
            context.forward(new Record<>(null, told, record.timestamp()));
        }
    }

    private static final class Tell implements Processor<Long, byte[], byte[], byte[]> {
        private ProcessorContext<byte[], byte[]> context;
        private KeyValueStore<Long, byte[]> kept;

        @Override
        public void init(ProcessorContext<byte[], byte[]> context) {
            this.context = context;
            kept = context.getStateStore("kept");
        }

        @Override
        public void process(Record<Long, byte[]> match) {
            byte[] state = kept.get(match.key());
            state = state == null ? Rules.none() : state;
            byte[] told = Rules.add(state, match.key(), Rules.head(match.value()), match.timestamp());
            kept.put(match.key(), state);
            if (told != null) {
                context.forward(new Record<>(null, told, match.timestamp()));
            }
        }
    }

    private static void countWindows(Job job, KStream<byte[], byte[]> events, ThreadLocal<Bid> bids) {
        Job.Windows windows = job.windows();
        KGroupedStream<Long, byte[]> grouped = events.map((none, event) -> {
            Bid bid = bids.get();
            return KeyValue.pair(bid.read(event) ? (Long) bid.key(windows) : null, ONE);
        }).filter((key, one) -> key != null).groupByKey(Grouped.with("by", Serdes.Long(), Serdes.ByteArray()));
        EmitStrategy emit = job.emitOnClose() ? EmitStrategy.onWindowClose() : EmitStrategy.onWindowUpdate();
        Duration size = Duration.ofMillis(windows.sizeMs());
        Duration grace = Duration.ofMillis(Job.DELAY_MS);
        // Longer than the default: with it a jump of time drops windows before they are emitted.
        Duration kept = size.multipliedBy(2).plus(grace).plusSeconds(10);
        KTable<Windowed<Long>, Long> counts;
        if (windows.isSession()) {
            Materialized<Long, Long, SessionStore<Bytes, byte[]>> store = Materialized.as("counts");
            counts = grouped.windowedBy(SessionWindows.ofInactivityGapAndGrace(size, grace)).emitStrategy(emit)
                .count(store.withKeySerde(Serdes.Long()).withValueSerde(Serdes.Long()).withRetention(kept));
        } else {
            Materialized<Long, Long, WindowStore<Bytes, byte[]>> store = Materialized.as("counts");
            TimeWindows hops = TimeWindows.ofSizeAndGrace(size, grace).advanceBy(Duration.ofMillis(windows.slideMs()));
            counts = grouped.windowedBy(hops).emitStrategy(emit)
                .count(store.withKeySerde(Serdes.Long()).withValueSerde(Serdes.Long()).withRetention(kept));
        }
        if (!job.emitOnClose()) {
            counts = counts.suppress(Suppressed.untilWindowCloses(Suppressed.BufferConfig.unbounded()));
        }
        // A session of theirs ends with its last record, without the gap.
        long gap = windows.isSession() ? windows.sizeMs() : 0;
        counts.toStream().filter((window, count) -> window.key() >= 0 && count != null)
            .map((window, count) -> KeyValue.pair((byte[]) null,
                Bid.window(window.key(), window.window().start(), window.window().end() + gap, count)))
            .to(job.to(), AS_BYTES);
    }

    /** Waits until the end of a topic is committed; markers of transactions at its end may stay uncommitted. */
    private static void awaitCommit(Admin admin, Job job, String topic) throws Exception {
        Map<Integer, Long> before = Map.of();
        long since = System.nanoTime();
        while (true) {
            long[] ends = Job.ends(admin, topic);
            Map<TopicPartition, OffsetAndMetadata> committed =
                admin.listConsumerGroupOffsets(job.to()).partitionsToOffsetAndMetadata().get();
            Map<Integer, Long> now = new HashMap<>();
            long furthest = 0;
            for (int partition = 0; partition < ends.length; partition++) {
                OffsetAndMetadata at = committed.get(new TopicPartition(topic, partition));
                now.put(partition, at == null ? 0 : at.offset());
                furthest = Math.max(furthest, ends[partition] - now.get(partition));
            }
            if (!now.equals(before)) {
                before = now;
                since = System.nanoTime();
            }
            boolean still = System.nanoTime() - since > (2 * job.commitMs() + 500) * 1_000_000;
            if (furthest == 0 || furthest <= 4 && still) {
                return;
            }
            Thread.sleep(100);
        }
    }

    /**
     * Kafka Streams knows no end of input: a record with a key that is no bidder's moves the time of each task past every
     * window, and another one follows because what is due is looked for once a second at most.
     */
    private static void closeWindows(Admin admin, Job job, String grouped, long lastMs) throws Exception {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", job.brokers());
        long past = lastMs + job.windows().sizeMs() + job.windows().slideMs() + Job.DELAY_MS + 1;
        int partitions = Job.ends(admin, grouped).length;
        try (var producer = new KafkaProducer<>(settings, new LongSerializer(), new ByteArraySerializer())) {
            for (int round = 0; round < 2; round++) {
                Thread.sleep(1_200);
                for (int partition = 0; partition < partitions; partition++) {
                    producer.send(new ProducerRecord<>(grouped, partition, past + round, -1L, ONE));
                }
                producer.flush();
            }
        }
    }
}
