import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;

/** Connects with each configuration it reads, a list of maps, and prints what comes of each: "ok", or the exception and what it says. */
public class Secure {
    public static void main(String[] args) throws Exception {
        ObjectMapper json = new ObjectMapper();
        List<Map<String, String>> configs = json.readValue(System.in, new TypeReference<List<Map<String, String>>>() {});
        List<String> outcomes = new ArrayList<>();
        for (Map<String, String> config : configs) {
            outcomes.add(attempt(config));
        }
        System.out.println(json.writeValueAsString(outcomes));
    }

    static String attempt(Map<String, String> given) throws Exception {
        Map<String, Object> config = new HashMap<>(given);
        config.put("default.api.timeout.ms", 6000);
        config.put("request.timeout.ms", 3000);
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
