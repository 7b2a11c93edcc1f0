// SPDX-License-Identifier: Apache-2.0
// What the destinations of this machine's journal say of it: the database's cursors, Kafka's, the
// lanes that their number changed for, and the notes of how far each sink was. A server asks at its
// start, the journal's commands ask of one that is stopped.
#pragma once
#include <filesystem>

#include "config/settings.hpp"
#include "journal/consumers.hpp"
#include "storage/sql/store.hpp"

namespace trialwire {

/// By the roles and destinations of the settings; waits 2 s for a database. `access` is `read` of a
/// server, which has SQLite's files made when they are missing, or `at_rest`, which makes nothing.
/// A database that does not answer has nothing taken for durable, and is named as silent.
journal::AskConsumers journal_consumers(const config::Settings& settings, storage::Access access);

}  // namespace trialwire
