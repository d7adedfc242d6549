import com.fasterxml.jackson.databind.ObjectMapper;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ListShareGroupOffsetsSpec;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Stories of KafkaShareConsumer, each with a topic and a group of its name. What they tell is compared by java_share_test.go. */
public class Shares {
    static final Duration PATIENCE = Duration.ofSeconds(30);
    static final Duration MOMENT = Duration.ofMillis(1500); // in which nothing comes
    static String addr;
    static Admin admin;

    interface Story {
        void tell(String name, List<String> said) throws Exception;
    }

    public static void main(String[] args) throws Exception {
        addr = args[0];
        Map<String, Story> stories = new LinkedHashMap<>();
        stories.put("implicit", Shares::implicit);
        stories.put("explicit", Shares::explicit);
        stories.put("limit", Shares::limit);
        stories.put("lock", Shares::lock);
        stories.put("renew", Shares::renew);
        stories.put("close", Shares::close);
        stories.put("several", Shares::several);
        stories.put("latest", Shares::latest);
        stories.put("record-limit", Shares::recordLimit);
        stories.put("committed", Shares::committed);
        stories.put("letters", Shares::letters);
        stories.put("admin", Shares::admin);
        List<String> wanted = Arrays.asList(args).subList(1, args.length);
        Map<String, List<String>> told = new LinkedHashMap<>();
        admin = Admin.create(Map.of("bootstrap.servers", addr));
        for (var e : stories.entrySet()) {
            if (!wanted.isEmpty() && !wanted.contains(e.getKey())) {
                continue;
            }
            List<String> said = new ArrayList<>();
            told.put(e.getKey(), said);
            try {
                topic(e.getKey(), 1);
                config(e.getKey(), "share.auto.offset.reset", "earliest");
                e.getValue().tell(e.getKey(), said);
            } catch (Exception ex) {
                said.add("ended by " + name(ex));
                ex.printStackTrace();
            }
        }
        admin.close();
        new ObjectMapper().writeValue(System.out, told);
    }

    static String name(Throwable t) {
        while (t.getCause() != null && (t instanceof java.util.concurrent.ExecutionException || t.getClass().getSimpleName().equals("KafkaException"))) {
            t = t.getCause();
        }
        return t.getClass().getSimpleName();
    }

    static void topic(String name, int partitions) throws Exception {
        admin.createTopics(List.of(new NewTopic(name, partitions, (short) 1))).all().get();
    }

