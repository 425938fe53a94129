import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.state.Stores;

/**
 * The task "streams" of the compatibility table: Kafka Streams copies a topic, exactly once,
 * and counts the records of each key in a store, for which it makes a topic by itself. See
 * ../../README.md.
 */
public class Copies {
    static Map<String, String> task;

    public static void main(String[] args) throws Exception {
        task = Task.read(args);
        if (!"streams".equals(task.get("do"))) {
            System.err.println("not supported: " + task.get("do"));
            System.exit(3);
        }
        Path dir = Files.createTempDirectory("kafka-streams");
        int status = 1;
        try {
            copy(dir);
            status = 0;
        } catch (Throwable e) {
            e.printStackTrace();
        } finally {
            remove(dir);
        }
        System.exit(status);
    }

    static Properties settings(Path dir) {
        Properties p = new Properties();
        p.put("bootstrap.servers", task.get("bootstrap"));
        p.put("application.id", task.get("group"));
        p.put("processing.guarantee", "exactly_once_v2");
        p.put("state.dir", dir.toString());
        p.put("default.key.serde", Serdes.ByteArraySerde.class.getName());
        p.put("default.value.serde", Serdes.ByteArraySerde.class.getName());
        if ("streams".equals(task.get("protocol"))) {
            p.put("group.protocol", "streams");
        }
        return p;
    }

    static void copy(Path dir) throws Exception {
        String topic = task.get("topic");
        Properties p = settings(dir);
        StreamsBuilder builder = new StreamsBuilder();
        KStream<byte[], byte[]> records = builder.stream(topic);
        records.to(topic + "-copies");
        records.groupByKey().count(Materialized.<byte[], Long>as(Stores.inMemoryKeyValueStore("seen")).withKeySerde(Serdes.ByteArray()).withValueSerde(Serdes.Long()));
        try (Admin admin = Admin.create(Collections.singletonMap("bootstrap.servers", task.get("bootstrap")))) {
            admin.createTopics(Collections.singletonList(new NewTopic(topic + "-copies", 3, (short) 1))).all().get();
            AtomicReference<Throwable> failed = new AtomicReference<>();
            try (KafkaStreams streams = new KafkaStreams(builder.build(), p)) {
                streams.setUncaughtExceptionHandler(e -> {
                    failed.set(e);
                    return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
                });
                streams.start();
                while (committed(admin, topic) < Integer.parseInt(task.get("count"))) {
                    if (failed.get() != null) {
                        throw new IllegalStateException(failed.get());
                    }
                    Thread.sleep(100);
                }
                streams.close(Duration.ofSeconds(20));
            }
        }
        System.out.println("{\"count\": " + task.get("count") + "}");
    }

    /** How many records of the topic have been copied and committed. */
    static long committed(Admin admin, String topic) throws Exception {
        Map<TopicPartition, OffsetAndMetadata> offsets;
        try {
            offsets = admin.listConsumerGroupOffsets(task.get("group")).partitionsToOffsetAndMetadata().get();
        } catch (java.util.concurrent.ExecutionException e) {
            if (e.getCause() instanceof org.apache.kafka.common.errors.GroupIdNotFoundException) {
                return 0; // it has no members yet
            }
            throw e;
        }
        long sum = 0;
        for (Map.Entry<TopicPartition, OffsetAndMetadata> e : offsets.entrySet()) {
            if (e.getKey().topic().equals(topic) && e.getValue() != null) {
                sum += e.getValue().offset();
            }
        }
        return sum;
    }

    static void remove(Path dir) throws IOException {
        List<Path> all = new ArrayList<>();
        try (Stream<Path> found = Files.walk(dir)) {
            found.sorted(Comparator.reverseOrder()).forEach(all::add);
        }
        for (Path path : all) {
            Files.deleteIfExists(path);
        }
    }
}
