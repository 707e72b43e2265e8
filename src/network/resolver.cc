#include "network/resolver.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>

namespace lmsb::network {
namespace {

using guest_protocol::GateResolver;

constexpr std::uint64_t kLongestMs = 60'000;
constexpr std::uint64_t kShortestMs = 1'000;
constexpr std::uint64_t kNoNameMs = 5'000;
constexpr std::uint64_t kTurnMs = 1000 / Resolver::kQuestionsPerSecond;
constexpr int kReceiveBuffer = 8 * 1024;  // one answer, or a few of somebody else

// A socket that hears one server alone.
UniqueFd connect_to(const GateResolver& server) {
  sockaddr_storage address{};
  socklen_t size = sizeof(sockaddr_in);
  if (server.family == AF_INET6) {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&address);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(static_cast<std::uint16_t>(server.port));
    std::memcpy(&v6->sin6_addr, server.address.data(), sizeof v6->sin6_addr);
    size = sizeof *v6;
  } else {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&address);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(static_cast<std::uint16_t>(server.port));
    std::memcpy(&v4->sin_addr, server.address.data(), sizeof v4->sin_addr);
  }
  UniqueFd socket(::socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (socket) (void)::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &kReceiveBuffer, sizeof kReceiveBuffer);
  if (!socket || ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), size) < 0) return {};
  return socket;
}

}  // namespace

void Resolver::use(std::span<const GateResolver> servers) {
  servers_.assign(servers.begin(), servers.end());
  kept_.clear();
}

std::optional<Resolution> Resolver::ask(const std::string& name, std::uint64_t now_ms) {
  if (const auto found = kept_.find(name); found != kept_.end() && found->second.until_ms > now_ms)
    return found->second;
  if (by_name_.contains(name)) return std::nullopt;
  if (servers_.empty() || lookups_.size() >= kMaxLookups) return Resolution();
  const std::uint64_t number = next_++;
  Lookup& lookup = lookups_[number];
  lookup.name = name;
  by_name_[name] = number;
  if (!send(number, lookup, now_ms)) lookup.deadline_ms = now_ms;  // the next server
  return std::nullopt;
}

bool Resolver::send(std::uint64_t number, Lookup& lookup, std::uint64_t now_ms) {
  if (!questions_left_.take(now_ms)) {
    lookup.deadline_ms = now_ms + kTurnMs;
    return true;
  }
  const GateResolver& server = servers_[static_cast<std::size_t>(lookup.tries) % servers_.size()];
  ++lookup.tries;
  lookup.deadline_ms = now_ms + kPatienceMs;
  lookup.socket = connect_to(server);
  if (!lookup.socket || ::getrandom(&lookup.id, sizeof lookup.id, 0) != sizeof lookup.id) return false;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = tag_(number);
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, lookup.socket.get(), &event) < 0) return false;
  const std::string question = dns_question(lookup.id, lookup.name);
  return ::send(lookup.socket.get(), question.data(), question.size(), MSG_NOSIGNAL) ==
         static_cast<ssize_t>(question.size());
}

std::optional<std::string> Resolver::handle(std::uint64_t number, std::uint64_t now_ms) {
  const auto found = lookups_.find(number);
  if (found == lookups_.end()) return std::nullopt;
  Lookup& lookup = found->second;
  std::array<char, 4096> message{};
  const ssize_t size = ::recv(lookup.socket.get(), message.data(), message.size(), MSG_DONTWAIT);
  if (size < 0 && errno != EAGAIN) lookup.deadline_ms = now_ms;  // nobody is there: the next server, at once
  if (size <= 0) return std::nullopt;
  const auto answer = parse_dns_answer({message.data(), static_cast<std::size_t>(size)}, lookup.id, lookup.name);
  if (!answer) return std::nullopt;  // somebody else's, maybe: ours may still come
  // It is asked again in its time, of the next server.
  if (answer->code == DnsCode::failure && ++lookup.failures < kFailures && lookup.tries < kTries) return std::nullopt;
  const std::uint64_t said = std::uint64_t{answer->ttl_seconds} * 1000;
  const std::uint64_t for_ms =
      answer->code == DnsCode::ok && !answer->addresses.empty() ? std::clamp(said, kShortestMs, kLongestMs) : kNoNameMs;
  const std::string name = lookup.name;
  keep(name, {answer->code, answer->addresses, now_ms + for_ms}, now_ms);
  by_name_.erase(name);
  lookups_.erase(found);
  return name;
}

std::vector<std::string> Resolver::handle_deadlines(std::uint64_t now_ms) {
  std::vector<std::string> names;
  for (auto at = lookups_.begin(); at != lookups_.end();) {
    Lookup& lookup = at->second;
    while (lookup.deadline_ms <= now_ms && lookup.tries < kTries && !servers_.empty())
      if (!send(at->first, lookup, now_ms)) lookup.deadline_ms = now_ms;
    if (lookup.deadline_ms > now_ms) {
      ++at;
      continue;
    }
    names.push_back(lookup.name);
    keep(lookup.name, {DnsCode::failure, {}, now_ms + kShortestMs}, now_ms);
    by_name_.erase(lookup.name);
    at = lookups_.erase(at);
  }
  return names;
}

std::vector<std::string> Resolver::give_up(const std::function<bool(const std::string&)>& is_wanted) {
  std::vector<std::string> names;
  for (const auto& [number, lookup] : lookups_)
    if (!is_wanted(lookup.name)) names.push_back(lookup.name);
  for (const std::string& name : names) lookups_.erase(by_name_.extract(name).mapped());
  return names;
}

std::uint64_t Resolver::first_deadline_ms() const {
  std::uint64_t first = UINT64_MAX;
  for (const auto& [number, lookup] : lookups_) first = std::min(first, lookup.deadline_ms);
  return first;
}

Resolution Resolver::result(const std::string& name) const {
  const auto found = kept_.find(name);
  return found == kept_.end() ? Resolution() : found->second;
}

void Resolver::keep(const std::string& name, Resolution resolution, std::uint64_t now_ms) {
  if (kept_.size() >= kMaxKept) std::erase_if(kept_, [now_ms](const auto& k) { return k.second.until_ms <= now_ms; });
  if (kept_.size() >= kMaxKept) kept_.clear();
  kept_[name] = std::move(resolution);
}

}  // namespace lmsb::network
