// The gate's loop, its policy, and what it tells the daemon. Connections: gate_flows.cc; names: gate_names.cc;
// credentials: gate_credentials.cc.
#include "network/gate.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <sys/epoll.h>
#include <time.h>

#include "network/gate_tags.h"

namespace lmsb::network {
namespace {

using guest_protocol::GateNote;
using guest_protocol::GatePolicy;
using guest_protocol::GateShare;
using guest_protocol::GateStreams;

constexpr std::uint64_t kCountsMs = 1000;  // between two notes that bring counts alone

std::uint64_t clock_ms() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<std::uint64_t>(t.tv_sec) * 1000U + static_cast<std::uint64_t>(t.tv_nsec) / 1'000'000U;
}

bool is_whole(const GatePolicy& policy) {
  return policy.magic == guest_protocol::kGateMagic && policy.mode <= Mode::open &&
         policy.rule_count <= policy.rules.size() && policy.resolver_count <= policy.resolvers.size() &&
         policy.reachable_count <= policy.reachable.size() && policy.unreachable_count <= policy.unreachable.size() &&
         policy.credential_count <= policy.credentials.size() &&
         std::all_of(policy.rules.begin(), policy.rules.end(), [](const Rule& r) { return r.name.back() == '\0'; }) &&
         std::all_of(policy.credentials.begin(), policy.credentials.end(),
                     [](const auto& c) { return c.name.back() == '\0' && c.host.back() == '\0'; });
}

}  // namespace

Gate::Gate(int channel)
    : channel_(channel),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      resolver_(epoll_.get(), [](std::uint64_t number) { return tag_of(TagKind::lookup, number); }) {}

int Gate::run() {
  if (!epoll_ || !watch_for_input(epoll_.get(), channel_, tag_of(TagKind::channel))) return errno;
  std::array<epoll_event, 64> events{};
  for (;;) {
    const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), wait_ms(now_));
    if (count < 0 && errno != EINTR) return errno;
    now_ = clock_ms();
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      const bool is_channel = kind_of(event.data.u64) == TagKind::channel;
      if (is_channel && !take_message()) return errno;
      if (!is_channel) handle(event.data.u64, event.events);
    }
    handle_deadlines();
    ended_.clear();
  }
}

bool Gate::take_message() {
  static GatePolicy fresh;
  GateStreams streams;
  ReceivedFds fds;
  const ssize_t size = receive_message(channel_, &fresh, sizeof fresh, fds, MSG_DONTWAIT);
  if (size < 0 && errno == EAGAIN) return true;
  if (size == 0 || (size < 0 && errno == ECONNRESET)) return errno = 0, false;
  if (size == static_cast<ssize_t>(sizeof fresh) && is_whole(fresh)) return take_policy(fresh, fds);
  if (size == static_cast<ssize_t>(sizeof(GateShare)) && fresh.magic == guest_protocol::kGateShareMagic) {
    GateShare share;
    std::memcpy(&share, static_cast<const void*>(&fresh), sizeof share);
    policy_.max_connections = share.max_connections;
    return true;
  }
  std::memcpy(&streams, static_cast<const void*>(&fresh), sizeof streams);
  if (size != static_cast<ssize_t>(sizeof streams) || streams.magic != guest_protocol::kGateStreamsMagic)
    return errno = EPROTO, false;
  take_streams(streams, fds);
  return true;
}

bool Gate::take_policy(const GatePolicy& fresh, ReceivedFds& fds) {
  const bool is_first = !listener_;
  if (fds.count != (is_first ? 2U : 0U)) return errno = EPROTO, false;
  policy_ = fresh;
  rules_.assign(policy_.rules.begin(), policy_.rules.begin() + policy_.rule_count);
  reachable_.assign(policy_.reachable.begin(), policy_.reachable.begin() + policy_.reachable_count);
  unreachable_.assign(policy_.unreachable.begin(), policy_.unreachable.begin() + policy_.unreachable_count);
  resolver_.use({policy_.resolvers.data(), policy_.resolver_count});
  connections_ = TokenBucket(policy_.connections_per_second);
  bytes_ = TokenBucket(policy_.bytes_per_second);
  if (is_first && !begin(std::move(fds.fds[0]), std::move(fds.fds[1]))) return false;
  std::vector<Flow*> not_allowed;
  for (const auto& [number, flow] : flows_)
    if (flow->state != Flow::State::head && !is_allowed(*flow)) not_allowed.push_back(flow.get());
  for (Flow* flow : not_allowed) refuse(*flow, Verdict::changed);
  // Nor is a name server asked once more for what is not allowed now.
  for (const std::string& name : resolver_.give_up([this](const std::string& asked) { return may_ask(asked); }))
    handle_resolved(name);
  counts_.generation = policy_.generation;
  GateNote counts = counts_;
  (void)send_note(counts);
  return true;
}

