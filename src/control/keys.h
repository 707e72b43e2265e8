#pragma once
// Keys: the real KeyService: in memory, and in the ledger.
//
// How one is found: by the first octets of its digest, which tell nothing of a key that is 160 random bits; the whole
// digest is then compared in constant time. One loop, one thread.
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "base/digest.h"
#include "base/log.h"
#include "control/event_log.h"
#include "control/key_service.h"
#include "control/ledger.h"
#include "io/event.h"

namespace lmsb::control {

class Keys final : public KeyService {
 public:
  // All references outlive it and its tasks.
  Keys(boost::asio::io_context& loop, Ledger& ledger, EventLog& events, Logger& log);

  // What an earlier daemon made. Until then nobody comes in, where there is a ledger. A row that does not say what its
  // key may do is no key.
  void take_over(std::vector<store::KeyRow> rows);
  // Ends with the loop: tells when keys expire.
  void watch();
  // Is told the principals of keys that are over: removed, or expired.
  void when_over(std::function<void(const std::string& principal)> tell) { tell_over_ = std::move(tell); }

  io::Task<MadeKey> create(Principal who, CreateKey request) override;
  Result<KeyPage> list(const Principal& who, std::size_t limit, const std::string& cursor) override;
  io::Task<void> remove(Principal who, std::string id_or_name) override;
  Result<Principal> enter(std::string_view key) override;
  Result<Principal> enter_as(const std::string& principal) override;
  bool knows(std::string_view key) const override;
  bool has_ours_in(std::string_view text) const override;
  bool is_empty() const override { return kept_.empty(); }
  bool is_valid(const std::string& principal) const override;
  // Of what the principal of a key may have; nullptr: as much as there is. Of one that is over, too: what it has stays,
  // and what it had begun goes on. Of one that was removed until the daemon ends: then nobody waits in its name.
  const Quota* quota_of(const std::string& principal) const;

 private:
  using Wall = std::chrono::system_clock;
  using Steady = std::chrono::steady_clock;
  struct Kept {
    KeyInfo info;
    Sha256 digest{};
    std::optional<Wall::time_point> end;
    std::shared_ptr<const Grant> grant;
    bool admin = false;
    bool is_removed = false;    // it opens nothing; its row may still be there
    bool is_told_over = false;  // to who wants to know
    double requests = 0;        // that it may still make at once, as of `counted`
    Steady::time_point counted;
    Steady::time_point written;  // its last use
    bool has_expired() const { return end && Wall::now() >= *end; }
  };
  using Entry = std::map<std::string, Kept>::value_type;

  // "": it is none of ours.
  std::string id_of(std::string_view key) const;
  Entry* named(const std::string& id_or_name);
  const Kept* of_principal(const std::string& principal) const;  // nullptr: he is no key of these
  Result<Principal> let_in(const std::string& id);
  Status check_new(const CreateKey& request) const;
  // What a key is held to, those that it makes are, too.
  Status check_maker(const Principal& who, const CreateKey& request) const;
  // For administrators who follow.
  void tell(std::string_view what, const std::string& id, const std::string& name, const std::string& by);
  io::Task<MadeKey> create_now(Principal who, CreateKey request);
  io::Task<void> remove_now(Principal who, std::string id);
  void enter_row(store::KeyRow row);
  void add(Kept kept);
  void drop(const std::string& id);
  void keep_quota(const Kept& gone);
  static Status count_request(Kept& kept);
  void note_use(Kept& kept);
  static io::Always<void> write_use(Keys* self, std::string id, std::string used_at);
  void be_over(Kept& kept);
  static io::Always<void> watch_ends(Keys* self);
  Steady::duration until_next_end() const;

  boost::asio::io_context& loop_;
  Ledger& ledger_;
  EventLog& events_;
  Logger& log_;
  std::function<void(const std::string&)> tell_over_;
  bool is_loaded_;
  std::map<std::string, Kept> kept_;
  std::multimap<std::uint64_t, std::string> by_digest_;       // ids by the first octets of the digest
  std::deque<std::pair<std::string, Quota>> quotas_of_gone_;  // by principal, of the last kMaxKeys that had one
  io::Event changed_;
};

}  // namespace lmsb::control
