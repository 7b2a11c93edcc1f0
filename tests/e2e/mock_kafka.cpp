// SPDX-License-Identifier: Apache-2.0
// A Kafka cluster for the tests of the real binary: prints the brokers' addresses, then obeys a
// line of standard input after the other, until its end:
//   down | up              all brokers go, or come back
//   read TOPIC             every message: key, sequence, record_id, separated by tabs; then "."
//   answer ERROR COUNT     so many requests to produce are answered with that error of the protocol
#include <fmt/format.h>

#include <cstdio>
#include <iostream>
#include <sstream>
#include <string>

#include "support/mock_cluster.hpp"

namespace {

void read(trialwire::support::MockCluster& cluster, const std::string& topic) {
  for (const auto& message : cluster.read(topic)) {
    fmt::print("{}\t{}\t{}\n", message.key, message.headers.at("sequence"),
               message.headers.at("record_id"));
  }
  fmt::print(".\n");
}

}  // namespace

int main() {
  trialwire::support::MockCluster cluster;
  for (const char* topic : {"trialwire.epro_report", "trialwire.qol_answer", "trialwire.vital_sign",
                            "trialwire.trial_metric"}) {
    cluster.make_topic(topic, 1);
  }
  fmt::print("{}\n", cluster.brokers());
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line); std::fflush(stdout)) {
    std::istringstream words(line);
    std::string command, topic;
    words >> command;
    if (command == "down" || command == "up") cluster.set_down(command == "down");
    if (command == "read" && words >> topic) read(cluster, topic);
    int error = 0, count = 0;
    if (command == "answer" && words >> error >> count) {
      for (; count > 0; --count) {
        cluster.answer(trialwire::support::produce_request,
                       {static_cast<rd_kafka_resp_err_t>(error)});
      }
    }
    if (command != "read") fmt::print(".\n");
  }
}
