import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** What a consumer has seen. As a string it is what ../README.md says. */
class Sums {
    private final Map<Integer, MessageDigest> sums = new TreeMap<>();
    private final Map<Integer, Integer> counts = new TreeMap<>();
    int total;

    void add(ConsumerRecord<byte[], byte[]> r) throws Exception {
        if (!sums.containsKey(r.partition())) {
            sums.put(r.partition(), MessageDigest.getInstance("SHA-256"));
        }
        MessageDigest d = sums.get(r.partition());
        for (byte[] part : new byte[][] {r.key(), r.value()}) {
            d.update(ByteBuffer.allocate(4).putInt(part.length).array());
            d.update(part);
        }
        counts.merge(r.partition(), 1, Integer::sum);
        total++;
    }

    @Override
    public String toString() {
        StringBuilder out = new StringBuilder("{\"count\": " + total + ", \"partitions\": {");
        String comma = "";
        for (Map.Entry<Integer, MessageDigest> e : sums.entrySet()) {
            StringBuilder hex = new StringBuilder();
            for (byte b : e.getValue().digest()) {
                hex.append(String.format("%02x", b));
            }
            out.append(comma).append("\"").append(e.getKey()).append("\": {\"count\": ").append(counts.get(e.getKey())).append(", \"sha256\": \"").append(hex).append("\"}");
            comma = ", ";
        }
        return out.append("}}").toString();
    }
}
