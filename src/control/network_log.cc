#include "control/network_log.h"

#include <array>

#include "base/clock.h"
#include "network/credential.h"
#include "network/host_name.h"

namespace lmsb::control {
namespace {

using guest_protocol::GateNote;
using guest_protocol::GateVerdict;

constexpr std::array kVerdicts = {"allowed",    "not_listed",  "denied_range",         "no_name",
                                  "unresolved", "unreachable", "too_many_connections", "policy_changed"};
static_assert(kVerdicts.size() == static_cast<std::size_t>(GateVerdict::count));

}  // namespace

bool NetworkLog::take(const GateNote& note, std::uint64_t now_ms, std::optional<NetworkEvent>& event) {
  event.reset();
  if (!notes_left_.take(now_ms)) return false;
  now_ = {note.allowed, note.refused, note.unsaid, note.sent_bytes, note.received_bytes};
  if (note.credential.back() != '\0') return false;
  if (note.is_event == 0) return true;
  const std::string_view name(note.name.data(),
                              note.name.back() == '\0' ? std::char_traits<char>::length(note.name.data()) : 0);
  const std::string_view credential(note.credential.data());  // its end has been seen
  if (note.verdict >= GateVerdict::count || note.subject >= guest_protocol::GateSubject::count ||
      note.name.back() != '\0' || note.port > 65535)
    return false;
  if (!credential.empty() && !network::is_credential_name(credential)) return false;
  if (!name.empty() && network::normal_host_name(name) != name) return false;
  event.emplace();
  event->time = rfc3339_now();
  event->verdict = kVerdicts[static_cast<std::size_t>(note.verdict)];
  event->subject = note.subject;
  event->credential = credential;
  event->name = name;
  if (note.address != 0) event->address = network::ipv4_text(note.address);
  event->port = note.port;
  events_.push_back(*event);
  if (events_.size() > kMostEvents) events_.pop_front();
  return true;
}

void NetworkLog::add(NetworkEvent event) {
  ++before_.refused;
  events_.push_back(std::move(event));
  if (events_.size() > kMostEvents) events_.pop_front();
}

void NetworkLog::begin_anew() {
  before_ = counts();
  now_ = {};
  notes_left_ = network::TokenBucket(kNotesPerSecond);
}

NetworkCounts NetworkLog::counts() const {
  return {before_.allowed + now_.allowed, before_.refused + now_.refused, before_.unsaid + now_.unsaid,
          before_.sent_bytes + now_.sent_bytes, before_.received_bytes + now_.received_bytes};
}

}  // namespace lmsb::control
