// SPDX-License-Identifier: Apache-2.0
// Migrations over tables with data in place: steps after the product's own, by the product's own
// way, whole and cut off before any of their statements.
#pragma once
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "services/words.hpp"
#include "storage/sql/migrations.hpp"
#include "storage/sql/session.hpp"
#include "storage/sql/store.hpp"

namespace trialwire::test {

/// A session whose connection is cut before a statement.
class CutSession final : public storage::Session {
 public:
  /// `statements` are passed on first; they come back counted down.
  CutSession(storage::Session& session, int& statements, std::function<void()> cut)
      : session_(session), statements_(statements), cut_(std::move(cut)) {}
  storage::Dialect dialect() const noexcept override { return session_.dialect(); }
  Result<void> execute(const std::string& sql) override {
    if (statements_-- == 0) cut_();
    return session_.execute(sql);
  }
  Result<std::vector<Row>> rows(const std::string& sql) override { return session_.rows(sql); }

 private:
  storage::Session& session_;
  int& statements_;
  std::function<void()> cut_;
};

/// `Fixture` gives a server, an empty database a test, and the product's sink for it.
template <typename Fixture>
class MigrationCase : public Fixture {
 protected:
  /// The product's sink is for `url` from now on.
  virtual void use_url() = 0;
  /// All connections of the product to the database at `url`.
  virtual void cut_connections() = 0;

  struct Dialogue {  // the store before what it made
    std::unique_ptr<storage::Store> store;
    std::unique_ptr<storage::Session> session;
  };
  Dialogue connect() {
    Dialogue made{.store = storage::open_store({.url = this->url}).value(), .session = nullptr};
    made.session = made.store->connect(storage::Access::write).value();
    return made;
  }

  /// Reports and metrics, a thousand in a delivery.
  void fill(int reports) {
    auto sink = this->make_sink();
    for (int i = 1; i <= reports; ++i) {
      this->deliveries.add(fmt::format("P-{} T-1 {} müde {}", i % 97, 1'700'000'000 + i, i),
                           static_cast<std::uint64_t>(i));
      if (i % 4 == 0) {
        this->deliveries.add(fmt::format("M-{} T-1 {} [\"a\"]", i, 1'700'000'000 + i))
            .attributes.kind = journal::RecordKind::trial_metric;
      }
      if (i % 1'000 != 0 && i != reports) continue;
      ASSERT_TRUE(this->deliveries.to(*sink));
      this->deliveries.clear();
    }
  }

  /// The product's steps and those after them.
  static std::vector<storage::MigrationStep> with(storage::Dialect dialect,
                                                  std::vector<storage::MigrationStep> later) {
    const auto own = storage::migrations(dialect);
    std::vector<storage::MigrationStep> steps(own.begin(), own.end());
    for (auto& step : later) steps.push_back(std::move(step));
    return steps;
  }

  std::string versions() { return this->value("SELECT count(*) FROM schema_migrations"); }

  /// Cut before each of its statements in turn, in a database of its own, then run again.
  void cut_everywhere(std::span<const storage::MigrationStep> steps,
                      const std::function<void(bool finished)>& check) {
    bool was_cut = true;
    int cuts = 0;
    for (; was_cut; ++cuts) {
      this->url = this->server().new_database();
      use_url();
      this->deliveries = Deliveries(this->journal);
      fill(200);
      {
        auto dialogue = connect();
        int left = cuts;
        CutSession session(*dialogue.session, left, [this] { cut_connections(); });
        was_cut = !storage::migrate(session, steps);
        ASSERT_EQ(was_cut, left < 0) << "cut before statement " << cuts;
      }
      SCOPED_TRACE(fmt::format("cut before statement {}", cuts));
      check(!was_cut);
      auto dialogue = connect();
      auto finished = storage::migrate(*dialogue.session, steps);
      ASSERT_TRUE(finished) << finished.error().text;
      check(true);
    }
    EXPECT_GT(cuts, 8) << "a step has several statements";
  }

  /// Of several programs at once each finds it done, and it is done once.
  void migrate_at_once(std::span<const storage::MigrationStep> steps) {
    std::atomic<int> failed = 0;
    {
      std::vector<std::jthread> programs;
      for (int i = 0; i < 4; ++i) {
        programs.emplace_back([this, &steps, &failed] {
          auto dialogue = connect();
          if (!storage::migrate(*dialogue.session, steps)) ++failed;
        });
      }
    }
    EXPECT_EQ(failed, 0);
  }
};

}  // namespace trialwire::test
