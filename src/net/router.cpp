// SPDX-License-Identifier: Apache-2.0
// A radix tree: edges carry text without '/'-awareness, so a chain of static segments is one
// comparison; a parameter takes one segment, a rest all that is left. A branch that turns out to
// have no handler is left again for the next kind: depth, and so the cost, is bounded by
// path_params_max.
#include "net/router.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace trialwire::net {
namespace {

constexpr std::size_t method_count = static_cast<std::size_t>(Method::other);

bool valid_name(std::string_view name) {
  for (char c : name)
    if (c != '_' && !(c >= '0' && c <= '9') && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z'))
      return false;
  return !name.empty();
}

int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  char l = static_cast<char>(c | 0x20);
  return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

bool unreserved(int c) noexcept {
  int l = c | 0x20;
  return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
         c == '~';
}

/// Appends the path to `scratch`, which has the room, with escapes of unreserved characters
/// replaced by them: the same path by RFC 3986, 6.2.2.2. "%2F" and all others stay as they are.
std::string_view normalise(std::string_view path, std::string& scratch) {
  std::size_t from = scratch.size();
  for (std::size_t i = 0; i < path.size(); ++i) {
    int c = -1;
    if (path[i] == '%' && i + 2 < path.size()) {
      int high = hex_value(path[i + 1]);
      int low = hex_value(path[i + 2]);
      if (high >= 0 && low >= 0) c = high << 4 | low;
    }
    if (unreserved(c)) {
      scratch.push_back(static_cast<char>(c));
      i += 2;
    } else {
      scratch.push_back(path[i]);
    }
  }
  return std::string_view(scratch).substr(from);
}

/// Appends the decoded text to `scratch`, which has the room. Malformed escapes stay as they are:
/// the server has refused such paths before.
std::string_view decode(std::string_view text, std::string& scratch) {
  if (text.find('%') == std::string_view::npos) return text;
  std::size_t from = scratch.size();
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%' && i + 2 < text.size()) {
      int high = hex_value(text[i + 1]);
      int low = hex_value(text[i + 2]);
      if (high >= 0 && low >= 0) {
        c = static_cast<char>(high << 4 | low);
        i += 2;
      }
    }
    scratch.push_back(c);
  }
  return std::string_view(scratch).substr(from);
}

}  // namespace

struct Router::Node {
  std::string prefix;                           // text of the edge that leads here
  std::vector<std::unique_ptr<Node>> children;  // static edges, different first characters
  std::unique_ptr<Node> param;
  std::unique_ptr<Node> rest;
  std::string name;  // of the parameter or rest that this node is
  std::array<Route*, method_count> routes{};
  std::string allow;

  Node* add_static(std::string_view text);
  Route* route(Method method) const {
    if (method == Method::other) return nullptr;
    Route* found = routes[static_cast<std::size_t>(method)];
    if (found == nullptr && method == Method::head)
      found = routes[static_cast<std::size_t>(Method::get)];
    return found;
  }
  void refresh_allow();
};

Router::Node* Router::Node::add_static(std::string_view text) {
  if (text.empty()) return this;
  for (auto& child : children) {
    std::size_t common = 0;
    while (common < text.size() && common < child->prefix.size() &&
           text[common] == child->prefix[common])
      ++common;
    if (common == 0) continue;
    if (common < child->prefix.size()) {
      auto upper = std::make_unique<Node>();
      upper->prefix = child->prefix.substr(0, common);
      child->prefix.erase(0, common);
      upper->children.push_back(std::move(child));
      child = std::move(upper);
    }
    return child->add_static(text.substr(common));
  }
  auto& child = children.emplace_back(std::make_unique<Node>());
  child->prefix = text;
  return child.get();
}

void Router::Node::refresh_allow() {
  allow.clear();
  for (std::size_t i = 0; i < method_count; ++i) {
    if (route(static_cast<Method>(i)) == nullptr) continue;
    if (!allow.empty()) allow += ", ";
    allow += name_of(static_cast<Method>(i));
  }
}

namespace {

/// One search: what was filled, and the first path that matched without the method.
struct Search {
  Method method;
  std::span<PathParam> params;
  std::size_t count = 0;
  std::string_view allow{};
  const Route* of_path = nullptr;  // one that `allow` names

  template <typename Node>
  void others(const Node& node) {
    allow = node.allow;
    for (std::size_t i = 0; i < method_count && of_path == nullptr; ++i) of_path = node.routes[i];
  }
};

}  // namespace

Router::Router() : root_(std::make_unique<Node>()) {}
Router::~Router() = default;
Router::Router(Router&&) noexcept = default;
Router& Router::operator=(Router&&) noexcept = default;

