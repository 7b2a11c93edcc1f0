// SPDX-License-Identifier: Apache-2.0
// Settings of etcd: where other processes find this one.
#include "config/schema_rows.hpp"

namespace trialwire::config::schema {
namespace {

constexpr Constraint text{.kind = Kind::text};

void add_discovery_keys(std::vector<Descriptor>& rows) {
  using K = DiscoveryKeySettings;
  constexpr auto in = &DiscoverySettings::keys;
  constexpr std::string_view help = "Name that this service is registered by; empty: it is not.";
  rows.push_back(row<&S::discovery, in, &K::collection>("discovery.keys.collection", text, help));
  rows.push_back(row<&S::discovery, in, &K::trial>("discovery.keys.trial", text, help));
  rows.push_back(row<&S::discovery, in, &K::user>("discovery.keys.user", text, help));
  rows.push_back(row<&S::discovery, in, &K::edc>("discovery.keys.edc", text, help));
  rows.push_back(row<&S::discovery, in, &K::epro>("discovery.keys.epro", text, help));
}

}  // namespace

void add_discovery(std::vector<Descriptor>& rows) {
  using D = DiscoverySettings;
  rows.push_back(row<&S::discovery, &D::etcd>(
      "discovery.etcd", {.kind = Kind::text_list},
      "Addresses of etcd's members: host:port, or http:// or https:// before it, all alike; none: "
      "this process is not registered."));
  add_discovery_keys(rows);
  rows.push_back(row<&S::discovery, &D::advertise>(
      "discovery.advertise", listen,
      "Address that is registered; port 0 is that of http.listen, empty is http.listen as it "
      "is."));
  rows.push_back(row<&S::discovery, &D::ttl>(
      "discovery.ttl", duration(2 * second, hour),
      "How long it stays registered without a sign of life, which is given three times within it; "
      "whole seconds."));
  rows.push_back(row<&S::discovery, &D::refresh>(
      "discovery.refresh", duration(second, 24 * hour),
      "How often a list of servers is read as a whole; in between it is told of changes."));
  rows.push_back(row<&S::discovery, &D::ca>(
      "discovery.ca", text, "File of authorities, PEM, for https; empty: services.ca."));
  rows.push_back(row<&S::discovery, &D::cert>(
      "discovery.cert", text, "File of this client's certificate, PEM; empty is none."));
  rows.push_back(
      row<&S::discovery, &D::key>("discovery.key", text, "File of its private key, PEM."));
  rows.push_back(row<&S::discovery, &D::username>("discovery.username", text,
                                                  "User of etcd, where it asks for one."));
  rows.push_back(row<&S::discovery, &D::password_file>("discovery.password_file", text,
                                                       "File of that user's password, mode 0600."));
}

}  // namespace trialwire::config::schema