// Only now does anything listen in the sandbox.
bool Gate::begin(UniqueFd listener, UniqueFd names) {
  listener_ = std::move(listener);
  names_ = std::move(names);
  constexpr int kBacklog = 128;
  settle_listener();
  return ::listen(listener_.get(), kBacklog) == 0 &&
         watch_for_input(epoll_.get(), listener_.get(), tag_of(TagKind::listener)) &&
         watch_for_input(epoll_.get(), names_.get(), tag_of(TagKind::names));
}

void Gate::handle(std::uint64_t tag, std::uint32_t events) {
  const std::uint64_t number = number_of(tag);
  switch (kind_of(tag)) {
    case TagKind::channel: return;
    case TagKind::listener: return accept_flows();
    case TagKind::names: return read_queries();
    case TagKind::lookup:
      if (const auto name = resolver_.handle(number, now_)) handle_resolved(*name);
      return;
    case TagKind::client:
    case TagKind::server: break;
  }
  Flow* flow = find(number);
  if (flow == nullptr) return;
  kind_of(tag) == TagKind::client ? handle_client(*flow, events) : handle_server(*flow, events);
}

int Gate::wait_ms(std::uint64_t now) {
  std::uint64_t next = resolver_.first_deadline_ms();
  for (const auto& [number, flow] : flows_) next = std::min(next, flow->deadline_ms);
  if (counts_changed_) next = std::min(next, counts_due_);
  if (is_paused_) next = std::min(next, now + bytes_.wait_ms(now));
  if (next == UINT64_MAX) return -1;
  return next <= now ? 0 : static_cast<int>(std::min<std::uint64_t>(next - now, 60'000));
}

void Gate::handle_deadlines() {
  for (const std::string& name : resolver_.handle_deadlines(now_)) handle_resolved(name);
  std::vector<Flow*> late;
  for (const auto& [number, flow] : flows_)
    if (flow->deadline_ms <= now_) late.push_back(flow.get());
  for (Flow* flow : late) {
    if (flow->state == Flow::State::head)
      refuse(*flow, Verdict::no_name);
    else if (flow->state == Flow::State::asking)
      refuse(*flow, Verdict::unreachable);
    else if (flow->state == Flow::State::resolving)
      refuse(*flow, Verdict::unresolved);
    else if (flow->state == Flow::State::connecting)
      connect_next(*flow);
    else
      end(*flow, Flow::End::abrupt);
  }
  if (is_paused_ && may_spend()) {
    is_paused_ = false;
    for (const auto& [number, flow] : flows_) watch(*flow);
  }
  if (!counts_changed_ || counts_due_ > now_) return;
  GateNote counts = counts_;
  (void)send_note(counts);
}

void Gate::note(Verdict verdict, const std::string& name, std::uint32_t address, std::uint32_t port,
                guest_protocol::GateSubject subject, const std::string& credential) {
  ++(verdict == Verdict::allowed ? counts_.allowed : counts_.refused);
  change_counts();
  if (!(verdict == Verdict::allowed ? allowed_left_ : refused_left_).take(now_)) return void(++counts_.unsaid);
  GateNote event = counts_;
  event.is_event = 1;
  event.verdict = verdict;
  event.subject = subject;
  (void)credential.copy(event.credential.data(), event.credential.size() - 1);
  // Where a name leads to inside is nothing that a sandbox, or who made it, could learn of itself.
  event.address = verdict == Verdict::denied_range && !name.empty() ? 0 : address;
  event.port = port;
  (void)name.copy(event.name.data(), event.name.size() - 1);
  (void)send_note(event);
}

void Gate::note(Verdict verdict, const Flow& flow) {
  using guest_protocol::GateSubject;
  const GateSubject subject = flow.credential.empty() ? GateSubject::connection : GateSubject::credential;
  note(verdict, flow.name, flow.address, flow.port, subject, flow.credential);
}

void Gate::change_counts() {
  if (!counts_changed_) counts_due_ = now_ + kCountsMs;
  counts_changed_ = true;
}

bool Gate::send_note(GateNote& note) {
  note.connections = static_cast<std::uint32_t>(flows_.size());
  // What it says beside an event is said again, if the daemon does not keep up.
  counts_changed_ = ::send(channel_, &note, sizeof note, MSG_DONTWAIT | MSG_NOSIGNAL) != sizeof note;
  if (!counts_changed_) return true;
  if (note.is_event != 0) ++counts_.unsaid;
  counts_due_ = now_ + kCountsMs;
  return false;
}

}  // namespace lmsb::network
