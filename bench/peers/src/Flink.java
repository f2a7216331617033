import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.AggregateFunction;
import org.apache.flink.api.common.serialization.DeserializationSchema.InitializationContext;
import org.apache.flink.api.common.serialization.SerializationSchema;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.api.java.tuple.Tuple3;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.KafkaSourceBuilder;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.core.execution.CheckpointingMode;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.functions.windowing.ProcessWindowFunction;
import org.apache.flink.streaming.api.windowing.assigners.EventTimeSessionWindows;
import org.apache.flink.streaming.api.windowing.assigners.SlidingEventTimeWindows;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;
import org.apache.flink.streaming.api.windowing.assigners.WindowAssigner;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** The queries as bounded DataStream jobs in one process, parallelism 1; the recovery job goes on from the last checkpoint in its folder. */
public final class Flink {
    private static final TypeInformation<byte[]> BYTES = PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO;

    public static void main(String[] arguments) throws Exception {
        Job job = Job.of(arguments);
        StreamExecutionEnvironment flink = StreamExecutionEnvironment.createLocalEnvironment(1, settings(job));
        flink.enableCheckpointing(job.commitMs(),
            job.exactlyOnce() ? CheckpointingMode.EXACTLY_ONCE : CheckpointingMode.AT_LEAST_ONCE);
        if (job.recovers()) {
            flink.fromSource(source(job, new Updates()), WatermarkStrategy.noWatermarks(), "updates").uid("updates")
                .keyBy(update -> update.f0, Types.LONG).process(new Keep()).uid("keep").sinkTo(sink(job)).uid("out");
            flink.execute(job.query()); // Until it is killed.
            return;
        }
        Job.Windows windows = job.windows();
        DataStream<byte[]> results = job.shuffles()
            ? flink.fromSource(source(job, new Matches()), WatermarkStrategy.noWatermarks(), "matches")
                .keyBy(match -> match.f0, Types.LONG).process(new Tell())
            : windows == null
            ? flink.fromSource(source(job, new Answers(job.query())), WatermarkStrategy.noWatermarks(), "events")
            // Event times are the records' timestamps, watermarks are kept for each partition.
            : flink.fromSource(source(job, new Keys(windows.byAuction())),
                    WatermarkStrategy.forBoundedOutOfOrderness(Duration.ofMillis(Job.DELAY_MS)), "bids")
                .keyBy(key -> key, Types.LONG).window(assigner(windows))
                .aggregate(new Count(), new Format(), Types.LONG, Types.LONG, BYTES);
        results.sinkTo(sink(job));
        long events = job.events();
        Usage.watch(events);
        flink.execute(job.query());
        Usage.tell(events);
    }

    private static Configuration settings(Job job) throws IOException {
        Configuration settings = new Configuration();
        settings.setString("state.backend.type", job.onHeap() ? "hashmap" : "rocksdb");
        settings.setString("execution.checkpointing.incremental", "true");
        settings.setString("execution.checkpointing.storage", "filesystem");
        settings.setString("execution.checkpointing.dir", Path.of(job.scratch(), "checkpoints").toUri().toString());
        settings.setString("io.tmp.dirs", job.scratch());
        settings.setString("taskmanager.memory.managed.size", "512m"); // RocksDB's cache and write buffers
        settings.setString("pipeline.object-reuse", "true");
        if (job.recovers()) {
            settings.setString("execution.checkpointing.externalized-checkpoint-retention", "RETAIN_ON_CANCELLATION");
            Path last = lastCheckpoint(Path.of(job.scratch(), "checkpoints"));
            if (last != null) {
                settings.setString("execution.state-recovery.path", last.toUri().toString());
                // Otherwise the first checkpoint would have to be a full one.
                settings.setString("execution.state-recovery.claim-mode", "CLAIM");
            }
        }
        return settings;
    }

    /** The last checkpoint that is complete: CHECKPOINTS/JOB/chk-NUMBER with a _metadata. Null before the first. */
    private static Path lastCheckpoint(Path checkpoints) throws IOException {
        if (!Files.isDirectory(checkpoints)) {
            return null;
        }
        try (Stream<Path> all = Files.find(checkpoints, 3, (path, is) -> path.endsWith("_metadata"))) {
            return all.map(Path::getParent).max(Comparator.comparingLong(Flink::number)).orElse(null);
        }
    }

    private static long number(Path checkpoint) {
        return Long.parseLong(checkpoint.getFileName().toString().substring("chk-".length()));
    }

    private static WindowAssigner<Object, TimeWindow> assigner(Job.Windows windows) {
        Duration size = Duration.ofMillis(windows.sizeMs());
        if (windows.isSession()) {
            return EventTimeSessionWindows.withGap(size);
        }
        return windows.sizeMs() == windows.slideMs() ? TumblingEventTimeWindows.of(size)
            : SlidingEventTimeWindows.of(size, Duration.ofMillis(windows.slideMs()));
    }

    private static <T> KafkaSource<T> source(Job job, KafkaRecordDeserializationSchema<T> reader) {
        KafkaSourceBuilder<T> source = KafkaSource.<T>builder().setBootstrapServers(job.brokers()).setTopics(job.from())
            .setGroupId(job.to()).setStartingOffsets(OffsetsInitializer.earliest())
            .setProperty("max.poll.records", "2000").setDeserializer(reader);
        return job.recovers() ? source.build() : source.setBounded(OffsetsInitializer.latest()).build();
    }

