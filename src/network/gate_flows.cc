// The connections of a sandbox: see gate.h.
#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "network/client_hello.h"
#include "network/gate.h"
#include "network/gate_sockets.h"
#include "network/gate_tags.h"

namespace lmsb::network {
namespace {

using State = Flow::State;

constexpr int kAtOnce = 64;            // accepted
constexpr int kRounds = 4;             // of one flow, before the others have their turn
constexpr std::size_t kMostTried = 4;  // addresses of a name
constexpr std::uint32_t kHttp = 80;
constexpr std::uint32_t kHttps = 443;

sockaddr_in socket_address(std::uint32_t address, std::uint32_t port) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(port));
  to.sin_addr.s_addr = htonl(address);
  return to;
}

// One of the machine's own, or a broadcast address: what a socket can be bound to, or a datagram's is. Where the kernel
// lets sockets have any address (net.ipv4.ip_nonlocal_bind), that is all of them, and nothing is reached.
bool is_own(std::uint32_t address) {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const sockaddr_in own = socket_address(address, 0);
  if (!socket) return true;
  return ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own) == 0 || errno != EADDRNOTAVAIL;
}

// A connection's window keeps to the buffer that its listener has, unless it is said otherwise.
void settle_client(int client, std::size_t octets) {
  limit_buffers(client, octets);
  set_option(client, IPPROTO_TCP, TCP_WINDOW_CLAMP, static_cast<int>(octets));
}

// Whether a close resets the connection and drops what has not been sent, or leaves it to the kernel.
void reset_when_closed(int socket, bool resets) {
  const linger how{resets ? 1 : 0, 0};
  (void)::setsockopt(socket, SOL_SOCKET, SO_LINGER, &how, sizeof how);
}

// Whether the other end has acknowledged all of a socket whose writing side is shut down.
bool is_sent(int socket) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) < 0) return true;
  return info.tcpi_state == TCP_FIN_WAIT2 || info.tcpi_state == TCP_TIME_WAIT || info.tcpi_state == TCP_CLOSE;
}

}  // namespace

// The sandbox's listener is its guest's, too, whose options for it are its own, and accepted connections inherit them:
// nothing of it may make this process wait, and what comes before a connection is accepted has its bound, too.
void Gate::settle_listener() {
  const int flags = ::fcntl(listener_.get(), F_GETFL);
  if (flags >= 0 && (flags & O_NONBLOCK) == 0) (void)::fcntl(listener_.get(), F_SETFL, flags | O_NONBLOCK);
  limit_buffers(listener_.get(), FlowShares::kLeastBuffer);
}

Flow* Gate::find(std::uint64_t number) {
  const auto found = flows_.find(number);
  return found == flows_.end() ? nullptr : found->second.get();
}

bool Gate::is_denied(std::uint32_t address) const {
  const auto has = [address](const Range& range) { return contains(range, address); };
  return is_always_denied(address, reachable_) || std::any_of(unreachable_.begin(), unreachable_.end(), has) ||
         is_own(address);
}

bool Gate::is_allowed(const Flow& flow) const {
  if (!flow.credential.empty()) {
    const auto* credential = find_credential(flow.credential);
    if (credential == nullptr || flow.is_to_daemon) return credential != nullptr;
    return flow.name == credential->host.data() && flow.port == credential->port;
  }
  if (policy_.mode == Mode::open) return flow.name.empty() || may_ask(flow.name);
  if (policy_.mode != Mode::allowlist) return false;
  // In mode open nobody looked at who it is for.
  if (!flow.name.empty() && !flow.has_said && (flow.port == kHttp || flow.port == kHttps)) return false;
  if (!flow.name.empty()) return allows_name(rules_, flow.name, flow.port);
  return allows_address(rules_, flow.address, flow.port);
}

