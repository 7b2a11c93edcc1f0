// SPDX-License-Identifier: Apache-2.0
#include "named_sink.hpp"

#include <utility>

namespace trialwire {
namespace {

class NamedSink final : public pipeline::Sink {
 public:
  NamedSink(std::unique_ptr<pipeline::Sink> sink, std::string_view name)
      : sink_(std::move(sink)), name_(name) {}

  std::string_view name() const noexcept override { return name_; }
  Result<journal::Cursor> durable_cursor(const Uuid& journal) override {
    return sink_->durable_cursor(journal);
  }
  bool keeps_cursor_here() const noexcept override { return sink_->keeps_cursor_here(); }
  Result<void> deliver(std::span<const journal::Record> records,
                       const journal::Cursor& cursor) override {
    return sink_->deliver(records, cursor);
  }
  void reset() noexcept override { sink_->reset(); }
  bool rolled_back() const noexcept override { return sink_->rolled_back(); }
  void give_up() noexcept override { sink_->give_up(); }

 private:
  std::unique_ptr<pipeline::Sink> sink_;
  std::string_view name_;
};

}  // namespace

std::unique_ptr<pipeline::Sink> name_sink(std::unique_ptr<pipeline::Sink> sink,
                                          std::string_view name) {
  return std::make_unique<NamedSink>(std::move(sink), name);
}

}  // namespace trialwire
