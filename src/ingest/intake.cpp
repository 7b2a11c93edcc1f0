// SPDX-License-Identifier: Apache-2.0
#include "ingest/intake.hpp"

#include <algorithm>
#include <cstring>

#include <simdjson.h>

#include "telemetry/trace/tracer.hpp"

namespace trialwire::ingest {
namespace {

constexpr Refusal bad_gzip{ErrorCode::invalid_argument, "", Rule::encoding,
                           "the body is not valid gzip"};
constexpr Refusal too_large{ErrorCode::payload_too_large, "", Rule::length,
                            "the body is too large after gzip is inflated"};
constexpr Refusal too_many{ErrorCode::payload_too_large, "", Rule::length,
                           "too many records in one request"};

constexpr Refusal too_large_to_store{ErrorCode::payload_too_large, "", Rule::length,
                                     "the records of one request are too large to be stored "
                                     "together; send fewer at once"};

/// Drops an open group when something throws between `begin` and `end`.
class OpenGroup {
 public:
  OpenGroup(journal::Appender& appender, journal::GroupMode mode) : appender_(appender) {
    appender_.begin(mode);
  }
  OpenGroup(const OpenGroup&) = delete;
  OpenGroup& operator=(const OpenGroup&) = delete;
  ~OpenGroup() {
    if (open_) appender_.cancel();
  }
  std::uint64_t end(journal::Waiter& waiter) {
    open_ = false;
    return appender_.end(waiter);
  }

