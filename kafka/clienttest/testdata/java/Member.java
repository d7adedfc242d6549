import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** A member, of Kafka's own client, of a group of the consumer protocol, for a drill; confluent_member.py says what it does. */
public class Member {
    static volatile boolean running = true;

    public static void main(String[] args) throws Exception {
        Map<String, Object> config = new HashMap<>(Map.of("bootstrap.servers", args[0], "group.id", args[1], "client.id", args[3],
            "group.protocol", "consumer", "enable.auto.commit", false, "auto.offset.reset", "earliest", "max.poll.records", 10,
            "reconnect.backoff.ms", 20, "reconnect.backoff.max.ms", 100, "retry.backoff.ms", 20));
        if (args.length > 4) {
            config.put("group.instance.id", args[4]);
        }
        Thread main = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            running = false;
            try {
                main.join();
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        }));
        try (var consumer = new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.subscribe(List.of(args[2]), new ConsumerRebalanceListener() {
                public void onPartitionsAssigned(Collection<TopicPartition> partitions) { say("assigned", partitions); }

                public void onPartitionsRevoked(Collection<TopicPartition> partitions) { say("revoked", partitions); }

                public void onPartitionsLost(Collection<TopicPartition> partitions) { say("lost", partitions); }
            });
            while (running) {
                read(consumer);
            }
        }
    }

    static void read(KafkaConsumer<byte[], byte[]> consumer) {
        var polled = consumer.poll(Duration.ofMillis(100));
        if (polled.isEmpty()) {
            System.out.println("nothing");
            return;
        }
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        for (var tp : polled.partitions()) {
            var records = polled.records(tp);
            long first = records.get(0).offset(), last = records.get(records.size() - 1).offset();
            System.out.println("read " + tp.partition() + " " + first + " " + last);
            offsets.put(tp, new OffsetAndMetadata(last + 1));
        }
        try {
            consumer.commitSync(offsets);
        } catch (CommitFailedException | RetriableException e) {
            System.out.println("error " + e);
            return;
        }
        offsets.forEach((tp, at) -> System.out.println("committed " + tp.partition() + " " + at.offset()));
    }

    static void say(String step, Collection<TopicPartition> partitions) {
        System.out.println(step + partitions.stream().map(p -> " " + p.partition()).collect(Collectors.joining()));
    }
}
