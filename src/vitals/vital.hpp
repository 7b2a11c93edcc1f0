// SPDX-License-Identifier: Apache-2.0
// The values that a vital sign may hold: their names, the units that they are stored in, and what
// is plausible. Ranges and unit factors are those of the clinical conventions that the project
// starts from (LOINC codes beside), both ends included:
//   outside of `possible`   plainly impossible: refused
//   outside of `usual`      stored, flagged
// Height has no usual range there; 300 cm is beyond any human being.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace trialwire::vitals {

enum class Vital : std::uint8_t {
  heart_rate,
  blood_oxygen,
  systolic,
  diastolic,
  temperature,
  respiratory_rate,
  glucose,
  weight,
  height,
};
constexpr std::size_t vital_count = 9;

struct Range {
  double low = 0;
  double high = 0;
  constexpr bool holds(double value) const noexcept { return value >= low && value <= high; }
};

struct VitalTraits {
  std::string_view field;
  std::string_view units_field;  // of its unit, in errors
  std::string_view unit;         // as stored
  Range possible;
  Range usual;
};

constexpr std::array<VitalTraits, vital_count> vital_traits{{
    {"heartRate", "units.heartRate", "/min", {0, 350}, {20, 250}},            // 8867-4
    {"bloodOxygen", "units.bloodOxygen", "%", {0, 100}, {50, 100}},           // 59408-5
    {"systolic", "units.systolic", "mmHg", {0, 375}, {50, 260}},              // 8480-6
    {"diastolic", "units.diastolic", "mmHg", {0, 375}, {20, 160}},            // 8462-4
    {"temperature", "units.temperature", "Cel", {14.2, 47}, {32, 42}},        // 8310-5
    {"respiratoryRate", "units.respiratoryRate", "/min", {0, 120}, {4, 60}},  // 9279-1
    {"glucose", "units.glucose", "mmol/L", {0, 122}, {1.1, 33}},              // 15074-8
    {"weight", "units.weight", "kg", {0.2, 650}, {20, 250}},                  // 29463-7
    {"height", "units.height", "cm", {0, 300}, {0, 300}},                     // 8302-2
}};

constexpr const VitalTraits& traits_of(Vital vital) noexcept {
  return vital_traits[static_cast<std::size_t>(vital)];
}

}  // namespace trialwire::vitals
