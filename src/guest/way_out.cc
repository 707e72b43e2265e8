#include "guest/way_out.h"

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <linux/if_addr.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest/listening.h"
#include "guest_protocol/gate.h"

namespace lmsb::guest {
namespace {

using guest_protocol::kInsideAddress;
using guest_protocol::kInsidePort;
using guest_protocol::kLoopbackAddress;

constexpr std::uint32_t kLoopback = 1;  // interface index of lo, in every namespace
constexpr const char* kTable = "lm-sandbox";
constexpr const char* kChain = "out";

sockaddr_in socket_address(std::uint32_t address, std::uint16_t port) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(address);
  return to;
}

// Netlink messages, one behind the other, with attributes that may hold others. What is called for each of them stands
// once in the program: the guest is to be small.
class Messages {
 public:
  template <class Body>
  void begin(int type, int flags, const Body& body) {
    begin_message(type, flags, &body, sizeof body);
  }
  [[gnu::noinline]] void end() {
    const auto length = static_cast<std::uint32_t>(size_ - message_);
    std::memcpy(buffer_.data() + message_, &length, sizeof length);
  }
  [[gnu::noinline]] void add(int type, const void* data, std::size_t size) {
    const std::size_t attribute = open(type);
    append(data, size);
    close(attribute);
  }
  [[gnu::noinline]] void add_text(int type, const char* text) { add(type, text, std::strlen(text) + 1); }
  [[gnu::noinline]] void add_number(int type, std::uint32_t value) {  // as nftables wants them
    value = htonl(value);
    add(type, &value, sizeof value);
  }
  [[gnu::noinline]] std::size_t open(int type) {
    const std::size_t attribute = size_;
    const nlattr header{0, static_cast<std::uint16_t>(type)};
    append(&header, sizeof header);
    return attribute;
  }
  std::size_t open_nested(int type) { return open(type | NLA_F_NESTED); }
  [[gnu::noinline]] void close(std::size_t attribute) {
    const auto length = static_cast<std::uint16_t>(size_ - attribute);
    std::memcpy(buffer_.data() + attribute, &length, sizeof length);
    constexpr std::array<char, NLA_ALIGNTO> kZero{};
    append(kZero.data(), (NLA_ALIGNTO - size_ % NLA_ALIGNTO) % NLA_ALIGNTO);
  }

  const void* data() const { return buffer_.data(); }
  std::size_t size() const { return size_; }
  bool fits() const { return fits_; }

 private:
  [[gnu::noinline]] void begin_message(int type, int flags, const void* body, std::size_t body_size) {
    message_ = size_;
    nlmsghdr header{};
    header.nlmsg_type = static_cast<std::uint16_t>(type);
    header.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    header.nlmsg_seq = ++count_;
    append(&header, sizeof header);
    append(body, body_size);
  }
  [[gnu::noinline]] void append(const void* data, std::size_t size) {
    if (size > buffer_.size() - size_) return void(fits_ = false);
    std::memcpy(buffer_.data() + size_, data, size);
    size_ += size;
  }

