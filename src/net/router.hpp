// SPDX-License-Identifier: Apache-2.0
// Which handler a path belongs to. Built at start, read-only afterwards, shared by all shards.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "auth/scope.hpp"
#include "base/error.hpp"
#include "net/admission_options.hpp"
#include "net/exchange.hpp"
#include "net/http.hpp"
#include "net/route_kind.hpp"

namespace trialwire::net {

using Handler = std::function<void(Exchange&)>;

struct RouteOptions {
  std::size_t body_bytes_max = 0;  // 0: the server's default
  /// What a token must be for, where the server asks for one. A route that says nothing is the
  /// administrators' alone.
  auth::Scope scope = auth::Scope::admin;
  std::string_view role;  // that it must name besides; static; empty: none
  RouteKind kind = RouteKind::waiting;
  std::uint16_t limit = 0;        // of AdmissionOptions::routes, from 1 on; 0: none
  std::uint32_t deadline_ms = 0;  // 0: the server's
};

/// A matched route. `index` is dense from 0: per-shard metrics are arrays.
struct Route {
  std::string pattern;
  Method method = Method::get;
  Handler handler;
  RouteOptions options;
  std::size_t index = 0;
  bool is_static = false;  // without parameters: its pattern is its path
};

class Router {
 public:
  Router();
  ~Router();
  Router(Router&&) noexcept;
  Router& operator=(Router&&) noexcept;

  /// Pattern: "/v1/projects/:id", "/static/*rest". Static text goes before a parameter, a
  /// parameter before a rest. GET answers HEAD too. Errors: conflict (the same pattern and method
  /// twice, or two parameter names at one place), invalid_argument (malformed pattern).
  Result<void> add(Method method, std::string_view pattern, Handler handler,
                   RouteOptions options = {});

  /// Gives each route the limits of the longest prefix that its pattern begins with, by whole
  /// segments. After the last route, before a server has them. Error: invalid_argument, of the
  /// first prefix that no route begins with; the others are in force.
  Result<void> limit(std::span<const RouteLimitOptions> limits);

  struct Match {
    const Route* route = nullptr;    // null: 404, or 405 when `allow` is not empty
    const Route* of_path = nullptr;  // then one of those that `allow` names
    std::string_view allow;          // "GET, HEAD, POST"
    std::size_t params = 0;          // filled of `params_out`
  };
  /// `path` is percent-encoded; an escape of a letter, digit, '-', '.', '_' or '~' is the same as
  /// that character. Parameters are decoded into `scratch`, which must outlive them.
  Match match(Method method, std::string_view path, std::span<PathParam> params_out,
              std::string& scratch) const;

  std::span<const std::unique_ptr<Route>> routes() const;

 private:
  struct Node;
  std::unique_ptr<Node> root_;
  std::vector<std::unique_ptr<Route>> routes_;
};

}  // namespace trialwire::net
