// SPDX-License-Identifier: Apache-2.0
#include "telemetry/profile/symbols.hpp"

#include <cxxabi.h>
#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>

#include <fmt/format.h>

namespace trialwire::telemetry {
namespace {

constexpr std::string_view deleted = " (deleted)";

/// The next word of the line, which it is taken from.
std::string_view next_word(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  const std::size_t end = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(end);
  return word;
}

std::uint64_t hexadecimal(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value, 16);
  return value;
}

/// "55d0…000-55d0…000 r-xp 00001000 08:01 1234   /usr/bin/x"
std::optional<Mapping> executable_mapping(std::string_view line) {
  const std::string_view range = next_word(line);
  const std::string_view rights = next_word(line);
  const std::string_view offset = next_word(line);
  next_word(line);  // device
  next_word(line);  // inode
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  const std::size_t dash = range.find('-');
  if (dash == std::string_view::npos || rights.size() < 3 || rights[2] != 'x') return std::nullopt;
  return Mapping{hexadecimal(range.substr(0, dash)), hexadecimal(range.substr(dash + 1)),
                 hexadecimal(offset), std::string(line)};
}

/// A file's bytes, mapped.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path) noexcept {
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return;
    struct stat about{};
    if (::fstat(descriptor, &about) == 0 && S_ISREG(about.st_mode) && about.st_size > 0) {
      const auto size = static_cast<std::size_t>(about.st_size);
      void* mapped = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
      if (mapped != MAP_FAILED) bytes_ = {static_cast<const char*>(mapped), size};
    }
    ::close(descriptor);
  }
  ~MappedFile() {
    if (!bytes_.empty()) ::munmap(const_cast<char*>(bytes_.data()), bytes_.size());
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  /// `count` values from `offset`; empty when they are not all in the file, or not aligned.
  template <typename T>
  std::span<const T> array(std::uint64_t offset, std::uint64_t count) const noexcept {
    if (offset > bytes_.size() || count > (bytes_.size() - offset) / sizeof(T)) return {};
    if (offset % alignof(T) != 0) return {};
    return {reinterpret_cast<const T*>(bytes_.data() + offset), count};
  }
  std::string_view text(std::uint64_t offset, std::uint64_t size) const noexcept {
    if (offset > bytes_.size() || size > bytes_.size() - offset) return {};
    return bytes_.substr(offset, size);
  }

 private:
  std::string_view bytes_;
};

struct Function {
  std::uint64_t begin = 0;
  std::uint64_t size = 0;  // 0: to the next one
  std::string_view name;   // mangled
};

std::string demangled(std::string_view name) {
  const std::string text(name.substr(0, name.find('@')));  // without its version
  int status = 0;
  char* readable = abi::__cxa_demangle(text.c_str(), nullptr, nullptr, &status);
  std::string result = status == 0 && readable != nullptr ? readable : text;
  std::free(readable);  // NOLINT(cppcoreguidelines-no-malloc): of the demangler
  if (result.size() > symbol_bytes_max) result.resize(symbol_bytes_max);
  return result;
}

}  // namespace

/// The functions of an ELF file of this machine's kind.
class Symbols::File {
 public:
  explicit File(const std::string& path) : file_(path) {
    const auto header = file_.array<Elf64_Ehdr>(0, 1);
    if (header.empty() || std::memcmp(header[0].e_ident, ELFMAG, SELFMAG) != 0 ||
        header[0].e_ident[EI_CLASS] != ELFCLASS64)
      return;
    segments_ = file_.array<Elf64_Phdr>(header[0].e_phoff, header[0].e_phnum);
    const auto sections = file_.array<Elf64_Shdr>(header[0].e_shoff, header[0].e_shnum);
    // The whole table where it was not stripped, else what the file exports.
    if (!read_table(sections, SHT_SYMTAB)) read_table(sections, SHT_DYNSYM);
    std::ranges::sort(functions_, {},
                      [](const Function& one) { return std::pair(one.begin, one.name); });
  }