  alignas(nlmsghdr) std::array<char, 4096> buffer_{};
  std::size_t size_ = 0;
  std::size_t message_ = 0;
  std::uint32_t count_ = 0;
  bool fits_ = true;
};

// Sends messages, `acknowledged` of which the kernel answers. Returns 0 or the first errno.
int carry_out(int protocol, const Messages& messages, int acknowledged) {
  const UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (!socket) return errno;
  if (!messages.fits()) return E2BIG;
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  if (::sendto(socket.get(), messages.data(), messages.size(), 0, reinterpret_cast<const sockaddr*>(&kernel),
               sizeof kernel) < 0)
    return errno;
  alignas(nlmsghdr) std::array<char, 8192> answers{};
  while (acknowledged > 0) {
    const ssize_t size = ::recv(socket.get(), answers.data(), answers.size(), 0);
    if (size <= 0) return size < 0 ? errno : EIO;
    auto left = static_cast<std::size_t>(size);
    for (const auto* answer = reinterpret_cast<const nlmsghdr*>(answers.data()); NLMSG_OK(answer, left);
         answer = NLMSG_NEXT(answer, left)) {
      if (answer->nlmsg_type != NLMSG_ERROR) return EPROTO;
      const auto* error = reinterpret_cast<const nlmsgerr*>(reinterpret_cast<const char*>(answer) + NLMSG_HDRLEN);
      if (error->error != 0) return -error->error;
      --acknowledged;
    }
  }
  return 0;
}

// The address, and that all others are local, too: what is sent to them comes back in through lo.
int make_addresses() {
  Messages messages;
  ifaddrmsg address{};
  address.ifa_family = AF_INET;
  address.ifa_prefixlen = 32;
  address.ifa_index = kLoopback;
  const std::uint32_t own = htonl(kInsideAddress);
  messages.begin(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, address);
  messages.add(IFA_LOCAL, &own, sizeof own);
  messages.add(IFA_ADDRESS, &own, sizeof own);
  messages.end();
  rtmsg route{};
  route.rtm_family = AF_INET;
  route.rtm_table = RT_TABLE_LOCAL;
  route.rtm_protocol = RTPROT_BOOT;
  route.rtm_scope = RT_SCOPE_HOST;
  route.rtm_type = RTN_LOCAL;
  messages.begin(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, route);
  messages.add(RTA_OIF, &kLoopback, sizeof kLoopback);
  messages.add(RTA_PREFSRC, &own, sizeof own);
  messages.end();
  return carry_out(NETLINK_ROUTE, messages, 2);
}

nfgenmsg of_family(std::uint8_t family, std::uint16_t resource) { return {family, NFNETLINK_V0, htons(resource)}; }

int nft(int message) { return NFNL_SUBSYS_NFTABLES << 8 | message; }

// Expressions of a rule. Each works on register 1, but where it says otherwise.
class Rule {
 public:
  [[gnu::noinline]] explicit Rule(Messages& messages) : messages_(messages) {
    messages_.begin(nft(NFT_MSG_NEWRULE), NLM_F_ACK | NLM_F_CREATE | NLM_F_APPEND, of_family(NFPROTO_IPV4, 0));
    messages_.add_text(NFTA_RULE_TABLE, kTable);
    messages_.add_text(NFTA_RULE_CHAIN, kChain);
    list_ = messages_.open_nested(NFTA_RULE_EXPRESSIONS);
  }
  Rule(const Rule&) = delete;
  Rule& operator=(const Rule&) = delete;
  [[gnu::noinline]] ~Rule() {
    messages_.close(list_);
    messages_.end();
  }

