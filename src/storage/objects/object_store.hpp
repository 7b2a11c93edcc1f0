// SPDX-License-Identifier: Apache-2.0
// Whole objects under names: what an archive and large files are kept in. Objects are written once
// and never changed; a file system and S3 can both be it. To write the next one, implement these
// calls; object_names.hpp says what a name is, `open_object_store` knows the schemes.
//
// Threads: any; each call may block for as long as its server takes. An upload or a stream belongs
// to one thread at a time and may not outlive its store.
// Bounds: memory does not depend on an object's size; both directions are streams.
// Failure: errors as values, which name the object. not_found: there is none of that name.
// disk_full, unavailable, io: may succeed later. invalid_argument: the name is none.
// Durable when: ObjectUpload::commit, `remove` returned without error. Until then the object is not
// there for anyone, whatever ends the process.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/error.hpp"

namespace trialwire::storage {

/// An object on its way in. Destroyed without `commit`, it leaves nothing.
class ObjectUpload {
 public:
  virtual ~ObjectUpload() = default;
  virtual Result<void> write(ByteView bytes) = 0;
  /// Everything at once under the name. Error conflict: the name is taken, and PutMode::if_absent;
  /// what is there stays as it is.
  virtual Result<void> commit() = 0;
};

/// Bytes in order, from an object or made from one.
class ByteStream {
 public:
  virtual ~ByteStream() = default;
  /// Fills `into`; fewer bytes only at the end, where it is 0.
  virtual Result<std::size_t> read(MutableBytes into) = 0;
};

enum class PutMode : std::uint8_t {
  if_absent,
  replace,  // readers see the old object or the new one, never a mixture
};

struct ByteRange {
  std::uint64_t offset = 0;
  std::uint64_t bytes = UINT64_MAX;  // to the end
};

class ObjectStore {
 public:
  virtual ~ObjectStore() = default;

  /// Where it is, for people: "file:/srv/archive". Holds no secret.
  virtual const std::string& url() const noexcept = 0;
  /// Whether objects could be put there now; leaves nothing. True: the place is there; false: it is
  /// not, the first object makes it. Errors: why not, with the place.
  virtual Result<bool> check() { return true; }

  virtual Result<std::unique_ptr<ObjectUpload>> put(std::string_view name, PutMode mode) = 0;
  /// Of a range beyond the end, what there is of it.
  virtual Result<std::unique_ptr<ByteStream>> get(std::string_view name, ByteRange range = {}) = 0;
  /// Bytes of the object. Error not_found when it does not exist.
  virtual Result<std::uint64_t> size(std::string_view name) = 0;
  /// Names that begin with `prefix`, ascending, until `visit` returns false. Objects that come or
  /// go meanwhile may be in it or not.
  virtual Result<void> list(std::string_view prefix,
                            const std::function<bool(std::string_view name)>& visit) = 0;
  /// No error when it does not exist.
  virtual Result<void> remove(std::string_view name) = 0;
};

/// By URL: "file:PATH". Does no I/O: what is wrong with the place, the first call says. Error
/// invalid_argument: a scheme that is not known.
Result<std::unique_ptr<ObjectStore>> open_object_store(std::string_view url);

/// A small object whole. Error payload_too_large beyond `bytes_max`.
Result<std::string> get_text(ObjectStore& store, std::string_view name, std::size_t bytes_max);
Result<void> put_text(ObjectStore& store, std::string_view name, std::string_view text,
                      PutMode mode);
Result<bool> exists(ObjectStore& store, std::string_view name);

}  // namespace trialwire::storage
