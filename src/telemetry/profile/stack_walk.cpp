// SPDX-License-Identifier: Apache-2.0
#include "telemetry/profile/stack_walk.hpp"

#include <link.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>

// Where the program's own malloc is, if it has one; bounds that the linker sets.
// NOLINTBEGIN(bugprone-reserved-identifier)
extern "C" {
[[gnu::weak]] extern const char __start_trialwire_allocation;
[[gnu::weak]] extern const char __stop_trialwire_allocation;
}
// NOLINTEND(bugprone-reserved-identifier)

namespace trialwire::telemetry {
namespace {

constexpr std::size_t word = sizeof(std::uintptr_t);
constexpr std::size_t searched_words = 256;
constexpr std::uintptr_t frame_bytes_max = 1 << 20;

struct OwnCode {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  pid_t process = 0;
};
// A handler reaches only what is static.
OwnCode own;
std::atomic<bool> prepared{false};

/// The program itself is the first object; its code is one executable segment.
int find_own_code(dl_phdr_info* object, std::size_t, void*) noexcept {
  for (unsigned i = 0; i < object->dlpi_phnum; ++i) {
    const auto& segment = object->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
    own.begin = object->dlpi_addr + segment.p_vaddr;
    own.end = own.begin + segment.p_memsz;
  }
  return 1;
}

bool is_own(std::uintptr_t pc) noexcept {
  return pc >= own.begin && pc < own.end;
}

const std::uint8_t* code_at(std::uintptr_t pc) noexcept {
  return reinterpret_cast<const std::uint8_t*>(pc);  // NOLINT(performance-no-int-to-ptr)
}

bool read_words(std::uintptr_t from, std::span<std::uintptr_t> into) noexcept {
  iovec local{into.data(), into.size_bytes()};
  auto* at = reinterpret_cast<void*>(from);  // NOLINT(performance-no-int-to-ptr)
  iovec remote{at, into.size_bytes()};
  return ::process_vm_readv(own.process, &local, 1, &remote, 1, 0) ==
         static_cast<ssize_t>(into.size_bytes());
}

/// Is there a call in front of this address of the program's own code? E8 with an offset of four
/// bytes, or FF /2 with its operand (Intel SDM volume 2, CALL).
bool follows_call(std::uintptr_t pc) noexcept {
  constexpr std::size_t longest = 7;
  if (!is_own(pc) || pc - own.begin < longest) return false;
  const auto* code = code_at(pc);
  if (code[-5] == 0xE8) return true;
  return std::ranges::any_of(std::array{2, 3, 4, 6, 7}, [code](int size) {
    return code[-size] == 0xFF && ((code[1 - size] >> 3) & 7) == 2;
  });
}

/// Is it the return address of a call of a library? Such a call goes through the table of what the
/// linker has found (-fno-plt): FF 15 and how far behind itself the entry is. The program's malloc
/// is called by libraries, too, and what it left on the stack is everywhere.
bool follows_library_call(std::uintptr_t pc) noexcept {
  constexpr std::size_t size = 6;
  if (!is_own(pc) || pc - own.begin < size) return false;
  const auto* code = code_at(pc);
  if (code[-6] != 0xFF || code[-5] != 0x15) return false;
  const bool allocation = pc >= reinterpret_cast<std::uintptr_t>(&__start_trialwire_allocation) &&
                          pc < reinterpret_cast<std::uintptr_t>(&__stop_trialwire_allocation);
  std::int32_t distance = 0;
  std::memcpy(&distance, code - 4, sizeof distance);
  std::array<std::uintptr_t, 1> target{};
  const std::uintptr_t entry = pc + static_cast<std::uintptr_t>(std::int64_t{distance});
  return !allocation && entry % word == 0 && read_words(entry, target) && !is_own(target[0]);
}

bool may_be_frame(std::uintptr_t fp, std::uintptr_t above) noexcept {
  return fp % word == 0 && fp >= above && fp - above < frame_bytes_max;
}

struct Frame {
  std::uintptr_t next = 0;
  std::uintptr_t return_address = 0;
};

bool read_frame(std::uintptr_t fp, std::uintptr_t above, Frame& frame) noexcept {
  std::array<std::uintptr_t, 2> saved{};
  if (!may_be_frame(fp, above) || !read_words(fp, saved)) return false;
  frame = {saved[0], saved[1]};
  return saved[1] != 0;
}

/// What called code without frame pointers.
struct Caller {
  std::uintptr_t return_address = 0;  // 0: not found
  std::uintptr_t fp = 0;              // of the caller, where the code had saved it; else 0
};

Caller find_caller(std::uintptr_t from, std::uintptr_t to) noexcept {
  std::array<std::uintptr_t, searched_words> words{};
  constexpr std::uintptr_t page = 4096;
  // Not beyond the end of a page whose successor may not be there.
  std::size_t count = std::min<std::size_t>((to - from) / word, searched_words);
  if (!read_words(from, std::span(words).first(count))) {
    count = std::min<std::size_t>(count, (page - from % page) / word);
    if (!read_words(from, std::span(words).first(count))) return {};
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (!follows_library_call(words[i])) continue;
    Caller caller{words[i], 0};
    const std::uintptr_t above = from + (i + 1) * word;
    for (std::size_t saved = i; saved-- > 0;) {
      Frame frame;
      if (!read_frame(words[saved], above, frame) || !follows_call(frame.return_address)) continue;
      caller.fp = words[saved];
      break;
    }
    return caller;
  }
  return {};
}

}  // namespace

void prepare_stack_walks() {
  if (prepared.exchange(true)) return;
  own.process = ::getpid();
  ::dl_iterate_phdr(find_own_code, nullptr);
}

Registers interrupted_registers(const void* context) noexcept {
  const auto& registers = static_cast<const ucontext_t*>(context)->uc_mcontext.gregs;
  return {static_cast<std::uintptr_t>(registers[REG_RIP]),
          static_cast<std::uintptr_t>(registers[REG_RSP]),
          static_cast<std::uintptr_t>(registers[REG_RBP])};
}

std::size_t walk_stack(const Registers& from, std::span<std::uintptr_t> frames) noexcept {
  if (frames.empty()) return 0;
  std::size_t count = 0;
  frames[count++] = from.pc;
  Registers at = from;
  while (count < frames.size()) {
    Frame frame;
    bool linked = read_frame(at.fp, at.sp, frame);
    if (!is_own(at.pc)) {
      // What the register holds there need not be a frame.
      const bool sure = linked && follows_call(frame.return_address);
      const Caller caller = find_caller(at.sp, sure ? at.fp : at.sp + searched_words * word);
      if (caller.return_address != 0 && caller.return_address != frame.return_address) {
        frames[count++] = caller.return_address;
        if (!sure) {
          at.fp = caller.fp;
          linked = caller.fp != 0 && read_frame(at.fp, at.sp, frame);
        }
      }
    }
    if (!linked || count == frames.size()) break;
    frames[count++] = frame.return_address;
    at = {frame.return_address, at.fp + 2 * word, frame.next};
  }
  return count;
}

std::size_t walk_own_stack(std::span<std::uintptr_t> frames) noexcept {
  const auto fp = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
  Frame frame;
  if (!read_frame(fp, fp, frame)) return 0;
  return walk_stack({frame.return_address, fp + 2 * word, frame.next}, frames);
}

}  // namespace trialwire::telemetry
