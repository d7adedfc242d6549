import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;

/** Connects with each configuration it reads, a list of maps, all at once, and prints what comes of each: "ok", or the exception and what it says. */
public class Secure {
    public static void main(String[] args) throws Exception {
        ObjectMapper json = new ObjectMapper();
        List<Map<String, String>> configs = json.readValue(System.in, new TypeReference<List<Map<String, String>>>() {});
        List<Future<String>> tried = new ArrayList<>();
        List<String> outcomes = new ArrayList<>();
        var threads = Executors.newCachedThreadPool();
        for (Map<String, String> config : configs) {
            tried.add(threads.submit(() -> attempt(config)));
        }
        for (Future<String> outcome : tried) {
            outcomes.add(outcome.get());
        }
        threads.shutdown();
        System.out.println(json.writeValueAsString(outcomes));
    }

    static String attempt(Map<String, String> given) throws Exception {
        Map<String, Object> config = new HashMap<>(given);
        int patience = Integer.parseInt(given.get("patience"));
        config.remove("patience");
        config.put("default.api.timeout.ms", patience);
        config.put("request.timeout.ms", patience);
        config.put("reconnect.backoff.ms", 50);
        try (Admin admin = Admin.create(config)) {
            admin.describeCluster().nodes().get();
            return "ok";
        } catch (ExecutionException e) {
            Throwable cause = e.getCause();
            String name = cause.getClass().getSimpleName();
            boolean broker = name.equals("SaslAuthenticationException") || name.equals("UnsupportedSaslMechanismException");
            return broker ? name + ": " + cause.getMessage() : name;
        }
    }
}
