import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.protocol.Errors;

/** Prints Kafka's own table of error codes: code, name, whether it is retriable. */
public class ErrorCodes {
    public static void main(String[] args) {
        for (Errors e : Errors.values()) {
            System.out.printf("%d %s %b%n", e.code(), e.name(), e.exception() instanceof RetriableException);
        }
    }
}
