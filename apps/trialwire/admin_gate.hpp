// SPDX-License-Identifier: Apache-2.0
// Who may ask the admin port: whoever has the token of a file (mode 0600, at least 32 bytes), sent
// as `Authorization: Bearer TOKEN`. /healthz is open, for what restarts a process that is dead.
// Refusals are 401 with nothing of the token, and are counted by reason.
//
// Of the token only a digest is kept, and digests are compared in constant time: neither its length
// nor how much of it was right can be told from an answer. On the control thread alone.
#pragma once
#include <array>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.hpp"
#include "base/file_stamp.hpp"
#include "base/hash.hpp"
#include "net/gate.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire {

/// The token in that file. Errors name the file and what is wrong, never what is in it: those of
/// read_guarded_file, and invalid_argument (fewer than 32 bytes, or what no header can have).
Result<std::string> read_admin_token(const std::filesystem::path& file);

class AdminGate final : public net::Gate {
 public:
  /// Errors: those of read_admin_token.
  static Result<std::unique_ptr<AdminGate>> open(const std::filesystem::path& file,
                                                 telemetry::Registry& metrics);

  const auth::Principal* admit(const net::Request& request, const net::Route& route,
                               runtime::Shard& shard, net::ResponseWriter& writer) override;
  /// Of every request that is refused, before it is answered; `reason` is the metric's label.
  using Listener = std::function<void(std::string_view reason, const net::Request& request,
                                      const net::Route& route)>;
  /// Before the server starts. It throws nothing.
  void tell(Listener listener) { listener_ = std::move(listener); }
  /// Reads the file again if it is another than it was; one that cannot be used leaves the token of
  /// before in force, and the log says so.
  void refresh();

 private:
  enum class Reason : unsigned char { missing, ambiguous, wrong, count_ };
  AdminGate(std::filesystem::path file, telemetry::Registry& metrics);
  const auth::Principal* refuse(Reason reason, const net::Request& request, const net::Route& route,
                                net::ResponseWriter& writer);
  Sha256 digest_of(std::string_view token);

  const std::filesystem::path file_;
  Listener listener_;  // empty: nobody
  FileStamp stamp_;
  Sha256Hasher hasher_;
  Sha256 wanted_{};
  std::array<telemetry::Counter*, static_cast<std::size_t>(Reason::count_)> refused_{};
  telemetry::Gauge& current_;
};

}  // namespace trialwire
