// SPDX-License-Identifier: Apache-2.0
// Reads and writes topics for the tests with Kafka's own client library: a request is one line of
// JSON on standard input, the answer lines of JSON that end with {"end":true} or {"error":…}.
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public final class KafkaClient {
  private static final ObjectMapper JSON = new ObjectMapper();
  private final PrintStream out = new PrintStream(System.out, false);
  private final Properties common = new Properties();
  private final Admin admin;
  private KafkaProducer<byte[], byte[]> producer;

  private KafkaClient(String brokers) {
    common.put("bootstrap.servers", brokers);
    admin = Admin.create(common);
  }

  public static void main(String[] arguments) throws Exception {
    KafkaClient client = new KafkaClient(arguments[0]);
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      client.answer(JSON.readTree(line));
    }
    System.exit(0); // threads of the library wait for a broker that may be gone
  }

  private void answer(JsonNode request) {
    ObjectNode last = JSON.createObjectNode();
    try {
      carryOut(request);
      last.put("end", true);
    } catch (Exception error) {
      Throwable cause = error.getCause() == null ? error : error.getCause();
      last.put("error", cause.toString());
    }
    out.println(last);
    out.flush();
  }

  private void carryOut(JsonNode request) throws Exception {
    String topic = request.path("topic").asText();
    switch (request.get("do").asText()) {
      case "create":
        int partitions = request.get("partitions").asInt();
        NewTopic made = new NewTopic(topic, Optional.of(partitions), Optional.empty());
        admin.createTopics(List.of(made.configs(strings(request.get("configs"))))).all().get();
        break;
      case "delete":
        admin.deleteTopics(List.of(topic)).all().get();
        break;
      case "configure":
        configure(topic, strings(request.get("configs")));
        break;
      case "topics":
        for (String name : admin.listTopics().names().get()) {
          out.println(JSON.createObjectNode().put("topic", name));
        }
        break;
      case "produce":
        produce(topic, request);
        break;
      case "consume":
        consume(request.get("topics"));
        break;
      case "count":
        count(request.get("topics"));
        break;
      case "group":
        group(request.get("group").asText());
        break;
      default:
        throw new IllegalArgumentException("unknown request");
    }
  }

  private static Map<String, String> strings(JsonNode object) {
    Map<String, String> map = new HashMap<>();
    object.fields().forEachRemaining(field -> map.put(field.getKey(), field.getValue().asText()));
    return map;
  }

  private void configure(String topic, Map<String, String> configs) throws Exception {
    Collection<AlterConfigOp> changes = new ArrayList<>();
    configs.forEach((key, value) -> changes.add(
        new AlterConfigOp(new ConfigEntry(key, value), AlterConfigOp.OpType.SET)));
    ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
    admin.incrementalAlterConfigs(Map.of(resource, changes)).all().get();
  }

  private void produce(String topic, JsonNode request) throws Exception {
    if (producer == null) {
      producer = new KafkaProducer<>(common, new ByteArraySerializer(), new ByteArraySerializer());
    }
    ProducerRecord<byte[], byte[]> record =
        new ProducerRecord<>(
            topic, request.get("key").binaryValue(), request.get("value").binaryValue());
    strings(request.get("headers")).forEach(
        (name, data) -> record.headers().add(name, Base64.getDecoder().decode(data)));
    producer.send(record).get();
  }

  private KafkaConsumer<byte[], byte[]> consumer() {
    Properties settings = new Properties();
    settings.putAll(common);
    settings.put("isolation.level", "read_committed");
    settings.put("max.poll.records", "10000");
    return new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
  }

  private static List<TopicPartition> partitions(KafkaConsumer<?, ?> consumer, JsonNode topics) {
    List<TopicPartition> all = new ArrayList<>();
    topics.forEach(topic -> consumer.partitionsFor(topic.asText()).forEach(
        info -> all.add(new TopicPartition(info.topic(), info.partition()))));
    return all;
  }

  private void consume(JsonNode topics) {
    try (KafkaConsumer<byte[], byte[]> consumer = consumer()) {
      List<TopicPartition> all = partitions(consumer, topics);
      consumer.assign(all);
      consumer.seekToBeginning(all);
      Map<TopicPartition, Long> ends = consumer.endOffsets(all);
      while (all.stream().anyMatch(each -> consumer.position(each) < ends.get(each))) {
        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
          print(record);
        }
      }
    }
  }

  private void print(ConsumerRecord<byte[], byte[]> record) {
    ObjectNode line = JSON.createObjectNode();
    line.put("topic", record.topic()).put("partition", record.partition());
    line.put("offset", record.offset()).put("key", record.key()).put("value", record.value());
    ObjectNode headers = line.putObject("headers");
    for (Header header : record.headers()) {
      headers.put(header.key(), header.value());
    }
    out.println(line);
  }

  private void count(JsonNode topics) {
    try (KafkaConsumer<byte[], byte[]> consumer = consumer()) {
      List<TopicPartition> all = partitions(consumer, topics);
      Map<TopicPartition, Long> begins = consumer.beginningOffsets(all);
      consumer.endOffsets(all).forEach((each, end) -> out.println(
          JSON.createObjectNode().put("topic", each.topic()).put("count", end - begins.get(each))));
    }
  }

  private void group(String name) throws Exception {
    admin.listConsumerGroupOffsets(name).partitionsToOffsetAndMetadata().get().forEach(
        (each, where) -> out.println(JSON.createObjectNode().put("topic", each.topic())
            .put("partition", each.partition()).put("offset", where.offset())));
  }
}
