// SPDX-License-Identifier: Apache-2.0
// Settings of Kafka.
#include "config/schema_rows.hpp"

namespace trialwire::config::schema {
namespace {

void add_kafka_topics(std::vector<Descriptor>& rows) {
  using T = KafkaTopicSettings;
  constexpr Constraint topic{.kind = Kind::text};
  constexpr auto in = &KafkaSettings::topics;
  constexpr std::string_view help = "Topic of this kind; empty is kafka.topic_prefix and the kind.";
  rows.push_back(row<&S::kafka, in, &T::epro_report>("kafka.topics.epro_report", topic, help));
  rows.push_back(row<&S::kafka, in, &T::qol_answer>("kafka.topics.qol_answer", topic, help));
  rows.push_back(row<&S::kafka, in, &T::vital_sign>("kafka.topics.vital_sign", topic, help));
  rows.push_back(row<&S::kafka, in, &T::trial_metric>("kafka.topics.trial_metric", topic, help));
  rows.push_back(row<&S::kafka, in, &T::alert>("kafka.topics.alert", topic, help));
  rows.push_back(row<&S::kafka, in, &T::audit>("kafka.topics.audit", topic, help));
  rows.push_back(
      row<&S::kafka, in, &T::project_created>("kafka.topics.project_created", topic, help));
}

void add_kafka_security(std::vector<Descriptor>& rows) {
  using K = KafkaSecuritySettings;
  constexpr Constraint text{.kind = Kind::text};
  constexpr auto in = &KafkaSettings::security;
  rows.push_back(
      row<&S::kafka, in, &K::protocol>("kafka.security.protocol", choice(protocol_names),
                                       "With or without TLS (ssl), credentials (sasl)."));
  rows.push_back(row<&S::kafka, in, &K::ca>(
      "kafka.security.ca", text,
      "File of the authorities that brokers' certificates must come from; empty: the system's."));
  rows.push_back(row<&S::kafka, in, &K::cert>("kafka.security.cert", text,
                                              "File of this client's certificate; empty is none."));
  rows.push_back(
      row<&S::kafka, in, &K::key>("kafka.security.key", text, "File of its private key."));
  rows.push_back(row<&S::kafka, in, &K::mechanism>(
      "kafka.security.mechanism", choice(mechanism_names), "How credentials are shown."));
  rows.push_back(
      row<&S::kafka, in, &K::username>("kafka.security.username", text, "Who this client is."));
  rows.push_back(row<&S::kafka, in, &K::password_file>(
      "kafka.security.password_file", text,
      "File that holds the password; read again when brokers refuse it."));
}

}  // namespace

void add_kafka(std::vector<Descriptor>& rows) {
  using K = KafkaSettings;
  rows.push_back(row<&S::kafka, &K::brokers>(
      "kafka.brokers", {.kind = Kind::text_list},
      "Addresses (host:port) of some brokers of the cluster; none: no Kafka."));
  rows.push_back(row<&S::kafka, &K::topic_prefix>(
      "kafka.topic_prefix", {.kind = Kind::text, .minimum = 1}, "Topics are called PREFIX.KIND."));
  add_kafka_topics(rows);
  rows.push_back(row<&S::kafka, &K::value>(
      "kafka.value", choice(kafka_value_names),
      "What a message holds: the record as in lists, or the sender's bytes, which processors "
      "need."));
  rows.push_back(row<&S::kafka, &K::compression>("kafka.compression", choice(compression_names),
                                                 "Of messages on the way and at rest."));
  rows.push_back(row<&S::kafka, &K::linger>("kafka.linger", duration(0, second),
                                            "How long a request to a broker waits to fill."));
  rows.push_back(row<&S::kafka, &K::confirm_timeout>(
      "kafka.confirm_timeout", duration(100 * ms, 600 * second),
      "A delivery of which no message was confirmed for so long has failed, and is repeated."));
  rows.push_back(row<&S::kafka, &K::message_bytes>(
      "kafka.message_bytes", bytes(kib, gib),
      "Largest message, headers included; a larger one is a dead letter, or with journal.ack: "
      "kafka "
      "refused at intake. What topics take (max.message.bytes) should be no less."));
  rows.push_back(row<&S::kafka, &K::request_bytes>(
      "kafka.request_bytes", bytes(kib, gib),
      "Largest batch of messages for one partition; no more than topics take."));
  rows.push_back(row<&S::kafka, &K::queue_messages>(
      "kafka.queue_messages", integer(100, 10'000'000),
      "Messages that wait for brokers in memory; the rest waits in the journal."));
  rows.push_back(row<&S::kafka, &K::queue_bytes>("kafka.queue_bytes", bytes(mib, 2 * gib),
                                                 "And their bytes."));
  rows.push_back(row<&S::kafka, &K::create_topics>(
      "kafka.create_topics", boolean,
      "Makes topics that are missing, with the two numbers below; without it, the brokers do or an "
      "operator."));
  rows.push_back(row<&S::kafka, &K::partitions>("kafka.partitions", integer(0, 10'000),
                                                "Of a topic made here; 0: the brokers' default."));
  rows.push_back(row<&S::kafka, &K::replication>("kafka.replication", integer(0, 100),
                                                 "Of a topic made here; 0: the brokers' default."));
  rows.push_back(row<&S::kafka, &K::group>(
      "kafka.group", {.kind = Kind::text, .minimum = 1},
      "Consumer group of processors without a gateway; those of one database are one group."));
  rows.push_back(row<&S::kafka, &K::session_timeout>(
      "kafka.session_timeout", duration(second, hour),
      "A processor that is not heard of for so long loses its partitions to others."));
  rows.push_back(row<&S::kafka, &K::partition_bytes>(
      "kafka.partition_bytes", bytes(mib, gib),
      "Messages of one partition that a processor fetches ahead."));
  add_kafka_security(rows);
}

}  // namespace trialwire::config::schema
