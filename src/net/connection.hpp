// SPDX-License-Identifier: Apache-2.0
// One HTTP/1.1 connection: a coroutine that reads into the shard's buffer, has every complete
// request answered, waits until all answers are ready and writes them together. Shard's thread
// only.
//
// | it waits for | time limit | ends by |
// | --- | --- | --- |
// | a first byte | idle | closing silently |
// | the end of a TLS handshake | header | closing silently |
// | the rest of a head | header | 408 |
// | the rest of a body | body | 408 |
// | answers | deadline, or what the client says | 504 for those that are missing |
// | the client to take answers | write | closing |
// | the client to close, after a refusal | linger | closing |
//
// Bounds: while answers are awaited or unsent nothing is read, so one connection holds at most one
// read (256 KiB, or one body) unanswered, and answers of `connection_unacknowledged_bytes_max` and
// one more unsent. Idle, it holds no buffer.
//
// It owns its socket and itself: `open` starts it, its coroutine's end destroys it.
#pragma once
#include <coroutine>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "net/byte_buffer.hpp"
#include "net/chunked.hpp"
#include "net/exchange.hpp"
#include "net/listener.hpp"
#include "net/read_context.hpp"
#include "net/task.hpp"
#include "net/timeouts.hpp"
#include "net/tls.hpp"
#include "runtime/shard.hpp"

namespace trialwire::net {

class Connection final : public runtime::Watcher,
                         public runtime::Runnable,
                         public AnswersWaiter,
                         public ConnectionHook,
                         public OverloadHook,
                         public TimeoutHook {
 public:
  /// What a listener took in.
  struct Accepted {
    int socket;
    std::string origin;
    Hash128 address;                  // its peer's, as the admission knows it
    std::unique_ptr<TlsSession> tls;  // null: plain
  };
  /// Begins to serve; may have ended when it returns.
  static void open(Listener& listener, Accepted accepted);

  void ready(std::uint32_t events) noexcept override;
  void run() noexcept override;
  void answers_ready() noexcept override { listener_.shard().soon(*this); }

  // Each of these may end and destroy the connection.
  void expire() noexcept;
  void permit() noexcept;
  void kill() noexcept;
  /// Closes now if no request is under way.
  void drain() noexcept;

  void finished() noexcept;  // called by the coroutine's end

 private:
  enum class Wait : std::uint8_t { none, readable, writable, answers, permission, turn };
  /// What the buffer `in_` holds.
  enum class Partial : std::uint8_t { none, head, sized_body, chunked_body, whole_requests };

  struct Until;
  Connection(Listener& listener, Accepted accepted) noexcept;
  ~Connection();

  Task<Connection> serve();
  Until until(Wait what) noexcept;
  bool due(Wait what) const noexcept;
  void resume_if_due() noexcept;

  // connection_input.cpp: from the socket to requests.
  void arm_for_input() noexcept;
  bool take_in();
  bool take_in_body();
  void take_in_chunks(char* data, std::size_t size);
  void parse(char* data, std::size_t size, std::size_t kept);
  std::size_t take_request(char* at, std::size_t size);
  void hold(Partial kind, std::string_view first, std::string_view second, std::size_t expected);
  void drop_input() noexcept;
  void account() noexcept;
  bool accepts_body();
  void give_up_input();

  // connection_answers.cpp: from requests to answers.
  std::size_t match_route();
  void dispatch(std::string_view body, bool last_of_read);
  void fill_request(std::string_view body) noexcept;
  bool let_in(Admitted& admitted);
  bool begin_answer(const Admitted& admitted, bool close);
  const auth::Principal* admit();
  bool admitted_before_its_body();
  void answer_without_handler();
  bool hand_over(const auth::Principal& principal, const Admitted& admitted);
  bool call_handler(const auth::Principal& principal, const Admitted& admitted);
  bool hurried() const noexcept;
  std::uint32_t patience_ms() noexcept;
  void settle(std::size_t mark, bool deferred);
  void follow(HttpExchange& exchange) noexcept;
  void answered(const RequestTraces::Answered& answer, double seconds,
                const telemetry::RequestTrace* trace);
  void refuse(Refusal refusal);
  void hold_output();
  void arm_for_answers(std::int64_t since_ns) noexcept;
  void give_up_answers(std::int64_t since_ns);
  bool render();
  void count_abandoned() noexcept;
  void end_call(AnswerSlot& slot, Status status) noexcept;
  void render_slot(AnswerSlot& slot);

  // connection_io.cpp: bytes, plain or through TLS.
  long receive(char* to, std::size_t room) noexcept;
  long receive_plain(char* to, std::size_t room) noexcept;
  long receive_tls(char* to, std::size_t room) noexcept;
  std::size_t put(std::string_view bytes) noexcept;
  std::size_t put_plain(std::string_view bytes) noexcept;
  std::size_t put_tls(std::string_view bytes) noexcept;
  void send_output() noexcept;
  void send_unsent() noexcept;
  bool linger_over() noexcept;

  bool idle() const noexcept { return partial_ == Partial::none && context_ == nullptr; }

  Listener& listener_;
  ConnectionInfo info_;
  const Hash128 address_;
  std::coroutine_handle<> frame_;
  ReadContext* context_ = nullptr;  // of the read that is being answered
  ByteBuffer in_;                   // an incomplete request
  ByteBuffer unsent_;               // what the socket did not take
  std::size_t unsent_from_ = 0;
  std::size_t expected_ = 0;    // bytes of the whole sized request in `in_`
  std::size_t head_bytes_ = 0;  // of the chunked request in `in_`
  std::size_t progress_ = 0;    // body bytes since the time limit began
  std::size_t accounted_ = 0;
  std::size_t lingered_ = 0;
  std::int64_t read_ns_ = 0;
  std::optional<RateNote> rate_;  // of the request whose body is waited for
  ChunkDecoder chunks_;
  std::unique_ptr<TlsSession> tls_;  // null: plain
  int socket_;
  Wait waiting_ = Wait::none;
  Partial partial_ = Partial::none;
  bool readable_ = false;
  bool writable_ = false;
  bool peer_closed_ = false;
  bool crossed_ = false;  // TLS reads when the socket may be written, or the other way round
  bool broken_ = false;
  bool expired_ = false;
  bool permitted_ = false;
  bool turned_ = false;
  bool close_after_ = false;  // this read's answers are the last
  bool linger_ = false;       // the client may still be sending
  bool continue_due_ = false;
};

}  // namespace trialwire::net
