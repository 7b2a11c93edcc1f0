// SPDX-License-Identifier: Apache-2.0
// `trialwire db migrate | status | reference`: the database of store.url.
#include <cstdio>
#include <memory>

#include <fmt/format.h>

#include "commands.hpp"
#include "db_pages.hpp"
#include "exit_code.hpp"
#include "serve_options.hpp"
#include "settings_options.hpp"
#include "storage/sql/migrations.hpp"
#include "storage/sql/schema_page.hpp"
#include "storage/sql/store.hpp"

namespace trialwire {
namespace {

int failed(const storage::Store& store, const Error& error) {
  fmt::print(stderr, "trialwire: {}: {}\n", store.where(), error.text);
  return exit_failed;
}

int run_migrate(const storage::Store& store) {
  auto session = store.connect(storage::Access::write);
  if (!session) return failed(store, session.error());
  auto found = storage::migrate(**session);
  if (!found) return failed(store, found.error());
  fmt::print(
      "{}", migrated_text(store.where(), *found, storage::newest_migration((*session)->dialect())));
  return exit_ok;
}

int run_status(const storage::Store& store, bool json) {
  auto session = store.connect(storage::Access::read);
  if (!session) return failed(store, session.error());
  auto status = storage::store_status(**session);
  if (!status) return failed(store, status.error());
  fmt::print("{}", json ? store_status_json(store.where(), *status)
                        : store_status_text(store.where(), *status));
  return status->version_applied == status->version_known ? exit_ok : exit_failed;
}

/// A subcommand that works on the database of the settings; `run` returns its exit code.
template <typename Run>
CLI::App* add_action(CLI::App& db, int& exit_code, const char* name, const char* description,
                     const char* manual, Run run) {
  CLI::App* command = db.add_subcommand(name, description);
  command->footer(manual);
  auto options = add_settings_options(*command);
  command->callback([options, run, &exit_code] {
    auto settings = load_settings(*options);
    if (!settings) {
      exit_code = exit_usage;
      return;
    }
    auto store = storage::open_store(store_options(*settings, settings->data_dir));
    if (store) {
      exit_code = run(**store);
    } else {
      fmt::print(stderr, "trialwire: {}\n", store.error().text);
      exit_code = exit_usage;
    }
  });
  return command;
}

void add_migrate(CLI::App& db, int& exit_code) {
  add_action(db, exit_code, "migrate", "Bring the schema of the database up to date",
             "Applies the numbered steps that the database lacks, under a lock that one program\n"
             "holds at a time; with all of them there nothing is done. `trialwire serve` does the\n"
             "same when it opens the database: this is for those who want to do it before, with\n"
             "an account that may create tables (serve needs to read and insert only then).\n"
             "SQLite and PostgreSQL: all steps or none. MySQL and MariaDB: what a failure leaves\n"
             "undone the next attempt does. An SQLite file that is not there is made.\n\n"
             "Example:\n"
             "  trialwire db migrate --set store.url=postgres://owner:secret@db/trials\n\n"
             "Exit codes:\n"
             "  0  the schema is the one that this program knows\n"
             "  1  it is not: the database cannot be reached, refuses, or has a newer schema\n"
             "  2  wrong command line or settings",
             run_migrate);
}

void add_status(CLI::App& db, int& exit_code) {
  auto json = std::make_shared<bool>(false);
  CLI::App* command = add_action(
      db, exit_code, "status", "Say what the database has: schema, tables, cursors",
      "Version of the schema, applied and known to this program; of each table about how many\n"
      "rows it has, as the database's own statistics say (SQLite: the newest row id), which costs\n"
      "nothing and may be behind; and for each sink and lane up to where the journal is in the\n"
      "database. Changes nothing; may be asked while `trialwire serve` runs.\n\n"
      "Examples:\n"
      "  trialwire db status\n"
      "  trialwire db status --json --config trialwire.yaml\n\n"
      "Exit codes:\n"
      "  0  the schema is the one that this program knows\n"
      "  1  it is behind or newer, or the database cannot be reached\n"
      "  2  wrong command line or settings",
      [json](const storage::Store& store) { return run_status(store, *json); });
  command->add_flag("--json", *json, "One JSON object in place of the text");
}

void add_reference(CLI::App& db, int& exit_code) {
  CLI::App* command =
      db.add_subcommand("reference", "Print the page that explains the schema, as Markdown");
  command->footer(
      "Every table, every column with its meaning and its type in each database, and the\n"
      "statements of every migration: docs/schema.md of this version. Needs no database; settings\n"
      "that are given are checked and otherwise not used.\n\n"
      "Example:\n"
      "  trialwire db reference > docs/schema.md\n\n"
      "Exit codes: 0 done, 2 wrong command line or settings.");
  auto options = add_settings_options(*command);
  command->callback([options, &exit_code] {
    if (load_settings(*options)) {
      fmt::print("{}", storage::schema_markdown());
    } else {
      exit_code = exit_usage;
    }
  });
}

}  // namespace

void add_db_command(CLI::App& app, int& exit_code) {
  CLI::App* db = app.add_subcommand("db", "Migrate and inspect the database of store.url");
  db->require_subcommand(1);
  db->footer(
      "Examples:\n"
      "  trialwire db status\n"
      "  trialwire db migrate --config trialwire.yaml\n"
      "  trialwire db reference > docs/schema.md");
  add_migrate(*db, exit_code);
  add_status(*db, exit_code);
  add_reference(*db, exit_code);
}

}  // namespace trialwire