void Gate::accept_flows() {
  settle_listener();
  for (int i = 0; i < kAtOnce; ++i) {
    UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!client) return;
    reset_when_closed(client.get(), true);
    sockaddr_in asked{};
    socklen_t size = sizeof asked;
    if (::getsockname(client.get(), reinterpret_cast<sockaddr*>(&asked), &size) < 0 || asked.sin_family != AF_INET)
      continue;
    auto flow = std::make_unique<Flow>();
    flow->number = next_flow_++;
    flow->client = std::move(client);
    flow->address = ntohl(asked.sin_addr.s_addr);
    flow->port = ntohs(asked.sin_port);
    const bool has_room = flows_.size() < policy_.max_connections && connections_.take(now_);
    const auto share = has_room ? shares_.take(policy_.max_connections - flows_.size() - 1) : std::nullopt;
    if (share) settle_client(flow->client.get(), FlowShares::client_buffer(*share));
    flow->share = share.value_or(0);
    Flow& added = *flow;
    flows_[added.number] = std::move(flow);
    share ? admit(added) : refuse(added, Verdict::too_many);
  }
}

// Whom it wants: the name that its address was given for, an address that is allowed as such, or who it says.
void Gate::admit(Flow& flow) {
  if (policy_.mode == Mode::none) return refuse(flow, Verdict::not_listed);
  const bool is_given = NameAddresses::is_one(flow.address);
  const std::string given = is_given ? addresses_.name_of(flow.address).value_or("") : "";
  if (is_given && given.empty()) return refuse(flow, Verdict::not_listed);
  const bool is_of_credential = credential_inside(given) != nullptr;
  if (!is_of_credential &&
      (policy_.mode == Mode::open || (!is_given && allows_address(rules_, flow.address, flow.port)))) {
    if (is_given) return go_to_name(flow, given);
    flow.addresses = {flow.address};
    return is_denied(flow.address) ? refuse(flow, Verdict::denied_range) : connect_next(flow);
  }
  if (flow.port == kHttp || flow.port == kHttps) {
    flow.state = State::head;
    flow.deadline_ms = now_ + kHeadMs;
    return watch(flow);
  }
  if (!is_given) return refuse(flow, Verdict::not_listed);
  go_to_name(flow, given);
}

void Gate::read_head(Flow& flow) {
  std::array<char, kHeadBuffer> buffer{};
  const ssize_t size = ::recv(flow.client.get(), buffer.data(), kHeadBuffer - flow.up.size(), MSG_DONTWAIT);
  if (size < 0 && errno == EAGAIN) return;
  if (size <= 0) return refuse(flow, Verdict::no_name);
  flow.up.append(buffer.data(), static_cast<std::size_t>(size));
  flow.has_said = true;  // or it goes nowhere
  if (flow.port == kHttps) {
    Sniffed hello = sniff_client_hello(flow.up);
    if (hello.state == Sniffed::State::found) return go_to_name(flow, std::move(hello.name));
    if (hello.state == Sniffed::State::bad || flow.up.size() >= kHeadBuffer) refuse(flow, Verdict::no_name);
    return;
  }
  RequestHead head = read_request_head(flow.up, flow.port);
  if (head.state == RequestHead::State::bad ||
      (head.state == RequestHead::State::more && flow.up.size() >= kHeadBuffer))
    return refuse(flow, Verdict::no_name);
  if (head.state == RequestHead::State::more) return;
  flow.is_http = true;
  flow.body = RequestBody(head);
  const std::string rest = flow.up.substr(head.size);
  flow.up = std::move(head.rewritten) + rest.substr(0, flow.body.take(rest));
  flow.up.shrink_to_fit();
  flow.client_ended = flow.body.has_ended();
  if (flow.body.is_bad()) return refuse(flow, Verdict::no_name);
  const auto* credential = credential_inside(head.host);
  credential != nullptr ? ask(flow, *credential) : go_to_name(flow, std::move(head.host));
}

void Gate::go_to_name(Flow& flow, std::string name) {
  flow.name = std::move(name);
  if (!is_allowed(flow)) return refuse(flow, Verdict::not_listed);
  flow.state = State::resolving;
  flow.deadline_ms = now_ + kConnectMs;
  watch(flow);
  if (const auto known = resolver_.ask(flow.name, now_)) resolved(flow, *known);
}

