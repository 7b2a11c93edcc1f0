// SPDX-License-Identifier: Apache-2.0
// Settings of the journal, of its archive, of retries and of the database.
#include "config/schema_rows.hpp"

namespace trialwire::config::schema {

void add_journal(std::vector<Descriptor>& rows) {
  using J = JournalSettings;
  rows.push_back(row<&S::journal, &J::sync>(
      "journal.sync", choice(sync_names),
      "When a batch is on disk before it is acknowledged; none wants allow_unsafe, and receipts "
      "then say \"durable\":false."));
  rows.push_back(row<&S::journal, &J::io>(
      "journal.io", choice(io_names),
      "Direct writes, through the page cache, or direct where the file system takes them."));
  rows.push_back(row<&S::journal, &J::ack>(
      "journal.ack", choice(ack_names),
      "Who must have a record before it is acknowledged: this machine's disk, or Kafka's in-sync "
      "replicas as well."));
  rows.push_back(row<&S::journal, &J::segment_bytes>(
      "journal.segment_bytes", bytes(mib, 4 * gib),
      "Size of a segment file, a multiple of 4KiB, at least twice limits.inflated_body."));
  rows.push_back(row<&S::journal, &J::max_bytes>(
      "journal.max_bytes", bytes(4 * mib, 1024 * tib),
      "Disk budget, at least four segments: over it the oldest delivered segments go whatever "
      "their age."));
  constexpr Constraint share{.kind = Kind::percent, .minimum = 1, .maximum = 100};
  rows.push_back(row<&S::journal, &J::undelivered_high>(
      "journal.undelivered_high", share,
      "Share of journal.max_bytes that the sink furthest behind may lack; from there on requests "
      "are answered 503, until it is at journal.undelivered_low."));
  rows.push_back(row<&S::journal, &J::undelivered_low>(
      "journal.undelivered_low", share,
      "Share of journal.max_bytes at which they are accepted again."));
  rows.push_back(row<&S::journal, &J::retention>(
      "journal.retention", duration(0, 100 * year),
      "How long delivered segments are kept, unless journal.max_bytes or a full disk wants their "
      "room."));
  rows.push_back(row<&S::journal, &J::batch_bytes>(
      "journal.batch_bytes", bytes(64 * kib, 64 * mib),
      "Soft limit of a batch; the records of one request are never split."));
  rows.push_back(
      row<&S::journal, &J::recent_bytes>("journal.recent_bytes", bytes(mib, 16 * gib),
                                         "Recent batches kept in memory for sinks that keep up."));
  rows.push_back(row<&S::journal, &J::commit_bytes>("journal.commit_bytes", bytes(kib, 16 * mib),
                                                    "A commit starts when so much waits."));
  rows.push_back(row<&S::journal, &J::commit_interval>(
      "journal.commit_interval", duration(0, second),
      "A commit starts so long after the last one started, when more than one request waits; one "
      "alone waits for no other."));
  rows.push_back(row<&S::journal, &J::silence>(
      "journal.silence", duration(ms, hour),
      "After so long without a record an empty batch seals the last one."));
  rows.push_back(row<&S::journal, &J::scrub_bytes_per_second>(
      "journal.scrub_bytes_per_second", bytes(0, 10 * gib),
      "Rate at which segments at rest are verified; 0 is off."));
}

void add_archive(std::vector<Descriptor>& rows) {
  using A = ArchiveSettings;
  rows.push_back(row<&S::archive, &A::url>(
      "archive.url", {.kind = Kind::url},
      "Object store of full segments, which are deleted from the journal only after: file:PATH. A "
      "path that begins with data/ is in data_dir; empty is off.",
      true));
  rows.push_back(row<&S::archive, &A::keep>(
      "archive.keep", duration(hour, 200 * year),
      "How long archived segments are kept; only what is older is ever removed."));
  rows.push_back(
      row<&S::archive, &A::level>("archive.level", integer(1, 19), "Level of compression (zstd)."));
  rows.push_back(
      row<&S::archive, &A::rate>("archive.rate", bytes(0, 100 * gib),
                                 "Bytes of segments archived a second; 0 is as fast as it goes. It "
                                 "does not hold while what is "
                                 "not archived takes more than half of journal.max_bytes."));
}

void add_stores(std::vector<Descriptor>& rows) {
  using D = DedupeSettings;
  rows.push_back(row<&S::dedupe, &D::window>(
      "dedupe.window", duration(0, 100 * year),
      "How long a retry is recognised at intake; 0 is off (SQL stays single by its keys)."));
  rows.push_back(row<&S::dedupe, &D::memory>(
      "dedupe.memory", bytes(mib, 64 * gib),
      "Memory of the identity index. 64MiB recognise the newest 17.9 million records within the "
      "window, each of them; 156MiB 50 million. The identities themselves are on disk."));
  rows.push_back(row<&S::dedupe, &D::key_file>(
      "dedupe.key_file", {.kind = Kind::text},
      "Key of identities of all gateways of one database, so that a retry at another one adds no "
      "row: a copy of the first one's journal/identity.key. A new journal takes it and keeps it; "
      "empty: it makes its own."));
  rows.push_back(row<&S::store, &StoreSettings::url>(
      "store.url", {.kind = Kind::url, .minimum = 1},
      "Database of the records: sqlite:PATH (a path that begins with data/ is in data_dir), "
      "postgres://USER:PASSWORD@HOST:PORT/DATABASE or mysql://USER:PASSWORD@HOST:PORT/DATABASE; "
      "what is special in a URL is percent-encoded.",
      true));
  rows.push_back(row<&S::store, &StoreSettings::connect_timeout>(
      "store.connect_timeout", duration(100 * ms, 600 * second),
      "A database server that has not let us in for so long is away."));
  rows.push_back(row<&S::store, &StoreSettings::statement_timeout>(
      "store.statement_timeout", duration(second, hour),
      "A sink's statement that takes longer ends; its records come again in smaller deliveries. "
      "Not "
      "of SQLite."));
}

}  // namespace trialwire::config::schema
