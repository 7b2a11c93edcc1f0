// SPDX-License-Identifier: Apache-2.0
// `trialwire archive list | verify | restore`: an archive, with or without a server on its journal.
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>

#include <fmt/format.h>

#include "archive/archive_reader.hpp"
#include "archive/verify.hpp"
#include "archive_access.hpp"
#include "archive_pages.hpp"
#include "commands.hpp"
#include "exit_code.hpp"
#include "sequence_range.hpp"
#include "settings_options.hpp"

namespace trialwire {
namespace {

using archive::Archive;
using std::filesystem::path;

int failed(const Error& error) {
  fmt::print(stderr, "trialwire: {}\n", error.text);
  return error.code == ErrorCode::invalid_argument ? exit_usage : exit_failed;
}

/// What each action takes besides the settings.
struct Arguments {
  std::string journal;
  std::string key;
  std::string into;
  std::uint64_t from = 1;
  std::uint64_t to = UINT64_MAX;
  bool json = false;
};

int run_list(const Archive& archive, const Arguments& arguments) {
  const auto numbers = archive.numbers();
  if (!numbers) return failed(numbers.error());
  std::vector<archive::Manifest> manifests;
  for (const std::uint64_t number : *numbers) {
    auto manifest = archive.manifest(number);
    if (!manifest) return failed(manifest.error());
    manifests.push_back(std::move(*manifest));
  }
  if (!arguments.json) fmt::print("journal {}\n", archive.journal().text());
  fmt::print("{}", arguments.json ? archive_list_json(manifests) : archive_list_text(manifests));
  return exit_ok;
}

Result<journal::VerifyingKey> read_key(const std::string& file) {
  const auto pem = journal::read_text(journal::posix_files(), file);
  if (!pem) return std::unexpected(pem.error());
  auto key = journal::VerifyingKey::parse(*pem);
  if (!key) return fail(key.error().code, fmt::format("{}: {}", file, key.error().text));
  return key;
}

int run_verify(const Archive& archive, const Arguments& arguments) {
  std::optional<journal::VerifyingKey> trusted;
  if (!arguments.key.empty()) {
    auto key = read_key(arguments.key);
    if (!key) return failed(key.error());
    trusted.emplace(std::move(*key));
  }
  const auto report =
      archive::verify_archive(archive, {.journal = nullptr, .key = trusted ? &*trusted : nullptr});
  if (!report) return failed(report.error());
  fmt::print("{}", arguments.json ? archive_verify_json(*report) : archive_verify_text(*report));
  return report->problems == 0 ? exit_ok : exit_failed;
}

/// The segment's file as the journal had it. Takes a name only when it is right to the last byte.
Result<void> restore(const Archive& archive, const archive::Manifest& manifest, const path& into) {
  const path target = into / journal::segment_name(manifest.segment.number);
  const path partial = target.native() + ".partial";
  auto raw = archive.open_raw(manifest);
  if (!raw) return std::unexpected(raw.error());
  archive::StreamSums sums;
  archive::SummedStream stream(std::move(*raw), sums);
  std::ofstream file(partial, std::ios::binary | std::ios::trunc);
  std::vector<std::byte> bytes(1 << 20);
  while (true) {
    const auto read = stream.read(bytes);
    if (!read) return std::unexpected(read.error());
    if (*read == 0) break;
    file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(*read));
  }
  file.close();
  if (!file) return std::unexpected(errno_error("cannot write " + partial.native(), errno));
  if (sums.hasher.finish() != manifest.raw_sha256) {
    return fail(ErrorCode::corrupt, fmt::format("{}: the SHA-256 of its content is not the "
                                                "manifest's",
                                                archive.where(archive::segment_object(
                                                    archive.journal(), manifest.segment.number))));
  }
  std::error_code error;
  std::filesystem::rename(partial, target, error);
  if (error) return std::unexpected(errno_error("cannot create " + target.native(), error.value()));
  return journal::replace_text(journal::posix_files(),
                               into / journal::seal_name(manifest.segment.number), manifest.seal);
}

int run_restore(const Archive& archive, const Arguments& arguments) {
  const auto numbers = archive.numbers();
  if (!numbers) return failed(numbers.error());
  if (auto made = journal::posix_files().create_directory(arguments.into); !made) {
    return failed(made.error());
  }
  std::uint64_t restored = 0;
  for (const std::uint64_t number : *numbers) {
    const auto manifest = archive.manifest(number);
    if (!manifest) return failed(manifest.error());
    if (manifest->segment.next_sequence <= arguments.from) continue;
    if (manifest->segment.first_sequence > arguments.to) break;
    if (auto done = restore(archive, *manifest, arguments.into); !done) return failed(done.error());
    fmt::print("{}\n", (path(arguments.into) / journal::segment_name(number)).native());
    ++restored;
  }
  if (restored > 0) return exit_ok;
  return failed({ErrorCode::not_found, "no segment of the archive holds these sequences"});
}

using Run = int (*)(const Archive& archive, const Arguments& arguments);

CLI::App* add_action(CLI::App& parent, int& exit_code, const char* name, const char* description,
                     const char* manual, const std::shared_ptr<Arguments>& arguments, Run run) {
  CLI::App* command = parent.add_subcommand(name, description);
  command->footer(manual);
  command->add_option("--journal", arguments->journal, "Id of the journal [the only one]");
  auto options = add_settings_options(*command);
  command->callback([options, arguments, run, &exit_code] {
    exit_code = exit_usage;
    const auto settings = load_settings(*options);
    if (!settings) return;
    const auto store = open_archive(*settings);
    if (!store) {
      exit_code = failed(store.error());
      return;
    }
    const auto journal = choose_journal(**store, *settings, arguments->journal);
    exit_code = journal ? run(Archive(**store, *journal), *arguments) : failed(journal.error());
  });
  return command;
}

}  // namespace

