import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.util.HexFormat;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;

/** Reads a record of Avro that another program has written with a schema of a registry, and writes one with its own: URL SUBJECT HEX. */
public class Client {
    static final String OWN = "{\"type\":\"record\",\"name\":\"Order\",\"fields\":["
        + "{\"name\":\"item\",\"type\":\"string\"},"
        + "{\"name\":\"cents\",\"type\":\"long\"},"
        + "{\"name\":\"tags\",\"type\":{\"type\":\"map\",\"values\":\"int\"},\"default\":{}},"
        + "{\"name\":\"note\",\"type\":[\"null\",\"string\"],\"default\":null}]}";

    static final ObjectMapper JSON = new ObjectMapper();
    static final HttpClient HTTP = HttpClient.newHttpClient();

    static JsonNode ask(HttpRequest.Builder request) throws Exception {
        HttpResponse<String> is = HTTP.send(
            request.header("Content-Type", "application/vnd.schemaregistry.v1+json").build(), HttpResponse.BodyHandlers.ofString());
        if (is.statusCode() != 200) {
            throw new IllegalStateException(is.statusCode() + " " + is.body());
        }
        return JSON.readTree(is.body());
    }

    public static void main(String[] args) throws Exception {
        String url = args[0], subject = args[1];
        Schema own = new Schema.Parser().parse(OWN);

        ByteBuffer in = ByteBuffer.wrap(HexFormat.of().parseHex(args[2]));
        if (in.get() != 0) {
            throw new IllegalStateException("no frame");
        }
        JsonNode written = ask(HttpRequest.newBuilder(URI.create(url + "/schemas/ids/" + in.getInt())));
        Schema writer = new Schema.Parser().parse(written.get("schema").asText());
        GenericRecord read = new GenericDatumReader<GenericRecord>(writer, own).read(
            null, DecoderFactory.get().binaryDecoder(in.array(), in.position(), in.remaining(), null));
        System.out.println(read);

        JsonNode made = ask(HttpRequest.newBuilder(URI.create(url + "/subjects/" + subject + "/versions")).POST(
            HttpRequest.BodyPublishers.ofString(JSON.writeValueAsString(Map.of("schema", OWN)))));
        GenericRecord order = new GenericData.Record(own);
        order.put("item", "Bücher");
        order.put("cents", Long.MAX_VALUE);
        order.put("tags", Map.of("a", 1));
        order.put("note", "from Java");
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.write(0);
        out.write(ByteBuffer.allocate(4).putInt(made.get("id").asInt()).array());
        BinaryEncoder encoder = EncoderFactory.get().binaryEncoder(out, null);
        new GenericDatumWriter<GenericRecord>(own).write(order, encoder);
        encoder.flush();
        System.out.println(HexFormat.of().formatHex(out.toByteArray()));
    }
}
