#include "control/sandbox_network.h"

#include <algorithm>
#include <array>
#include <utility>

#include <boost/asio/post.hpp>

#include "base/clock.h"
#include "io/spawn.h"
#include "network/credential.h"

namespace lmsb::control {
namespace {

constexpr std::chrono::seconds kAnswer{5};  // of a gate, to a policy
constexpr std::chrono::seconds kEnd{10};    // of a gate, once the launcher has been told
// Before the next gate: twice as long each time, until one has served for a while.
constexpr std::chrono::seconds kShortestPause{1};
constexpr std::chrono::seconds kLongestPause{32};
constexpr std::chrono::seconds kWhile{60};

std::uint64_t now_ms() {
  const auto now = io::Deadline::Clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
}

Error not_ended() {
  return Error(ErrorCode::unavailable, "the process that served the sandbox's network has not ended yet")
      .with_slug("gate_lost")
      .with_hint("it is being ended; try again in a moment");
}

Error gone() { return Error(ErrorCode::unavailable, "the sandbox is gone").with_slug("sandbox_lost"); }

}  // namespace

SandboxNetwork::SandboxNetwork(boost::asio::io_context& loop, std::string id, guest_client::Channel& channel,
                               network::Egress egress, Parts parts, Logger& log)
    : loop_(loop),
      id_(std::move(id)),
      channel_(&channel),
      egress_(std::move(egress)),
      parts_(std::move(parts)),
      log_(log),
      changed_(loop) {}

io::Task<void> SandboxNetwork::open(std::shared_ptr<SandboxNetwork> self) {
  if (self->channel_ == nullptr) co_return gone();
  LMSB_CO_CHECK(co_await wait_ended(self));
  if (self->channel_ == nullptr) co_return gone();
  LMSB_CO_TRY(auto gate, co_await self->parts_.open_gate());
  if (self->channel_ == nullptr) co_return gone();
  LMSB_CO_TRY(const auto sockets, co_await self->channel_->take_network());
  if (self->channel_ == nullptr) co_return gone();
  LMSB_CO_CHECK(gate->give(self->next_policy(), &sockets));
  self->events_.begin_anew();
  self->gate_ = std::move(gate);
  self->since_ = io::Deadline::Clock::now();
  // Before it has said so a connection would be refused.
  const io::Deadline deadline = io::Deadline::in(kAnswer);
  while (self->gate_ && self->generation_in_force_ != self->generation_)
    LMSB_CO_CHECK(co_await self->hear_gate(deadline));
  co_return Status();
}

std::unique_ptr<ConnectionShares::Place> SandboxNetwork::take_place() {
  return parts_.take_place([weak = weak_from_this()](std::uint32_t share) {
    if (const auto self = weak.lock()) self->say_share(share);
  });
}

// One that does not keep up has what it had until it says something; but what is gone from a smaller share others may
// have by now, so it ends where it did not take that.
void SandboxNetwork::say_share(std::uint32_t share) {
  if (!gate_) return;  // the next one begins with it
  guest_protocol::GateShare said;
  said.max_connections = share;
  is_share_unsaid_ = !gate_->give(said).ok();
  if (!is_share_unsaid_) {
    said_share_ = share;
  } else if (share < said_share_) {  // who tells of it is not to be called back
    boost::asio::post(loop_, [weak = weak_from_this(), gate = std::weak_ptr<Gate>(gate_)] { lose(weak, gate); });
  }
}

guest_protocol::GatePolicy SandboxNetwork::next_policy() {
  guest_protocol::GatePolicy policy = parts_.policy_of(egress_);
  policy.generation = ++generation_;
  if (egress_.mode == network::Mode::none) return policy;
  if (!place_) place_ = take_place();
  said_share_ = policy.max_connections = place_->share();
  is_share_unsaid_ = false;
  return policy;
}

// One note. Its end is the gate's.
io::Task<void> SandboxNetwork::hear_gate(io::Deadline deadline) {
  const std::shared_ptr<Gate> gate = gate_;
  auto note = co_await gate->next(deadline);
  if (gate != gate_) co_return Status();
  std::optional<NetworkEvent> event;
  if (!note.ok() || !events_.take(*note, now_ms(), event)) {
    lose_gate();
    co_return Error(ErrorCode::unavailable, "the gate is gone").with_slug("gate_lost");
  }
  generation_in_force_ = note->generation;
  // Where nothing is let out nothing is left of what was: others may have its share.
  if (egress_.mode == network::Mode::none && generation_in_force_ == generation_) place_.reset();
  if (place_ && is_share_unsaid_) say_share(place_->share());
  if (place_) place_->has(note->connections);
  changed_.notify_all();
  if (event) parts_.hear(*event);
  if (note->asking != 0) serve_credential(*note);
  co_return Status();
}

// Who takes a gate over can ask for what the sandbox has been given, and for nothing else.
void SandboxNetwork::serve_credential(const guest_protocol::GateNote& note) {
  CredentialDesk::Order order;
  order.sandbox = id_;
  order.credential = note.credential.data();
  order.tell = [weak = weak_from_this(), name = order.credential](const std::string& verdict) {
    if (const auto self = weak.lock()) self->refuse_credential(name, verdict);
  };
  guest_protocol::GateStreams streams;
  streams.flow = note.asking;
  order.lose = [weak = weak_from_this(), gate = std::weak_ptr<Gate>(gate_)] { lose(weak, gate); };
  order.cut = [gate = std::weak_ptr<Gate>(gate_), streams, lose = order.lose] {
    const auto there = gate.lock();
    if (there && !there->give(streams, {}).ok()) lose();  // it does not keep up
  };
  const auto given = network::credentials_of(egress_);
  const bool may = std::find(given.begin(), given.end(), order.credential) != given.end();
  auto served = may ? parts_.serve_credential(std::move(order))
                    : Result<CredentialDesk::Streams>(Error(ErrorCode::permission_denied, "it was not given"));
  std::array<int, 2> fds{};
  std::size_t count = 0;
  if (served.ok()) fds[count++] = served->sandbox.get();
  if (served.ok() && served->host) fds[count++] = served->host.get();
  (void)gate_->give(streams, std::span(fds).first(count));  // else it ends by its time
}

void SandboxNetwork::refuse_credential(const std::string& name, const std::string& verdict) {
  NetworkEvent event;
  event.time = rfc3339_now();
  event.verdict = verdict;
  event.subject = guest_protocol::GateSubject::credential;
  event.name = name + std::string(network::kInsideSuffix);
  event.credential = name;
  events_.add(event);
  parts_.hear(event);
}

// One that does not answer may have connections until it has ended.
void SandboxNetwork::lose_gate() {
  if (gate_) {
    ending_ = gate_->serial();
    gate_->cancel();
  }
  gate_.reset();
  if (ending_ == 0) place_.reset();  // else when nothing is left of it: wait_ended()
  changed_.notify_all();
}

// Unless another one has taken its place.
void SandboxNetwork::lose(const std::weak_ptr<SandboxNetwork>& weak, const std::weak_ptr<Gate>& gate) {
  const auto self = weak.lock();
  const auto there = gate.lock();
  if (self && there && self->gate_ == there) self->lose_gate();
}

io::Task<void> SandboxNetwork::wait_ended(std::shared_ptr<SandboxNetwork> self) {
  const io::Deadline deadline = io::Deadline::in(kEnd);
  while (const std::uint64_t serial = self->ending_) {
    Status ended = co_await self->parts_.wait_ended(serial, deadline);
    if (!ended.ok() && ended.error().code() == ErrorCode::deadline_exceeded) co_return not_ended();
    if (!ended.ok()) co_return ended;
    if (self->ending_ != serial) continue;
    self->ending_ = 0;
    self->place_.reset();
  }
  co_return Status();
}

io::Always<void> SandboxNetwork::keep(std::shared_ptr<SandboxNetwork> self) {
  std::chrono::seconds pause = kShortestPause;
  while (self->channel_ != nullptr && !self->channel_->is_closed()) {
    if (self->gate_) {
      (void)co_await self->hear_gate(io::Deadline::never());  // without a gate: see below
      if (self->gate_ || self->channel_ == nullptr) continue;
      self->log_.log(LogLevel::warning, "network.gate_lost", {{"id", self->id_}});
      if (io::Deadline::Clock::now() - self->since_ > kWhile) pause = kShortestPause;
    } else {
      const Status opened = co_await open(self);
      if (opened.ok() || self->channel_ == nullptr) continue;
      self->lose_gate();
      self->log_.log(LogLevel::warning, "network.not_served", {{"id", self->id_}, {"error", opened.error().message()}});
      if (opened.error().slug() == "network_fixed") co_return;  // it was started without
    }
    (void)co_await io::sleep_until(io::Deadline::in(pause));  // never cancelled
    pause = std::min(2 * pause, kLongestPause);
  }
  // What it may have is no one else's until then, or until nobody waits any longer for one that stays.
  const Status ended = co_await wait_ended(self);
  if (!ended.ok())
    self->log_.log(LogLevel::warning, "network.gate_stays", {{"id", self->id_}, {"error", ended.error().message()}});
}

io::Task<void> SandboxNetwork::change(std::shared_ptr<SandboxNetwork> self, network::Egress egress) {
  if (self->channel_ == nullptr) co_return gone();
  self->egress_ = std::move(egress);
  self->parts_.keep_credentials(network::credentials_of(self->egress_));
  const io::Deadline deadline = io::Deadline::in(kAnswer);
  // Without a gate the next one begins with it, and nothing is reached once nothing is left of the last.
  if (!self->gate_) co_return co_await wait_ended(self);
  const guest_protocol::GatePolicy policy = self->next_policy();
  const std::uint32_t generation = policy.generation;
  if (!self->gate_->give(policy, nullptr).ok()) self->lose_gate();
  const auto is_in_force = [&self, generation] {
    return !self->gate_ || self->generation_ != generation || self->generation_in_force_ == generation;
  };
  while (!is_in_force()) {
    Status changed = co_await self->changed_.wait(deadline);
    if (changed.ok()) continue;
    if (changed.error().code() != ErrorCode::deadline_exceeded) co_return changed;
    self->lose_gate();  // it does not answer: what it lets through ends with it
  }
  co_return co_await wait_ended(self);
}

void SandboxNetwork::close() {
  channel_ = nullptr;
  lose_gate();
}

}  // namespace lmsb::control
