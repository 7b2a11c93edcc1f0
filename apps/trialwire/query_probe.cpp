// SPDX-License-Identifier: Apache-2.0
#include "query_probe.hpp"

#include <exception>
#include <optional>

#include <fmt/format.h>

namespace trialwire {
namespace {

/// The first list that fails, as far as that is the database's fault.
std::optional<Error> first_failure(storage::RecordQuery& query,
                                   std::span<const query::ListRoute> routes,
                                   const storage::QueryControl& control) {
  storage::ListFilter filter;
  filter.limit = 1;
  const storage::Principal nobody;  // whose lists are empty
  for (const query::ListRoute& route : routes) {
    auto page = query.list(nobody, route.shape, filter, control);
    if (!page) return page.error();
  }
  return std::nullopt;
}

}  // namespace

QueryProbe::QueryProbe(QueryProbeOptions options, std::span<const query::ListRoute> routes,
                       storage::RecordQuery& query, runtime::WorkerPool& workers)
    : options_(options), routes_(routes.begin(), routes.end()), query_(query), workers_(workers) {}

void QueryProbe::tick(Clock::time_point now) {
  {
    const std::lock_guard lock(mutex_);
    if (asking_ || now < due_) return;
    asking_ = true;
  }
  if (workers_.submit_first([this] { ask(); })) return;
  const std::lock_guard lock(mutex_);
  asking_ = false;
  due_ = now + options_.interval;
}

void QueryProbe::ask() noexcept {
  std::optional<Error> failure;
  try {
    failure = first_failure(
        query_, routes_, {.stop = stop_.get_token(), .deadline = Clock::now() + options_.patience});
  } catch (const std::exception& thrown) {
    failure = Error{ErrorCode::internal, thrown.what()};
  }
  if (!failure && options_.answered) options_.answered();
  const std::lock_guard lock(mutex_);
  asking_ = false;
  due_ = Clock::now() + options_.interval;
  const bool says_nothing =
      failure && (failure->code == ErrorCode::overloaded || failure->code == ErrorCode::cancelled);
  if (says_nothing) return;
  ok_ = !failure;
  detail_.clear();
  if (!failure) return;
  detail_ =
      failure->code == ErrorCode::deadline_exceeded
          ? fmt::format("the database does not answer within {} ms", options_.patience.count())
          : failure->text;
}

ReadinessCheck QueryProbe::check() const {
  const std::lock_guard lock(mutex_);
  return {"queries", ok_, options_.required, detail_};
}

}  // namespace trialwire
