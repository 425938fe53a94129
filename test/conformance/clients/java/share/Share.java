import java.time.Duration;
import java.util.Collections;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;

/** A share group (KIP-932), which clients know from 4.1 on. */
public class Share {
    public static void share() throws Exception {
        java.util.Properties p = Client.settings();
        p.put("group.id", Client.task.get("group"));
        Sums sums = new Sums();
        try (KafkaShareConsumer<byte[], byte[]> c = new KafkaShareConsumer<>(p)) {
            c.subscribe(Collections.singletonList(Client.task.get("topic")));
            while (sums.total < Client.count()) {
                for (ConsumerRecord<byte[], byte[]> r : c.poll(Duration.ofMillis(200))) {
                    sums.add(r);
                }
            }
            c.commitSync();
        }
        System.out.println(sums);
    }
}