void add_archive_command(CLI::App& app, int& exit_code) {
  CLI::App* archive = app.add_subcommand("archive", "Look at, check and restore archived segments");
  archive->require_subcommand(1);
  archive->footer(
      "The archive is at archive.url (docs/archive.md). These commands need no journal and may "
      "run\n"
      "beside a server.\n\n"
      "Examples:\n"
      "  trialwire archive list\n"
      "  trialwire archive verify --set archive.url=file:/mnt/archive");
  auto arguments = std::make_shared<Arguments>();
  add_action(*archive, exit_code, "list", "List archived segments",
             "One line a segment; --json prints one JSON object a line.\n\n"
             "Exit codes: 0 printed, 1 not, 2 wrong command line or settings.",
             arguments, run_list)
      ->add_flag("--json", arguments->json, "JSON objects, one a line");
  CLI::App* verify = add_action(
      *archive, exit_code, "verify", "Check everything: manifests, signatures, objects, chain",
      "Reads all of it. Without --key each signature is checked with the key that the archive\n"
      "has; keep a copy of signing.pub elsewhere and name it. `journal verify --archive` checks\n"
      "the journal with it.\n\n"
      "Exit codes: 0 all is well, 1 something is wrong, 2 wrong command line or settings.",
      arguments, run_verify);
  verify->add_flag("--json", arguments->json, "One JSON object");
  verify->add_option("--key", arguments->key, "Public key (PEM) that seals must be signed with")
      ->type_name("FILE");
  CLI::App* restore = add_action(
      *archive, exit_code, "restore", "Write segments as the journal had them, with their seals",
      "Into a directory that is made when missing; each file is checked before it gets its "
      "name.\n\n"
      "Examples:\n"
      "  trialwire archive restore --into /tmp/segments --from 1 --to 100000\n\n"
      "Exit codes: 0 written, 1 not, 2 wrong command line or settings.",
      arguments, run_restore);
  restore->add_option("--into", arguments->into, "Directory")->required();
  const CLI::Range sequences = sequence_range();
  restore->add_option("--from", arguments->from, "First sequence [the oldest]")->check(sequences);
  restore->add_option("--to", arguments->to, "Last sequence [the newest]")->check(sequences);
}

}  // namespace trialwire
