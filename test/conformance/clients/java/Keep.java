import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;

/** The tasks that end with standard input. */
class Keep {
    static volatile boolean ended;

    static void watchInput() {
        Thread t = new Thread(() -> {
            try {
                while (System.in.read() >= 0) {
                    // what comes does not matter
                }
            } catch (java.io.IOException e) {
                // an end as well
            }
            ended = true;
        });
        t.setDaemon(true);
        t.start();
    }

    static void produce() throws Exception {
        watchInput();
        Properties p = Client.settings();
        p.put("acks", "-1");
        p.put("enable.idempotence", Client.task.getOrDefault("idempotent", "false"));
        p.put("retries", String.valueOf(Integer.MAX_VALUE));
        p.put("max.block.ms", "120000");
        if (ProducerConfig.configNames().contains("delivery.timeout.ms")) {
            p.put("delivery.timeout.ms", "120000");
        } else { // before 2.1; before 1.0 an idempotent producer refuses to have several in flight
            p.put("max.in.flight.requests.per.connection", "1");
        }
        int pause = Integer.parseInt(Client.task.getOrDefault("pause", "20"));
        AtomicReference<Exception> failed = new AtomicReference<>();
        int n = 0;
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(p)) {
            for (; !ended && failed.get() == null; n++) {
                producer.send(new ProducerRecord<>(Client.task.get("topic"), ("key-" + n).getBytes(StandardCharsets.UTF_8), Task.value(Client.task, n)), (m, e) -> {
                    if (e != null) {
                        failed.compareAndSet(null, e);
                    }
                });
                Thread.sleep(pause);
            }
            producer.flush();
        }
        if (failed.get() != null) {
            throw failed.get();
        }
        System.out.println("{\"count\": " + n + "}");
    }

    /** What came of one partition; runs are offsets from first to last. */
    static class Partition {
        final MessageDigest sum = Sums.sha256();
        final List<long[]> runs = new ArrayList<>();
        int count;
        int backwards;

        void add(ConsumerRecord<byte[], byte[]> r) {
            Sums.update(sum, r);
            count++;
            long[] last = runs.isEmpty() ? null : runs.get(runs.size() - 1);
            if (last != null && last[1] + 1 == r.offset()) {
                last[1]++;
                return;
            }
            if (last != null && last[1] >= r.offset()) {
                backwards++;
            }
            runs.add(new long[] {r.offset(), r.offset()});
        }

        @Override
        public String toString() {
            StringBuilder b = new StringBuilder("{\"count\": " + count + ", \"sha256\": \"" + Sums.hex(sum) + "\", \"runs\": [");
            String comma = "";
            for (long[] run : runs) {
                b.append(comma).append("[").append(run[0]).append(", ").append(run[1]).append("]");
                comma = ", ";
            }
            return b.append("]}").toString();
        }
    }

    static Properties member() {
        Properties p = Client.settings();
        p.put("group.id", Client.task.get("group"));
        p.put("auto.offset.reset", "earliest");
        p.put("enable.auto.commit", "false");
        Set<String> known = ConsumerConfig.configNames();
        Map<String, String> wanted = new HashMap<>();
        if ("consumer".equals(Client.task.get("protocol"))) {
            wanted.put("group.protocol", "consumer");
        }
        if (Client.task.containsKey("instance")) {
            wanted.put("group.instance.id", Client.task.get("instance"));
        }
        if ("cooperative".equals(Client.task.get("assignor"))) {
            String assignor = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor";
            try {
                Class.forName(assignor);
            } catch (ClassNotFoundException e) {
                throw new UnsupportedOperationException(assignor);
            }
            wanted.put("partition.assignment.strategy", assignor);
        }
        for (Map.Entry<String, String> e : wanted.entrySet()) {
            if (!known.contains(e.getKey())) {
                throw new UnsupportedOperationException(e.getKey());
            }
            p.put(e.getKey(), e.getValue());
        }
        return p;
    }

    static void consume() throws Exception {
        watchInput();
        Map<Integer, Partition> all = new TreeMap<>();
        try (KafkaConsumer<byte[], byte[]> c = new KafkaConsumer<>(member())) {
            c.subscribe(Collections.singletonList(Client.task.get("topic")));
            while (!ended) {
                boolean came = false;
                for (ConsumerRecord<byte[], byte[]> r : Client.poll(c)) {
                    all.computeIfAbsent(r.partition(), n -> new Partition()).add(r);
                    came = true;
                }
                if (came) {
                    commit(c);
                }
            }
        }
        int total = 0;
        int backwards = 0;
        StringBuilder out = new StringBuilder();
        for (Map.Entry<Integer, Partition> e : all.entrySet()) {
            total += e.getValue().count;
            backwards += e.getValue().backwards;
            out.append(out.length() == 0 ? "" : ", ").append("\"").append(e.getKey()).append("\": ").append(e.getValue());
        }
        System.out.println("{\"count\": " + total + ", \"backwards\": " + backwards + ", \"partitions\": {" + out + "}}");
    }

    /** What a commit that fails leaves open is in the next one. */
    static void commit(KafkaConsumer<byte[], byte[]> c) {
        try {
            c.commitSync();
        } catch (org.apache.kafka.common.KafkaException e) {
            System.err.println(e);
        }
    }
}
