// Requests that get a credential: see gate.h and docs/adr/0047. The daemon has the secret, and puts it in: the gate
// gives it the request by one stream, and carries what it says by another one, in TLS, to the credential's host. The
// second one is a connection to the outside like any other.
#include <algorithm>

#include "network/credential.h"
#include "network/gate.h"
#include "network/gate_sockets.h"

namespace lmsb::network {

using guest_protocol::GateCredential;

const GateCredential* Gate::find_credential(std::string_view name) const {
  const auto* const end = policy_.credentials.begin() + policy_.credential_count;
  const auto* const found =
      std::find_if(policy_.credentials.begin(), end, [name](const GateCredential& c) { return name == c.name.data(); });
  return found == end ? nullptr : found;
}

const GateCredential* Gate::credential_inside(std::string_view host) const {
  return host.ends_with(kInsideSuffix) ? find_credential(host.substr(0, host.size() - kInsideSuffix.size())) : nullptr;
}

void Gate::ask(Flow& flow, const GateCredential& credential) {
  flow.credential = credential.name.data();
  flow.name = flow.credential + std::string(kInsideSuffix);
  flow.is_to_daemon = true;
  flow.state = Flow::State::asking;
  flow.deadline_ms = now_ + kConnectMs;
  watch(flow);
  if (!asks_left_.take(now_)) return refuse(flow, Verdict::too_many);
  guest_protocol::GateNote note = counts_;
  note.asking = flow.number;
  note.credential = credential.name;
  if (!send_note(note)) refuse(flow, Verdict::unreachable);
}

void Gate::take_streams(const guest_protocol::GateStreams& streams, ReceivedFds& fds) {
  Flow* const flow = find(streams.flow);
  if (flow == nullptr || !flow->is_to_daemon) return;  // it has ended meanwhile
  const bool is_waiting = flow->state == Flow::State::asking;
  if (fds.count == 0) return is_waiting ? refuse(*flow, Verdict::unreachable) : end(*flow, Flow::End::abrupt);
  if (!is_waiting) return;
  flow->server = std::move(fds.fds[0]);
  limit_buffers(flow->server.get(), FlowShares::server_buffer(flow->share));
  flow->state = Flow::State::relaying;
  if (fds.count > 1) carry_to_host(flow->credential, std::move(fds.fds[1]));
  relay(*flow);
}

// Where that fails, the end of the stream tells the daemon.
void Gate::carry_to_host(const std::string& credential, UniqueFd stream) {
  const GateCredential* const to = find_credential(credential);
  if (to == nullptr) return;
  auto made = std::make_unique<Flow>();
  Flow& flow = *made;
  flow.number = next_flow_++;
  flow.client = std::move(stream);
  flow.credential = credential;
  flow.name = to->host.data();
  flow.port = to->port;
  const bool has_room = flows_.size() < policy_.max_connections;
  const auto share = has_room ? shares_.take(policy_.max_connections - flows_.size() - 1) : std::nullopt;
  flow.share = share.value_or(0);
  flows_[flow.number] = std::move(made);
  if (!share) return refuse(flow, Verdict::too_many);
  limit_buffers(flow.client.get(), FlowShares::client_buffer(*share));
  go_to_name(flow, flow.name);
}

}  // namespace lmsb::network
