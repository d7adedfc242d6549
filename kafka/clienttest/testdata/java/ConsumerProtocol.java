import com.fasterxml.jackson.databind.ObjectMapper;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** What Kafka's own client does as a member of a group of the consumer protocol; foreign_test.go says how it is called. */
public class ConsumerProtocol {
    static final Duration PATIENCE = Duration.ofSeconds(60);

    public static void main(String[] args) throws Exception {
        String addr = args[1];
        int count = Integer.parseInt(args[2]);
        List<String> values = switch (args[0]) {
            case "pattern" -> pattern(addr, count, args[3], args[4]);
            case "static" -> instance(addr, count, args[3], args[4], args[5]);
            case "transform" -> transform(addr, count, args[3], args[4], args[5]);
            default -> throw new IllegalArgumentException(args[0]);
        };
        new ObjectMapper().writeValue(System.out, values);
    }

    static KafkaConsumer<String, String> consumer(String addr, String group, Map<String, Object> more) {
        Map<String, Object> config = new HashMap<>(Map.of(
            "bootstrap.servers", addr, "group.id", group, "enable.auto.commit", false, "group.protocol", "consumer",
            "auto.offset.reset", "earliest", "max.poll.records", 1));
        config.putAll(more);
        return new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer());
    }

    static List<String> receive(KafkaConsumer<String, String> consumer, int count) {
        List<String> got = new ArrayList<>();
        while (got.size() < count) {
            var polled = consumer.poll(PATIENCE);
            if (polled.isEmpty()) {
                throw new IllegalStateException(got.size() + " of " + count + " records");
            }
            polled.forEach(r -> got.add(r.topic() + ": " + r.value()));
        }
        return got;
    }

    /** Reads from all topics that the broker finds. */
    static List<String> pattern(String addr, int count, String pattern, String group) {
        try (var consumer = consumer(addr, group, Map.of())) {
            consumer.subscribe(new SubscriptionPattern(pattern));
            return receive(consumer, count);
        }
    }

    /** Reads as a static member, which leaves to come back. */
    static List<String> instance(String addr, int count, String topic, String group, String instance) {
        try (var consumer = consumer(addr, group, Map.of("group.instance.id", instance))) {
            consumer.subscribe(List.of(topic));
            var got = receive(consumer, count);
            consumer.commitSync();
            return got;
        }
    }

    /** Copies records in one transaction, with the offsets. */
    static List<String> transform(String addr, int count, String from, String to, String group) {
        Map<String, Object> config = Map.of("bootstrap.servers", addr, "transactional.id", "copier");
        try (var consumer = consumer(addr, group, Map.of());
                var producer = new KafkaProducer<>(config, new StringSerializer(), new StringSerializer())) {
            producer.initTransactions();
            consumer.subscribe(List.of(from));
            var got = receive(consumer, count);
            producer.beginTransaction();
            got.forEach(value -> producer.send(new ProducerRecord<>(to, value)));
            Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
            consumer.assignment().forEach(tp -> offsets.put(tp, new OffsetAndMetadata(consumer.position(tp))));
            producer.sendOffsetsToTransaction(offsets, consumer.groupMetadata());
            producer.commitTransaction();
            return got;
        }
    }
}
