// SPDX-License-Identifier: Apache-2.0
#include "loadgen/csv.hpp"

#include <fmt/format.h>

namespace trialwire::loadgen {
namespace {

class RowReader {
 public:
  explicit RowReader(std::string_view text) : text_(text) {
    if (text_.starts_with("\xef\xbb\xbf")) at_ = 3;
  }

  [[nodiscard]] bool at_end() const noexcept { return at_ == text_.size(); }
  [[nodiscard]] std::size_t line() const noexcept { return line_; }

  /// The next row; one empty cell for an empty line.
  Result<std::vector<std::string>> next() {
    std::vector<std::string> cells;
    for (;;) {
      std::string cell;
      if (!at_end() && text_[at_] == '"') {
        auto quoted = read_quoted();
        if (!quoted) return std::unexpected(quoted.error());
        cell = std::move(*quoted);
      } else {
        const auto end = std::min(text_.find_first_of(",\n", at_), text_.size());
        cell = text_.substr(at_, end - at_);
        at_ = end;
        if (cell.ends_with('\r') && (at_end() || text_[at_] == '\n')) cell.pop_back();
      }
      cells.push_back(std::move(cell));
      if (at_end()) return cells;
      if (text_[at_++] == '\n') {
        ++line_;
        return cells;
      }
    }
  }

 private:
  Result<std::string> read_quoted() {
    const std::size_t opened = line_;
    std::string cell;
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] == '"') {
        if (at_ + 1 == text_.size() || text_[at_ + 1] != '"') break;
        ++at_;
      }
      if (text_[at_] == '\n') ++line_;
      cell += text_[at_];
    }
    if (at_end()) {
      return fail(ErrorCode::invalid_argument, fmt::format("line {}: a quote stays open", opened));
    }
    ++at_;
    if (text_.substr(at_).starts_with("\r\n")) ++at_;
    if (!at_end() && text_[at_] != ',' && text_[at_] != '\n') {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("line {}: text follows a closing quote", line_));
    }
    return cell;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
};

}  // namespace

Result<CsvTable> parse_csv(std::string_view text) {
  CsvTable table;
  RowReader reader(text);
  while (!reader.at_end()) {
    const auto line = reader.line();
    auto row = reader.next();
    if (!row) return std::unexpected(row.error());
    if (row->size() == 1 && row->front().empty()) continue;
    if (table.columns.empty()) {
      table.columns = std::move(*row);
      continue;
    }
    if (row->size() != table.columns.size()) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("line {}: {} cells where the header has {} columns", line,
                              row->size(), table.columns.size()));
    }
    table.rows.push_back(std::move(*row));
  }
  if (table.columns.empty()) return fail(ErrorCode::invalid_argument, "has no header line");
  return table;
}

}  // namespace trialwire::loadgen
