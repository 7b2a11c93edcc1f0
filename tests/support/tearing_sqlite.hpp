// SPDX-License-Identifier: Apache-2.0
// SQLite on a disk that loses what a power cut may lose: a VFS over the real one, the default while
// it lives. What SQLite wrote and did not sync survives a cut sector by sector, or not; from the
// cut on every call fails until `restart`. One in a process; connections of one thread at a time.
#pragma once
#include <cstdint>
#include <memory>

namespace trialwire::support {

class TearingSqlite {
 public:
  explicit TearingSqlite(std::uint64_t seed);
  ~TearingSqlite();
  TearingSqlite(const TearingSqlite&) = delete;
  TearingSqlite& operator=(const TearingSqlite&) = delete;

  /// The power goes at the n-th write, sync, truncation or removal from now; 0: never.
  void power_cut_in(std::uint64_t calls);
  bool powered() const;
  /// After a cut, all connections closed: the files become what was left of them.
  void restart();

  struct State;  // what SQLite's callbacks see

 private:
  std::unique_ptr<State> state_;
};

}  // namespace trialwire::support
