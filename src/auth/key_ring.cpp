// SPDX-License-Identifier: Apache-2.0
#include "auth/key_ring.hpp"

#include <utility>

#include "telemetry/log.hpp"

namespace trialwire::auth {
namespace {

telemetry::Counter& reloads(telemetry::Registry& metrics, const char* result) {
  return metrics.counter("trialwire_auth_key_reloads_total",
                         "Times that changed key files were read, by what became of it.",
                         {{"result", result}});
}

}  // namespace

KeyRing::KeyRing(KeyOptions options, telemetry::Registry& metrics)
    : options_(std::move(options)),
      count_(metrics.gauge("trialwire_auth_keys", "Keys that tokens may be signed with.")),
      skipped_(metrics.gauge("trialwire_auth_keys_skipped",
                             "Keys of a JWKS that are for nothing that is verified here.")),
      current_(metrics.gauge("trialwire_auth_keys_current",
                             "1: the keys in force are those that the files hold; 0: they hold "
                             "what cannot be used, and the ones of before are in force.")),
      reloads_(reloads(metrics, "ok")),
      failures_(reloads(metrics, "failed")) {
  metrics.gauge("trialwire_auth_keys_max", "Limit of keys.").set(static_cast<double>(keys_max));
}

Result<std::unique_ptr<KeyRing>> KeyRing::open(const KeyOptions& options,
                                               telemetry::Registry& metrics) {
  std::unique_ptr<KeyRing> ring(new KeyRing(options, metrics));
  ring->stamps_ = ring->stamps();
  auto keys = load_keys(options);
  if (!keys) return std::unexpected(keys.error());
  ring->put(std::move(*keys));
  return ring;
}

std::vector<FileStamp> KeyRing::stamps() const {
  std::vector<FileStamp> all{stamp_of(options_.secret_file),
                             stamp_of(options_.previous_secret_file)};
  for (const auto& path : options_.key_files) all.push_back(stamp_of(path));
  return all;
}

void KeyRing::put(KeySet keys) {
  count_.set(static_cast<double>(keys.keys.size()));
  skipped_.set(static_cast<double>(keys.skipped));
  current_.set(1);
  trouble_.clear();
  {
    const std::lock_guard lock(mutex_);
    keys_ = std::make_shared<const KeySet>(std::move(keys));
  }
  version_.fetch_add(1, std::memory_order_release);
}

/// What stays wrong is said once.
void KeyRing::refused(std::string_view reason, bool changed) {
  current_.set(0);
  if (!changed && reason == trouble_) return;
  trouble_ = reason;
  failures_.add();
  telemetry::log(telemetry::LogLevel::error, "auth",
                 "changed keys cannot be used: the old ones stay in force", {{"reason", reason}});
}

Result<bool> KeyRing::take_set(std::string_view jwks) {
  const std::lock_guard lock(changing_);
  if (jwks.empty()) return fail(ErrorCode::invalid_argument, "what was fetched is empty");
  if (jwks == fetched_) return false;
  auto keys = load_keys(options_, jwks);
  if (!keys) return std::unexpected(keys.error());
  fetched_ = jwks;
  put(std::move(*keys));
  telemetry::log(telemetry::LogLevel::info, "auth", "keys were fetched",
                 {{"keys", static_cast<std::uint64_t>(this->keys()->keys.size())}});
  return true;
}

void KeyRing::refresh() {
  const std::lock_guard lock(changing_);
  auto now = stamps();
  const bool changed = now != stamps_;
  if (!changed && trouble_.empty()) return;
  stamps_ = std::move(now);
  auto keys = load_keys(options_, fetched_);
  if (!keys) return refused(keys.error().text, changed);
  put(std::move(*keys));
  reloads_.add();
  telemetry::log(telemetry::LogLevel::info, "auth", "keys were read again",
                 {{"keys", static_cast<std::uint64_t>(this->keys()->keys.size())}});
}

std::shared_ptr<const KeySet> KeyRing::keys() const {
  const std::lock_guard lock(mutex_);
  return keys_;
}

}  // namespace trialwire::auth
