#include "serve/checks.h"

#include <array>
#include <cerrno>
#include <filesystem>
#include <unistd.h>

#include "base/text.h"
#include "control/networks.h"
#include "http/address.h"
#include "image/store.h"
#include "network/egress.h"
#include "serve/options.h"

namespace lmsb::serve {
namespace {

Error unusable(const std::string& path, int error) {
  return Error::from_errno(error, "data directory " + path + " cannot be written")
      .with_slug("data_dir_not_writable")
      .with_hint("mount or own it so that root may write there, or choose another: --data-dir DIR");
}

Result<bool> is_loopback(const std::string& listen) {
  LMSB_TRY(const http::HostPort parsed, http::parse_host_port(listen));
  LMSB_TRY(const http::Address address, http::to_address(parsed));
  return address.is_loopback();
}

Result<bool> all_loopback(const std::vector<std::string>& addresses) {
  for (const std::string& listen : addresses) {
    LMSB_TRY(const bool loopback, is_loopback(listen));
    if (!loopback) return false;
  }
  return true;
}

constexpr std::array kNeverReachable = {network::Range{0x7F000000, 8},    // loopback
                                        network::Range{0xA9FE0000, 16}};  // link-local

Result<network::Range> parse_range_of(const char* setting, const std::string& text) {
  auto parsed = network::parse_range(text);
  if (parsed.ok()) return parsed;
  return std::move(parsed).error().with_context(setting).with_hint("for example 10.1.0.0/16");
}

}  // namespace

Status check_power(const os::ReadFile& read_file) {
  if (const auto fault = os::fault_for_root(read_file))
    return Error(ErrorCode::failed_precondition, "sandboxes cannot be made here: " + fault->what)
        .with_hint(fault->mend);
  return {};
}

Status check_data_directory(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return unusable(path, error.value());
  if (::access(path.c_str(), W_OK) < 0) return unusable(path, errno);  // a read-only mount is so for root, too
  return {};
}

Status check_network(const config::Config& config) {
  for (const std::string& text : config.network.resolvers) {
    auto parsed = control::parse_resolver(text);
    if (!parsed.ok())
      return std::move(parsed)
          .error()
          .with_context("network.resolvers")
          .with_hint("ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT");
  }
  LMSB_CHECK(network::parse_groups(config.network.groups));
  LMSB_TRY(const auto settings, credential_settings(config));
  for (const std::string& name : config.policy.credentials)
    if (!settings.credentials.contains(name))
      return Error(ErrorCode::invalid_argument,
                   "policy.credentials: " + lmsb::quoted(name) + " is none of [network] credentials");
  for (const std::string& text : config.network.reachable_private) {
    LMSB_TRY(const network::Range range, parse_range_of("network.reachable_private", text));
    for (const network::Range& closed : kNeverReachable)
      if (network::overlap(range, closed))
        return Error(ErrorCode::invalid_argument, "network.reachable_private: " + text + " has part of " +
                                                      network::to_string(closed) + ", which stays closed")
            .with_hint(
                "name the parts that sandboxes need; loopback is the machine's own, and link-local addresses "
                "tell a cloud's secrets");
  }
  for (const std::string& text : config.network.unreachable) LMSB_CHECK(parse_range_of("network.unreachable", text));
  if (config.network.resolvers.size() > guest_protocol::kMaxResolvers ||
      config.network.reachable_private.size() > guest_protocol::kMaxReachable ||
      config.network.unreachable.size() > guest_protocol::kMaxUnreachable)
    return Error(ErrorCode::invalid_argument,
                 "[network]: at most 3 resolvers, and 16 ranges in each of reachable_private and unreachable");
  return {};
}

Status check_binding(const config::Config& config, const std::string& default_image) {
  LMSB_TRY(const bool is_local, all_loopback(config.listen));
  if (is_local) return {};
  if (config.auth.keys.empty() && config.auth.key_sha256.empty())
    return Error(ErrorCode::failed_precondition, "listening beyond loopback needs an API key")
        .with_hint("set [auth] key_file in the configuration, or listen on 127.0.0.1");
  if (default_image == image::kHostImage)
    return Error(ErrorCode::failed_precondition,
                 "image host, this machine's own programs, cannot be the default beyond loopback")
        .with_hint("build image base (sudo lm-sandbox image build base) and start with --default-image base");
  return {};
}

std::string warning_of_binding(const config::Config& config) {
  const auto is_local = all_loopback(config.listen);
  if (config.tls.is_on() || !is_local.ok() || *is_local) return {};
  return "HTTP is served beyond loopback without TLS: who is on the way reads API keys and all that is said; set [tls] "
         "cert_file and key_file, or let only a proxy with TLS reach it";
}

Result<std::shared_ptr<const http::TlsContext>> make_tls(const config::Config& config) {
  if (!config.tls.is_on() || config.listen.empty()) return std::shared_ptr<const http::TlsContext>();
  http::TlsIdentity identity;
  identity.certificates = config.tls.certificates;
  identity.certificates_name = "tls.cert_file: " + config.tls.cert_file;
  identity.key = config.tls.key;
  identity.key_name = "tls.key_file: " + config.tls.key_file;
  return http::TlsContext::of_server(identity);
}

}  // namespace lmsb::serve
