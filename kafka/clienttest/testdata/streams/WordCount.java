import java.time.Duration;
import java.util.Arrays;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;

/**
 * Counts the words of topic lines into topic counts, as an instance of the application wordcount.
 *
 * <pre>WordCount ADDR STATE_DIR [CONFIG=VALUE ...]</pre>
 *
 * A SIGTERM ends it cleanly. What is not at its default is so for speed: an update leaves at once and
 * not with the next commit, and an instance that was killed is missed after 6 s.
 */
public class WordCount {
    public static void main(String[] args) throws Exception {
        var config = new Properties();
        config.put(StreamsConfig.APPLICATION_ID_CONFIG, "wordcount");
        config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
        config.put(StreamsConfig.STATE_DIR_CONFIG, args[1]);
        config.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0);
        config.put(StreamsConfig.consumerPrefix("session.timeout.ms"), 6000);
        for (var arg : Arrays.asList(args).subList(2, args.length)) {
            var at = arg.indexOf('=');
            config.put(arg.substring(0, at), arg.substring(at + 1));
        }

        var string = Serdes.String();
        var builder = new StreamsBuilder();
        builder.stream("lines", Consumed.with(string, string))
            .flatMapValues(line -> Arrays.asList(line.split(" ")))
            .groupBy((key, word) -> word, Grouped.with(string, string))
            .count(Materialized.as("counts"))
            .toStream()
            .to("counts", Produced.with(string, Serdes.Long()));

        var streams = new KafkaStreams(builder.build(), config);
        streams.setUncaughtExceptionHandler(e -> {
            e.printStackTrace();
            Runtime.getRuntime().halt(1);
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(30))));
        streams.start();
    }
}