  [[gnu::noinline]] void load_destination() {
    const Expression expression(messages_, "payload");
    messages_.add_number(NFTA_PAYLOAD_DREG, NFT_REG_1);
    messages_.add_number(NFTA_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
    messages_.add_number(NFTA_PAYLOAD_OFFSET, 16);
    messages_.add_number(NFTA_PAYLOAD_LEN, 4);
  }
  void load_protocol() {
    const Expression expression(messages_, "meta");
    messages_.add_number(NFTA_META_DREG, NFT_REG_1);
    messages_.add_number(NFTA_META_KEY, NFT_META_L4PROTO);
  }
  void mask(std::uint32_t bits) {
    const Expression expression(messages_, "bitwise");
    messages_.add_number(NFTA_BITWISE_SREG, NFT_REG_1);
    messages_.add_number(NFTA_BITWISE_DREG, NFT_REG_1);
    messages_.add_number(NFTA_BITWISE_LEN, 4);
    const std::array<std::uint32_t, 2> values = {htonl(bits), 0};
    add_value(NFTA_BITWISE_MASK, &values[0], sizeof values[0]);
    add_value(NFTA_BITWISE_XOR, &values[1], sizeof values[1]);
  }
  template <class Value>
  void require(Value value) {
    require_octets(&value, sizeof value);
  }
  [[gnu::noinline]] void accept() {
    const Expression expression(messages_, "immediate");
    messages_.add_number(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    const std::size_t data = messages_.open_nested(NFTA_IMMEDIATE_DATA);
    const std::size_t verdict = messages_.open_nested(NFTA_DATA_VERDICT);
    messages_.add_number(NFTA_VERDICT_CODE, NF_ACCEPT);
    messages_.close(verdict);
    messages_.close(data);
  }
  // To the socket that is bound there.
  void proxy_to(std::uint32_t address, std::uint16_t port) {
    address = htonl(address);
    port = htons(port);
    set(NFT_REG_1, &address, sizeof address);
    set(NFT_REG_2, &port, sizeof port);
    const Expression expression(messages_, "tproxy");
    messages_.add_number(NFTA_TPROXY_FAMILY, NFPROTO_IPV4);
    messages_.add_number(NFTA_TPROXY_REG_ADDR, NFT_REG_1);
    messages_.add_number(NFTA_TPROXY_REG_PORT, NFT_REG_2);
  }

 private:
  class Expression {
   public:
    [[gnu::noinline]] Expression(Messages& messages, const char* name)
        : messages_(messages), element_(messages.open_nested(NFTA_LIST_ELEM)) {
      messages_.add_text(NFTA_EXPR_NAME, name);
      data_ = messages_.open_nested(NFTA_EXPR_DATA);
    }
    [[gnu::noinline]] ~Expression() {
      messages_.close(data_);
      messages_.close(element_);
    }
    Expression(const Expression&) = delete;
    Expression& operator=(const Expression&) = delete;

   private:
    Messages& messages_;
    std::size_t element_;
    std::size_t data_ = 0;
  };
  [[gnu::noinline]] void require_octets(const void* value, std::size_t size) {
    const Expression expression(messages_, "cmp");
    messages_.add_number(NFTA_CMP_SREG, NFT_REG_1);
    messages_.add_number(NFTA_CMP_OP, NFT_CMP_EQ);
    add_value(NFTA_CMP_DATA, value, size);
  }
  [[gnu::noinline]] void add_value(int type, const void* value, std::size_t size) {
    const std::size_t data = messages_.open_nested(type);
    messages_.add(NFTA_DATA_VALUE, value, size);
    messages_.close(data);
  }
  [[gnu::noinline]] void set(std::uint32_t where, const void* value, std::size_t size) {
    const Expression expression(messages_, "immediate");
    messages_.add_number(NFTA_IMMEDIATE_DREG, where);
    add_value(NFTA_IMMEDIATE_DATA, value, size);
  }

  Messages& messages_;
  std::size_t list_;
};

void add_chain(Messages& messages) {
  messages.begin(nft(NFT_MSG_NEWTABLE), NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, of_family(NFPROTO_IPV4, 0));
  messages.add_text(NFTA_TABLE_NAME, kTable);
  messages.end();
  messages.begin(nft(NFT_MSG_NEWCHAIN), NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, of_family(NFPROTO_IPV4, 0));
  messages.add_text(NFTA_CHAIN_TABLE, kTable);
  messages.add_text(NFTA_CHAIN_NAME, kChain);
  const std::size_t hook = messages.open_nested(NFTA_CHAIN_HOOK);
  messages.add_number(NFTA_HOOK_HOOKNUM, NF_INET_PRE_ROUTING);
  messages.add_number(NFTA_HOOK_PRIORITY, static_cast<std::uint32_t>(-150));
  messages.close(hook);
  messages.add_text(NFTA_CHAIN_TYPE, "filter");
  messages.end();
}

// Loopback and the own address stay what they are; every other TCP connection is the listener's.
int make_rules() {
  constexpr int kAcknowledged = 5;
  Messages messages;
  messages.begin(NFNL_MSG_BATCH_BEGIN, 0, of_family(AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
  messages.end();
  add_chain(messages);
  {
    Rule loopback(messages);
    loopback.load_destination();
    loopback.mask(0xFF000000);
    loopback.require(htonl(kLoopbackAddress & 0xFF000000));
    loopback.accept();
  }
  {
    Rule own(messages);
    own.load_destination();
    own.require(htonl(kInsideAddress));
    own.accept();
  }
  {
    Rule others(messages);
    others.load_protocol();
    others.require(static_cast<std::uint8_t>(IPPROTO_TCP));
    others.proxy_to(kLoopbackAddress, kInsidePort);
  }
  messages.begin(NFNL_MSG_BATCH_END, 0, of_family(AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
  messages.end();
  return carry_out(NETLINK_NETFILTER, messages, kAcknowledged);
}

// Transparent: what is for any address may be given to it.
int make_listener(UniqueFd& listener) {
  listener.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int yes = 1;
  const sockaddr_in place = socket_address(kLoopbackAddress, kInsidePort);
  if (!listener || ::setsockopt(listener.get(), IPPROTO_IP, IP_TRANSPARENT, &yes, sizeof yes) < 0 ||
      ::bind(listener.get(), reinterpret_cast<const sockaddr*>(&place), sizeof place) < 0)
    return errno;
  return 0;
}

// Whatever name server is asked. Answers come from the address that was asked.
int make_names(UniqueFd& names) {
  constexpr std::uint16_t kDns = 53;
  names.reset(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int yes = 1;
  const sockaddr_in place = socket_address(INADDR_ANY, kDns);
  if (!names || ::setsockopt(names.get(), IPPROTO_IP, IP_PKTINFO, &yes, sizeof yes) < 0 ||
      ::bind(names.get(), reinterpret_cast<const sockaddr*>(&place), sizeof place) < 0)
    return errno;
  return 0;
}

}  // namespace

int WayOut::open() {
  if (const int error = make_listener(listener_); error != 0) return error;
  if (const int error = make_rules(); error != 0) return error;
  if (const int error = make_addresses(); error != 0) return error;  // last: before, nothing has a place to go
  return make_names(names_);
}

void WayOut::close_listener() const { stop_listening(listener_.get()); }

}  // namespace lmsb::guest
