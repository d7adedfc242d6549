import com.fasterxml.jackson.databind.ObjectMapper;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.errors.InvalidTxnStateException;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Kafka's own client on a cluster in upheaval; storm_test.go says what it does. */
public class Storm {
    static final int KEYS = 4;
    static String plain, transacted, group;
    static final Map<String, Object> common = new HashMap<>();
    static final Map<String, Object> result = new ConcurrentHashMap<>();
    static volatile boolean over;

    interface Role { void play(CountDownLatch begun) throws Exception; }

    public static void main(String[] args) throws Exception {
        common.putAll(Map.of("bootstrap.servers", args[0], "reconnect.backoff.ms", 20, "reconnect.backoff.max.ms", 100, "retry.backoff.ms", 20));
        plain = args[1];
        transacted = args[2];
        group = args[3];
        for (int i = 4; i < args.length; i++) { // settings, name=value
            String[] setting = args[i].split("=", 2);
            common.put(setting[0], setting[1]);
        }
        var roles = List.<Role>of(Storm::produce, Storm::transact, Storm::read);
        List<CountDownLatch> latches = new ArrayList<>();
        List<Thread> threads = new ArrayList<>();
        for (Role role : roles) {
            CountDownLatch begun = new CountDownLatch(1);
            latches.add(begun);
            Thread t = new Thread(() -> {
                try {
                    role.play(begun);
                } catch (Exception e) {
                    var said = new java.io.StringWriter();
                    e.printStackTrace(new java.io.PrintWriter(said));
                    result.put("errors", List.of(said.toString()));
                    latches.forEach(CountDownLatch::countDown);
                }
            });
            t.setDaemon(true);
            threads.add(t);
        }
        threads.forEach(Thread::start);
        for (CountDownLatch begun : latches) {
            begun.await();
        }
        System.out.println("begun");
        System.in.readAllBytes();
        over = true;
        for (Thread t : threads) {
            while (t.isAlive() && !result.containsKey("errors")) {
                t.join(100);
            }
        }
        System.out.println(new ObjectMapper().writeValueAsString(result));
        System.exit(0);
    }

    static KafkaProducer<String, String> producer(Map<String, Object> more) {
        Map<String, Object> config = new HashMap<>(common);
        config.putAll(more);
        return new KafkaProducer<>(config, new StringSerializer(), new StringSerializer());
    }

    static List<Future<?>> send(KafkaProducer<String, String> producer, String topic, int n) {
        List<Future<?>> sent = new ArrayList<>();
        for (int key = 0; key < KEYS; key++) {
            sent.add(producer.send(new ProducerRecord<>(topic, "" + key, "" + n)));
        }
        return sent;
    }

    static void produce(CountDownLatch begun) throws Exception {
        int n = 0;
        try (var producer = producer(Map.of())) { // idempotent by default
            for (; !over || n == 0; n++) {
                for (var sent : send(producer, plain, n)) {
                    sent.get();
                }
                begun.countDown();
            }
        }
        result.put("sent", n);
    }

    static void transact(CountDownLatch begun) throws Exception {
        for (int n = 0; !result.containsKey("committed"); ) {
            try (var producer = producer(Map.of("transactional.id", group))) {
                patiently(producer::initTransactions);
                n = transact(producer, n, begun);
                result.put("committed", n);
            } catch (Ended e) {
                n = e.n;
            }
        }
    }

    /** A producer that cannot go on in its round n, of which nothing is committed. */
    static class Ended extends Exception {
        final int n;

        Ended(int n) {
            this.n = n;
        }
    }

    /** Commits rounds from n on until it is over, and returns the one after the last. */
    static int transact(KafkaProducer<String, String> producer, int n, CountDownLatch begun) throws Ended {
        while (!over || n == 0) {
            producer.beginTransaction();
            try {
                send(producer, transacted, n);
                patiently(producer::commitTransaction);
            } catch (ProducerFencedException e) {
                throw e;
            } catch (InvalidTxnStateException e) {
                // The client's Sender asks whether batches wait, and takes the next request, in two steps: a transaction that begins and is
                // committed between them has its end sent before its records. The broker, as Kafka, has nothing to commit, which is fatal.
                throw new Ended(n);
            } catch (KafkaException e) {
                patiently(producer::abortTransaction);
                continue;
            }
            n++;
            begun.countDown();
        }
        return n;
    }

    /** Does a step again that has taken too long. */
    static void patiently(Runnable step) {
        while (true) {
            try {
                step.run();
                return;
            } catch (TimeoutException e) {
                // as its documentation says
            }
        }
    }

    static void read(CountDownLatch begun) {
        Map<String, Object> config = new HashMap<>(common);
        config.putAll(Map.of("group.id", group, "auto.offset.reset", "earliest", "heartbeat.interval.ms", 200));
        Set<String> seen = new HashSet<>();
        try (var consumer = new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(List.of(plain));
            while (!(result.get("sent") instanceof Integer sent) || seen.size() < KEYS * sent) {
                for (var r : consumer.poll(Duration.ofMillis(100))) {
                    seen.add(r.key() + " " + r.value());
                    begun.countDown();
                }
            }
        }
        result.put("read", seen.size());
    }
}
