// What a sandbox asks its name server: see gate.h. Names that are not listed are answered here, and asked of nobody.
#include <algorithm>
#include <array>
#include <cstring>
#include <sys/socket.h>

#include "network/gate.h"
#include "network/host_name.h"

namespace lmsb::network {
namespace {

using guest_protocol::GateSubject;

constexpr std::uint32_t kTtlSeconds = 60;
constexpr std::size_t kMostTold = 8;
constexpr int kAtOnce = 16;

in_addr asked_address(msghdr& message) {
  in_addr asked{};
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != IPPROTO_IP || header->cmsg_type != IP_PKTINFO) continue;
    in_pktinfo info{};
    std::memcpy(&info, CMSG_DATA(header), sizeof info);
    asked = info.ipi_addr;
  }
  return asked;
}

}  // namespace

bool Gate::may_ask(const std::string& name) const {
  if (policy_.mode == Mode::open) return !is_local_name(name);
  return policy_.mode == Mode::allowlist && allows_name(rules_, name, 0);
}

void Gate::read_queries() {
  for (int i = 0; i < kAtOnce; ++i) {
    std::array<char, kMaxDnsMessage + 1> text{};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(in_pktinfo))> control{};
    Query query;
    iovec part{text.data(), text.size()};
    msghdr message{};
    message.msg_name = &query.from;
    message.msg_namelen = sizeof query.from;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t size = ::recvmsg(names_.get(), &message, MSG_DONTWAIT);
    if (size < 0) return;
    auto parsed = parse_dns_query({text.data(), static_cast<std::size_t>(size)});
    if (!parsed || !queries_left_.take(now_)) continue;
    query.query = *std::move(parsed);
    query.to = asked_address(message);
    take_query(std::move(query));
  }
}

void Gate::take_query(Query query) {
  const std::string& name = query.query.name;
  if (policy_.mode == Mode::none) return send_answer(query, dns_answer(query.query, DnsCode::refused, {}, 0));
  if (name.empty()) return send_answer(query, dns_answer(query.query, DnsCode::no_such_name, {}, 0));
  if (credential_inside(name) != nullptr) {
    std::vector<std::uint32_t> addresses;
    if (query.query.type == kTypeA) addresses = {addresses_.address_of(name)};
    return send_answer(query, dns_answer(query.query, DnsCode::ok, addresses, kTtlSeconds));
  }
  if (!may_ask(name)) {
    note(Verdict::not_listed, name, 0, 0, GateSubject::name);
    return send_answer(query, dns_answer(query.query, DnsCode::no_such_name, {}, 0));
  }
  // Other records would go by the policy: there are none.
  if (query.query.type != kTypeA) return send_answer(query, dns_answer(query.query, DnsCode::ok, {}, 0));
  const auto known = resolver_.ask(name, now_);
  if (known) return answer_query(query, *known);
  if (queries_.size() >= kMaxQueries) return send_answer(query, dns_answer(query.query, DnsCode::failure, {}, 0));
  queries_.push_back(std::move(query));
}

void Gate::answer_query(const Query& query, const Resolution& resolution) {
  const std::string& name = query.query.name;
  DnsCode code = may_ask(name) ? resolution.code : DnsCode::no_such_name;
  if (code == DnsCode::failure) note(Verdict::unresolved, name, 0, 0, GateSubject::name);
  std::vector<std::uint32_t> addresses;
  if (code == DnsCode::ok) addresses = resolution.addresses;
  if (std::any_of(addresses.begin(), addresses.end(), [this](auto a) { return is_denied(a); })) {
    note(Verdict::denied_range, name, 0, 0, GateSubject::name);
    code = DnsCode::no_such_name;
    addresses.clear();
  }
  if (addresses.size() > kMostTold) addresses.resize(kMostTold);
  if (policy_.mode == Mode::allowlist && !addresses.empty()) addresses = {addresses_.address_of(name)};
  send_answer(query, dns_answer(query.query, code, addresses, kTtlSeconds));
}

// From the address that was asked: another one's answer is nobody's.
void Gate::send_answer(const Query& query, const std::string& answer) {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(in_pktinfo))> control{};
  iovec part{const_cast<char*>(answer.data()), answer.size()};  // NOLINT: C interface
  Query to = query;
  msghdr message{};
  message.msg_name = &to.from;
  message.msg_namelen = sizeof to.from;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = IPPROTO_IP;
  header->cmsg_type = IP_PKTINFO;
  header->cmsg_len = CMSG_LEN(sizeof(in_pktinfo));
  in_pktinfo info{};
  info.ipi_spec_dst = query.to;
  std::memcpy(CMSG_DATA(header), &info, sizeof info);
  (void)::sendmsg(names_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);  // lost, as datagrams may be
}

void Gate::handle_resolved(const std::string& name) {
  const Resolution resolution = resolver_.result(name);
  std::vector<Query> waiting;
  for (Query& query : queries_)
    if (query.query.name == name) waiting.push_back(query);
  std::erase_if(queries_, [&name](const Query& query) { return query.query.name == name; });
  for (const Query& query : waiting) answer_query(query, resolution);
  std::vector<Flow*> flows;
  for (const auto& [number, flow] : flows_)
    if (flow->state == Flow::State::resolving && flow->name == name) flows.push_back(flow.get());
  for (Flow* flow : flows) resolved(*flow, resolution);
}

}  // namespace lmsb::network
