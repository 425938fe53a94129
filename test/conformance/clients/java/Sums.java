import java.security.MessageDigest;
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** What a consumer has seen. As a string it is what ../README.md says. */
class Sums {
    private final Map<Integer, MessageDigest> sums = new TreeMap<>();
    private final Map<Integer, Integer> counts = new TreeMap<>();
    int total;

    void add(ConsumerRecord<byte[], byte[]> r) {
        Client.update(sums.computeIfAbsent(r.partition(), n -> Client.sha256()), r);
        counts.merge(r.partition(), 1, Integer::sum);
        total++;
    }

    @Override
    public String toString() {
        StringBuilder out = new StringBuilder("{\"count\": " + total + ", \"partitions\": {");
        String comma = "";
        for (Map.Entry<Integer, MessageDigest> e : sums.entrySet()) {
            out.append(comma).append("\"").append(e.getKey()).append("\": {\"count\": ").append(counts.get(e.getKey())).append(", \"sha256\": \"").append(Client.hex(e.getValue())).append("\"}");
            comma = ", ";
        }
        return out.append("}}").toString();
    }
}
