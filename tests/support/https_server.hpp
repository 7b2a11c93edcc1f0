// SPDX-License-Identifier: Apache-2.0
// An HttpServer with a certificate; its files are in a directory that goes with it.
#pragma once
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "net/tls.hpp"
#include "support/certificates.hpp"
#include "support/http_server.hpp"

namespace trialwire::support {

class HttpsServer {
 public:
  HttpsServer(const net::Router& router, const Authority::Signed& pair) {
    auto opened = net::TlsCertificates::open(
        {.certificate = write("cert.pem", pair.certificate), .key = write("key.pem", pair.key)},
        metrics_);
    if (!opened) throw std::runtime_error(opened.error().text);
    certificates_ = std::move(*opened);
    net::ServerOptions options;
    options.tls = certificates_.get();
    server_ = std::make_unique<HttpServer>(router, std::move(options));
  }
  ~HttpsServer() {
    server_.reset();
    std::filesystem::remove_all(directory_);
  }
  HttpsServer(const HttpsServer&) = delete;
  HttpsServer& operator=(const HttpsServer&) = delete;

  /// "name:port" of it.
  std::string as(const std::string& name) const {
    const std::string address = server_->address();
    return name + address.substr(address.rfind(':'));
  }
  /// A file beside its own, mode 0600.
  std::string write(const std::string& name, std::string_view text) const {
    std::filesystem::create_directories(directory_);
    const std::filesystem::path path = directory_ / name;
    std::ofstream(path) << text;
    std::filesystem::permissions(path, std::filesystem::perms{0600});
    return path.string();
  }

 private:
  std::filesystem::path directory_ =
      std::filesystem::temp_directory_path() / fmt::format("trialwire-https-{}", ::getpid());
  telemetry::Registry metrics_;
  std::unique_ptr<net::TlsCertificates> certificates_;
  std::unique_ptr<HttpServer> server_;
};

}  // namespace trialwire::support
