// SPDX-License-Identifier: Apache-2.0
#include "vitals/units.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <span>

namespace trialwire::vitals {
namespace {

struct Unit {
  std::string_view name;
  Conversion to_stored;
};

constexpr double pound_kg = 0.45359237;       // by definition
constexpr double inch_cm = 2.54;              // by definition
constexpr double mmol_per_l_mg_dl = 18.0156;  // glucose: LOINC 15074-8 and 2339-0
constexpr Conversion same{};
constexpr Conversion fahrenheit{-32, 5, 9};

constexpr std::array beats{Unit{"/min", same}, Unit{"BEATS/MIN", same}, Unit{"bpm", same},
                           Unit{"{beats}/min", same}};
constexpr std::array breaths{Unit{"/min", same}, Unit{"BREATHS/MIN", same},
                             Unit{"{breaths}/min", same}};
constexpr std::array saturation{Unit{"%", same}, Unit{"1", {0, 100, 1}}};
constexpr std::array pressure{Unit{"mmHg", same}, Unit{"mm[Hg]", same}};
constexpr std::array temperature{Unit{"Cel", same},     Unit{"C", same},
                                 Unit{"\u00b0C", same}, Unit{"[degF]", fahrenheit},
                                 Unit{"F", fahrenheit}, Unit{"\u00b0F", fahrenheit}};
constexpr std::array glucose{Unit{"mmol/L", same}, Unit{"mg/dL", {0, 1, mmol_per_l_mg_dl}}};
constexpr std::array weight{Unit{"kg", same}, Unit{"g", {0, 1, 1000}},
                            Unit{"[lb_av]", {0, pound_kg, 1}}, Unit{"LB", {0, pound_kg, 1}}};
constexpr std::array height{Unit{"cm", same}, Unit{"in", {0, inch_cm, 1}},
                            Unit{"[in_i]", {0, inch_cm, 1}}};

struct Units {
  std::span<const Unit> known;
  std::string_view listed;
};

constexpr Units beat_units{beats, "/min, BEATS/MIN, bpm or {beats}/min"};
constexpr Units pressure_units{pressure, "mmHg or mm[Hg]"};

constexpr std::array<Units, vital_count> units{{
    beat_units,
    {saturation, "% or 1"},
    pressure_units,
    pressure_units,
    {temperature, "Cel, C, \u00b0C, [degF], F or \u00b0F"},
    {breaths, "/min, BREATHS/MIN or {breaths}/min"},
    {glucose, "mmol/L or mg/dL"},
    {weight, "kg, g, [lb_av] or LB"},
    {height, "cm, in or [in_i]"},
}};

constexpr char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

bool same_but_case(std::string_view left, std::string_view right) noexcept {
  return std::ranges::equal(left, right, [](char a, char b) { return lower(a) == lower(b); });
}

}  // namespace

std::optional<Conversion> conversion(Vital vital, std::string_view unit) noexcept {
  for (const Unit& known : units[static_cast<std::size_t>(vital)].known) {
    if (same_but_case(known.name, unit)) return known.to_stored;
  }
  return std::nullopt;
}

std::string_view units_of(Vital vital) noexcept {
  return units[static_cast<std::size_t>(vital)].listed;
}

bool holds_converted(const Range& range, double value) noexcept {
  constexpr double granted = 1e-9;
  return value >= range.low - granted * std::abs(range.low) &&
         value <= range.high + granted * std::abs(range.high);
}

}  // namespace trialwire::vitals
