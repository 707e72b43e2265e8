#pragma once
// Resolver: what names lead to, as the machine's name servers say, for one gate. Each question goes from a port of its
// own, with a random number. Answers are kept for as long as they say, a minute at most. The name servers are the
// machine's: each question, also one that is asked again, is one of so many a second, and waits for its turn. Never
// blocks; one thread.
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "guest_protocol/gate.h"
#include "network/dns.h"
#include "network/token_bucket.h"

namespace lmsb::network {

struct Resolution {
  DnsCode code = DnsCode::failure;
  std::vector<std::uint32_t> addresses;  // host order
  std::uint64_t until_ms = 0;
};

class Resolver {
 public:
  static constexpr std::size_t kMaxLookups = 64;  // at once; more fail
  static constexpr std::size_t kMaxKept = 1024;
  static constexpr std::uint64_t kPatienceMs = 1500;  // with one server
  static constexpr int kTries = 4;
  static constexpr int kFailures = 2;  // that are believed when a server says that it failed
  static constexpr std::uint32_t kQuestionsPerSecond = 20;
  static constexpr std::uint32_t kQuestionsAtOnce = 100;  // a browser's page, an installation

  // Sockets are watched by `epoll`, with what tag() says of a lookup's number.
  using Tag = std::uint64_t (*)(std::uint64_t lookup);
  Resolver(int epoll, Tag tag) : epoll_(epoll), tag_(tag) {}

  void use(std::span<const guest_protocol::GateResolver> servers);
  // What is known of a normal name; nothing: it is being asked for, and finished() will tell.
  std::optional<Resolution> ask(const std::string& name, std::uint64_t now_ms);
  // The lookup's socket can be read. The name, if that was its answer.
  std::optional<std::string> handle(std::uint64_t lookup, std::uint64_t now_ms);
  // Asks again where there was no answer in time. The names that nobody answers for.
  std::vector<std::string> handle_deadlines(std::uint64_t now_ms);
  // Stops asking for names that are not wanted any more. Those names.
  std::vector<std::string> give_up(const std::function<bool(const std::string&)>& is_wanted);
  // The earliest of them; UINT64_MAX: none.
  std::uint64_t first_deadline_ms() const;
  // Of a name that has been told of: handle(), handle_deadlines() and give_up() do.
  Resolution result(const std::string& name) const;

 private:
  struct Lookup {
    std::string name;
    UniqueFd socket;
    std::uint16_t id = 0;
    int tries = 0;
    int failures = 0;
    std::uint64_t deadline_ms = 0;
  };
  // Sets when it is to be tried again. False: not asked, and not for want of a turn.
  bool send(std::uint64_t number, Lookup& lookup, std::uint64_t now_ms);
  void keep(const std::string& name, Resolution resolution, std::uint64_t now_ms);

  int epoll_;
  Tag tag_;
  std::vector<guest_protocol::GateResolver> servers_;
  std::map<std::uint64_t, Lookup> lookups_;
  std::map<std::string, std::uint64_t> by_name_;
  std::map<std::string, Resolution> kept_;
  std::uint64_t next_ = 1;
  TokenBucket questions_left_{kQuestionsPerSecond, kQuestionsAtOnce};
};

}  // namespace lmsb::network
