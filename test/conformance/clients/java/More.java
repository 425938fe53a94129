import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;

/** What not every library can do. */
class More {
    /** Loads the classes of all clients, for an archive of them, with no broker there. */
    static void warm() throws Exception {
        java.util.Properties p = Client.settings();
        p.put("group.id", Client.task.get("group"));
        try (KafkaProducer<byte[], byte[]> producer = Client.producer(); AdminClient a = AdminClient.create(Client.settings()); KafkaConsumer<byte[], byte[]> c = new KafkaConsumer<>(p)) {
            c.subscribe(Collections.singletonList(Client.task.get("topic")));
            KafkaConsumer.class.getMethod("poll", java.time.Duration.class);
            Client.poll(c);
        } catch (NoSuchMethodException e) {
            // older ones wait for a broker
        }
    }

    /** Lists all entries and counts those of the topic: how a filter for one is made has changed. */
    static void acls() throws Exception {
        int n = 0;
        try (AdminClient a = AdminClient.create(Client.settings())) {
            for (AclBinding b : a.describeAcls(AclBindingFilter.ANY).values().get()) {
                if (b.toString().contains("name=" + Client.task.get("topic") + ",")) {
                    n++;
                }
            }
        }
        System.out.println("{\"count\": " + n + "}");
    }

    /** describeTopics, whose result has other methods from 3.1 on and no old ones from 4.0 on. */
    static void describe(AdminClient a, String topic) throws Exception {
        Object result = AdminClient.class.getMethod("describeTopics", java.util.Collection.class).invoke(a, Collections.singletonList(topic));
        Object all;
        try {
            all = result.getClass().getMethod("allTopicNames").invoke(result);
        } catch (NoSuchMethodException e) {
            all = result.getClass().getMethod("all").invoke(result);
        }
        all.getClass().getMethod("get").invoke(all);
    }

    static void seek() throws Exception {
        Sums sums = new Sums();
        try (KafkaConsumer<byte[], byte[]> c = new KafkaConsumer<>(Client.settings())) {
            List<TopicPartition> partitions = new ArrayList<>();
            Map<TopicPartition, Long> times = new HashMap<>();
            for (int p = 0; p < 3; p++) {
                partitions.add(new TopicPartition(Client.task.get("topic"), p));
                times.put(partitions.get(p), Long.parseLong(Client.task.get("time")));
            }
            c.assign(partitions);
            Map<TopicPartition, Long> ends = c.endOffsets(partitions);
            for (Map.Entry<TopicPartition, OffsetAndTimestamp> e : c.offsetsForTimes(times).entrySet()) {
                c.seek(e.getKey(), e.getValue() == null ? ends.get(e.getKey()) : e.getValue().offset());
            }
            while (sums.total < Client.count()) {
                for (ConsumerRecord<byte[], byte[]> r : Client.poll(c)) {
                    sums.add(r);
                }
            }
        }
        System.out.println(sums);
    }

    /** A second producer takes the transactional id of the first. */
    static void fence() throws Exception {
        ProducerRecord<byte[], byte[]> late = new ProducerRecord<>(Client.task.get("topic"), "zombie".getBytes(StandardCharsets.UTF_8), "zombie".getBytes(StandardCharsets.UTF_8));
        KafkaProducer<byte[], byte[]> zombie = Client.producer();
        zombie.initTransactions();
        zombie.beginTransaction();
        zombie.send(late).get();
        try (KafkaProducer<byte[], byte[]> second = Client.producer()) {
            second.initTransactions();
            second.beginTransaction();
            Client.send(second, "key-");
            second.commitTransaction();
        }
        try {
            zombie.send(late).get();
            zombie.commitTransaction();
        } catch (KafkaException | java.util.concurrent.ExecutionException e) {
            System.out.println("{\"count\": " + Client.count() + "}");
            return;
        }
        throw new IllegalStateException("the zombie was not fenced");
    }
}