  /// Empty: unknown.
  std::string_view function_at(std::uint64_t offset) const {
    const auto segment = std::ranges::find_if(segments_, [offset](const Elf64_Phdr& one) {
      return one.p_type == PT_LOAD && offset >= one.p_offset &&
             offset - one.p_offset < one.p_filesz;
    });
    if (segment == segments_.end()) return {};
    const std::uint64_t address = offset - segment->p_offset + segment->p_vaddr;
    auto after = std::ranges::upper_bound(functions_, address, {}, &Function::begin);
    if (after == functions_.begin()) return {};
    const Function& function = *std::prev(after);
    if (function.size != 0 && address - function.begin >= function.size) return {};
    return function.name;
  }

 private:
  bool read_table(std::span<const Elf64_Shdr> sections, std::uint32_t type) {
    for (const Elf64_Shdr& section : sections) {
      if (section.sh_type != type || section.sh_link >= sections.size()) continue;
      const Elf64_Shdr& names = sections[section.sh_link];
      const std::string_view text = file_.text(names.sh_offset, names.sh_size);
      if (text.empty() || text.back() != '\0') continue;
      for (const Elf64_Sym& symbol :
           file_.array<Elf64_Sym>(section.sh_offset, section.sh_size / sizeof(Elf64_Sym))) {
        const int kind = ELF64_ST_TYPE(symbol.st_info);
        if ((kind != STT_FUNC && kind != STT_GNU_IFUNC) || symbol.st_shndx == SHN_UNDEF) continue;
        if (symbol.st_name >= text.size()) continue;
        functions_.push_back({symbol.st_value, symbol.st_size, text.data() + symbol.st_name});
      }
    }
    return !functions_.empty();
  }

  MappedFile file_;
  std::span<const Elf64_Phdr> segments_;
  std::vector<Function> functions_;
};

Symbols::Symbols() {
  std::ifstream file("/proc/self/maps");
  maps_.assign(std::istreambuf_iterator<char>(file), {});
  for (std::string_view rest = maps_; !rest.empty();) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    if (auto mapping = executable_mapping(rest.substr(0, end)); mapping && !mapping->path.empty()) {
      mappings_.push_back(std::move(*mapping));
    }
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  std::error_code error;
  const std::string program = std::filesystem::read_symlink("/proc/self/exe", error).string();
  std::ranges::sort(mappings_, {}, [&program](const Mapping& one) {
    return std::pair(one.path != program, one.begin);
  });
}

Symbols::~Symbols() = default;

std::optional<std::size_t> Symbols::mapping_of(std::uintptr_t address) const noexcept {
  for (std::size_t i = 0; i < mappings_.size(); ++i) {
    if (address >= mappings_[i].begin && address < mappings_[i].end) return i;
  }
  return std::nullopt;
}

std::string_view Symbols::name(std::uintptr_t address) {
  auto known = names_.find(address);
  if (known == names_.end()) known = names_.emplace(address, find_name(address)).first;
  return known->second;
}

std::string_view Symbols::group(std::uintptr_t address) {
  const std::string_view whole = name(address);
  return whole.substr(0, whole.find("+0x"));
}

std::string Symbols::find_name(std::uintptr_t address) {
  const auto index = mapping_of(address);
  if (!index) return fmt::format("{:#x}", address);
  const Mapping& mapping = mappings_[*index];
  const std::uint64_t offset = address - mapping.begin + mapping.offset;
  if (!mapping.path.starts_with('/')) return mapping.path;
  auto& file = files_[mapping.path];
  if (file == nullptr) {
    const bool replaced = mapping.path.ends_with(deleted);
    const bool program = mapping.path == mappings_.front().path;
    file = std::make_unique<File>(program ? "/proc/self/exe" : replaced ? "" : mapping.path);
  }
  if (const std::string_view function = file->function_at(offset); !function.empty())
    return demangled(function);
  return fmt::format("{}+{:#x}", std::filesystem::path(mapping.path).filename().string(), offset);
}

}  // namespace trialwire::telemetry
