#pragma once
// KeyService: API keys that administrators make while the daemon runs, as server/ sees them. Each is a principal of its
// own, "key:" and its id, with what it may do and how much. Of the key itself a digest alone is kept.
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/secret.h"
#include "base/units.h"
#include "control/principal.h"
#include "io/task.h"

namespace lmsb::control {

// How much a key may have at a time; 0 = as much as there is.
struct Quota {
  std::uint32_t requests_per_minute = 0;  // it may have those of a minute at once
  std::uint32_t sandboxes = 0;            // kept ones and one-shots
  Bytes memory;                           // limits of those that run, paused ones among them
  std::uint32_t cpu_millis = 0;           // the same
  Bytes disk;  // limits of its kept sandboxes, stopped ones too, and of its volumes and snapshots
};

constexpr std::string_view kKeyPrefix = "key_";  // of their ids

struct KeyInfo {
  std::string id;                 // kKeyPrefix and 20 characters
  std::string name;               // "" = none
  std::vector<Operation> scopes;  // as they were given
  std::map<std::string, std::string> labels;
  Quota quota;
  std::string created_at;                 // RFC 3339 UTC, as the other times
  std::string created_by;                 // a principal
  std::optional<std::string> expires_at;  // nothing: never
  std::optional<std::string> used_at;     // the last time, to the minute where the daemon was killed since
};

struct CreateKey {
  CreateKey() = default;
  std::string name;
  std::vector<std::string> scopes = {"write", "models"};  // read, write, models, admin; one at least
  std::map<std::string, std::string> labels;
  Quota quota;
  std::optional<std::chrono::seconds> life;  // nothing: it does not expire
};

// What its maker is told, and nobody after him.
struct MadeKey {
  KeyInfo info;
  Secret key;  // "lmsb_" and 40 hexadecimal digits; "e2b_" and the same digits is the same key
};

struct KeyPage {
  std::vector<KeyInfo> data;
  std::optional<std::string> next_cursor;
};

class KeyService {
 public:
  virtual ~KeyService() = default;

  // The three go on when who waits goes away. Errors of each, beside those of the ledger: permission_denied (not an
  // administrator), keys_not_kept (this daemon has no database).

  // Errors: invalid_name, name_taken, invalid_scope, invalid_life, too_many_labels, too_many_keys, key_limited (who
  // asks is a key with a quota, or one that would end before what it makes).
  virtual io::Task<MadeKey> create(Principal who, CreateKey request) = 0;
  // At most `limit` (1..1000) a page, ordered by creation; expired ones, too.
  virtual Result<KeyPage> list(const Principal& who, std::size_t limit, const std::string& cursor) = 0;
  // By id or name. From this call on it opens nothing, and what it has open ends, the connection of who removes his own
  // among it. Errors: key_not_found; where the row could not be erased it would be a key again at the next start: the
  // call can be made again.
  virtual io::Task<void> remove(Principal who, std::string id_or_name) = 0;

  // Who presents a key; counted as one request of his. Errors: key_unknown, key_expired (both `unauthenticated`),
  // rate_limited, not_ready (keys have yet to be read).
  virtual Result<Principal> enter(std::string_view key) = 0;
  // The same for who has from that principal what stands in for his key, a preview's token for example.
  virtual Result<Principal> enter_as(const std::string& principal) = 0;
  // Whether it is one of ours, expired or not; counts nothing.
  virtual bool knows(std::string_view key) const = 0;
  // Whether anything in it reads as one that is ours, or was. Where no keys are kept nothing does.
  virtual bool has_ours_in(std::string_view text) const = 0;
  virtual bool is_empty() const = 0;
  // Whether it is the principal of a key that may come in.
  virtual bool is_valid(const std::string& principal) const = 0;

  static constexpr std::size_t kMaxKeys = 1'000;
};

}  // namespace lmsb::control
