// SPDX-License-Identifier: Apache-2.0
// What the rows of the settings' table are made of (schema.hpp). Of schema*.cpp alone: a file a
// group of sections.
#pragma once
#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/check.hpp"
#include "config/schema.hpp"

namespace trialwire::config::schema {

inline constexpr std::array<std::string_view, 3> role_names{"gateway", "processor", "api"};
inline constexpr std::array<std::string_view, 2> unknown_fields_names{"keep", "refuse"};
inline constexpr std::array<std::string_view, 2> sync_names{"always", "none"};
inline constexpr std::array<std::string_view, 3> priority_names{"as_pipeline", "background",
                                                                "normal"};
inline constexpr std::array<std::string_view, 3> io_names{"auto", "direct", "buffered"};
inline constexpr std::array<std::string_view, 2> ack_names{"local", "kafka"};
inline constexpr std::array<std::string_view, 2> kafka_value_names{"json", "original"};
inline constexpr std::array<std::string_view, 5> compression_names{"none", "gzip", "snappy", "lz4",
                                                                   "zstd"};
inline constexpr std::array<std::string_view, 4> protocol_names{"plaintext", "ssl",
                                                                "sasl_plaintext", "sasl_ssl"};
inline constexpr std::array<std::string_view, 3> mechanism_names{"PLAIN", "SCRAM-SHA-256",
                                                                 "SCRAM-SHA-512"};
inline constexpr std::array<std::string_view, 2> auth_mode_names{"none", "jwt"};
inline constexpr std::array<std::string_view, 3> token_algorithm_names{"HS256", "RS256", "ES256"};
inline constexpr std::array<std::string_view, 6> level_names{"trace", "debug", "info",
                                                             "warn",  "error", "off"};
inline constexpr std::array<std::string_view, 2> breaker_names{"adaptive", "ratio"};
inline constexpr std::array<std::string_view, 2> format_names{"plain", "json"};

/// Names in the order of the enum's values.
inline std::span<const std::string_view> names_of(Role) {
  return role_names;
}
inline std::span<const std::string_view> names_of(UnknownFields) {
  return unknown_fields_names;
}
inline std::span<const std::string_view> names_of(JournalSync) {
  return sync_names;
}
inline std::span<const std::string_view> names_of(JournalIo) {
  return io_names;
}
inline std::span<const std::string_view> names_of(JournalAck) {
  return ack_names;
}
inline std::span<const std::string_view> names_of(KafkaValue) {
  return kafka_value_names;
}
inline std::span<const std::string_view> names_of(SinkPriority) {
  return priority_names;
}
inline std::span<const std::string_view> names_of(AuthMode) {
  return auth_mode_names;
}

inline std::span<const std::string_view> names_of(BreakerForm) {
  return breaker_names;
}
inline std::span<const std::string_view> names_of(LogLevel) {
  return level_names;
}
inline std::span<const std::string_view> names_of(LogFormat) {
  return format_names;
}

template <typename E>
E enum_of(const std::string& name) {
  auto names = names_of(E{});
  auto found = std::ranges::find(names, name);
  TW_CHECK(found != names.end());
  return static_cast<E>(found - names.begin());
}

template <typename E>
std::string enum_name(E value) {
  return std::string(names_of(value)[static_cast<std::size_t>(value)]);
}

template <typename T>
Value to_value(const T& field) {
  if constexpr (std::is_enum_v<T>) {
    return enum_name(field);
  } else if constexpr (std::is_same_v<T, std::vector<Role>>) {
    std::vector<std::string> names;
    for (Role role : field) names.push_back(enum_name(role));
    return names;
  } else if constexpr (std::is_same_v<T, std::uint32_t>) {
    return std::uint64_t{field};
  } else {
    return field;
  }
}

template <typename T>
void assign(T& field, const Value& value) {
  if constexpr (std::is_enum_v<T>) {
    field = enum_of<T>(std::get<std::string>(value));
  } else if constexpr (std::is_same_v<T, std::vector<Role>>) {
    field.clear();
    for (const auto& name : std::get<std::vector<std::string>>(value)) {
      field.push_back(enum_of<Role>(name));
    }
  } else if constexpr (std::is_same_v<T, std::uint32_t>) {
    field = static_cast<std::uint32_t>(std::get<std::uint64_t>(value));
  } else {
    field = std::get<T>(value);
  }
}

/// One row; `Members` lead from Settings to the field.
template <auto... Members>
Descriptor row(std::string_view path, Constraint constraint, std::string_view help,
               bool secret = false) {
  return {path,
          constraint,
          help,
          secret,
          [](const Settings& settings) { return to_value((settings.*....*Members)); },
          [](Settings& settings, const Value& value) { assign((settings.*....*Members), value); }};
}

inline constexpr std::uint64_t kib = 1ULL << 10, mib = 1ULL << 20, gib = 1ULL << 30,
                               tib = 1ULL << 40;
inline constexpr std::uint64_t ms = 1'000'000, second = 1'000'000'000;
inline constexpr std::uint64_t hour = 3'600 * second, year = 365 * 24 * hour;

inline constexpr Constraint boolean{.kind = Kind::boolean};
inline constexpr Constraint listen{.kind = Kind::listen};

inline Constraint integer(std::uint64_t minimum, std::uint64_t maximum) {
  return {.kind = Kind::integer, .minimum = minimum, .maximum = maximum};
}
inline Constraint bytes(std::uint64_t minimum, std::uint64_t maximum) {
  return {.kind = Kind::bytes, .minimum = minimum, .maximum = maximum};
}
inline Constraint duration(std::uint64_t minimum, std::uint64_t maximum) {
  return {.kind = Kind::duration, .minimum = minimum, .maximum = maximum};
}
inline Constraint choice(std::span<const std::string_view> names) {
  return {.kind = Kind::choice, .choices = names};
}

using S = Settings;

// Each adds the rows of its sections, in the order of the reference page.
void add_general(std::vector<Descriptor>& rows);
void add_listeners(std::vector<Descriptor>& rows);
void add_profiles(std::vector<Descriptor>& rows);
void add_ingest(std::vector<Descriptor>& rows);
void add_journal(std::vector<Descriptor>& rows);
void add_archive(std::vector<Descriptor>& rows);
void add_pipeline(std::vector<Descriptor>& rows);
void add_stores(std::vector<Descriptor>& rows);
void add_kafka(std::vector<Descriptor>& rows);
void add_limits(std::vector<Descriptor>& rows);
void add_overload(std::vector<Descriptor>& rows);
void add_breaker(std::vector<Descriptor>& rows);
void add_auth(std::vector<Descriptor>& rows);
void add_audit(std::vector<Descriptor>& rows);
void add_discovery(std::vector<Descriptor>& rows);
void add_services(std::vector<Descriptor>& rows);
void add_trace(std::vector<Descriptor>& rows);
void add_log(std::vector<Descriptor>& rows);

}  // namespace trialwire::config::schema
