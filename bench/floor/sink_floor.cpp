// SPDX-License-Identifier: Apache-2.0
// Stores rows the way a client does that does nothing else: reads all of them into memory, then
// times prepared multi-row INSERTs into the same schema. What a sink is compared with. Prints
//   {"rows":200000,"seconds":1.31}
// Usage: sink_floor sqlite SOURCE TARGET [OPTIONS]
//        sink_floor mysql HOST PORT USER PASSWORD SOURCE_DATABASE TARGET_DATABASE [OPTIONS]
// OPTIONS: --statement-rows N   rows of one INSERT [100]
//          --transaction-rows N [16384]; 1 and --statement-rows 1: row at a time
//          --rows N             at most so many
#include "sink_floor.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <string_view>
#include <vector>

namespace {

using trialwire::floor::Result;
using trialwire::floor::Shape;

[[noreturn]] void usage() {
  fmt::print(stderr,
             "sink_floor sqlite SOURCE TARGET | mysql HOST PORT USER PASSWORD SOURCE TARGET "
             "[--statement-rows N] [--transaction-rows N] [--rows N]\n");
  std::exit(2);
}

/// Takes the options off the end.
Shape shape_of(std::vector<std::string>& arguments, std::size_t named) {
  Shape shape;
  for (std::size_t i = named; i + 1 < arguments.size(); i += 2) {
    std::string_view option = arguments[i];
    std::size_t value = std::strtoull(arguments[i + 1].c_str(), nullptr, 10);
    if (value == 0) usage();
    if (option == "--statement-rows") {
      shape.statement_rows = value;
    } else if (option == "--transaction-rows") {
      shape.transaction_rows = value;
    } else if (option == "--rows") {
      shape.rows_max = value;
    } else {
      usage();
    }
  }
  return shape;
}

}  // namespace

int main(int count, char** values) {
  std::vector<std::string> arguments(values + 1, values + count);
  if (arguments.empty()) usage();
  bool sqlite = arguments[0] == "sqlite";
  std::size_t named = sqlite ? 3 : 7;
  if ((!sqlite && arguments[0] != "mysql") || arguments.size() < named) usage();
  Shape shape = shape_of(arguments, named);
  Result result;
  if (sqlite) {
    result = trialwire::floor::sqlite_floor(arguments[1], arguments[2], shape);
  } else {
    auto port = static_cast<unsigned>(std::strtoul(arguments[2].c_str(), nullptr, 10));
    result = trialwire::floor::mysql_floor({arguments[1], port, arguments[3], arguments[4]},
                                           arguments[5], arguments[6], shape);
  }
  fmt::print("{{\"rows\":{},\"seconds\":{:.6f}}}\n", result.rows, result.seconds);
}
