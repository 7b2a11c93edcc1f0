// SPDX-License-Identifier: Apache-2.0
// A real net::Server on real shards and a free port of the loopback, for one test.
#pragma once
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "net/router.hpp"
#include "net/server.hpp"
#include "runtime/shard.hpp"
#include "support/event.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::support {

class HttpServer {
 public:
  /// `router` holds the routes; what its handlers refer to must outlive the server.
  HttpServer(const net::Router& router, net::ServerOptions options, unsigned shards = 1) {
    std::vector<runtime::Shard*> all;
    for (unsigned i = 0; i < shards; ++i) {
      shards_.push_back(std::make_unique<runtime::Shard>(i));
      all.push_back(shards_.back().get());
    }
    if (options.listen.empty()) options.listen = "127.0.0.1:0";
    server_ = std::make_unique<net::Server>(std::move(options), router, metrics_);
    if (auto listens = server_->listen(all); !listens)
      throw std::runtime_error(listens.error().text);
    for (auto& shard : shards_) shard->start();
  }
  ~HttpServer() {
    server_->close();
    for (auto& shard : shards_) shard->stop();
  }

  std::string address() const { return server_->address(); }
  net::Server& server() { return *server_; }
  runtime::Shard& shard(std::size_t index = 0) { return *shards_[index]; }
  /// Sum of a counter as the metrics page shows it, e.g. `name{a="b"}`; 0 when absent.
  double metric(const std::string& series) const {
    std::string page = metrics_.text();
    std::size_t at = page.find("\n" + series + " ");
    return at == std::string::npos ? 0 : std::stod(page.substr(at + series.size() + 2));
  }
  std::string metrics_page() const { return metrics_.text(); }
  /// Waits, turn by turn of the shards, until nobody is connected and the turn that closed the last
  /// connection, which may still count what it had under way, is over.
  void wait_until_unconnected() {
    for (bool over = false; !over;) {
      over = server_->connections() == 0;
      for (auto& shard : shards_) on(*shard, [] {});
    }
  }

 private:
  telemetry::Registry metrics_;
  std::vector<std::unique_ptr<runtime::Shard>> shards_;
  std::unique_ptr<net::Server> server_;
};

}  // namespace trialwire::support
