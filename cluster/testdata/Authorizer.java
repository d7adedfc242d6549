import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.metrics.Metrics;
import org.apache.kafka.common.metrics.internals.PluginMetricsImpl;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.security.auth.KafkaPrincipal;
import org.apache.kafka.common.security.auth.SecurityProtocol;
import org.apache.kafka.metadata.authorizer.StandardAcl;
import org.apache.kafka.metadata.authorizer.StandardAuthorizer;
import org.apache.kafka.server.authorizer.Action;
import org.apache.kafka.server.authorizer.AuthorizableRequestContext;
import org.apache.kafka.server.authorizer.AuthorizationResult;

// Asks Kafka's authorizer. Each line of the standard input has rules and questions; a line of the answers has 1 for yes and 0 for no.
public class Authorizer {
    record Client(KafkaPrincipal principal, InetAddress clientAddress) implements AuthorizableRequestContext {
        public String listenerName() { return "CLIENT"; }
        public SecurityProtocol securityProtocol() { return SecurityProtocol.SASL_PLAINTEXT; }
        public int requestType() { return 0; }
        public int requestVersion() { return 0; }
        public String clientId() { return ""; }
        public int correlationId() { return 0; }
    }

    public static void main(String[] args) throws Exception {
        ObjectMapper json = new ObjectMapper();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
        for (String line; (line = in.readLine()) != null; ) {
            JsonNode asked = json.readTree(line);
            StandardAuthorizer authorizer = new StandardAuthorizer();
            authorizer.configure(Map.of("allow.everyone.if.no.acl.found", asked.get("otherwise").asText(), "super.users", "User:root"));
            authorizer.withPluginMetrics(new PluginMetricsImpl(new Metrics(), Map.of()));
            Map<Uuid, StandardAcl> acls = new HashMap<>();
            for (JsonNode r : asked.get("rules")) {
                acls.put(Uuid.randomUuid(), new StandardAcl(ResourceType.fromCode((byte) r.get("resource").asInt()), r.get("name").asText(),
                    PatternType.fromCode((byte) r.get("pattern").asInt()), r.get("principal").asText(), r.get("host").asText(),
                    AclOperation.fromCode((byte) r.get("operation").asInt()), AclPermissionType.fromCode((byte) r.get("permission").asInt())));
            }
            authorizer.loadSnapshot(acls);
            authorizer.completeInitialLoad();
            StringBuilder answers = new StringBuilder();
            for (JsonNode q : asked.get("questions")) {
                String[] who = q.get("principal").asText().split(":", 2);
                Client client = new Client(new KafkaPrincipal(who[0], who[1]), InetAddress.getByName(q.get("host").asText()));
                AclOperation operation = AclOperation.fromCode((byte) q.get("operation").asInt());
                ResourceType resource = ResourceType.fromCode((byte) q.get("resource").asInt());
                AuthorizationResult answer = q.get("any").asBoolean()
                    ? authorizer.authorizeByResourceType(client, operation, resource)
                    : authorizer.authorize(client, List.of(new Action(operation, new ResourcePattern(resource, q.get("name").asText(), PatternType.LITERAL),
                        1, false, false))).get(0);
                answers.append(answer == AuthorizationResult.ALLOWED ? '1' : '0');
            }
            System.out.println(answers);
            System.out.flush();
        }
    }
}
