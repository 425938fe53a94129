import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;

/** One task of the compatibility table with Kafka's own client, from 0.11 on. See ../README.md. */
public class Client {
    static Map<String, String> task;

    public static void main(String[] args) throws Exception {
        task = Task.read(args);
        try {
            switch (task.get("do")) {
                case "produce": produce(); break;
                case "consume": case "fetch": consume(); break;
                case "transact": transact(); break;
                case "admin": admin(); break;
                case "acls": More.acls(); break;
                case "seek": More.seek(); break;
                case "fence": More.fence(); break;
                case "share": newer("Share"); break;
                case "warm": More.warm(); break;
                case "keep-producing": Keep.produce(); break;
                case "keep-consuming": Keep.consume(); break;
                default: throw new UnsupportedOperationException(task.get("do"));
            }
        } catch (UnsupportedOperationException e) {
            System.err.println(e);
            System.exit(3);
        } catch (Throwable e) {
            e.printStackTrace();
            System.exit(1);
        }
        System.exit(0);
    }

    /** Runs a task of a class that only newer clients can be compiled with. */
    static void newer(String name) throws Throwable {
        try {
            Class.forName(name).getMethod(task.get("do")).invoke(null);
        } catch (ClassNotFoundException e) {
            throw new UnsupportedOperationException(task.get("do"));
        } catch (java.lang.reflect.InvocationTargetException e) {
            throw e.getCause();
        }
    }

    /** Keeps silent in the middle for as many seconds as the task says. */
    static void idle(KafkaProducer<?, ?> producer, int i) throws Exception {
        if (task.containsKey("idle") && i == count() / 2) {
            producer.flush();
            Thread.sleep(1000 * Long.parseLong(task.get("idle")));
        }
    }

    static int count() { return Integer.parseInt(task.get("count")); }

    static Properties settings() {
        Properties p = new Properties();
        p.put("bootstrap.servers", task.get("bootstrap"));
        for (String word : new String[] {"client", "rack"}) {
            if (task.containsKey(word)) {
                p.put("client." + ("client".equals(word) ? "id" : word), task.get(word));
            }
        }
        for (String what : new String[] {"key", "value"}) {
            p.put(what + ".serializer", "org.apache.kafka.common.serialization.ByteArraySerializer");
            p.put(what + ".deserializer", "org.apache.kafka.common.serialization.ByteArrayDeserializer");
        }
        Security.settings(p, task);
        return p;
    }

    static KafkaProducer<byte[], byte[]> producer() {
        Properties p = settings();
        p.put("acks", task.getOrDefault("acks", "-1"));
        p.put("compression.type", task.getOrDefault("compression", "none"));
        p.put("max.request.size", "2000000");
        boolean transactional = task.containsKey("transactional");
        p.put("enable.idempotence", String.valueOf(transactional || "true".equals(task.get("idempotent"))));
        if (transactional) {
            p.put("transactional.id", task.get("transactional"));
        }
        return new KafkaProducer<>(p);
    }

    static void send(KafkaProducer<byte[], byte[]> producer, String prefix) throws Exception {
        List<Future<?>> all = new ArrayList<>();
        for (int i = 0; i < count(); i++) {
            idle(producer, i);
            ProducerRecord<byte[], byte[]> r = new ProducerRecord<>(task.get("topic"), (prefix + i).getBytes(StandardCharsets.UTF_8), Task.value(task, i));
            if ("true".equals(task.get("headers"))) {
                r.headers().add("n", String.valueOf(i).getBytes(StandardCharsets.UTF_8));
            }
            all.add(producer.send(r));
            Security.gap(task, all.get(i));
        }
        producer.flush();
        for (Future<?> f : all) {
            f.get();
        }
    }

    static void produce() throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = producer()) {
            send(producer, "key-");
        }
        System.out.println("{\"count\": " + count() + "}");
    }

    static void transact() throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = producer()) {
            producer.initTransactions();
            producer.beginTransaction();
            send(producer, "key-");
            producer.commitTransaction();
            producer.beginTransaction();
            send(producer, "aborted-");
            producer.abortTransaction();
        }
        System.out.println("{\"count\": " + count() + "}");
    }

    /** poll, which takes a Duration from 2.0 on and nothing else from 4.0 on. */
    @SuppressWarnings("unchecked")
    static ConsumerRecords<byte[], byte[]> poll(KafkaConsumer<byte[], byte[]> c) throws Exception {
        try {
            return (ConsumerRecords<byte[], byte[]>) KafkaConsumer.class.getMethod("poll", java.time.Duration.class).invoke(c, java.time.Duration.ofMillis(200));
        } catch (NoSuchMethodException e) {
            return (ConsumerRecords<byte[], byte[]>) KafkaConsumer.class.getMethod("poll", long.class).invoke(c, 200L);
        }
    }

    static void consume() throws Exception {
        Properties p = settings();
        boolean group = "consume".equals(task.get("do"));
        if (group) {
            p.put("group.id", task.get("group"));
        }
        p.put("auto.offset.reset", "earliest");
        p.put("enable.auto.commit", "false");
        p.put("isolation.level", task.getOrDefault("isolation", "read_uncommitted"));
        if ("consumer".equals(task.get("protocol"))) {
            try {
                Class.forName("org.apache.kafka.clients.consumer.GroupProtocol");
            } catch (ClassNotFoundException e) {
                throw new UnsupportedOperationException("KIP-848");
            }
            p.put("group.protocol", "consumer");
        }
        Sums sums = new Sums();
        long end = System.currentTimeMillis() + 90_000;
        try (KafkaConsumer<byte[], byte[]> c = new KafkaConsumer<>(p)) {
            if (group) {
                c.subscribe(Collections.singletonList(task.get("topic")));
            } else {
                List<TopicPartition> all = new ArrayList<>();
                c.partitionsFor(task.get("topic")).forEach(info -> all.add(new TopicPartition(info.topic(), info.partition())));
                c.assign(all);
                c.seekToBeginning(all);
            }
            while (sums.total < count()) {
                if (System.currentTimeMillis() > end) {
                    throw new IllegalStateException("only " + sums.total + " records of " + count());
                }
                for (ConsumerRecord<byte[], byte[]> r : poll(c)) {
                    sums.add(r);
                }
            }
            if (group) {
                c.commitSync();
            }
        }
        System.out.println(sums);
    }

    static void admin() throws Exception {
        int brokers;
        try (AdminClient a = AdminClient.create(settings())) {
            a.createTopics(Collections.singletonList(new NewTopic(task.get("topic") + "-made", 3, (short) 1))).all().get();
            a.listTopics().names().get();
            a.describeConfigs(Collections.singletonList(new ConfigResource(ConfigResource.Type.TOPIC, task.get("topic")))).all().get();
            More.describe(a, task.get("topic"));
            brokers = a.describeCluster().nodes().get().size();
            try { // from 2.0 on; from 4.1 on under another name, but here still
                Object listed = AdminClient.class.getMethod("listConsumerGroups").invoke(a);
                Object all = listed.getClass().getMethod("all").invoke(listed);
                all.getClass().getMethod("get").invoke(all);
            } catch (NoSuchMethodException e) {
                // 0.11 and 1.x cannot
            }
            a.deleteTopics(Collections.singletonList(task.get("topic") + "-made")).all().get();
        }
        System.out.println("{\"count\": " + brokers + "}");
    }
}
