// SPDX-License-Identifier: Apache-2.0
// Settings of authentication as the options of `auth`.
#pragma once
#include "auth/authenticator.hpp"
#include "auth/options.hpp"
#include "config/settings.hpp"

namespace trialwire {

auth::KeyOptions key_options(const config::JwtSettings& settings);
auth::TokenOptions token_options(const config::JwtSettings& settings);
/// Of one shard of so many.
auth::Authenticator::Options authenticator_options(const config::JwtSettings& settings,
                                                   std::size_t shards);

}  // namespace trialwire
