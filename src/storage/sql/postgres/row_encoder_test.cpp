// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/postgres/row_encoder.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/rfc3339.hpp"

namespace trialwire::storage::postgres {
namespace {

constexpr std::array<std::string_view, 7> metric_columns{
    "metric_id", "trial_id", "site_id", "value", "timestamp", "timestamp_ns", "annotations"};

/// Gives what the test says.
class GivenMapper final : public RowMapper {
 public:
  explicit GivenMapper(std::function<bool(std::span<Value>)> fill) : fill_(std::move(fill)) {}
  journal::RecordKind kind() const noexcept override { return journal::RecordKind::trial_metric; }
  const RowTable& table() const noexcept override {
    static constexpr RowTable metrics{.name = "trial_metrics",
                                      .identities = "trial_metric_identities",
                                      .columns = metric_columns};
    return metrics;
  }
  bool map(const journal::Record&, std::span<Value> row) override { return fill_(row); }

 private:
  std::function<bool(std::span<Value>)> fill_;
};

RowEncoder encoder_of(std::function<bool(std::span<Value>)> fill) {
  return RowEncoder(std::make_unique<GivenMapper>(std::move(fill)));
}

/// The fields of one row: bytes, or nothing for NULL.
std::vector<std::optional<std::string>> fields(const CopyEncoder& encoder) {
  std::string_view bytes = as_text(encoder.view());
  auto big_endian = [&bytes](std::size_t size) {
    std::int64_t value = 0;
    for (std::size_t i = 0; i < size; ++i) {
      value = (value << 8) | static_cast<unsigned char>(bytes[i]);
    }
    bytes.remove_prefix(size);
    return value;
  };
  std::vector<std::optional<std::string>> found;
  auto count = static_cast<std::size_t>(big_endian(2));
  while (found.size() < count) {
    auto size = static_cast<std::int32_t>(big_endian(4));
    if (size < 0) {
      found.emplace_back();
    } else {
      found.emplace_back(bytes.substr(0, static_cast<std::size_t>(size)));
      bytes.remove_prefix(static_cast<std::size_t>(size));
    }
  }
  EXPECT_TRUE(bytes.empty());
  return found;
}

std::string as_integer_field(std::int64_t value) {
  CopyEncoder encoder;
  encoder.integer(value);
  return std::string(as_text(encoder.view().subspan(4)));
}

journal::Record record_of(std::string_view bytes) {
  journal::Record record;
  record.journal = *Uuid::parse("00112233-4455-4677-8899-aabbccddeeff");
  record.sequence = 9;
  record.epoch = 2;
  record.attributes.kind = journal::RecordKind::trial_metric;
  record.attributes.received_ns = 1'770'000'000'123'000'000;
  record.attributes.flags = 5;
  record.attributes.origin = "http 127.0.0.1:5123";
  record.bytes = as_bytes(bytes);
  return record;
}

TEST(RowEncoder, attributes_come_first_then_the_mappers_columns) {
  auto encoder = encoder_of([](std::span<Value> row) {
    row[0] = std::string_view("m-1");
    row[3] = 1.5;
    row[5] = std::int64_t{42};
    return true;
  });
  journal::Record record = record_of("{}");
  record.attributes.identity = {0x0807060504030201, 0x100f0e0d0c0b0a09};
  CopyEncoder copy;
  ASSERT_EQ(encoder.append(copy, record).value_or(false), true);
  auto row = fields(copy);
  ASSERT_EQ(row.size(), 19U);
  EXPECT_EQ(encoder.columns().size(), 19U);
  Uuid id = record_id({record.journal, 2, 9, record.attributes.received_ns});
  EXPECT_EQ(row[0], std::string(id.bytes.begin(), id.bytes.end()));
  EXPECT_EQ(row[1], std::string(record.journal.bytes.begin(), record.journal.bytes.end()));
  EXPECT_EQ(row[2], as_integer_field(9));
  EXPECT_EQ(row[3], format_rfc3339_ms(record.attributes.received_ns));
  EXPECT_EQ(row[4], as_integer_field(5));
  EXPECT_EQ(row[5], std::nullopt) << "principal";
  EXPECT_EQ(row[6], "http 127.0.0.1:5123");
  EXPECT_EQ(row[7], std::nullopt) << "submission";
  EXPECT_EQ(row[10], std::nullopt) << "original";
  EXPECT_EQ(row[11], "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10");
  EXPECT_EQ(row[12], "m-1");
  EXPECT_EQ(row[13], std::nullopt);
  EXPECT_EQ(row[15], std::string("\x3f\xf8\0\0\0\0\0\0", 8));
  EXPECT_EQ(row[17], as_integer_field(42));
}

TEST(RowEncoder, a_record_that_cannot_be_decoded_keeps_its_bytes_and_is_flagged) {
  auto encoder = encoder_of([](std::span<Value> row) {
    row[5] = std::int64_t{1};
    return false;
  });
  journal::Record record = record_of(std::string_view("\0nonsense", 9));
  record.attributes.submission = record.journal;
  record.attributes.submission_index = 1;
  record.attributes.submission_count = 3;
  CopyEncoder copy;
  ASSERT_EQ(encoder.append(copy, record).value_or(true), false);
  auto row = fields(copy);
  EXPECT_EQ(row[4], as_integer_field(5 | flag_undecodable));
  EXPECT_EQ(row[7], row[1]);
  EXPECT_EQ(row[8], as_integer_field(1));
  EXPECT_EQ(row[9], as_integer_field(3));
  EXPECT_EQ(row[10], std::string("\0nonsense", 9));
  EXPECT_EQ(row[11], std::nullopt) << "no identity";
}

TEST(RowEncoder, an_integer_may_stand_where_the_column_is_real) {
  auto encoder = encoder_of([](std::span<Value> row) {
    row[3] = std::int64_t{-2};
    return true;
  });
  CopyEncoder copy;
  ASSERT_TRUE(encoder.append(copy, record_of("{}")));
  EXPECT_EQ(fields(copy)[15], std::string("\xc0\0\0\0\0\0\0\0", 8));
}

TEST(RowEncoder, a_text_with_nul_is_refused_by_the_columns_name_and_leaves_no_half_row) {
  auto encoder = encoder_of([](std::span<Value> row) {
    row[2] = std::string_view("a\0b", 3);
    return true;
  });
  CopyEncoder copy;
  auto refused = encoder.append(copy, record_of("{}"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(refused.error().text,
            "table trial_metrics, column site_id: PostgreSQL stores no text with U+0000");
  EXPECT_EQ(copy.size(), 0U);
}

TEST(RowEncoder, a_value_of_another_type_is_the_programs_own_fault) {
  auto encoder = encoder_of([](std::span<Value> row) {
    row[5] = std::string_view("42");
    return true;
  });
  CopyEncoder copy;
  auto refused = encoder.append(copy, record_of("{}"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::internal);
}

}  // namespace
}  // namespace trialwire::storage::postgres
