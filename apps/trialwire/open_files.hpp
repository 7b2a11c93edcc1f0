// SPDX-License-Identifier: Apache-2.0
// How many files the process may have open, and how many of them clients' connections may be: a
// segment that cannot be sealed for want of a file is worse than a client that is asked to retry.
#pragma once
#include <cstdint>

namespace trialwire {

/// Raises the soft limit of open files to the hard one. Returns the limit then.
std::uint64_t raise_open_files() noexcept;

std::uint64_t open_files_max() noexcept;

/// Files kept for what is no client's connection: segments, listeners, operators, databases, Kafka,
/// the archive. 1,024, or half of a limit that is below 2,048.
std::uint64_t files_kept(std::uint64_t files_max) noexcept;

/// Of `wanted` connections those that leave room for the files kept; at least one.
std::uint64_t connections_within(std::uint64_t files_max, std::uint64_t wanted) noexcept;

}  // namespace trialwire
