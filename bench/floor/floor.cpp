// SPDX-License-Identifier: Apache-2.0
// The floor: what one core can do at most with the same requests. A bare epoll loop parses HTTP as
// far as it must, checks a report with simdjson, and answers in the shape of the product's answer.
// It stores nothing, refuses little, and is no model for a server: it is what trialwire is measured
// against. One thread; usage: floor PORT (0 takes a free one; the port is printed).
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <simdjson.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr std::size_t read_bytes = 512 << 10;

struct Report {
  std::string_view patient;
  bool valid = false;
};

class ReportParser {
 public:
  // `json` is followed by at least SIMDJSON_PADDING readable bytes.
  Report parse(std::string_view json) {
    Report report;
    simdjson::ondemand::document document;
    simdjson::ondemand::object object;
    const simdjson::padded_string_view padded(json.data(), json.size(),
                                              json.size() + simdjson::SIMDJSON_PADDING);
    if (parser_.iterate(padded).get(document) || document.get_object().get(object)) return report;
    unsigned seen = 0;
    for (auto field : object) {
      std::string_view key;
      simdjson::ondemand::value value;
      if (field.unescaped_key().get(key) || field.value().get(value)) return report;
      if (!take(key, value, report, seen)) return report;
    }
    report.valid = seen == all_required;
    return report;
  }

 private:
  static constexpr unsigned all_required = 15;

  static bool text(simdjson::ondemand::value& value, std::size_t size_max, std::string_view& out) {
    return !value.get_string().get(out) && !out.empty() && out.size() <= size_max;
  }

  static bool take(std::string_view key, simdjson::ondemand::value& value, Report& report,
                   unsigned& seen) {
    std::string_view ignored;
    if (key == "patientId") {
      seen |= 1;
      return text(value, 64, report.patient);
    }
    if (key == "trialId") {
      seen |= 2;
      return text(value, 64, ignored);
    }
    if (key == "timestamp") {
      seen |= 4;
      return text(value, 35, ignored) && ignored.size() >= 20 && ignored[10] == 'T';
    }
    if (key == "qolScore") {
      seen |= 8;
      std::int64_t score = -1;
      return !value.get_int64().get(score) && score >= 0 && score <= 10;
    }
    if (key == "answers") return answers(value);
    return text(value, 4096, ignored);
  }

  static bool answers(simdjson::ondemand::value& value) {
    simdjson::ondemand::object object;
    if (value.get_object().get(object)) return false;
    for (auto field : object) {
      std::string_view key;
      simdjson::ondemand::value answer;
      std::string_view text_answer;
      std::int64_t number = 0;
      if (field.unescaped_key().get(key) || field.value().get(answer)) return false;
      if (answer.get_int64().get(number) && answer.get_string().get(text_answer)) return false;
    }
    return true;
  }

  simdjson::ondemand::parser parser_;
};

struct Client {
  std::string received;  // the start of a request whose end has not come
  std::string unsent;
};

