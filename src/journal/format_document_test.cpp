// SPDX-License-Identifier: Apache-2.0
// docs/journal-format.md says what the code does: its worked example and its recovery table are
// generated here and compared.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "journal/recovery_table.hpp"
#include "support/journal_fixture.hpp"

namespace trialwire::journal {
namespace {

std::string document() {
  const char* source = std::getenv("TRIALWIRE_SOURCE");
  const std::filesystem::path root =
      source != nullptr ? std::filesystem::path(source)
                        : std::filesystem::path(__FILE__).parent_path().parent_path().parent_path();
  return read_file(root / "docs" / "journal-format.md");
}

/// As `hexdump -C` prints, repeated lines left out.
std::string hex_dump(ByteView bytes) {
  std::string text, last;
  bool skipping = false;
  for (std::size_t at = 0; at < bytes.size(); at += 16) {
    std::string line, shown;
    for (const std::byte byte : bytes.subspan(at, 16)) {
      const auto value = std::to_integer<unsigned char>(byte);
      if (shown.size() == 8) line += ' ';
      line += fmt::format(" {:02x}", value);
      shown += value >= 32 && value < 127 ? static_cast<char>(value) : '.';
    }
    if (line == last) {
      if (!skipping) text += "*\n";
      skipping = true;
      continue;
    }
    skipping = false;
    last = line;
    text += fmt::format("{:08x} {}  |{}|\n", at, line, shown);
  }
  return text + fmt::format("{:08x}\n", bytes.size());
}

TEST(JournalFormatDocument, its_worked_example_is_what_the_code_writes) {
  Record record;
  record.attributes.kind = RecordKind::epro_report;
  record.attributes.content_type = ContentType::json;
  record.attributes.received_ns = 1'772'349'330'250'000'000;
  record.attributes.identity = {0x1111'1111'1111'1111, 0x2222'2222'2222'2222};
  record.attributes.content_hash = 0x3333'3333'3333'3333;
  record.attributes.key_hash = key_hash("P-1");
  record.attributes.origin = "http 127.0.0.1:5123";
  record.bytes = as_bytes(R"({"patientId":"P-1","trialId":"T-1"})");
  BatchBuffer batch;
  encode_record(record, batch.begin(encoded_size(record), 1).data());
  const Uuid journal = *Uuid::parse("6f1c9e52-0d7a-4b6e-9a53-4f0f5f6d8a10");
  batch.finish({.journal = journal,
                .epoch = 1,
                .first_sequence = 1,
                .previous = genesis_hash(journal),
                .segment = 1,
                .offset = 0,
                .committed_ns = 1'772'349'330'250'100'000});
  EXPECT_THAT(document(), ::testing::HasSubstr(hex_dump(batch.bytes())));
}

TEST(JournalFormatDocument, its_recovery_table_is_the_one_in_the_code) {
  std::string table;
  for (const RecoveryRow& row : recovery_table()) {
    const std::string_view action = row.action == RecoveryAction::refuse   ? "refuse"
                                    : row.action == RecoveryAction::change ? "change"
                                    : row.action == RecoveryAction::warn   ? "warn"
                                                                           : "go on";
    table += fmt::format("| {} | {} | {} | {} |\n", row.label, row.found, action, row.done);
  }
  EXPECT_THAT(document(), ::testing::HasSubstr(table));
}

}  // namespace
}  // namespace trialwire::journal
