import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;

/**
 * One task of the compatibility table with Kafka's own client of 0.10, which has no headers,
 * no transactions and no client for administration. See ../../README.md.
 */
public class OldClient {
    static final int[] MIXED = {0, 1, 100, 1000, 10_000, 100_000, 900_000};
    static final Map<String, String> task = new HashMap<>();

    public static void main(String[] args) throws Exception {
        for (String word : args) {
            int at = word.indexOf('=');
            task.put(word.substring(0, at), word.substring(at + 1));
        }
        for (String word : new String[] {"headers", "idempotent", "isolation", "protocol", "rack", "client", "idle"}) {
            if (task.containsKey(word)) {
                unsupported(word);
            }
        }
        if ("zstd".equals(task.get("compression"))) {
            unsupported("zstd");
        }
        try {
            switch (task.get("do")) {
                case "produce": produce(); break;
                case "consume": case "fetch": read(); break;
                default: unsupported(task.get("do"));
            }
        } catch (Throwable e) {
            e.printStackTrace();
            System.exit(1);
        }
        System.exit(0);
    }

    static void unsupported(String what) {
        System.err.println("not supported: " + what);
        System.exit(3);
    }

    static int count() { return Integer.parseInt(task.get("count")); }

    static Properties settings() {
        Properties p = new Properties();
        p.put("bootstrap.servers", task.get("bootstrap"));
        for (String what : new String[] {"key", "value"}) {
            p.put(what + ".serializer", "org.apache.kafka.common.serialization.ByteArraySerializer");
            p.put(what + ".deserializer", "org.apache.kafka.common.serialization.ByteArrayDeserializer");
        }
        return p;
    }

    static void produce() throws Exception {
        Properties p = settings();
        p.put("acks", task.getOrDefault("acks", "-1"));
        p.put("compression.type", task.getOrDefault("compression", "none"));
        p.put("max.request.size", "2000000");
        List<Future<?>> all = new ArrayList<>();
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(p)) {
            for (int i = 0; i < count(); i++) {
                int n = "mixed".equals(task.get("sizes")) ? MIXED[i % 7] : 4 + (i * 31) % 197;
                byte[] value = new byte[n];
                Arrays.fill(value, (byte) (i % 251));
                if (n >= 4) {
                    ByteBuffer.wrap(value).putInt(n - 4, i);
                }
                all.add(producer.send(new ProducerRecord<>(task.get("topic"), ("key-" + i).getBytes(StandardCharsets.UTF_8), value)));
            }
            producer.flush();
            for (Future<?> f : all) {
                f.get();
            }
        }
        System.out.println("{\"count\": " + count() + "}");
    }

    static void read() throws Exception {
        Properties p = settings();
        p.put("auto.offset.reset", "earliest");
        p.put("enable.auto.commit", "false");
        boolean group = "consume".equals(task.get("do"));
        if (group) {
            p.put("group.id", task.get("group"));
        }
        Map<Integer, MessageDigest> sums = new TreeMap<>();
        Map<Integer, Integer> counts = new TreeMap<>();
        int total = 0;
        try (KafkaConsumer<byte[], byte[]> c = new KafkaConsumer<>(p)) {
            if (group) {
                c.subscribe(Collections.singletonList(task.get("topic")));
            } else {
                List<TopicPartition> all = new ArrayList<>();
                for (PartitionInfo info : c.partitionsFor(task.get("topic"))) {
                    all.add(new TopicPartition(info.topic(), info.partition()));
                }
                c.assign(all);
                c.seekToBeginning(all);
            }
            while (total < count()) {
                for (ConsumerRecord<byte[], byte[]> r : c.poll(200)) {
                    if (!sums.containsKey(r.partition())) {
                        sums.put(r.partition(), MessageDigest.getInstance("SHA-256"));
                    }
                    for (byte[] part : new byte[][] {r.key(), r.value()}) {
                        sums.get(r.partition()).update(ByteBuffer.allocate(4).putInt(part.length).array());
                        sums.get(r.partition()).update(part);
                    }
                    counts.merge(r.partition(), 1, Integer::sum);
                    total++;
                }
            }
            if (group) {
                c.commitSync();
            }
        }
        StringBuilder parts = new StringBuilder();
        for (Map.Entry<Integer, MessageDigest> e : sums.entrySet()) {
            parts.append(parts.length() == 0 ? "" : ", ").append(String.format("\"%d\": {\"count\": %d, \"sha256\": \"%064x\"}",
                e.getKey(), counts.get(e.getKey()), new java.math.BigInteger(1, e.getValue().digest())));
        }
        System.out.println("{\"count\": " + total + ", \"partitions\": {" + parts + "}}");
    }
}