    static void config(String group, String... settings) throws Exception {
        List<AlterConfigOp> ops = new ArrayList<>();
        for (int i = 0; i < settings.length; i += 2) {
            ops.add(new AlterConfigOp(new ConfigEntry(settings[i], settings[i + 1]), AlterConfigOp.OpType.SET));
        }
        admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.GROUP, group), ops)).all().get();
    }

    static void produce(String topic, String... values) throws Exception {
        try (var producer = new KafkaProducer<>(Map.<String, Object>of("bootstrap.servers", addr, "linger.ms", 0), new StringSerializer(), new StringSerializer())) {
            for (String v : values) {
                producer.send(new ProducerRecord<>(topic, v, v)).get();
            }
        }
    }

    static KafkaShareConsumer<String, String> consumer(String group, String... settings) {
        Map<String, Object> config = new HashMap<>(Map.of("bootstrap.servers", addr, "group.id", group));
        for (int i = 0; i < settings.length; i += 2) {
            config.put(settings[i], settings[i + 1]);
        }
        var c = new KafkaShareConsumer<>(config, new StringDeserializer(), new StringDeserializer());
        c.subscribe(List.of(group));
        return c;
    }

    static KafkaShareConsumer<String, String> explicitly(String group, String... settings) {
        List<String> all = new ArrayList<>(List.of("share.acknowledgement.mode", "explicit"));
        all.addAll(Arrays.asList(settings));
        return consumer(group, all.toArray(new String[0]));
    }

    /** Polls until there is something. */
    static List<ConsumerRecord<String, String>> poll(KafkaShareConsumer<String, String> c) {
        long until = System.nanoTime() + PATIENCE.toNanos();
        while (System.nanoTime() < until) {
            List<ConsumerRecord<String, String>> got = new ArrayList<>();
            c.poll(Duration.ofMillis(500)).forEach(got::add);
            if (!got.isEmpty()) {
                return got;
            }
        }
        throw new IllegalStateException("nothing came");
    }

    /** Polls until there are so many, implicitly acknowledging those of before. */
    static List<ConsumerRecord<String, String>> poll(KafkaShareConsumer<String, String> c, int n) {
        List<ConsumerRecord<String, String>> got = new ArrayList<>();
        while (got.size() < n) {
            got.addAll(poll(c));
        }
        return got;
    }

    static String nothing(KafkaShareConsumer<String, String> c) {
        return plain(c.poll(MOMENT));
    }

    static String plain(Iterable<ConsumerRecord<String, String>> records) {
        List<String> all = new ArrayList<>();
        records.forEach(r -> all.add(r.value() + "x" + r.deliveryCount().map(String::valueOf).orElse("?")));
        return all.isEmpty() ? "nothing" : String.join(" ", all);
    }

    static String commit(KafkaShareConsumer<String, String> c) {
        Map<String, String> all = new TreeMap<>();
        c.commitSync().forEach((tp, e) -> all.put(tp.topicPartition().toString(), e.map(Shares::name).orElse("done")));
        return all.toString();
    }

    static void implicit(String name, List<String> said) throws Exception {
        produce(name, "a", "b", "c", "d", "e");
        try (var c = consumer(name)) {
            said.add(plain(poll(c, 5)));
            said.add(nothing(c)); // acknowledges
        }
        try (var c = consumer(name)) {
            said.add("later " + nothing(c));
            produce(name, "f");
            said.add(plain(poll(c)));
        }
        try (var c = consumer(name)) {
            said.add("later " + nothing(c)); // a consumer that is closed has acknowledged what it was given
        }
    }

    static void explicit(String name, List<String> said) throws Exception {
        produce(name, "a", "b", "c", "d");
        try (var c = explicitly(name)) {
            var got = poll(c, 4);
            said.add(plain(got));
            try {
                c.poll(MOMENT);
                said.add("polled");
            } catch (IllegalStateException e) {
                said.add("poll: " + name(e));
            }
            c.acknowledge(got.get(0), AcknowledgeType.ACCEPT);
            c.acknowledge(got.get(1), AcknowledgeType.RELEASE);
            c.acknowledge(got.get(2), AcknowledgeType.REJECT);
            c.acknowledge(got.get(3));
            said.add(commit(c));
            got = poll(c);
            said.add(plain(got));
            try {
                c.acknowledge(got.get(0));
                c.acknowledge(got.get(0));
                said.add("twice");
            } catch (IllegalStateException e) {
                said.add("twice: " + name(e));
            }
            said.add(commit(c));
            said.add(nothing(c));
        }
    }

    static void limit(String name, List<String> said) throws Exception {
        config(name, "share.delivery.count.limit", "3");
        produce(name, "a");
        try (var c = explicitly(name)) {
            for (int i = 0; i < 3; i++) {
                var got = poll(c);
                said.add(plain(got));
                c.acknowledge(got.get(0), AcknowledgeType.RELEASE);
                said.add(commit(c));
            }
            said.add(nothing(c));
        }
    }

    static void lock(String name, List<String> said) throws Exception {
        config(name, "share.record.lock.duration.ms", "2000");
        produce(name, "a");
        try (var slow = explicitly(name); var other = explicitly(name)) {
            var got = poll(slow);
            said.add(plain(got));
            said.add("lock of " + slow.acquisitionLockTimeoutMs().orElse(-1));
            config(name, "share.record.lock.duration.ms", "60000"); // for who is given it next
            var again = poll(other);
            said.add(plain(again));
            slow.acknowledge(got.get(0));
            said.add("late " + commit(slow));
            other.acknowledge(again.get(0));
            said.add(commit(other));
        }
    }

    static void renew(String name, List<String> said) throws Exception {
        config(name, "share.record.lock.duration.ms", "6000"); // each wait is a part of that, and all are more
        produce(name, "a");
        try (var c = explicitly(name); var other = explicitly(name)) {
            var got = poll(c);
            said.add("other " + nothing(other));
            for (int i = 0; i < 3; i++) {
                Thread.sleep(MOMENT.toMillis());
                c.acknowledge(got.get(0), AcknowledgeType.RENEW);
                said.add("renew " + commit(c));
                poll(c).forEach(r -> said.add("again " + r.value()));
            }
            said.add("other " + nothing(other));
            c.acknowledge(got.get(0));
            said.add(commit(c));
        }
    }

    static void close(String name, List<String> said) throws Exception {
        produce(name, "a", "b");
        var first = explicitly(name);
        said.add(plain(poll(first, 2)));
        first.close();
        try (var c = explicitly(name)) {
            var got = poll(c, 2);
            said.add(plain(got));
            got.forEach(c::acknowledge);
            said.add(commit(c));
        }
    }

    static void several(String name, List<String> said) throws Exception {
        int n = 300;
        List<Thread> threads = new ArrayList<>();
        Set<String> seen = java.util.Collections.synchronizedSet(new TreeSet<>());
        List<String> twice = java.util.Collections.synchronizedList(new ArrayList<>());
        for (int i = 0; i < 3; i++) {
            var t = new Thread(() -> {
                try (var c = consumer(name, "max.poll.records", "7")) {
                    long until = System.nanoTime() + PATIENCE.toNanos();
                    while (seen.size() < n && System.nanoTime() < until) {
                        c.poll(Duration.ofMillis(200)).forEach(r -> {
                            if (!seen.add(r.value())) {
                                twice.add(r.value());
                            }
                        });
                    }
                    c.commitSync(); // to close gives back what no later poll has acknowledged
                }
            });
            threads.add(t);
            t.start();
        }
        String[] values = new String[n];
        for (int i = 0; i < n; i++) {
            values[i] = String.format("%03d", i);
        }
        produce(name, values);
        for (var t : threads) {
            t.join();
        }
        said.add(seen.size() + " seen, twice " + twice);
    }

    static void latest(String name, List<String> said) throws Exception {
        produce(name, "before");
        config(name, "share.auto.offset.reset", "latest");
        try (var c = consumer(name)) {
            String came = nothing(c);
            for (int i = 0; i < 10 && came.equals("nothing") && !begun(name); i++) { // Kafka does not tell
                came = nothing(c);
            }
            said.add(came);
            said.add(nothing(c));
            produce(name, "after");
            said.add(plain(poll(c)));
        }
    }

    static void recordLimit(String name, List<String> said) throws Exception {
        try (var producer = new KafkaProducer<>(Map.<String, Object>of("bootstrap.servers", addr, "linger.ms", 60_000), new StringSerializer(), new StringSerializer())) {
            for (String v : List.of("a", "b", "c", "d", "e")) {
                producer.send(new ProducerRecord<>(name, v, v)); // one batch, when it is closed
            }
        }
        try (var c = consumer(name, "share.acquire.mode", "record_limit", "max.poll.records", "2"); var other = consumer(name, "max.poll.records", "2")) {
            said.add(plain(poll(c)));
            said.add("other " + plain(poll(other)));
            said.add(nothing(c));
        }
    }

    static void committed(String name, List<String> said) throws Exception {
        config(name, "share.isolation.level", "read_committed");
        Map<String, Object> config = Map.of("bootstrap.servers", addr, "transactional.id", name);
        try (var p = new KafkaProducer<>(config, new StringSerializer(), new StringSerializer())) {
            p.initTransactions();
            for (String v : List.of("aborted", "a", "b")) {
                p.beginTransaction();
                p.send(new ProducerRecord<>(name, v, v)).get();
                if (v.equals("aborted")) {
                    p.abortTransaction();
                } else {
                    p.commitTransaction();
                }
            }
            p.beginTransaction();
            p.send(new ProducerRecord<>(name, "open", "open")).get();
            try (var c = consumer(name)) {
                said.add(plain(poll(c, 2)));
                said.add(nothing(c));
                p.commitTransaction();
                said.add(plain(poll(c)));
            }
        }
    }

    static void letters(String name, List<String> said) throws Exception {
        topic("dlq." + name, 1);
        admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.TOPIC, "dlq." + name),
            (Collection<AlterConfigOp>) List.of(new AlterConfigOp(new ConfigEntry("errors.deadletterqueue.group.enable", "true"), AlterConfigOp.OpType.SET)))).all().get();
        config(name, "errors.deadletterqueue.topic.name", "dlq." + name, "errors.deadletterqueue.copy.record.enable", "true", "share.delivery.count.limit", "2");
        produce(name, "a", "b");
        try (var c = explicitly(name)) {
            var got = poll(c, 2);
            c.acknowledge(got.get(0), AcknowledgeType.REJECT);
            c.acknowledge(got.get(1), AcknowledgeType.RELEASE);
            said.add(commit(c));
            got = poll(c);
            said.add(plain(got));
            c.acknowledge(got.get(0), AcknowledgeType.RELEASE);
            said.add(commit(c));
        }
        try (var c = new KafkaConsumer<>(Map.<String, Object>of("bootstrap.servers", addr), new StringDeserializer(), new StringDeserializer())) {
            c.assign(List.of(new TopicPartition("dlq." + name, 0)));
            c.seekToBeginning(c.assignment());
            List<String> all = new ArrayList<>();
            long until = System.nanoTime() + PATIENCE.toNanos();
            while (all.size() < 2 && System.nanoTime() < until) {
                c.poll(Duration.ofMillis(500)).forEach(r -> {
                    Map<String, String> headers = new TreeMap<>();
                    r.headers().forEach(h -> headers.put(h.key(), new String(h.value())));
                    headers.remove("__dlq.errors.message"); // in the broker's words
                    all.add(r.key() + "=" + r.value() + " " + headers);
                });
            }
            said.addAll(all);
        }
    }

    static void admin(String name, List<String> said) throws Exception {
        produce(name, "a", "b", "c");
        var tp = new TopicPartition(name, 0);
        try (var c = consumer(name, "client.id", "reader")) {
            said.add(plain(poll(c, 3)));
            said.add(nothing(c));
            var d = admin.describeShareGroups(List.of(name)).describedGroups().get(name).get();
            var m = d.members().iterator().next();
            said.add(d.groupState() + ", members " + d.members().size() + ", " + m.clientId() + " at " + m.host() + " has " + m.assignment().topicPartitions());
            said.add("alter: " + outcome(() -> admin.alterShareGroupOffsets(name, Map.of(tp, 0L)).all().get()));
            said.add("delete offsets: " + outcome(() -> admin.deleteShareGroupOffsets(name, Set.of(name)).all().get()));
            said.add("delete: " + outcome(() -> admin.deleteShareGroups(List.of(name)).all().get()));
        }
        said.add(admin.describeShareGroups(List.of(name)).describedGroups().get(name).get().groupState().toString());
        said.add("alter: " + outcome(() -> admin.alterShareGroupOffsets(name, Map.of(tp, 1L, new TopicPartition("nobody", 0), 1L)).partitionResult(tp).get()));
        said.add("offsets " + offsets(name));
        try (var c = consumer(name)) {
            said.add(plain(poll(c, 2)));
        }
        said.add("listed " + admin.listGroups().all().get().stream().filter(g -> g.groupId().equals(name)).map(g -> g.type() + " " + g.groupState().orElse(null)).toList());
        said.add("delete offsets: " + outcome(() -> admin.deleteShareGroupOffsets(name, Set.of(name)).all().get()));
        said.add("offsets " + offsets(name));
        said.add("delete: " + outcome(() -> admin.deleteShareGroups(List.of(name)).all().get()));
        said.add("describe: " + outcome(() -> admin.describeShareGroups(List.of(name)).all().get()));
        said.add("delete again: " + outcome(() -> admin.deleteShareGroups(List.of(name)).all().get()));
        said.add("describe as a classic group: " + outcome(() -> admin.describeConsumerGroups(List.of(name)).all().get()));
    }

    static String offsets(String group) throws Exception {
        Map<String, String> all = new TreeMap<>();
        admin.listShareGroupOffsets(Map.of(group, new ListShareGroupOffsetsSpec())).partitionsToOffsetInfo(group).get()
            .forEach((tp, o) -> all.put(tp.toString(), o == null ? "none" : o.startOffset() + " lag " + o.lag().map(String::valueOf).orElse("none")));
        return all.toString();
    }

    /** Whether a group has a place in its topic. */
    static boolean begun(String group) throws Exception {
        try {
            return offsets(group).contains(" lag ");
        } catch (java.util.concurrent.ExecutionException e) {
            return false; // there is no group yet
        }
    }

    interface Act {
        void run() throws Exception;
    }

    static String outcome(Act act) {
        try {
            act.run();
            return "done";
        } catch (Exception e) {
            return name(e);
        }
    }
}
