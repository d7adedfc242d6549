import com.fasterxml.jackson.databind.ObjectMapper;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.AbortTransactionSpec;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.FeatureUpdate;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.UpdateFeaturesOptions;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * What Kafka's own producer, consumers and admin do with transactions, each story in a topic of its own.
 *
 * <pre>Transactions ADDR LEVEL</pre>
 *
 * LEVEL is that of the feature transaction.version, which is set first. Written is JSON: by story, what was answered,
 * and what was read by each isolation level.
 */
public class Transactions {
    static final Duration PATIENCE = Duration.ofSeconds(60);

    static final String END = "end";

    static String addr;
    static Admin admin;

    /** What one story has told. */
    public static class Told {
        public final List<String> answers = new ArrayList<>();
        public List<String> committed;
        public List<String> uncommitted;

        /** Does what may fail, and tells how it ended. */
        void is(String what, Step step) throws Exception {
            try {
                step.run();
                answers.add(what + ": done");
            } catch (ExecutionException e) {
                answers.add(what + ": " + e.getCause().getClass().getSimpleName());
            } catch (RuntimeException e) {
                answers.add(what + ": " + e.getClass().getSimpleName());
            }
        }
    }

    interface Step {
        void run() throws Exception;
    }

    interface Story {
        void tell(String topic, Told told) throws Exception;
    }

    public static void main(String[] args) throws Exception {
        addr = args[0];
        admin = Admin.create(Map.of("bootstrap.servers", addr));
        short level = Short.parseShort(args[1]);
        var type = level == 2 ? FeatureUpdate.UpgradeType.UPGRADE : FeatureUpdate.UpgradeType.SAFE_DOWNGRADE;
        admin.updateFeatures(Map.of("transaction.version", new FeatureUpdate(level, type)), new UpdateFeaturesOptions()).all().get();
        var stories = new TreeMap<String, Story>(Map.of(
            "commit", Transactions::commit, "abort", Transactions::abort, "fence", Transactions::fence, "time out", Transactions::timeOut,
            "offsets", Transactions::offsets, "fence by admin", Transactions::fenceByAdmin, "abort by admin", Transactions::abortByAdmin));
        var told = new TreeMap<String, Told>();
        for (var story : stories.entrySet()) {
            var one = new Told();
            told.put(story.getKey(), one);
            String topic = story.getKey().replace(' ', '-') + "-" + level + "-" + System.nanoTime();
            admin.createTopics(List.of(new NewTopic(topic, 2, (short) 1))).all().get();
            story.getValue().tell(topic, one);
            mark(topic);
            one.committed = read(topic, "read_committed");
            one.uncommitted = read(topic, "read_uncommitted");
        }
        admin.close(Duration.ZERO);
        System.out.println(new ObjectMapper().writeValueAsString(told));
    }

    static KafkaProducer<String, String> producer(String id, int timeoutMs) {
        Map<String, Object> config = new HashMap<>(Map.of("bootstrap.servers", addr, "linger.ms", 0));
        if (id != null) {
            config.put("transactional.id", id);
            config.put("transaction.timeout.ms", timeoutMs);
        }
        return new KafkaProducer<>(config, new StringSerializer(), new StringSerializer());
    }

    /** Begins a transaction with a record in each partition. */
    static void send(KafkaProducer<String, String> producer, String topic, String value) throws Exception {
        producer.beginTransaction();
        for (int partition = 0; partition < 2; partition++) {
            producer.send(new ProducerRecord<>(topic, partition, null, value + partition)).get();
        }
    }

    /** Ends each partition with a record that is in no transaction. */
    static void mark(String topic) throws Exception {
        try (var producer = producer(null, 0)) {
            for (int partition = 0; partition < 2; partition++) {
                producer.send(new ProducerRecord<>(topic, partition, null, END)).get();
            }
        }
    }

