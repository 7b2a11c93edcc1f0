// SPDX-License-Identifier: Apache-2.0
#include "loadgen/record_file.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <fstream>
#include <iterator>

#include "loadgen/csv_mapping.hpp"
#include "loadgen/gzip.hpp"

namespace trialwire::loadgen {
namespace {

Result<std::string> read_whole(const RecordFileOptions& options) {
  std::ifstream file(options.path, std::ios::binary);
  if (!file) return std::unexpected(errno_error("cannot open " + options.path, errno));
  std::string bytes{std::istreambuf_iterator<char>(file), {}};
  if (file.bad()) return std::unexpected(errno_error("cannot read " + options.path, errno));
  if (bytes.size() > options.bytes_max) {
    return fail(ErrorCode::payload_too_large, options.path + " is too large");
  }
  if (!is_gzip(bytes)) return bytes;
  auto inflated = gunzip(bytes, options.bytes_max);
  if (!inflated) return fail(inflated.error().code, options.path + " " + inflated.error().text);
  return inflated;
}

std::vector<FileRecord> split_lines(std::string_view text) {
  std::vector<FileRecord> records;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.find_first_not_of(" \t") == line.npos) continue;
    records.push_back({std::string(line), std::string(find_report_id(line))});
  }
  return records;
}

}  // namespace

std::string_view find_report_id(std::string_view body) noexcept {
  constexpr std::string_view key = "\"reportId\"";
  const auto found = body.find(key);
  if (found == body.npos) return {};
  body.remove_prefix(found + key.size());
  const auto quote = body.find_first_not_of(" \t:");
  if (quote == body.npos || body[quote] != '"') return {};
  body.remove_prefix(quote + 1);
  const auto end = body.find('"');
  return end == body.npos ? std::string_view{} : body.substr(0, end);
}

Result<std::vector<FileRecord>> read_records(const RecordFileOptions& options) {
  auto text = read_whole(options);
  if (!text) return std::unexpected(text.error());
  std::vector<FileRecord> records;
  if (options.mapping.empty()) {
    records = split_lines(*text);
  } else {
    auto table = parse_csv(*text);
    if (!table) return fail(table.error().code, options.path + ": " + table.error().text);
    auto mapped = map_rows(*table, options.mapping, {.run = options.run});
    if (!mapped) return std::unexpected(mapped.error());
    records = std::move(*mapped);
  }
  if (records.empty()) {
    return fail(ErrorCode::invalid_argument, options.path + " holds no record");
  }
  return records;
}

}  // namespace trialwire::loadgen
