import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Kafka's own client as a client of the tests; foreign_test.go says how it is called. */
public class Client {
    static final String HEADER = "h";
    static final Duration PATIENCE = Duration.ofSeconds(60);
    static final ObjectMapper json = new ObjectMapper();

    public record Rec(String key, String value, String header) {}

    public record Job(String topic, String codec, List<Rec> records) {}

    public static void main(String[] args) throws Exception {
        String addr = args[1];
        switch (args[0]) {
            case "produce" -> produce(addr);
            case "consume" -> consume(addr, Integer.parseInt(args[2]), Arrays.asList(args).subList(3, args.length));
            case "group" -> group(addr, Integer.parseInt(args[2]), args[3], args[4], args.length > 5 ? args[5] : "classic");
            case "admin" -> admin(addr, args[2], Integer.parseInt(args[3]));
            default -> throw new IllegalArgumentException(args[0]);
        }
    }

    /** Adds to a config how it logs in, as the environment says. */
    static Map<String, Object> secured(Map<String, Object> config) throws Exception {
        Map<String, Object> all = new LinkedHashMap<>(config);
        String security = System.getenv("SAMSA_CLIENTTEST_SECURITY");
        if (security != null) {
            all.putAll(json.readValue(security, new TypeReference<Map<String, Object>>() {}));
        }
        return all;
    }

    /** Sends what it is told to with the producer's defaults, idempotence among them. */
    static void produce(String addr) throws Exception {
        List<Job> jobs = json.readValue(System.in, new TypeReference<List<Job>>() {});
        for (Job job : jobs) {
            Map<String, Object> config = secured(Map.of(
                "bootstrap.servers", addr, "compression.type", job.codec(), "linger.ms", 50));
            List<Future<?>> sent = new ArrayList<>();
            try (var producer = new KafkaProducer<>(config, new StringSerializer(), new StringSerializer())) {
                for (Rec r : job.records()) {
                    var record = new ProducerRecord<>(job.topic(), 0, r.key(), r.value());
                    record.headers().add(HEADER, r.header().getBytes("UTF-8"));
                    sent.add(producer.send(record));
                }
                for (Future<?> f : sent) {
                    f.get();
                }
            }
        }
    }

    static KafkaConsumer<String, String> consumer(Map<String, Object> config) {
        return new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer());
    }

    static void consume(String addr, int count, List<String> topics) throws Exception {
        Map<String, List<Rec>> got = new LinkedHashMap<>();
        try (var consumer = consumer(secured(Map.of("bootstrap.servers", addr)))) {
            consumer.assign(topics.stream().map(topic -> new TopicPartition(topic, 0)).toList());
            consumer.seekToBeginning(consumer.assignment());
            for (var r : receive(consumer, count * topics.size())) {
                got.computeIfAbsent(r.topic(), topic -> new ArrayList<>()).add(plain(r));
            }
        }
        json.writeValue(System.out, got);
    }

    static void group(String addr, int count, String topic, String group, String protocol) throws Exception {
        Map<String, Object> config = secured(Map.of(
            "bootstrap.servers", addr, "group.id", group, "enable.auto.commit", false, "group.protocol", protocol,
            "auto.offset.reset", "earliest", "max.poll.records", 1));
        List<Rec> got;
        try (var consumer = consumer(config)) {
            consumer.subscribe(List.of(topic));
            got = receive(consumer, count).stream().map(Client::plain).toList();
            consumer.commitSync();
        }
        json.writeValue(System.out, got);
    }

    /** The next records, count of them if each poll returns one. */
    static List<ConsumerRecord<String, String>> receive(KafkaConsumer<String, String> consumer, int count) {
        List<ConsumerRecord<String, String>> got = new ArrayList<>();
        while (got.size() < count) {
            var polled = consumer.poll(PATIENCE);
            if (polled.isEmpty()) {
                throw new IllegalStateException(got.size() + " of " + count + " records");
            }
            polled.forEach(got::add);
        }
        return got;
    }

    static Rec plain(ConsumerRecord<String, String> r) {
        var header = r.headers().lastHeader(HEADER);
        return new Rec(r.key(), r.value(), header == null ? "" : new String(header.value()));
    }

    /** Creates a topic and tells how many partitions it is said to have. */
    static void admin(String addr, String topic, int partitions) throws Exception {
        try (Admin admin = Admin.create(secured(Map.of("bootstrap.servers", addr)))) {
            admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1))).all().get();
            var described = admin.describeTopics(List.of(topic)).allTopicNames().get();
            json.writeValue(System.out, described.get(topic).partitions().size());
        }
    }
}
