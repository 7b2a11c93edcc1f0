// SPDX-License-Identifier: Apache-2.0
#include "storage/objects/object_store.hpp"

#include <fmt/format.h>

#include "storage/objects/file_store.hpp"

namespace trialwire::storage {

Result<std::unique_ptr<ObjectStore>> open_object_store(std::string_view url) {
  constexpr std::string_view file = "file:";
  if (!url.starts_with(file) || url.size() == file.size()) {
    return fail(ErrorCode::invalid_argument, "an object store's URL must be file:PATH");
  }
  return make_file_store(std::filesystem::path(url.substr(file.size())));
}

Result<std::string> get_text(ObjectStore& store, std::string_view name, std::size_t bytes_max) {
  auto stream = store.get(name, {.bytes = bytes_max + 1});
  if (!stream) return std::unexpected(stream.error());
  std::string text(bytes_max + 1, '\0');
  const auto read = (*stream)->read(std::as_writable_bytes(std::span(text)));
  if (!read) return std::unexpected(read.error());
  if (*read > bytes_max) {
    return fail(ErrorCode::payload_too_large,
                fmt::format("{}: more than {} bytes long", name, bytes_max));
  }
  text.resize(*read);
  return text;
}

Result<void> put_text(ObjectStore& store, std::string_view name, std::string_view text,
                      PutMode mode) {
  auto upload = store.put(name, mode);
  if (!upload) return std::unexpected(upload.error());
  if (auto written = (*upload)->write(as_bytes(text)); !written) return written;
  return (*upload)->commit();
}

Result<bool> exists(ObjectStore& store, std::string_view name) {
  const auto size = store.size(name);
  if (size) return true;
  if (size.error().code == ErrorCode::not_found) return false;
  return std::unexpected(size.error());
}

}  // namespace trialwire::storage
