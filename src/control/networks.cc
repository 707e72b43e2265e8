#include "control/networks.h"

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>
#include <netinet/in.h>
#include <utility>

#include "base/text.h"
#include "io/spawn.h"
#include "os/small_file.h"

namespace lmsb::control {

using guest_protocol::GatePolicy;
using guest_protocol::GateResolver;

namespace {

template <class T>
io::Task<T> daemon_ends() {
  co_return Fleet::daemon_ends();
}

// They were checked before.
template <std::size_t kMost>
void add_ranges(const std::vector<std::string>& texts, std::array<guest_protocol::GateRange, kMost>& ranges,
                std::uint32_t& count) {
  for (const std::string& text : texts)
    if (const auto range = network::parse_range(text); range.ok() && count < kMost) ranges[count++] = *range;
}

void add_credential(GatePolicy& policy, const network::Credential& credential) {
  if (policy.credential_count == policy.credentials.size()) return;  // checked before
  guest_protocol::GateCredential& added = policy.credentials[policy.credential_count++];
  (void)credential.name.copy(added.name.data(), added.name.size() - 1);
  (void)credential.host.copy(added.host.data(), added.host.size() - 1);
  added.port = credential.port;
}

io::Always<void> change_and_tell(std::shared_ptr<SandboxNetwork> network, network::Egress egress, std::string id,
                                 Logger* log) {
  const Status changed = co_await SandboxNetwork::change(network, std::move(egress));
  if (!changed.ok())
    log->log(LogLevel::warning, "network.not_served", {{"id", id}, {"error", changed.error().message()}});
}

std::uint64_t now_ms() {
  const auto now = io::Deadline::Clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
}

}  // namespace

Networks::Networks(boost::asio::io_context& loop, Fleet& fleet, NetworkOptions options, Metrics& metrics, Logger& log)
    : loop_(loop),
      fleet_(fleet),
      options_(std::move(options)),
      desk_(loop, metrics),
      connections_(std::make_shared<ConnectionShares>(options_.connections_of_all, options_.max_connections)),
      allowed_(metrics.counter("lmsb_network_allowed_total", "Connections of sandboxes to the outside")),
      refused_(
          metrics.counter("lmsb_network_refused_total", "Connections and names that policies refused, or that failed")),
      log_(log) {}

Result<std::vector<network::Rule>> Networks::rules_of(const network::Egress& egress) const {
  LMSB_TRY(auto rules, network::rules_of(egress, options_.groups));
  for (const std::string& name : network::credentials_of(egress))
    if (desk_.find(name) == nullptr)
      return Error(ErrorCode::invalid_argument, "egress: " + quoted(name) + " is no credential of this machine")
          .with_slug("invalid_egress")
          .with_hint("the operator names them: [network] credentials");
  if (egress.mode == network::Mode::none || !options_.is_offline) return rules;
  return Error(ErrorCode::permission_denied, "this daemon is offline: no sandbox has a network")
      .with_slug("offline")
      .with_hint("start it without --offline, or leave egress out");
}

void Networks::use_credentials(CredentialSettings settings) {
  for (const auto& [name, kept] : settings.credentials)
    if (!kept.fault.empty())
      log_.log(LogLevel::warning, "network.no_secret", {{"credential", name}, {"error", kept.fault}});
  desk_.use(std::move(settings));
}

io::Task<void> Networks::open(SandboxHandle* handle, network::Egress egress) {
  const auto made = make(*handle, std::move(egress));
  handle->network = made;
  LMSB_CO_CHECK(co_await SandboxNetwork::open(made));
  io::spawn(loop_, SandboxNetwork::keep(made));
  co_return Status();
}

void Networks::open_later(SandboxHandle& handle, network::Egress egress) {
  handle.network = make(handle, std::move(egress));
  io::spawn(loop_, SandboxNetwork::keep(handle.network));
}

void Networks::allow(const std::shared_ptr<SandboxHandle>& handle, const network::Egress& egress,
                     const Status& allowed) {
  network::Egress now = allowed.ok() ? egress : network::Egress();
  if (!handle->network && now.mode == network::Mode::none) return;
  if (!handle->network) return open_later(*handle, std::move(now));
  // A credential may lead to another host by now.
  if (handle->network->egress() == now && network::credentials_of(now).empty()) return;
  if (!allowed.ok())
    log_.log(LogLevel::warning, "network.not_allowed", {{"id", handle->id()}, {"error", allowed.error().message()}});
  io::spawn(loop_, change_and_tell(handle->network, std::move(now), handle->id(), &log_));
}

io::Task<void> Networks::change(std::shared_ptr<SandboxHandle> handle, network::Egress egress) {
  if (handle->network) co_return co_await SandboxNetwork::change(handle->network, std::move(egress));
  if (egress.mode == network::Mode::none) co_return Status();
  Status opened = co_await open(handle.get(), std::move(egress));
  if (!opened.ok() && handle->network) std::exchange(handle->network, nullptr)->close();
  co_return opened;
}

std::shared_ptr<SandboxNetwork> Networks::make(SandboxHandle& handle, network::Egress egress) {
  SandboxNetwork::Parts parts;
  parts.open_gate = [weak = std::weak_ptr<Networks*>(self_)]() -> io::Task<std::unique_ptr<Gate>> {
    const auto self = weak.lock();
    return self ? (*self)->fleet_.open_gate() : daemon_ends<std::unique_ptr<Gate>>();
  };
  parts.wait_ended = [weak = std::weak_ptr<Networks*>(self_)](std::uint64_t serial, io::Deadline deadline) {
    const auto self = weak.lock();
    return self ? (*self)->fleet_.wait_destroyed(serial, deadline) : daemon_ends<void>();
  };
  parts.policy_of = [weak = std::weak_ptr<Networks*>(self_)](const network::Egress& of) {
    const auto self = weak.lock();
    return self ? (*self)->policy_of(of) : GatePolicy();
  };
  parts.take_place = [shares = connections_, owner = handle.owner](ConnectionShares::Tell tell) {
    return shares->enter(owner, std::move(tell));
  };
  parts.hear = [weak = std::weak_ptr<Networks*>(self_), id = handle.id()](const NetworkEvent& event) {
    const auto self = weak.lock();
    if (!self) return;
    (*self)->hear(id, event);
  };
  parts.serve_credential = [weak = std::weak_ptr<Networks*>(self_), owner = handle.owner](CredentialDesk::Order order) {
    const auto self = weak.lock();
    order.owner = owner;
    if (self) return (*self)->desk_.serve(std::move(order));
    return Result<CredentialDesk::Streams>(Fleet::daemon_ends());
  };
  parts.keep_credentials = [weak = std::weak_ptr<Networks*>(self_), id = handle.id()](const auto& credentials) {
    if (const auto self = weak.lock()) (*self)->desk_.keep(id, credentials);
  };
  return std::make_shared<SandboxNetwork>(loop_, handle.id(), handle.channel(), std::move(egress), std::move(parts),
                                          log_);
}

void Networks::hear(const std::string& id, const NetworkEvent& event) {
  const auto port = static_cast<std::uint64_t>(event.port);
  const auto log = [&](LogLevel level, std::string_view what) {
    log_.log(level, what,
             {{"id", id},
              {"verdict", event.verdict},
              {"name", event.name},
              {"address", event.address},
              {"port", port},
              {"credential", event.credential}});
  };
  if (event.verdict == "allowed") {
    allowed_.increment();
    log(LogLevel::debug, "network.allowed");
  } else {
    refused_.increment();
    if (!lines_left_.take(now_ms())) return void(++not_logged_);
    if (not_logged_ > 0) log_.log(LogLevel::info, "network.refused_too_fast", {{"count", not_logged_}});
    not_logged_ = 0;
    log(LogLevel::info, "network.refused");
  }
}

GatePolicy Networks::policy_of(const network::Egress& egress) const {
  GatePolicy policy;
  const auto rules = network::rules_of(egress, options_.groups);
  if (!rules.ok()) return policy;  // checked before: nothing is reached
  policy.mode = egress.mode;
  policy.rule_count = static_cast<std::uint32_t>(rules->size());
  std::copy(rules->begin(), rules->end(), policy.rules.begin());
  for (const std::string& name : network::credentials_of(egress))
    if (const KeptCredential* kept = desk_.find(name); kept != nullptr) add_credential(policy, kept->credential);
  std::vector<GateResolver> resolvers;
  for (const std::string& text : options_.resolvers)
    if (const auto resolver = parse_resolver(text); resolver.ok()) resolvers.push_back(*resolver);
  if (options_.resolvers.empty()) resolvers = parse_resolv_conf(os::read_small_file("/etc/resolv.conf").value_or(""));
  for (const GateResolver& resolver : resolvers)
    if (policy.resolver_count < policy.resolvers.size()) policy.resolvers[policy.resolver_count++] = resolver;
  add_ranges(options_.reachable, policy.reachable, policy.reachable_count);
  add_ranges(options_.unreachable, policy.unreachable, policy.unreachable_count);
  policy.max_connections = options_.max_connections;  // where it has no share: none of them leads anywhere
  policy.connections_per_second = options_.connections_per_second;
  policy.bytes_per_second = options_.bytes_per_second;
  return policy;
}

Result<GateResolver> parse_resolver(const std::string& text) {
  const Error malformed(ErrorCode::invalid_argument, "no address of a name server: " + quoted(text));
  GateResolver resolver;
  std::string host = text;
  std::string_view port;
  const std::size_t colon = text.rfind(':');
  const bool is_bracketed = text.starts_with('[');
  if (is_bracketed) {
    const std::size_t end = text.find(']');
    if (end == std::string::npos) return malformed;
    host = text.substr(1, end - 1);
    if (end + 1 < text.size() && text[end + 1] != ':') return malformed;
    if (end + 1 < text.size()) port = std::string_view(text).substr(end + 2);
  } else if (colon != std::string::npos && text.find(':') == colon) {
    host = text.substr(0, colon);
    port = std::string_view(text).substr(colon + 1);
  }
  if (!port.empty()) {
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), resolver.port);
    if (error != std::errc() || end != port.data() + port.size() || resolver.port == 0 || resolver.port > 65535)
      return malformed;
  }
  for (const int family : {AF_INET, AF_INET6}) {
    if (::inet_pton(family, host.c_str(), resolver.address.data()) != 1) continue;
    resolver.family = static_cast<std::uint32_t>(family);
    return resolver;
  }
  return malformed;
}

std::vector<GateResolver> parse_resolv_conf(std::string_view text) {
  std::vector<GateResolver> resolvers;
  while (!text.empty() && resolvers.size() < guest_protocol::kMaxResolvers) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    constexpr std::string_view kKey = "nameserver";
    if (!line.starts_with(kKey)) continue;
    line.remove_prefix(kKey.size());
    const std::size_t from = line.find_first_not_of(" \t");
    if (from == 0 || from == std::string_view::npos) continue;
    line.remove_prefix(from);
    const std::string address(line.substr(0, line.find_first_of(" \t\r#;")));
    // Behind an IPv6 address stands no port here.
    const auto resolver = parse_resolver(address.find(':') == std::string::npos ? address : "[" + address + "]");
    if (resolver.ok()) resolvers.push_back(*resolver);
  }
  return resolvers;
}

}  // namespace lmsb::control
