// SPDX-License-Identifier: Apache-2.0
// Seals: what a full segment holds, signed with the journal's Ed25519 key, as a small text file
// beside it. A seal that is known elsewhere (log, SQL, Kafka) proves what was received, when, and
// that it is unchanged: the head of its chain depends on every byte before it.
#pragma once
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "journal/file_layer.hpp"
#include "journal/segment_store.hpp"

namespace trialwire::journal {

struct Seal {
  Uuid journal;
  SealedSegment segment;
  std::int64_t sealed_ns = 0;
};

/// The public half: enough to verify.
class VerifyingKey {
 public:
  static Result<VerifyingKey> load(FileLayer& files, const std::filesystem::path& directory);
  /// From PEM. Error corrupt: not an Ed25519 key.
  static Result<VerifyingKey> parse(std::string_view pem);
  VerifyingKey(VerifyingKey&&) noexcept;
  VerifyingKey& operator=(VerifyingKey&&) noexcept;
  ~VerifyingKey();
  bool verify(std::string_view text, std::string_view signature) const noexcept;
  /// As signing.pub should hold it.
  std::string pem() const;
  /// SHA-256 of the key in DER, in hexadecimal:
  /// `openssl pkey -pubin -in signing.pub -outform DER | sha256sum`.
  std::string fingerprint() const;

 private:
  friend class SigningKey;
  struct Handle;
  explicit VerifyingKey(std::unique_ptr<Handle> handle) noexcept;
  std::unique_ptr<Handle> handle_;
};

/// Both halves. Used by one thread at a time.
class SigningKey {
 public:
  static Result<SigningKey> load(FileLayer& files, const std::filesystem::path& directory);
  /// Creates signing.key (0600) when it is missing, and signing.pub when it is not its public half.
  static Result<SigningKey> ensure(FileLayer& files, const std::filesystem::path& directory);
  /// 64 bytes. Ed25519 is deterministic.
  std::string sign(std::string_view text) const;
  const VerifyingKey& verifying() const noexcept { return key_; }
  /// PEM of the public half, as signing.pub should hold it.
  std::string public_pem() const { return key_.pem(); }

 private:
  explicit SigningKey(VerifyingKey key) noexcept : key_(std::move(key)) {}
  VerifyingKey key_;  // the handle holds the private half, too
};

std::string seal_text(const Seal& seal, const SigningKey& key);
/// Errors (corrupt) say what is wrong: not a seal, or a signature that does not match.
Result<Seal> parse_seal(std::string_view text, const VerifyingKey& key);

/// Durable when it returns.
/// Returns the signature, in hexadecimal.
Result<std::string> write_seal(FileLayer& files, const std::filesystem::path& directory,
                               const Seal& seal, const SigningKey& key);
Result<Seal> read_seal(FileLayer& files, const std::filesystem::path& directory,
                       std::uint64_t number, const VerifyingKey& key);

}  // namespace trialwire::journal
