// SPDX-License-Identifier: Apache-2.0
// Kafka's errors as this program's: told apart by code, never by text.
//
//   payload_too_large, invalid_argument   about a message: it can never be taken as it is
//   unauthenticated, forbidden, not_found an operator's to mend: credentials, rights, a topic
//   unavailable, overloaded, …            passes by itself
//   internal                              this client must be made anew
#pragma once
#include <librdkafka/rdkafka.h>

#include <string_view>

#include "base/error.hpp"

namespace trialwire::storage::kafka {

ErrorCode code_of(rd_kafka_resp_err_t error) noexcept;

/// "WHAT: Broker: Topic authorization failed (TOPIC_AUTHORIZATION_FAILED)".
Error error_of(rd_kafka_resp_err_t error, std::string_view what);

}  // namespace trialwire::storage::kafka
