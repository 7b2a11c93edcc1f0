// SPDX-License-Identifier: Apache-2.0
#include "fault/scenarios.hpp"

#include <functional>

#include "fault/lab.hpp"
#include "journal/offline.hpp"

namespace trialwire::fault {

using journal::block_bytes;
using journal::RecoveryCase;
using journal::sector_bytes;

namespace {

/// A stopped journal of some segments, its newest batch acknowledged and followed by nothing.
std::string with_journal(const std::function<void(Lab&)>& act, std::uint32_t records = 45) {
  Lab lab;
  if (lab.start()) {
    lab.append(records, 2'000);
    lab.stop();
    act(lab);
  }
  return lab.verdict.text();
}

std::string file_name(const std::string& path) {
  return std::filesystem::path(path).filename().string();
}

// --- damage: refused, named, untouched -----------------------------------------------------------

std::string a_bit_flipped_in_the_last_acknowledged_batch_is_refused() {
  return with_journal([](Lab& lab) {
    const auto last = lab.batches().back();
    lab.disk.flip_bit(last.path, (last.offset + last.head.header_bytes + 100) * 8 + 3);
    lab.expect_refusal({RecoveryCase::block_damaged, file_name(last.path), last.offset});
  });
}

std::string a_payload_that_does_not_match_its_hash_is_refused_though_its_blocks_do() {
  return with_journal([](Lab& lab) {
    // Block CRC, table CRC and head CRC are made right again: the hash alone can tell.
    const auto last = lab.batches().back();
    auto bytes = *lab.disk.contents(last.path);
    const auto batch = MutableBytes(bytes).subspan(last.offset, last.head.bytes());
    batch[last.head.header_bytes + 200] ^= std::byte{1};
    lab.reseal_without_payload_hash(batch, last.head);
    lab.disk.overwrite(last.path, std::move(bytes));
    lab.expect_refusal({RecoveryCase::block_damaged, file_name(last.path), last.offset});
  });
}

std::string a_zeroed_sector_in_a_middle_batch_is_refused() {
  return with_journal([](Lab& lab) {
    const auto middle = lab.batches()[10];
    lab.patch(middle.path, middle.offset + sector_bytes, support::FileBytes(sector_bytes));
    lab.expect_refusal({RecoveryCase::torn_but_followed, file_name(middle.path), middle.offset});
  });
}

std::string a_zeroed_header_in_the_middle_is_refused() {
  return with_journal([](Lab& lab) {
    const auto middle = lab.batches()[10];
    lab.patch(middle.path, middle.offset, support::FileBytes(sector_bytes));
    lab.expect_refusal({RecoveryCase::torn_but_followed, file_name(middle.path), middle.offset});
  });
}

std::string a_batch_whose_end_was_overwritten_with_nonsense_is_refused() {
  // Not torn: no sector of the block that does not match is still zero.
  return with_journal([](Lab& lab) {
    const auto last = lab.batches().back();
    lab.patch(last.path, last.offset + sector_bytes,
              support::FileBytes(sector_bytes, std::byte{7}));
    lab.expect_refusal({RecoveryCase::block_damaged, file_name(last.path), last.offset});
  });
}

std::string a_flipped_bit_in_a_header_is_refused() {
  return with_journal([](Lab& lab) {
    for (const auto& at : {lab.batches()[20], lab.batches().back()}) {
      const auto before = *lab.disk.contents(at.path);
      lab.disk.flip_bit(at.path, (at.offset + 40) * 8);
      lab.expect_refusal({RecoveryCase::header_damaged, file_name(at.path), at.offset});
      lab.disk.overwrite(at.path, before);
    }
  });
}

std::string a_header_of_nonsense_is_refused() {
  return with_journal([](Lab& lab) {
    const auto last = lab.batches().back();
    lab.patch(last.path, last.offset, support::FileBytes(sector_bytes, std::byte{0x55}));
    lab.expect_refusal({RecoveryCase::header_damaged, file_name(last.path), last.offset});
  });
}

std::string data_that_reaches_further_than_any_batch_without_a_header_is_refused() {
  Lab lab;
  lab.options.segment_bytes = 72U << 20U;  // the largest batch is 64 MiB
  if (!lab.start()) return lab.verdict.text();
  lab.wait_for_spare();
  lab.append(3);
  lab.stop();
  const auto last = lab.batches(false).back();
  const std::uint64_t tail = last.offset + last.head.bytes();
  const std::uint64_t end = lab.disk.contents(last.path)->size();
  lab.patch(last.path, tail + block_bytes,
            support::FileBytes(end - tail - block_bytes, std::byte{9}));
  lab.expect_refusal({RecoveryCase::data_without_header, file_name(last.path), tail});
  return lab.verdict.text();
}

std::string a_foreign_file_under_a_segment_s_name_is_refused() {
  return with_journal([](Lab& lab) {
    const std::string path = lab.segments()[1];
    lab.disk.overwrite(path,
                       support::FileBytes(lab.options.segment_bytes, static_cast<std::byte>('x')));
    lab.expect_refusal({RecoveryCase::foreign_file, file_name(path), 0});
  });
}

std::string a_segment_of_another_journal_is_refused() {
  return with_journal([](Lab& lab) {
    Lab other(2);
    if (!other.start()) return lab.verdict.fail("{}", other.verdict.text());
    other.append(45, 2'000);
    other.stop();
    const std::string path = lab.segments()[1];
    lab.disk.overwrite(path, *other.disk.contents(path));
    lab.expect_refusal({RecoveryCase::foreign_journal, file_name(path), 0});
  });
}

std::string a_batch_of_another_format_version_is_refused() {
  return with_journal([](Lab& lab) {
    const auto last = lab.batches().back();
    auto bytes = *lab.disk.contents(last.path);
    const auto batch = MutableBytes(bytes).subspan(last.offset, last.head.bytes());
    lab.set_version(batch, 2);
    lab.disk.overwrite(last.path, std::move(bytes));
    lab.expect_refusal({RecoveryCase::unsupported_version, file_name(last.path), last.offset});
  });
}

std::string a_batch_in_another_place_than_it_was_written_for_is_refused() {
  return with_journal(
      [](Lab& lab) {
        const auto last = lab.batches().back();
        const auto bytes = *lab.disk.contents(last.path);
        const std::uint64_t behind = last.offset + last.head.bytes();
        lab.patch(last.path, behind, ByteView(bytes).subspan(last.offset, last.head.bytes()));
        lab.expect_refusal({RecoveryCase::misplaced_batch, file_name(last.path), behind});
      },
      40);
}

std::string a_batch_that_does_not_carry_the_hash_before_it_is_refused() {
  return with_journal(
      [](Lab& lab) {
        auto place = lab.next_place();
        place.previous[5] ^= 1;
        const std::string path = lab.segments().back();
        lab.forge(path, place, 300);
        lab.expect_refusal({RecoveryCase::chain_broken, file_name(path), place.offset});
      },
      40);
}

std::string a_batch_that_does_not_go_on_with_the_sequence_is_refused() {
  return with_journal(
      [](Lab& lab) {
        auto place = lab.next_place();
        ++place.first_sequence;
        const std::string path = lab.segments().back();
        lab.forge(path, place, 300);
        lab.expect_refusal({RecoveryCase::sequence_gap, file_name(path), place.offset});
      },
      40);
}

std::string a_batch_of_an_earlier_epoch_is_refused() {
  Lab lab;
  for (int start = 0; start < 2; ++start) {
    if (!lab.start()) return lab.verdict.text();
    lab.append(5);
    lab.stop();
  }
  auto place = lab.next_place();
  place.epoch = lab.batches().front().head.epoch;
  const std::string path = lab.segments().back();
  lab.forge(path, place, 300);
  lab.expect_refusal({RecoveryCase::sequence_gap, file_name(path), place.offset});
  return lab.verdict.text();
}

std::string a_deleted_middle_segment_is_refused() {
  return with_journal([](Lab& lab) {
    const std::string path = lab.segments()[1];
    lab.disk.erase(path);
    lab.expect_refusal({RecoveryCase::segment_missing, file_name(path), {}});
  });
}

std::string a_deleted_first_segment_is_refused() {
  return with_journal([](Lab& lab) {
    const std::string path = lab.segments()[0];
    lab.disk.erase(path);
    lab.expect_refusal({RecoveryCase::segment_missing, file_name(path), {}});
  });
}

std::string a_truncated_segment_is_refused() {
  return with_journal([](Lab& lab) {
    for (const std::size_t size : {std::size_t{100}, std::size_t{0}, 3 * block_bytes}) {
      const std::string path = lab.segments()[1];
      const auto before = *lab.disk.contents(path);
      lab.disk.overwrite(
          path, support::FileBytes(before.begin(), before.begin() + static_cast<long>(size)));
      lab.expect_refusal({RecoveryCase::segment_size, file_name(path), {}});
      lab.disk.overwrite(path, before);
    }
  });
}

std::string a_seal_that_was_changed_is_refused() {
  return with_journal([](Lab& lab) {
    for (const std::string& path : lab.disk.paths()) {
      if (!path.ends_with(".seal")) continue;
      lab.disk.flip_bit(path, 8 * 30 + 1);
      return lab.expect_refusal({RecoveryCase::seal_wrong, file_name(path), {}});
    }
    lab.verdict.fail("there is no seal");
  });
}

std::string damaged_or_missing_metadata_is_refused() {
  return with_journal([](Lab& lab) {
    const auto good = lab.disk.snapshot();
    for (const char* name : {"journal.meta", "identity.key", "signing.key", "signing.pub"}) {
      const std::string path = std::string("/journal/") + name;
      const auto before = *lab.disk.contents(path);
      lab.disk.flip_bit(path, 8 * (before.size() / 2));
      lab.expect_refusal({RecoveryCase::metadata_damaged, name, {}});
      lab.disk.overwrite(path, before);
      lab.disk.erase(path);
      lab.expect_refusal({RecoveryCase::metadata_damaged, name, {}});
      lab.disk.restore(good);
      if (lab.verdict.failed()) return;
    }
  });
}

std::string a_disk_that_cannot_be_read_is_refused() {
  return with_journal([](Lab& lab) {
    // Any read of the start may fail; each must be refused or survived, none may lose anything.
    bool refused = false;
    for (std::uint64_t read = 1; read < 60 && !lab.verdict.failed(); ++read) {
      lab.disk.read_error_in(read);
      refused = lab.refuses_or_recovers(RecoveryCase::unreadable) || refused;
    }
    if (!refused) lab.verdict.fail("no failed read was refused");
  });
}

// --- cursors -------------------------------------------------------------------------------------

std::string a_directory_restored_from_yesterday_goes_on_but_refuses_the_newer_cursor() {
  Lab lab;
  if (!lab.start()) return lab.verdict.text();
  lab.append(10);
  lab.stop();
  const auto yesterday = lab.disk.snapshot();
  if (!lab.start()) return lab.verdict.text();
  const auto early = lab.journal().end();
  lab.append(10);
  const auto late = lab.journal().end();
  lab.stop();
  lab.disk.restore(yesterday);
  const auto copied = static_cast<std::size_t>(RecoveryCase::directory_copied);
  const auto hits = journal::recovery_hits();
  if (!lab.start()) return lab.verdict.text();
  if (journal::recovery_hits()[copied] == hits[copied]) {
    lab.verdict.fail("does not say that the directory was restored");
  }
  if (!lab.journal().read(early)) lab.verdict.fail("refuses a cursor that it has");
  const auto refused = lab.journal().read(late);
  if (refused || refused.error().code != ErrorCode::corrupt ||
      !refused.error().text.contains(std::to_string(late.next_sequence)) ||
      !refused.error().text.contains(std::to_string(early.next_sequence))) {
    lab.verdict.fail("the newer cursor: {}", refused ? "is taken" : refused.error().text);
  }
  const auto beyond = static_cast<std::size_t>(RecoveryCase::cursor_beyond_tail);
  if (journal::recovery_hits()[beyond] == hits[beyond]) lab.verdict.fail("is not counted");
  return lab.verdict.text();
}

std::string a_cursor_of_another_journal_is_refused_with_both_named() {
  Lab lab;
  if (!lab.start()) return lab.verdict.text();
  lab.append(3);
  const auto row = static_cast<std::size_t>(RecoveryCase::cursor_foreign);
  const auto hits = journal::recovery_hits()[row];
  const Uuid other = Uuid::random();
  const auto refused = lab.journal().read({other, 2});
  if (refused || refused.error().code != ErrorCode::corrupt ||
      !refused.error().text.contains(other.text()) ||
      !refused.error().text.contains(lab.journal().begin().journal.text())) {
    lab.verdict.fail("a foreign cursor: {}", refused ? "is taken" : refused.error().text);
  }
  if (journal::recovery_hits()[row] == hits) lab.verdict.fail("is not counted");
  return lab.verdict.text();
}

std::string a_torn_last_batch_that_a_consumer_has_read_is_refused() {
  return with_journal(
      [](Lab& lab) {
        const auto place = lab.next_place();
        const std::string path = lab.segments().back();
        lab.forge(path, place, 6'000);
        lab.patch(path, place.offset + block_bytes, support::FileBytes(sector_bytes));
        lab.options.consumers = [](const Uuid&) {
          return journal::Consumers{.cursors = {{"sql/0", 42}}};
        };
        lab.expect_refusal({RecoveryCase::cursor_beyond_tail, file_name(path), place.offset});
      },
      40);
}

// --- recovered -----------------------------------------------------------------------------------

std::string a_first_start_and_a_clean_one() {
  Lab lab;
  lab.expect_recovery(RecoveryCase::empty_directory);
  if (!lab.start()) return lab.verdict.text();
  lab.append(4);
  lab.stop();
  lab.expect_recovery(RecoveryCase::clean_tail);
  return lab.verdict.text();
}

std::string a_pre_written_segment_is_used() {
  Lab lab;
  if (!lab.start()) return lab.verdict.text();
  lab.append(3);
  lab.wait_for_spare();
  lab.stop();
  lab.expect_recovery(RecoveryCase::spare_segment);
  return lab.verdict.text();
}

std::string a_name_that_a_killed_process_left_is_durable_before_it_is_used() {
  Lab lab;
  if (!lab.start()) return lab.verdict.text();
  lab.append(3);
  lab.wait_for_spare();
  lab.stop();
  std::string spare;
  for (const std::string& path : lab.disk.paths()) {
    if (path.ends_with(".twj") && journal::all_zero(*lab.disk.contents(path))) spare = path;
  }
  // As if it had been renamed, and the process killed before it synced the directory.
  if (!lab.disk.rename(spare, spare + ".tmp") || !lab.disk.sync_directory("/journal") ||
      !lab.disk.rename(spare + ".tmp", spare)) {
    lab.verdict.fail("the disk renames nothing");
  }
  lab.expect_recovery(RecoveryCase::spare_segment);
  lab.disk.power_cut();
  lab.disk.restart();
  if (!lab.disk.contents(spare)) lab.verdict.fail("{} is gone after the power cut", spare);
  return lab.verdict.text();
}

std::string an_unfinished_file_is_deleted() {
  return with_journal([](Lab& lab) {
    const auto spare = lab.segments().front();
    lab.disk.put(spare + ".tmp", support::FileBytes(block_bytes));
    lab.disk.put("/journal/journal.meta.tmp", support::FileBytes(10, std::byte{'x'}));
    lab.expect_recovery(RecoveryCase::unfinished_file);
    if (lab.disk.contents("/journal/journal.meta.tmp")) lab.verdict.fail("it is still there");
  });
}

std::string a_torn_last_batch_is_cut_off_and_what_was_before_it_is_kept() {
  return with_journal(
      [](Lab& lab) {
        const auto place = lab.next_place();
        const std::string path = lab.segments().back();
        lab.forge(path, place, 6'000);
        lab.patch(path, place.offset + block_bytes, support::FileBytes(sector_bytes));
        lab.expect_recovery(RecoveryCase::torn_tail);
        lab.expect_recovery(RecoveryCase::clean_tail);
      },
      40);
}

std::string a_batch_torn_in_its_header_is_cut_off() {
  return with_journal(
      [](Lab& lab) {
        const auto place = lab.next_place();
        const std::string path = lab.segments().back();
        lab.forge(path, place, 6'000);
        lab.patch(path, place.offset, support::FileBytes(sector_bytes));
        lab.expect_recovery(RecoveryCase::torn_header);
        lab.expect_recovery(RecoveryCase::clean_tail);
      },
      40);
}

std::string a_tail_in_the_page_cache_is_written_again() {
  Lab lab(1, false);
  if (!lab.start()) return lab.verdict.text();
  lab.append(4);
  lab.stop();
  lab.expect_recovery(RecoveryCase::buffered_tail);
  return lab.verdict.text();
}

std::string a_journal_beside_another_s_records_goes_on_and_says_so() {
  return with_journal([](Lab& lab) {
    lab.options.consumers = [](const Uuid&) {
      return journal::Consumers{.others = {{"sql", Uuid::random().text(), 7}}};
    };
    lab.expect_recovery(RecoveryCase::other_journal);
  });
}

std::string a_missing_seal_is_made_again() {
  return with_journal([](Lab& lab) {
    std::string erased;
    for (const std::string& path : lab.disk.paths()) {
      if (erased.empty() && path.ends_with(".seal")) erased = path;
    }
    lab.disk.erase(erased);
    lab.expect_recovery(RecoveryCase::seal_missing);
    if (!lab.start()) return;
    lab.append(1);
    lab.stop();
    if (!lab.disk.contents(erased)) lab.verdict.fail("{} is not made again", erased);
  });
}

std::string a_file_that_is_not_the_journal_s_is_left_alone() {
  return with_journal([](Lab& lab) {
    lab.disk.put("/journal/notes.txt", support::FileBytes(10, std::byte{'n'}));
    lab.expect_recovery(RecoveryCase::unknown_file);
    if (!lab.disk.contents("/journal/notes.txt")) lab.verdict.fail("it was deleted");
  });
}

std::string a_repaired_journal_goes_on_behind_its_gap_and_keeps_the_rest() {
  return with_journal([](Lab& lab) {
    const auto middle = lab.batches()[10];
    lab.disk.flip_bit(middle.path, (middle.offset + middle.head.header_bytes + 50) * 8);
    lab.expect_refusal({RecoveryCase::block_damaged, file_name(middle.path), middle.offset});
    const auto repaired = journal::journal_repair("/journal", lab.disk, {.apply = true});
    if (!repaired) return lab.verdict.fail("cannot repair: {}", repaired.error().text);
    const auto row = static_cast<std::size_t>(RecoveryCase::repaired_gap);
    const auto hits = journal::recovery_hits()[row];
    if (!lab.start()) return;
    if (journal::recovery_hits()[row] == hits) lab.verdict.fail("the gap is not counted");
    lab.append(1);
    auto sequences = lab.read_sequences();
    std::vector<std::uint64_t> expected;
    for (std::uint64_t i = 1; i <= 46; ++i) {
      if (i != middle.head.first_sequence) expected.push_back(i);
    }
    if (sequences != expected) {
      lab.verdict.fail("{} of {} records are left", sequences.size(), expected.size());
    }
  });
}

std::string a_second_journal_on_the_same_directory_is_refused() {
  Lab lab;
  if (!lab.start()) return lab.verdict.text();
  lab.append(2);
  const auto before = lab.disk.snapshot();
  telemetry::Registry metrics;
  const auto second = journal::Journal::open(lab.options, lab.disk, metrics);
  if (second || second.error().code != ErrorCode::unavailable) {
    lab.verdict.fail("opens twice: {}", second ? "yes" : second.error().text);
  }
  if (lab.disk.snapshot() != before) lab.verdict.fail("the second one changed files");
  return lab.verdict.text();
}

constexpr Scenario all[] = {
#define SCENARIO(name) \
  Scenario {           \
    #name, name        \
  }
    SCENARIO(a_bit_flipped_in_the_last_acknowledged_batch_is_refused),
    SCENARIO(a_payload_that_does_not_match_its_hash_is_refused_though_its_blocks_do),
    SCENARIO(a_zeroed_sector_in_a_middle_batch_is_refused),
    SCENARIO(a_zeroed_header_in_the_middle_is_refused),
    SCENARIO(a_batch_whose_end_was_overwritten_with_nonsense_is_refused),
    SCENARIO(a_flipped_bit_in_a_header_is_refused),
    SCENARIO(a_name_that_a_killed_process_left_is_durable_before_it_is_used),
    SCENARIO(a_header_of_nonsense_is_refused),
    SCENARIO(data_that_reaches_further_than_any_batch_without_a_header_is_refused),
    SCENARIO(a_foreign_file_under_a_segment_s_name_is_refused),
    SCENARIO(a_segment_of_another_journal_is_refused),
    SCENARIO(a_batch_of_another_format_version_is_refused),
    SCENARIO(a_batch_in_another_place_than_it_was_written_for_is_refused),
    SCENARIO(a_batch_that_does_not_carry_the_hash_before_it_is_refused),
    SCENARIO(a_batch_that_does_not_go_on_with_the_sequence_is_refused),
    SCENARIO(a_batch_of_an_earlier_epoch_is_refused),
    SCENARIO(a_deleted_middle_segment_is_refused),
    SCENARIO(a_deleted_first_segment_is_refused),
    SCENARIO(a_truncated_segment_is_refused),
    SCENARIO(a_seal_that_was_changed_is_refused),
    SCENARIO(damaged_or_missing_metadata_is_refused),
    SCENARIO(a_disk_that_cannot_be_read_is_refused),
    SCENARIO(a_directory_restored_from_yesterday_goes_on_but_refuses_the_newer_cursor),
    SCENARIO(a_cursor_of_another_journal_is_refused_with_both_named),
    SCENARIO(a_torn_last_batch_that_a_consumer_has_read_is_refused),
    SCENARIO(a_journal_beside_another_s_records_goes_on_and_says_so),
    SCENARIO(a_first_start_and_a_clean_one),
    SCENARIO(a_pre_written_segment_is_used),
    SCENARIO(an_unfinished_file_is_deleted),
    SCENARIO(a_torn_last_batch_is_cut_off_and_what_was_before_it_is_kept),
    SCENARIO(a_batch_torn_in_its_header_is_cut_off),
    SCENARIO(a_tail_in_the_page_cache_is_written_again),
    SCENARIO(a_missing_seal_is_made_again),
    SCENARIO(a_file_that_is_not_the_journal_s_is_left_alone),
    SCENARIO(a_repaired_journal_goes_on_behind_its_gap_and_keeps_the_rest),
    SCENARIO(a_second_journal_on_the_same_directory_is_refused),
#undef SCENARIO
};

}  // namespace

std::span<const Scenario> scenarios() {
  return all;
}

}  // namespace trialwire::fault
