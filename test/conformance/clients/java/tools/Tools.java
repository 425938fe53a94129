import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.MessageFormatter;
import org.apache.kafka.common.utils.Exit;
import org.apache.kafka.tools.ClusterTool;
import org.apache.kafka.tools.ConsoleProducer;
import org.apache.kafka.tools.GetOffsetShell;
import org.apache.kafka.tools.TopicCommand;
import org.apache.kafka.tools.api.RecordReader;
import org.apache.kafka.tools.consumer.ConsoleConsumer;
import org.apache.kafka.tools.consumer.group.ConsumerGroupCommand;

/**
 * One task of the compatibility table with the tools of Apache Kafka, which run here in one
 * JVM. The console tools read and write text: a reader and a formatter of this program give
 * them bytes. See ../../README.md.
 */
public class Tools {
    static Map<String, String> task;
    static final Sums sums = new Sums();

    interface Tool { void main(String[] args) throws Exception; }

    /** What a tool that ends itself meets in place of the end of the JVM. */
    static class Ended extends Error { }

    public static void main(String[] args) {
        task = Task.read(args);
        int status = 1;
        if (task.containsKey("idle")) {
            System.err.println("no tool keeps silent");
            System.exit(3);
        }
        try {
            switch (task.get("do")) {
                case "produce": produce(); status = 0; break;
                case "consume": consume(); status = 0; break;
                case "fetch": fetch(); status = 0; break;
                case "admin": admin(); status = 0; break;
                default: System.err.println("no tool does " + task.get("do")); status = 3;
            }
        } catch (Throwable e) {
            e.printStackTrace();
        }
        System.exit(status); // the console producer closes when the JVM does
    }

    /** Runs a tool and returns what it prints. */
    static String run(Tool tool, String... args) throws Exception {
        List<String> all = new ArrayList<>(Arrays.asList(args));
        int at = args[0].startsWith("-") ? 0 : 1; // a tool with commands has their options behind them
        all.addAll(at, List.of("--bootstrap-server", task.get("bootstrap")));
        List<Integer> ends = new ArrayList<>(); // the first counts: some tools take it for a failure then
        Exit.setExitProcedure((status, message) -> {
            ends.add(status);
            throw new Ended();
        });
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        PrintStream before = System.out;
        System.setOut(new PrintStream(out, true));
        try {
            tool.main(all.toArray(new String[0]));
        } catch (Ended e) {
            // it has
        } finally {
            System.setOut(before);
        }
        if (!ends.isEmpty() && ends.get(0) != 0) {
            throw new IllegalStateException(all + " ended with status " + ends.get(0) + ": " + out);
        }
        return out.toString(StandardCharsets.UTF_8);
    }

    static int count() { return Integer.parseInt(task.get("count")); }

    /** The records of the task, which the producer asks for in place of lines. */
    public static class Records implements RecordReader {
        @Override public Iterator<ProducerRecord<byte[], byte[]>> readRecords(InputStream none) {
            return IntStream.range(0, count()).mapToObj(i -> {
                ProducerRecord<byte[], byte[]> r = new ProducerRecord<>(task.get("topic"), ("key-" + i).getBytes(StandardCharsets.UTF_8), Task.value(task, i));
                if ("true".equals(task.get("headers"))) {
                    r.headers().add("n", String.valueOf(i).getBytes(StandardCharsets.UTF_8));
                }
                return r;
            }).iterator();
        }
    }

    /** Errors of single records are only logged: the records are missing then. */
    static void produce() throws Exception {
        run(ConsoleProducer::main, "--topic", task.get("topic"), "--line-reader", Records.class.getName(),
            "--request-required-acks", task.getOrDefault("acks", "-1"), "--request-timeout-ms", "30000",
            "--compression-codec", task.getOrDefault("compression", "none"),
            "--command-property", "max.request.size=2000000",
            "--command-property", "client.id=" + task.getOrDefault("client", "conformance"),
            "--command-property", "enable.idempotence=" + task.getOrDefault("idempotent", "false"));
        System.out.println("{\"count\": " + count() + "}");
    }

    /** Takes the records that the consumer wants to print. */
    public static class Taker implements MessageFormatter {
        @Override public void writeTo(ConsumerRecord<byte[], byte[]> r, PrintStream none) { sums.add(r); }
    }

    static void consume() throws Exception {
        String protocol = task.getOrDefault("protocol", "classic");
        run(ConsoleConsumer::main, "--topic", task.get("topic"), "--group", task.get("group"), "--from-beginning", "--max-messages", task.get("count"),
            "--formatter", Taker.class.getName(), "--isolation-level", task.getOrDefault("isolation", "read_uncommitted"),
            "--command-property", "client.rack=" + task.getOrDefault("rack", ""),
            "--command-property", "group.protocol=" + protocol);
        System.out.println(sums);
    }

    /** Each partition by itself, as far as the shell for offsets says that it reaches. */
    static void fetch() throws Exception {
        for (String line : run(GetOffsetShell::main, "--topic", task.get("topic")).split("\n")) {
            String[] f = line.trim().split(":"); // topic:partition:offset
            if (!f[2].equals("0")) {
                run(ConsoleConsumer::main, "--topic", task.get("topic"), "--partition", f[1], "--offset", "earliest", "--max-messages", f[2], "--formatter", Taker.class.getName());
            }
        }
        System.out.println(sums);
    }

    static void admin() throws Exception {
        String topic = task.get("topic"), made = topic + "-made";
        run(TopicCommand::main, "--create", "--topic", made, "--partitions", "3", "--replication-factor", "1");
        wants(made, run(TopicCommand::main, "--list"));
        wants("PartitionCount: 3", run(TopicCommand::main, "--describe", "--topic", made));
        wants("for topic " + topic, run(kafka.admin.ConfigCommand::main, "--describe", "--entity-type", "topics", "--entity-name", topic));
        run(ConsumerGroupCommand::main, "--list");
        String[] brokers = run(ClusterTool::main, "list-endpoints").trim().split("\n");
        run(TopicCommand::main, "--delete", "--topic", made);
        System.out.println("{\"count\": " + (brokers.length - 1) + "}"); // less the heading
    }

    static void wants(String what, String said) {
        if (!said.contains(what)) {
            throw new IllegalStateException("no " + what + " in " + said);
        }
    }
}
