import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

/** The words of a task, and the records that they stand for. See ../../README.md. */
class Task {
    private static final int[] MIXED = {0, 1, 100, 1000, 10_000, 100_000, 900_000};

    /** Takes words of the form name=value apart. */
    static Map<String, String> read(String[] args) {
        Map<String, String> task = new HashMap<>();
        for (String word : args) {
            int at = word.indexOf('=');
            task.put(word.substring(0, at), word.substring(at + 1));
        }
        return task;
    }

    /** value is that of record i. */
    static byte[] value(Map<String, String> task, int i) {
        int n = "mixed".equals(task.get("sizes")) ? MIXED[i % 7] : 4 + (i * 31) % 197;
        byte[] value = new byte[n];
        Arrays.fill(value, (byte) (i % 251));
        if (n >= 4) {
            ByteBuffer.wrap(value).putInt(n - 4, i);
        }
        return value;
    }
}
