// SPDX-License-Identifier: Apache-2.0
#include "kafka_options.hpp"

#include <utility>

#include <fmt/format.h>

namespace trialwire {

namespace kafka = storage::kafka;

std::vector<kafka::KindTopic> kafka_topics(const config::KafkaSettings& settings) {
  using enum journal::RecordKind;
  const config::KafkaTopicSettings& own = settings.topics;
  std::vector<kafka::KindTopic> topics;
  for (const auto& [kind, name] :
       {std::pair(epro_report, &own.epro_report), std::pair(qol_answer, &own.qol_answer),
        std::pair(vital_sign, &own.vital_sign), std::pair(trial_metric, &own.trial_metric),
        std::pair(alert, &own.alert), std::pair(audit, &own.audit),
        std::pair(project_created, &own.project_created)}) {
    topics.push_back({kind, name->empty()
                                ? fmt::format("{}.{}", settings.topic_prefix, kafka::name_of(kind))
                                : *name});
  }
  return topics;
}

kafka::ClientOptions kafka_client_options(const config::KafkaSettings& settings) {
  const config::KafkaSecuritySettings& security = settings.security;
  return {.brokers = settings.brokers,
          .security = {.protocol = security.protocol,
                       .ca = security.ca,
                       .cert = security.cert,
                       .key = security.key,
                       .mechanism = security.mechanism,
                       .username = security.username,
                       .password_file = security.password_file}};
}

}  // namespace trialwire
