// SPDX-License-Identifier: Apache-2.0
// What an error of a sink means for what it was given. Plain functions.
#pragma once
#include "base/error.hpp"

namespace trialwire::pipeline {

/// It is about the records: the same ones will never be taken.
inline bool is_refusal(ErrorCode code) {
  return code == ErrorCode::invalid_argument || code == ErrorCode::payload_too_large;
}

/// Time alone may heal it. `io` and `internal` say too little to give up hope.
inline bool may_pass(ErrorCode code) {
  return traits(code).retryable || code == ErrorCode::io || code == ErrorCode::internal ||
         code == ErrorCode::conflict;
}

}  // namespace trialwire::pipeline
