package hello;

import org.springframework.boot.ApplicationRunner;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.kafka.core.KafkaTemplate;

@SpringBootApplication
public class Hello {
    public static void main(String[] args) {
        SpringApplication.run(Hello.class, args);
    }

    @Bean
    ApplicationRunner produce(KafkaTemplate<String, String> kafka) {
        return args -> kafka.send("hello", "hello");
    }

    @KafkaListener(topics = "hello")
    void consume(String value) {
        System.out.println("consumed " + value);
    }
}
