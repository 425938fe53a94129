import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Properties;
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
    static Map<String, String> task;

    public static void main(String[] args) throws Exception {
        task = Task.read(args);
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
                all.add(producer.send(new ProducerRecord<>(task.get("topic"), ("key-" + i).getBytes(StandardCharsets.UTF_8), Task.value(task, i))));
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
        Sums sums = new Sums();
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
            while (sums.total < count()) {
                for (ConsumerRecord<byte[], byte[]> r : c.poll(200)) {
                    sums.add(r);
                }
            }
            if (group) {
                c.commitSync();
            }
        }
        System.out.println(sums);
    }
}
