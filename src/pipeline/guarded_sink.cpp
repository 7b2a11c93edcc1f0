// SPDX-License-Identifier: Apache-2.0
#include "pipeline/guarded_sink.hpp"

#include <optional>
#include <utility>

#include <fmt/format.h>

namespace trialwire::pipeline {
namespace {

class GuardedSink final : public Sink {
 public:
  GuardedSink(std::unique_ptr<Sink> sink, runtime::Guard& guard)
      : sink_(std::move(sink)), guard_(guard) {}

  std::string_view name() const noexcept override { return sink_->name(); }
  Result<journal::Cursor> durable_cursor(const Uuid& journal) override {
    if (sink_->keeps_cursor_here()) return sink_->durable_cursor(journal);
    return guarded([&] { return sink_->durable_cursor(journal); });
  }
  bool keeps_cursor_here() const noexcept override { return sink_->keeps_cursor_here(); }
  Result<void> deliver(std::span<const journal::Record> records,
                       const journal::Cursor& cursor) override {
    return guarded([&] { return sink_->deliver(records, cursor); });
  }
  void reset() noexcept override { sink_->reset(); }
  bool rolled_back() const noexcept override { return sink_->rolled_back(); }
  void give_up() noexcept override { sink_->give_up(); }

 private:
  template <typename Ask>
  auto guarded(Ask ask) -> decltype(ask()) {
    auto call = works_ ? guard_.go_on() : guard_.begin();
    if (!call) return std::unexpected(not_asked());
    auto answer = ask();
    call.judge(answer ? nullptr : &answer.error());
    works_ = answer || runtime::verdict_of(answer.error().code) != runtime::Verdict::failed;
    failed_ = works_ ? std::nullopt : std::optional(answer.error());
    return answer;
  }

  /// What it said last is what an operator wants to know, and that it was not asked now; but a call
  /// that was not made did not take too long.
  Error not_asked() const {
    if (!failed_) {
      return {ErrorCode::unavailable,
              fmt::format("not asked, breaker {} is open: others' calls fail", guard_.name())};
    }
    const bool late = failed_->code == ErrorCode::deadline_exceeded;
    return {late ? ErrorCode::unavailable : failed_->code,
            fmt::format("not asked, breaker {} is open; the last call said: {}", guard_.name(),
                        failed_->text)};
  }

  std::unique_ptr<Sink> sink_;
  runtime::Guard& guard_;
  bool works_ = false;           // as the last call that was made says
  std::optional<Error> failed_;  // how that one failed
};

}  // namespace

std::unique_ptr<Sink> guard_sink(std::unique_ptr<Sink> sink, runtime::Guard& guard) {
  return std::make_unique<GuardedSink>(std::move(sink), guard);
}

}  // namespace trialwire::pipeline