    /** Reads all up to the marks, by partition. */
    static List<String> read(String topic, String isolation) {
        var got = List.of(new ArrayList<String>(), new ArrayList<String>());
        Map<String, Object> config = Map.of("bootstrap.servers", addr, "isolation.level", isolation, "fetch.max.wait.ms", 10);
        try (var consumer = new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer())) {
            consumer.assign(List.of(new TopicPartition(topic, 0), new TopicPartition(topic, 1)));
            consumer.seekToBeginning(consumer.assignment());
            for (int ended = 0; ended < 2; ) {
                var polled = consumer.poll(PATIENCE);
                if (polled.isEmpty()) {
                    throw new IllegalStateException(isolation + " of " + topic + " ends with " + got);
                }
                for (var r : polled) {
                    if (r.value().equals(END)) {
                        ended++;
                    } else {
                        got.get(r.partition()).add(r.value());
                    }
                }
            }
        }
        return got.stream().flatMap(List::stream).toList();
    }

    static String state(String id) throws Exception {
        return admin.describeTransactions(List.of(id)).description(id).get().state().toString();
    }

    static void commit(String topic, Told told) throws Exception {
        try (var producer = producer(topic, 60_000)) {
            producer.initTransactions();
            for (var value : List.of("a", "b", "c")) {
                send(producer, topic, value);
                if (value.equals("b")) {
                    var open = admin.describeTransactions(List.of(topic)).description(topic).get();
                    told.answers.add("open: " + open.state() + " " + open.transactionTimeoutMs() + " "
                        + open.topicPartitions().stream().map(TopicPartition::partition).sorted().toList() + " " + open.transactionStartTimeMs().isPresent());
                }
                told.is("commit " + value, producer::commitTransaction);
            }
            told.answers.add("then: " + state(topic));
        }
    }

    static void abort(String topic, Told told) throws Exception {
        try (var producer = producer(topic, 60_000)) {
            producer.initTransactions();
            for (var value : List.of("a", "b", "c", "d")) {
                send(producer, topic, value);
                if (value.equals("b") || value.equals("d")) {
                    told.is("abort " + value, producer::abortTransaction);
                } else {
                    told.is("commit " + value, producer::commitTransaction);
                }
            }
            producer.beginTransaction();
            told.is("abort nothing", producer::abortTransaction);
            producer.beginTransaction();
            told.is("commit nothing", producer::commitTransaction);
            told.answers.add("then: " + state(topic));
        }
    }

    /** A producer whose id another has taken. */
    static void fence(String topic, Told told) throws Exception {
        var old = producer(topic, 60_000);
        var other = producer(topic, 60_000);
        var idle = producer(topic, 60_000);
        old.initTransactions();
        send(old, topic, "old");
        told.is("another begins", other::initTransactions);
        told.is("the old sends", () -> old.send(new ProducerRecord<>(topic, 0, null, "late")).get());
        told.is("the old commits", old::commitTransaction);
        send(other, topic, "new");
        told.is("the new commits", other::commitTransaction);
        told.is("a third begins", idle::initTransactions);
        other.beginTransaction();
        told.is("the second sends", () -> other.send(new ProducerRecord<>(topic, 0, null, "late")).get());
        told.is("the second aborts", other::abortTransaction);
        send(idle, topic, "third");
        told.is("the third commits", idle::commitTransaction);
        for (var producer : List.of(old, other, idle)) {
            producer.close(Duration.ZERO);
        }
    }

    static void timeOut(String topic, Told told) throws Exception {
        var slow = producer(topic, 1000);
        slow.initTransactions();
        send(slow, topic, "slow");
        while (!state(topic).equals("CompleteAbort")) {
            Thread.sleep(20);
        }
        told.is("commit", slow::commitTransaction);
        told.is("abort", slow::abortTransaction);
        slow.close(Duration.ZERO);
        try (var next = producer(topic, 60_000)) {
            next.initTransactions();
            send(next, topic, "next");
            told.is("the next commits", next::commitTransaction);
        }
    }

    /** Consume, transform, produce. */
    static void offsets(String topic, Told told) throws Exception {
        String group = topic + "-group";
        String source = topic + "-source";
        admin.createTopics(List.of(new NewTopic(source, 1, (short) 1))).all().get();
        try (var plain = producer(null, 0)) {
            for (int i = 0; i < 6; i++) {
                plain.send(new ProducerRecord<>(source, 0, null, "r" + i)).get();
            }
        }
        Map<String, Object> config = Map.of("bootstrap.servers", addr, "group.id", group, "auto.offset.reset", "earliest", "enable.auto.commit", false,
            "isolation.level", "read_committed", "max.poll.records", 2);
        try (var consumer = new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer()); var producer = producer(topic, 60_000)) {
            producer.initTransactions();
            consumer.subscribe(List.of(source));
            for (int round = 0; round < 3; round++) {
                var polled = consumer.poll(PATIENCE);
                producer.beginTransaction();
                long next = 0;
                for (var r : polled) {
                    producer.send(new ProducerRecord<>(topic, 0, null, r.value())).get(); // an abort drops what has not left
                    next = r.offset() + 1;
                }
                var position = Map.of(new TopicPartition(source, 0), new OffsetAndMetadata(next));
                told.is("offsets " + next, () -> producer.sendOffsetsToTransaction(position, consumer.groupMetadata()));
                if (round == 1) {
                    told.is("abort", producer::abortTransaction);
                } else {
                    told.is("commit", producer::commitTransaction);
                }
                told.answers.add("committed: " + admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().values().stream()
                    .map(o -> String.valueOf(o.offset())).collect(Collectors.joining()));
            }
            var stranger = new ConsumerGroupMetadata(group, 1, "stranger", Optional.empty());
            producer.beginTransaction();
            told.is("offsets of a stranger", () -> producer.sendOffsetsToTransaction(Map.of(new TopicPartition(source, 0), new OffsetAndMetadata(0)), stranger));
            told.is("abort", producer::abortTransaction);
        }
    }

    static void fenceByAdmin(String topic, Told told) throws Exception {
        var producer = producer(topic, 60_000);
        producer.initTransactions();
        send(producer, topic, "a");
        told.is("fence", () -> admin.fenceProducers(List.of(topic)).all().get());
        told.is("commit", producer::commitTransaction);
        told.answers.add("then: " + state(topic));
        producer.close(Duration.ZERO);
        told.is("fence nobody", () -> admin.fenceProducers(List.of(topic + "-nobody")).all().get());
    }

    /** Partition 0 is aborted by hand, though nothing hangs. */
    static void abortByAdmin(String topic, Told told) throws Exception {
        var partition = new TopicPartition(topic, 0);
        var producer = producer(topic, 60_000);
        producer.initTransactions();
        send(producer, topic, "a");
        var open = admin.describeProducers(List.of(partition)).partitionResult(partition).get().activeProducers().get(0);
        told.answers.add("open: since " + open.currentTransactionStartOffset().orElse(-1) + ", coordinator's epoch " + open.coordinatorEpoch().orElse(-1));
        var spec = new AbortTransactionSpec(partition, open.producerId(), (short) open.producerEpoch(), open.coordinatorEpoch().orElse(0));
        told.is("abort", () -> admin.abortTransaction(spec).all().get());
        told.answers.add("then: open " + admin.describeProducers(List.of(partition)).partitionResult(partition).get().activeProducers().get(0)
            .currentTransactionStartOffset().isPresent() + ", " + state(topic));
        told.is("commit", producer::commitTransaction);
        producer.close(Duration.ZERO);
        var nobody = new AbortTransactionSpec(partition, open.producerId(), (short) 0, 0);
        told.is("abort again", () -> admin.abortTransaction(nobody).all().get());
    }
}