 private:
  journal::Appender& appender_;
  bool open_ = true;
};

bool is_space(char c) noexcept {
  return c == ' ' || c == '\t' || c == '\r';
}

std::string_view trim_line(std::string_view line) noexcept {
  while (!line.empty() && is_space(line.front())) line.remove_prefix(1);
  while (!line.empty() && is_space(line.back())) line.remove_suffix(1);
  return line;
}

void add_syntax_error(FieldErrors& errors, const JsonReader& reader) {
  errors.clear();  // what was found before the fault may be its consequence
  errors.add({}, Rule::syntax, "not valid JSON: {} at byte {}", describe(reader.fault()),
             reader.offset());
}

constexpr std::string_view not_own = "is not what the token is for";
constexpr std::string_view not_named =
    "must be named: the token is only for certain patients, studies or sites";
constexpr std::string_view not_nameable =
    "records of this kind do not name what the token is limited to";
constexpr std::string_view not_utf8 = "must be UTF-8";
constexpr std::string_view not_object = "must be a JSON object";

bool is_named(const auth::About& about, auth::Foreign what) noexcept {
  if (what == auth::Foreign::study) return !about.study.empty();
  if (what == auth::Foreign::site) return !about.site.empty();
  return !about.patient.empty();
}

/// What was wrong in the end: a fault in the text has taken the place of what came before it.
ErrorCode code_of(const FieldErrors& errors) noexcept {
  return errors.count(Rule::forbidden) != 0 ? ErrorCode::forbidden : ErrorCode::invalid_argument;
}

}  // namespace

IntakeShard::IntakeShard(const IntakeOptions& intake_options, journal::Appender& to)
    : options(intake_options),
      appender(to),
      identity_key(to.identity_key()),
      json_depth_max(std::min(intake_options.json_depth_max, json_depth_limit)),
      unknown_names(identity_key),
      item_names(identity_key),
      nested_names(identity_key),
      errors(intake_options.errors_max) {}

struct Intake::Job {
  net::Exchange& exchange;
  RequestHead head;
  DecodeContext context;
  IdentityScope scope;
  std::uint64_t records = 0;         // read so far, valid or not
  std::uint64_t unknown_fields = 0;  // of the valid ones
  bool forbidden = false;            // a line that was rejected was not theirs to write
  std::string_view subject_json;     // of the last one
  std::int64_t began_unix_ns = 0;    // of one that is traced
};

void Intake::handle(net::Exchange& exchange, std::int64_t received_ns) {
  const net::Request& request = exchange.request();
  Job job{
      exchange,
      {},
      {shard_.errors, shard_.scratch, shard_.unknown_names, shard_.item_names,
       shard_.options.unknown_fields, shard_.options.object_fields_max, received_ns,
       &shard_.nested_names},
      {shard_.identity_key, exchange.principal().name, decoder_.kind(), {}, shard_.identity_text}};
  if (exchange.trace() != nullptr) [[unlikely]]
    job.began_unix_ns = telemetry::span_clock_ns();
  shard_.errors.clear();
  shard_.rejected.clear();
  shard_.pending.clear();
  auto head = read_request_head(request);
  if (!head) return refuse(job, head.error());
  job.head = *head;
  job.scope.idempotency_key = head->idempotency_key;

  std::string_view text = request.body;
  std::size_t padding = net::body_padding;
  if (head->gzip) {
    auto inflated = shard_.inflater.inflate(text, shard_.options.inflated_bytes_max);
    if (!inflated) {
      bool large = inflated.error().code == ErrorCode::payload_too_large;
      refuse(job, large ? too_large : bad_gzip);
      shard_.inflater.shrink(shard_.options.inflate_buffer_retained_bytes);
      return;
    }
    text = *inflated;
    padding = Inflater::padding;
  }
  metrics_.body(request.body.size(), text.size(), head->gzip);
  if (auto admitted = shard_.appender.admit(text.size()); !admitted) {
    metrics_.refused(admitted.error().code, 1);
    exchange.fail(admitted.error());
  } else if (head->media_type == MediaType::ndjson) {
    read_lines(job, text, padding);
  } else {
    read_document(job, text, padding);
  }
  if (head->gzip) shard_.inflater.shrink(shard_.options.inflate_buffer_retained_bytes);
}

/// False when the JSON is malformed. A valid record joins `pending`.
bool Intake::read_record(Job& job, JsonReader& reader, std::uint32_t place) {
  ++job.records;
  FieldErrors& errors = shard_.errors;
  if (reader.peek() != '{') {
    if (!reader.skip_value()) return false;
    errors.add({}, Rule::type, "{}", not_object);
    return true;
  }
  shard_.scratch.begin();
  const char* start = reader.position();
  std::uint64_t errors_before = errors.total();
  Decoded record;
  if (!decoder_.decode(reader, job.context, record)) return false;
  if (errors.total() != errors_before) return true;
  check_owner(job, record.about);
  if (errors.total() != errors_before) return true;
  std::string_view bytes = reader.since(start);
  if (bytes.size() > shard_.options.record_bytes_max) {
    errors.add({}, Rule::length, "a record must be at most {} bytes",
               shard_.options.record_bytes_max);
    return true;
  }
  shard_.pending.push_back({bytes, identify(job.scope, record, bytes, place), place,
                            key_hash(record.key), record.flags});
  job.subject_json = record.subject_json;
  job.unknown_fields += record.unknown_fields;
  return true;
}

/// Who writes for one patient, study or site writes for no other, however the record came.
void Intake::check_owner(Job& job, const auth::About& about) {
  const auth::Foreign foreign = auth::foreign(job.exchange.principal(), about);
  if (foreign == auth::Foreign::none) [[likely]]
    return;
  const AboutFields fields = decoder_.about_fields();
  std::string_view field = fields.patient;
  if (foreign == auth::Foreign::study) field = fields.study;
  if (foreign == auth::Foreign::site) field = fields.site;
  std::string_view message = is_named(about, foreign) ? not_own : not_named;
  if (field.empty()) message = not_nameable;
  shard_.errors.add(field, Rule::forbidden, "{}", message);
}

void Intake::read_document(Job& job, std::string_view text, std::size_t padding) {
  FieldErrors& errors = shard_.errors;
  if (!simdjson::validate_utf8(text)) {
    ++job.records;
    errors.add({}, Rule::encoding, "{}", not_utf8);
    return answer_errors(job);
  }
  JsonReader reader(text, padding, shard_.json_depth_max);
  char first = reader.peek();
  BodyForm form = first == '[' ? BodyForm::array : BodyForm::object;
  if (reader.offset() == text.size()) {
    errors.add({}, Rule::required, "a body is required");
    return answer_errors(job);
  }
  if (form == BodyForm::array) {
    if (!read_elements(job, reader)) return refuse(job, too_many);
    errors.set_element(FieldErrors::no_element);
  } else {
    read_record(job, reader, 0);
  }
  if (!reader.at_end()) add_syntax_error(errors, reader);
  if (errors.empty() && shard_.pending.empty()) {
    errors.add({}, Rule::required, "the array must hold at least one record");
  }
  if (!errors.empty()) return answer_errors(job);
  append(job, form);
}

/// False when there are more elements than one request may have.
bool Intake::read_elements(Job& job, JsonReader& reader) {
  if (!reader.open('[')) return true;
  bool first = true;
  for (std::uint32_t index = 0; reader.next_element(first); ++index) {
    if (index == shard_.options.records_max) return false;
    shard_.errors.set_element(index);
    if (!read_record(job, reader, index)) break;
  }
  return true;
}

void Intake::read_lines(Job& job, std::string_view text, std::size_t padding) {
  // One bad line must not spoil the others, but nearly always none is.
  bool encoding_known = simdjson::validate_utf8(text);
  std::string_view rest = text;
  for (std::uint32_t number = 1; !rest.empty(); ++number) {
    const void* found = std::memchr(rest.data(), '\n', rest.size());
    std::size_t bytes =
        found == nullptr ? rest.size()
                         : static_cast<std::size_t>(static_cast<const char*>(found) - rest.data());
    std::string_view line = trim_line(rest.substr(0, bytes));
    rest.remove_prefix(std::min(bytes + 1, rest.size()));
    if (line.empty()) continue;
    if (job.records == shard_.options.records_max) return refuse(job, too_many);
    auto readable = static_cast<std::size_t>(text.data() + text.size() - line.data());
    read_line(job, line, readable - line.size() + padding, number, encoding_known);
  }
  if (!shard_.pending.empty()) {
    metrics_.invalid(shard_.rejected.lines());
    return append(job, BodyForm::ndjson);
  }
  if (shard_.rejected.lines() == 0) {
    shard_.errors.add({}, Rule::required, "the body must hold at least one line");
    return answer_errors(job);
  }
  metrics_.invalid(shard_.rejected.lines());
  const ErrorCode code = job.forbidden ? ErrorCode::forbidden : ErrorCode::invalid_argument;
  metrics_.refused(code, 0);
  answer_nothing_accepted(job.exchange.writer(), code, shard_.rejected.view(),
                          shard_.options.errors_max, shard_.text);
}

void Intake::read_line(Job& job, std::string_view line, std::size_t padding, std::uint32_t number,
                       bool encoding_known) {
  FieldErrors& errors = shard_.errors;
  std::size_t pending = shard_.pending.size();
  if (!encoding_known && !simdjson::validate_utf8(line)) {
    ++job.records;
    errors.add({}, Rule::encoding, "{}", not_utf8);
  } else {
    JsonReader reader(line, padding, shard_.json_depth_max);
    read_record(job, reader, number);
    if (!reader.at_end()) add_syntax_error(errors, reader);
  }
  if (errors.empty()) return;
  shard_.pending.resize(pending);  // text after a valid record spoils it
  if (code_of(errors) == ErrorCode::forbidden) job.forbidden = true;
  shard_.rejected.add(number, errors, shard_.options.errors_max);
  metrics_.errors(errors);
  errors.clear();
}

void Intake::append(Job& job, BodyForm form) {
  std::vector<PendingRecord>& pending = shard_.pending;
  auto count = static_cast<std::uint32_t>(pending.size());
  const net::ConnectionInfo& connection = job.exchange.connection();
  journal::Record record;
  journal::RecordAttributes& attributes = record.attributes;
  attributes.kind = decoder_.kind();
  attributes.content_type = decoder_.content_type();
  attributes.received_ns = job.context.received_ns;
  attributes.principal = job.exchange.principal().name;
  attributes.origin = connection.origin;
  attributes.traceparent = job.head.traceparent;
  const telemetry::RequestTrace* trace = job.exchange.trace();
  telemetry::TraceparentText parent;
  std::int64_t decoded_unix_ns = 0;
  if (trace != nullptr) [[unlikely]] {
    decoded_unix_ns = telemetry::span_clock_ns();
    trace->child("decode", {job.began_unix_ns, decoded_unix_ns}, {{"trialwire.records", count}});
    // What is done with the record is done for this request.
    parent = telemetry::traceparent_of(trace->context);
    attributes.traceparent = {parent.data(), parent.size()};
  }
  if (form == BodyForm::array) {
    attributes.submission =
        submission_id(shard_.identity_key, pending.front().identity.identity, count);
    attributes.submission_count = count;
  }
  OpenGroup group(shard_.appender, form == BodyForm::ndjson ? journal::GroupMode::each
                                                            : journal::GroupMode::all_or_none);
  for (std::uint32_t i = 0; i < count; ++i) {
    const PendingRecord& one = pending[i];
    attributes.flags = one.flags;
    attributes.key_hash = one.key_hash;
    attributes.identity = one.identity.identity;
    attributes.content_hash = one.identity.content_hash;
    if (form == BodyForm::array) {
      attributes.submission_index = i;
      if (one.identity.by_request_key) {
        attributes.content_hash =
            content_hash_with_count(shard_.identity_key, one.identity.content_hash, count);
      }
    }
    record.bytes = as_bytes(one.bytes);
    shard_.appender.add(record);
    if (one.flags != 0) metrics_.flagged();
  }
  if (!shard_.appender.fits()) return refuse(job, too_large_to_store);
  if (form != BodyForm::object) metrics_.request_records(count);
  if (job.unknown_fields != 0) metrics_.unknown_fields(job.unknown_fields);
  AnswerContent content = answer_content(job, form);
  content.trace = trace;
  content.appended_unix_ns = decoded_unix_ns;
  auto& answer = job.exchange.defer<IntakeAnswer>(answer_context_, content);
  answer.set_ticket(group.end(answer));
}

/// What the answer needs, copied to where it outlives the request.
AnswerContent Intake::answer_content(Job& job, BodyForm form) {
  net::Exchange& exchange = job.exchange;
  const std::vector<PendingRecord>& pending = shard_.pending;
  AnswerContent content{form, static_cast<std::uint32_t>(pending.size()),
                        shard_.options.errors_max};
  if (form == BodyForm::object && !form_.object_tail.empty()) {
    content.subject_json = exchange.keep(job.subject_json);
  }
  RecordPlace first{pending.front().place, pending.front().identity.by_request_key};
  content.first_place = first;
  bool regular = true;
  for (std::uint32_t i = 0; i < content.records; ++i) {
    regular = regular && pending[i].place == first.number + i &&
              pending[i].identity.by_request_key == first.by_request_key;
  }
  if (!regular) {
    shard_.places.clear();
    for (const PendingRecord& one : pending) {
      shard_.places.push_back({one.place, one.identity.by_request_key});
    }
    content.places = exchange.keep({reinterpret_cast<const char*>(shard_.places.data()),
                                    shard_.places.size() * sizeof(RecordPlace)});
  }
  if (shard_.rejected.lines() != 0) {
    RejectedView rejected = shard_.rejected.view();
    content.rejected = {exchange.keep(rejected.bytes), exchange.keep(rejected.text)};
  }
  return content;
}

void Intake::answer_errors(Job& job) {
  FieldErrors& errors = shard_.errors;
  metrics_.errors(errors);
  metrics_.invalid(job.records);
  const ErrorCode code = code_of(errors);
  metrics_.refused(code, 0);
  std::string& text = shard_.text;
  text.clear();
  errors.append_json(text);
  std::string summary;
  errors.append_summary(summary);
  job.exchange.writer().problem(code, summary, text);
}

void Intake::refuse(Job& job, const Refusal& refusal) {
  FieldErrors& errors = shard_.errors;
  errors.clear();
  errors.add(refusal.field, refusal.rule, "{}", refusal.message);
  metrics_.refused(refusal.code, job.records);
  std::string& text = shard_.text;
  text.clear();
  errors.append_json(text);
  std::string summary;
  errors.append_summary(summary);
  net::ResponseWriter& writer = job.exchange.writer();
  if (!refusal.accepted_encodings.empty()) {
    writer.start(traits(refusal.code).http).header("Accept-Encoding", refusal.accepted_encodings);
    return writer.problem_body(summary, text);
  }
  writer.problem(refusal.code, summary, text);
}

}  // namespace trialwire::ingest