class Floor {
 public:
  explicit Floor(std::uint16_t port) : epoll_(::epoll_create1(0)), buffer_(read_bytes + 256, '\0') {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    const int on = 1;
    ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener_, 4096) != 0) {
      std::perror("floor: listen");
      std::exit(1);
    }
    socklen_t size = sizeof address;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    fmt::print("listening on 127.0.0.1:{}\n", ntohs(address.sin_port));
    std::fflush(stdout);
    watch(listener_);
  }

  [[noreturn]] void run() {
    std::vector<epoll_event> events(512);
    for (;;) {
      const int ready = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
      for (int i = 0; i < ready; ++i) {
        const auto& event = events[static_cast<std::size_t>(i)];
        if (event.data.fd == listener_) {
          accept_all();
        } else {
          serve(event.data.fd, event.events);
        }
      }
    }
  }

 private:
  void watch(int descriptor) const {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLRDHUP | EPOLLET;
    if (descriptor != listener_) event.events |= EPOLLOUT;
    event.data.fd = descriptor;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event);
  }

  void accept_all() {
    for (;;) {
      const int descriptor = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK);
      if (descriptor < 0) return;
      const int on = 1;
      ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      const auto index = static_cast<std::size_t>(descriptor);
      if (clients_.size() <= index) clients_.resize(index + 1);
      clients_[index] = std::make_unique<Client>();
      watch(descriptor);
    }
  }

  void drop(int descriptor) {
    ::close(descriptor);
    clients_[static_cast<std::size_t>(descriptor)].reset();
  }

  void serve(int descriptor, std::uint32_t events) {
    Client& client = *clients_[static_cast<std::size_t>(descriptor)];
    if (!client.unsent.empty() && !send_all(descriptor, client, {})) return drop(descriptor);
    if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) == 0) return;
    for (;;) {
      const std::size_t kept = client.received.size();
      client.received.copy(buffer_.data(), kept);
      const std::size_t room = read_bytes - kept;
      const auto got = ::recv(descriptor, buffer_.data() + kept, room, 0);
      if (got < 0 && errno == EAGAIN) return;
      if (got <= 0) return drop(descriptor);
      answers_.clear();
      std::string_view bytes(buffer_.data(), kept + static_cast<std::size_t>(got));
      while (take_request(bytes)) {
      }
      if (bytes.size() == read_bytes || !send_all(descriptor, client, answers_)) {
        return drop(descriptor);
      }
      client.received.assign(bytes);
      if (static_cast<std::size_t>(got) < room) return;
    }
  }

  static bool send_all(int descriptor, Client& client, std::string_view bytes) {
    if (!client.unsent.empty()) {
      client.unsent.append(bytes);
      bytes = client.unsent;
    }
    std::size_t done = 0;
    while (done < bytes.size()) {
      const auto sent = ::send(descriptor, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
      if (sent < 0 && errno != EAGAIN) return false;
      if (sent < 0) break;
      done += static_cast<std::size_t>(sent);
    }
    std::string rest(bytes.substr(done));
    client.unsent = std::move(rest);
    return true;
  }

  // One request off the front of `bytes`; false when none is whole.
  bool take_request(std::string_view& bytes) {
    const auto head_end = bytes.find("\r\n\r\n");
    if (head_end == bytes.npos) return false;
    constexpr std::string_view key = "\r\nContent-Length: ";
    const auto head = bytes.substr(0, head_end);
    const auto at = head.find(key);
    std::size_t length = 0;
    if (at != head.npos) {
      std::from_chars(head.data() + at + key.size(), bytes.data() + bytes.size(), length);
    }
    const std::size_t whole = head_end + 4 + length;
    if (bytes.size() < whole) return false;
    const auto body = bytes.substr(head_end + 4, length);
    if (head.find("application/x-ndjson") == head.npos) {
      answer_one(parser_.parse(body));
    } else {
      answer_lines(body);
    }
    bytes.remove_prefix(whole);
    return true;
  }

  void answer_one(const Report& report) {
    body_.clear();
    if (!report.valid) {
      body_ = R"({"type":"about:blank","title":"Bad Request","status":400,"error":"invalid"})";
      return append_answer("400 Bad Request");
    }
    ++sequence_;
    body_ += R"({"status":"success","message":"Report for patient )";
    body_ += report.patient;
    body_ += R"( received.","receipt":{"recordId":"01934c5e-0000-8000-8000-)";
    append_number(sequence_, 12);
    body_ += R"(","sequence":)";
    append_number(sequence_, 0);
    body_ += "}}";
    append_answer("200 OK");
  }

  void answer_lines(std::string_view body) {
    const auto first = sequence_ + 1;
    while (!body.empty()) {
      const auto end = std::min(body.find('\n'), body.size());
      if (end > 0 && parser_.parse(body.substr(0, end)).valid) ++sequence_;
      body.remove_prefix(std::min(end + 1, body.size()));
    }
    const auto count = sequence_ + 1 - first;
    body_.clear();
    fmt::format_to(
        std::back_inserter(body_),
        R"({{"accepted":{0},"rejected":[],"receipt":{{"firstSequence":{1},"count":{0}}}}})", count,
        first);
    append_answer("200 OK");
  }

  void append_number(std::uint64_t value, std::size_t width) {
    char digits[20];
    const auto [end, error] = std::to_chars(digits, digits + sizeof digits, value);
    const auto size = static_cast<std::size_t>(end - digits);
    if (size < width) body_.append(width - size, '0');
    body_.append(digits, size);
  }

  void append_answer(std::string_view status) {
    answers_ += "HTTP/1.1 ";
    answers_ += status;
    answers_ +=
        "\r\nDate: Sat, 01 Mar 2025 08:15:30 GMT\r\nContent-Type: application/json\r\n"
        "Content-Length: ";
    char digits[20];
    const auto [end, error] = std::to_chars(digits, digits + sizeof digits, body_.size());
    answers_.append(digits, static_cast<std::size_t>(end - digits));
    answers_ += "\r\n\r\n";
    answers_ += body_;
  }

  int epoll_;
  int listener_;
  std::string buffer_;  // with room for simdjson to read beyond its end
  std::string answers_;
  std::string body_;
  std::vector<std::unique_ptr<Client>> clients_;  // by descriptor
  ReportParser parser_;
  std::uint64_t sequence_ = 0;
};

}  // namespace

int main(int count, char** arguments) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  const int port = count > 1 ? std::atoi(arguments[1]) : 0;
  Floor(static_cast<std::uint16_t>(port)).run();
}
