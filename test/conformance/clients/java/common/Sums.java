import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** What a consumer has seen. As a string it is what ../../README.md says. */
class Sums {
    private final Map<Integer, MessageDigest> sums = new TreeMap<>();
    private final Map<Integer, Integer> counts = new TreeMap<>();
    int total;

    void add(ConsumerRecord<byte[], byte[]> r) {
        update(sums.computeIfAbsent(r.partition(), n -> sha256()), r);
        counts.merge(r.partition(), 1, Integer::sum);
        total++;
    }

    @Override
    public String toString() {
        StringBuilder out = new StringBuilder();
        for (Map.Entry<Integer, MessageDigest> e : sums.entrySet()) {
            out.append(out.length() == 0 ? "" : ", ").append(String.format("\"%d\": {\"count\": %d, \"sha256\": \"%s\"}", e.getKey(), counts.get(e.getKey()), hex(e.getValue())));
        }
        return "{\"count\": " + total + ", \"partitions\": {" + out + "}}";
    }

    static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (java.security.NoSuchAlgorithmException e) {
            throw new IllegalStateException(e); // every JDK has it
        }
    }

    /** update takes a record into the sum of its partition. */
    static void update(MessageDigest d, ConsumerRecord<byte[], byte[]> r) {
        for (byte[] part : new byte[][] {r.key(), r.value()}) {
            d.update(ByteBuffer.allocate(4).putInt(part.length).array());
            d.update(part);
        }
    }

    static String hex(MessageDigest d) {
        return String.format("%064x", new java.math.BigInteger(1, d.digest()));
    }
}
