import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;

/**
 * One client that works in a loop until its standard input ends.
 *
 *   LeaderClient produce|consume|share[-timed] BOOTSTRAP TOPIC
 *
 * It prints what it has done at the end: "done N", or "error ..." at once. With -timed it
 * produces every 5 ms, in place of 20, and prints "got OFFSET MICROSECONDS" for every record
 * that it receives.
 */
public class LeaderClient {
    static volatile boolean stop;
    static boolean timed;

    public static void main(String[] args) throws Exception {
        Thread ends = new Thread(() -> {
            try {
                while (System.in.read() >= 0) { }
            } catch (java.io.IOException e) {
                // the end as well
            }
            stop = true;
        });
        ends.setDaemon(true);
        ends.start();
        Properties p = new Properties();
        p.put("bootstrap.servers", args[1]);
        p.put("key.serializer", "org.apache.kafka.common.serialization.StringSerializer");
        p.put("value.serializer", "org.apache.kafka.common.serialization.StringSerializer");
        p.put("key.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
        p.put("value.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
        timed = args[0].endsWith("-timed");
        long n = switch (args[0].replace("-timed", "")) {
            case "produce" -> produce(p, args[2]);
            case "consume" -> consume(p, args[2]);
            default -> share(p, args[2]);
        };
        System.out.println("done " + n);
    }

    static long produce(Properties p, String topic) throws Exception {
        AtomicLong acked = new AtomicLong();
        long sent = 0;
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(p)) {
            while (!stop) {
                sent++;
                producer.send(new ProducerRecord<>(topic, "r" + sent), (m, e) -> {
                    if (e != null) {
                        System.out.println("error " + e);
                    } else {
                        acked.incrementAndGet();
                    }
                });
                Thread.sleep(timed ? 5 : 20);
            }
        }
        if (acked.get() != sent) {
            System.out.println("error " + sent + " sent, " + acked.get() + " acknowledged");
        }
        return acked.get();
    }

    static long consume(Properties p, String topic) {
        p.put("group.id", "leaders-" + topic);
        p.put("auto.offset.reset", "earliest");
        long n = 0;
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(p)) {
            consumer.subscribe(List.of(topic));
            while (!stop) {
                n += received(consumer.poll(Duration.ofMillis(100)));
            }
        }
        return n;
    }

    static long share(Properties p, String topic) {
        p.put("group.id", "share-" + topic);
        long n = 0;
        try (KafkaShareConsumer<String, String> consumer = new KafkaShareConsumer<>(p)) {
            consumer.subscribe(List.of(topic));
            while (!stop) {
                n += received(consumer.poll(Duration.ofMillis(100)));
            }
        }
        return n;
    }

    static int received(ConsumerRecords<String, String> records) {
        if (timed && !records.isEmpty()) {
            long now = ChronoUnit.MICROS.between(Instant.EPOCH, Instant.now());
            StringBuilder lines = new StringBuilder();
            records.forEach(r -> lines.append("got ").append(r.offset()).append(' ').append(now).append('\n'));
            System.out.print(lines);
            System.out.flush();
        }
        return records.count();
    }
}