// What it is connected to is what was looked at, and nobody is asked again.
void Gate::resolved(Flow& flow, const Resolution& resolution) {
  if (!is_allowed(flow)) return refuse(flow, Verdict::not_listed);
  if (resolution.code != DnsCode::ok || resolution.addresses.empty()) return refuse(flow, Verdict::unresolved);
  if (std::any_of(resolution.addresses.begin(), resolution.addresses.end(), [this](auto a) { return is_denied(a); }))
    return refuse(flow, Verdict::denied_range);
  flow.addresses = resolution.addresses;
  if (flow.addresses.size() > kMostTried) flow.addresses.resize(kMostTried);
  connect_next(flow);
}

void Gate::connect_next(Flow& flow) {
  flow.state = State::connecting;
  while (flow.next < flow.addresses.size()) {
    // Each attempt counts; the first did when it was accepted.
    if (flow.next > 0 && !connections_.take(now_)) return refuse(flow, Verdict::too_many);
    flow.address = flow.addresses[flow.next++];
    flow.server_events = 0;
    flow.server.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const sockaddr_in to = socket_address(flow.address, flow.port);
    if (!flow.server) break;
    reset_when_closed(flow.server.get(), true);
    limit_buffers(flow.server.get(), FlowShares::server_buffer(flow.share));
    set_option(flow.server.get(), IPPROTO_TCP, TCP_NODELAY);
    set_option(flow.server.get(), SOL_SOCKET, SO_KEEPALIVE);
    if (::connect(flow.server.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) < 0 && errno != EINPROGRESS)
      continue;
    flow.deadline_ms = now_ + kConnectMs;
    return watch(flow);
  }
  refuse(flow, Verdict::unreachable);
}

void Gate::handle_client(Flow& flow, std::uint32_t events) {
  if (flow.state == State::head) return read_head(flow);
  // Reset; both ends have gone in order only behind what the server has said.
  if ((events & EPOLLERR) != 0 || ((events & EPOLLHUP) != 0 && !flow.server_ended)) return end(flow, Flow::End::abrupt);
  if (flow.state != State::relaying) return;
  if ((events & EPOLLRDHUP) != 0 && !flow.client_left && (!flow.is_http || flow.client_ended)) {
    flow.client_left = true;
    flow.ends_server = flow.is_http;  // of others when all that came before has gone
  }
  relay(flow);
}

void Gate::handle_server(Flow& flow, std::uint32_t events) {
  if (flow.state == State::relaying) return relay(flow);
  if (flow.state != State::connecting || (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0) return;
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(flow.server.get(), SOL_SOCKET, SO_ERROR, &error, &size) < 0 || error != 0) return connect_next(flow);
  set_option(flow.client.get(), IPPROTO_TCP, TCP_NODELAY);
  flow.state = State::relaying;
  note(Verdict::allowed, flow);
  relay(flow);
}

void Gate::relay(Flow& flow) {
  constexpr std::uint64_t kHalfOpenMs = 600'000;
  if (!move_up(flow) || !move_down(flow)) return end(flow, Flow::End::abrupt);
  if (is_over(flow)) return end(flow, Flow::End::orderly);
  flow.deadline_ms = now_ + (flow.server_ended || flow.client_ended || flow.client_left ? kHalfOpenMs : kIdleMs);
  watch(flow);
}

// Also for the kernel: what it still had to send would be in no count, and no policy would end it.
bool Gate::is_over(const Flow& flow) {
  return flow.server_ended && flow.client_ended && flow.up.empty() && is_sent(flow.client.get()) &&
         is_sent(flow.server.get());
}

// Sends what waits. False: the other end is gone.
bool Gate::flush(int socket, std::string& waiting) {
  if (waiting.empty()) return true;
  const ssize_t sent = ::send(socket, waiting.data(), waiting.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent > 0) waiting.erase(0, static_cast<std::size_t>(sent));
  if (waiting.empty()) waiting.shrink_to_fit();  // most connections have nothing that waits: they take no memory
  return sent >= 0 || errno == EAGAIN;
}