Result<void> Router::add(Method method, std::string_view pattern, Handler handler,
                         RouteOptions options) {
  auto malformed = [&](std::string_view why) {
    return fail(ErrorCode::invalid_argument, fmt::format("route {}: {}", pattern, why));
  };
  if (method == Method::other) return malformed("method is not known");
  if (pattern.empty() || pattern[0] != '/') return malformed("must begin with '/'");
  if (!handler) return malformed("has no handler");
  Node* node = root_.get();
  std::size_t params = 0;
  std::size_t at = 0;
  while (at < pattern.size()) {
    std::size_t mark = pattern.find_first_of(":*", at);
    if (mark == std::string_view::npos) mark = pattern.size();
    node = node->add_static(pattern.substr(at, mark - at));
    if (mark == pattern.size()) break;
    if (pattern[mark - 1] != '/') return malformed("a parameter must be a whole segment");
    std::size_t end = std::min(pattern.find('/', mark), pattern.size());
    std::string_view name = pattern.substr(mark + 1, end - mark - 1);
    if (!valid_name(name)) return malformed("a parameter's name is malformed");
    bool is_rest = pattern[mark] == '*';
    if (is_rest && end != pattern.size()) return malformed("a rest must come last");
    if (++params > path_params_max) return malformed("has too many parameters");
    auto& place = is_rest ? node->rest : node->param;
    if (!place) {
      place = std::make_unique<Node>();
      place->name = name;
    }
    if (place->name != name)
      return fail(ErrorCode::conflict,
                  fmt::format("route {}: {} is already named {} here", pattern, name, place->name));
    node = place.get();
    at = end;
  }
  Route*& slot = node->routes[static_cast<std::size_t>(method)];
  if (slot != nullptr)
    return fail(ErrorCode::conflict,
                fmt::format("route {} {} is already defined", name_of(method), pattern));
  auto& route = routes_.emplace_back(std::make_unique<Route>());
  *route = {std::string(pattern), method,     std::move(handler), options,
            routes_.size() - 1,   params == 0};
  slot = route.get();
  node->refresh_allow();
  return {};
}

namespace {

bool is_below(std::string_view path, std::string_view prefix) noexcept {
  if (prefix == "/") return true;
  return path.starts_with(prefix) && (path.size() == prefix.size() || path[prefix.size()] == '/');
}

}  // namespace

Result<void> Router::limit(std::span<const RouteLimitOptions> limits) {
  for (const auto& route : routes_) {
    std::size_t best = limits.size();
    for (std::size_t i = 0; i < limits.size(); ++i) {
      if (!is_below(route->pattern, limits[i].prefix)) continue;
      if (best < limits.size() && limits[best].prefix.size() > limits[i].prefix.size()) continue;
      best = i;
    }
    if (best == limits.size()) continue;
    RouteOptions& options = route->options;
    options.limit = static_cast<std::uint16_t>(best + 1);
    options.deadline_ms = static_cast<std::uint32_t>(limits[best].deadline.count());
    if (limits[best].body_bytes_max > 0) options.body_bytes_max = limits[best].body_bytes_max;
  }
  for (const RouteLimitOptions& one : limits) {
    const bool used = std::ranges::any_of(
        routes_, [&](const auto& route) { return is_below(route->pattern, one.prefix); });
    if (used) continue;
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} is the beginning of no route's path", one.prefix));
  }
  return {};
}

namespace {

template <typename Node>
const Route* find(const Node& node, std::string_view path, Search& search) {
  if (path.empty()) {
    if (const Route* route = node.route(search.method)) return route;
    if (search.allow.empty()) search.others(node);
  }
  for (const auto& child : node.children) {
    if (!path.starts_with(child->prefix)) continue;
    if (const Route* found = find(*child, path.substr(child->prefix.size()), search)) return found;
    break;
  }
  std::size_t before = search.count;
  if (node.param && !path.empty() && path[0] != '/' && before < search.params.size()) {
    std::string_view segment = path.substr(0, path.find('/'));
    search.params[search.count++] = {node.param->name, segment};
    if (const Route* found = find(*node.param, path.substr(segment.size()), search)) return found;
    search.count = before;
  }
  if (node.rest && before < search.params.size()) {
    if (const Route* route = node.rest->route(search.method)) {
      search.params[search.count++] = {node.rest->name, path};
      return route;
    }
    if (search.allow.empty()) search.others(*node.rest);
  }
  return nullptr;
}

}  // namespace

Router::Match Router::match(Method method, std::string_view path, std::span<PathParam> params_out,
                            std::string& scratch) const {
  Search search{.method = method, .params = params_out};
  scratch.clear();
  if (path.find('%') != std::string_view::npos) [[unlikely]] {
    scratch.reserve(2 * path.size());  // for the decoded parameters too: the views must not move
    path = normalise(path, scratch);
  }
  const Route* route = find(*root_, path, search);
  if (route == nullptr) return {nullptr, search.of_path, search.allow, 0};
  if (search.count > 0) {
    for (PathParam& param : params_out.first(search.count))
      param.value = decode(param.value, scratch);
  }
  return {route, nullptr, {}, search.count};
}

std::span<const std::unique_ptr<Route>> Router::routes() const {
  return routes_;
}

}  // namespace trialwire::net