    private static KafkaSink<byte[]> sink(Job job) {
        return KafkaSink.<byte[]>builder().setBootstrapServers(job.brokers())
            .setRecordSerializer(KafkaRecordSerializationSchema.<byte[]>builder().setTopic(job.to())
                .setValueSerializationSchema(new AsTheyAre()).build())
            .setDeliveryGuarantee(job.exactlyOnce() ? DeliveryGuarantee.EXACTLY_ONCE : DeliveryGuarantee.AT_LEAST_ONCE)
            .setTransactionalIdPrefix(job.to()).setProperty("transaction.timeout.ms", "600000")
            .setProperty("batch.size", "131072").setProperty("linger.ms", "50").build();
    }

    /** A class, since the connector asks for the type of what it takes. */
    private static final class AsTheyAre implements SerializationSchema<byte[]> {
        @Override
        public byte[] serialize(byte[] value) {
            return value;
        }
    }

    /** Counts every event and makes at most one thing of it. */
    private abstract static class Reader<T> implements KafkaRecordDeserializationSchema<T> {
        private transient AtomicLong taken;
        transient Bid bid;

        @Override
        public void open(InitializationContext context) {
            taken = Usage.counter();
            bid = new Bid();
        }

        @Override
        public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<T> out) {
            Usage.take(taken);
            T made = make(record.value());
            if (made != null) {
                out.collect(made);
            }
        }

        abstract T make(byte[] event);
    }

    private static final class Answers extends Reader<byte[]> {
        private final String query;

        Answers(String query) {
            this.query = query;
        }

        @Override
        byte[] make(byte[] event) {
            return bid.answer(query, event);
        }

        @Override
        public TypeInformation<byte[]> getProducedType() {
            return BYTES;
        }
    }

    private static final class Keys extends Reader<Long> {
        private final boolean byAuction;

        Keys(boolean byAuction) {
            this.byAuction = byAuction;
        }

        @Override
        Long make(byte[] event) {
            return bid.read(event) ? (Long) (byAuction ? bid.auction : bid.bidder) : null;
        }

        @Override
        public TypeInformation<Long> getProducedType() {
            return Types.LONG;
        }
    }

    /** Counts every record and makes a rule, a head and a timestamp of each rule that it matches. */
    private static final class Matches implements KafkaRecordDeserializationSchema<Tuple3<Long, Long, Long>> {
        private transient AtomicLong taken;
        private transient Rules rules;

        @Override
        public void open(InitializationContext context) {
            taken = Usage.counter();
            rules = new Rules();
        }

        @Override
        public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<Tuple3<Long, Long, Long>> out) {
            Usage.take(taken);
            long head = Rules.head(record.value());
            rules.forEachMatching(head, rule -> out.collect(Tuple3.of(rule, head, record.timestamp())));
        }

        @Override
        public TypeInformation<Tuple3<Long, Long, Long>> getProducedType() {
            return Types.TUPLE(Types.LONG, Types.LONG, Types.LONG);
        }
    }

    private static final class Tell extends KeyedProcessFunction<Long, Tuple3<Long, Long, Long>, byte[]> {
        private transient ValueState<byte[]> kept;

        @Override
        public void open(OpenContext context) {
            kept = getRuntimeContext().getState(new ValueStateDescriptor<>("kept", BYTES));
        }

        @Override
        public void processElement(Tuple3<Long, Long, Long> match, Context context, Collector<byte[]> out) throws Exception {
            byte[] state = kept.value();
            state = state == null ? Rules.none() : state;
            byte[] told = Rules.add(state, match.f0, match.f1, match.f2);
            kept.update(state);
            if (told != null) {
                out.collect(told);
            }
        }
    }

    /** Makes a key and a number of every record. */
    private static final class Updates implements KafkaRecordDeserializationSchema<Tuple2<Long, Long>> {
        private transient Kept update;

        @Override
        public void open(InitializationContext context) {
            update = new Kept();
        }

        @Override
        public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<Tuple2<Long, Long>> out) {
            update.read(record.value());
            out.collect(Tuple2.of(update.key, update.number));
        }

        @Override
        public TypeInformation<Tuple2<Long, Long>> getProducedType() {
            return Types.TUPLE(Types.LONG, Types.LONG);
        }
    }

    private static final class Keep extends KeyedProcessFunction<Long, Tuple2<Long, Long>, byte[]> {
        private transient ValueState<byte[]> kept;

        @Override
        public void open(OpenContext context) {
            kept = getRuntimeContext().getState(new ValueStateDescriptor<>("kept", BYTES));
        }

        @Override
        public void processElement(Tuple2<Long, Long> update, Context context, Collector<byte[]> out) throws Exception {
            byte[] state = kept.value();
            state = state == null ? Kept.none(update.f0) : state;
            out.collect(Kept.add(state, update.f0, update.f1));
            kept.update(state);
        }
    }

    private static final class Count implements AggregateFunction<Long, Long, Long> {
        @Override
        public Long createAccumulator() {
            return 0L;
        }

        @Override
        public Long add(Long key, Long count) {
            return count + 1;
        }

        @Override
        public Long getResult(Long count) {
            return count;
        }

        @Override
        public Long merge(Long left, Long right) {
            return left + right;
        }
    }

    private static final class Format extends ProcessWindowFunction<Long, byte[], Long, TimeWindow> {
        @Override
        public void process(Long key, Context context, Iterable<Long> counts, Collector<byte[]> out) {
            out.collect(Bid.window(key, context.window().getStart(), context.window().getEnd(), counts.iterator().next()));
        }
    }
}