// The next octets, into `waiting`. 0 is the end, -1 with errno.
ssize_t Gate::receive(int socket, std::string& waiting, std::uint64_t* count) {
  if (count != nullptr && !may_spend()) {
    is_paused_ = true;
    return errno = EAGAIN, -1;
  }
  std::array<char, kBuffer> buffer{};
  const ssize_t size = ::recv(socket, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (size <= 0) return size;
  waiting.assign(buffer.data(), static_cast<std::size_t>(size));
  if (count == nullptr) return size;
  bytes_.spend(static_cast<std::uint64_t>(size), now_);
  *count += static_cast<std::uint64_t>(size);
  change_counts();
  return size;
}

bool Gate::move_up(Flow& flow) {
  for (int round = 0; round < kRounds; ++round) {
    if (!flush(flow.server.get(), flow.up)) return false;
    if (!flow.up.empty()) return true;
    if (flow.ends_server) (void)::shutdown(flow.server.get(), SHUT_WR);
    flow.ends_server = false;
    if (flow.client_ended) return true;
    const ssize_t size = receive(flow.client.get(), flow.up, flow.is_to_daemon ? nullptr : &counts_.sent_bytes);
    if (size < 0) return errno == EAGAIN;
    if (size == 0) flow.client_ended = flow.client_left = flow.ends_server = true;
    if (!flow.is_http) continue;
    flow.up.resize(flow.body.take(flow.up));
    if (flow.body.is_bad()) return false;
    flow.client_ended = flow.client_ended || flow.body.has_ended();
  }
  return true;
}

bool Gate::move_down(Flow& flow) {
  for (int round = 0; round < kRounds; ++round) {
    if (!flush(flow.client.get(), flow.down)) return false;
    if (!flow.down.empty() || flow.server_ended) return true;
    const ssize_t size = receive(flow.server.get(), flow.down, flow.is_to_daemon ? nullptr : &counts_.received_bytes);
    if (size < 0) return errno == EAGAIN;
    if (size > 0) continue;
    flow.server_ended = true;
    (void)::shutdown(flow.client.get(), SHUT_WR);
    if (!flow.is_http) continue;
    flow.up.clear();  // it has answered: the rest of the request is nobody's
    flow.client_ended = flow.client_left = flow.ends_server = true;
  }
  return true;
}

void Gate::watch(Flow& flow) {
  std::uint32_t client = 0;
  std::uint32_t server = 0;
  if (flow.state == State::head) client = EPOLLIN;
  if (flow.state == State::connecting) server = EPOLLOUT;
  if (flow.state == State::relaying) {
    if (!flow.client_ended && flow.up.empty() && !is_paused_) client |= EPOLLIN;
    if (flow.is_http && flow.client_ended && !flow.client_left) client |= EPOLLRDHUP;
    if (!flow.down.empty()) client |= EPOLLOUT;
    if (!flow.server_ended && flow.down.empty() && !is_paused_) server |= EPOLLIN;
    if (!flow.up.empty() || flow.ends_server) server |= EPOLLOUT;
  }
  // Once, where nothing is wanted of it: that it has been reset, or has left, or that all has been sent.
  if (client == 0) client = EPOLLET | EPOLLRDHUP | (flow.server_ended ? EPOLLOUT : 0U);
  if (server == 0 && flow.server_ended) server = EPOLLET;
  set_events(flow.client.get(), flow.client_events, client, tag_of(TagKind::client, flow.number));
  set_events(flow.server.get(), flow.server_events, server, tag_of(TagKind::server, flow.number));
}

// A server that nothing is wanted of is not watched: the kernel would tell of its end again and again.
void Gate::set_events(int fd, std::uint32_t& now, std::uint32_t wanted, std::uint64_t tag) const {
  if (fd < 0 || now == wanted) return;
  epoll_event event{};
  event.events = wanted;
  event.data.u64 = tag;
  const int operation = now == 0 ? EPOLL_CTL_ADD : wanted == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
  (void)::epoll_ctl(epoll_.get(), operation, fd, &event);
  now = wanted;
}

void Gate::refuse(Flow& flow, Verdict verdict) {
  note(verdict, flow);
  end(flow, Flow::End::abrupt);
}

void Gate::end(Flow& flow, Flow::End how) {
  if (how == Flow::End::orderly) reset_when_closed(flow.client.get(), false);
  flow.client.reset();
  flow.server.reset();
  shares_.give_back(flow.share);
  auto ended = flows_.extract(flow.number);
  ended_.push_back(std::move(ended.mapped()));
  change_counts();
}

}  // namespace lmsb::network
