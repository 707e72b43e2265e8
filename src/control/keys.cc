#include "control/keys.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <sys/random.h>
#include <utility>

#include <boost/asio/post.hpp>

#include "base/assert.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/text.h"
#include "control/names.h"
#include "control/outlive.h"
#include "control/paging.h"
#include "control/policy.h"
#include "io/spawn.h"

namespace lmsb::control {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::string_view kPrincipalPrefix = "key:";
constexpr std::array<std::string_view, 2> kSpellings = {"lmsb_", "e2b_"};
constexpr std::size_t kDigits = 40;
constexpr seconds kMaxLife{std::int64_t{10} * 366 * 24 * 3600};
constexpr seconds kWriteUseEvery{60};
constexpr seconds kLookEvery{60};  // at the calendar's clock, which may be set
constexpr std::array<Operation, 4> kOperations = {Operation::read, Operation::write, Operation::models,
                                                  Operation::admin};

Error unknown_key() {
  return Error(ErrorCode::unauthenticated, "the API key is not known here (or two were sent)").with_slug("key_unknown");
}

Error not_found(const std::string& id_or_name) {
  return Error(ErrorCode::not_found, "no key " + quoted(id_or_name))
      .with_slug("key_not_found")
      .with_hint("GET /v1/keys, or lm-sandbox key ls, shows what there is; keys of [auth] are in the configuration");
}

Error key_limited(const std::string& why) {
  return Error(ErrorCode::permission_denied, why)
      .with_slug("key_limited")
      .with_hint("ask with a key that is not held to that, or as root on the machine itself");
}

// The digits of a key in one of its spellings; "" for anything else.
std::string_view digits_of(std::string_view key) {
  for (const std::string_view spelling : kSpellings) {
    if (!key.starts_with(spelling)) continue;
    key.remove_prefix(spelling.size());
    const bool is_one = key.size() == kDigits && key.find_first_not_of("0123456789abcdef") == std::string_view::npos;
    return is_one ? key : std::string_view();
  }
  return {};
}

// Whether anywhere in it stands what reads as a key.
bool has_form_in(std::string_view text) {
  for (const std::string_view spelling : kSpellings)
    for (auto at = text.find(spelling); at != std::string_view::npos; at = text.find(spelling, at + 1))
      if (!digits_of(text.substr(at, spelling.size() + kDigits)).empty()) return true;
  return false;
}

std::uint64_t first_octets(const Sha256& digest) {
  std::uint64_t octets = 0;
  std::memcpy(&octets, digest.data(), sizeof octets);
  return octets;
}

std::string random_digits() {
  Sha256 random{};
  LMSB_ASSERT(::getrandom(random.data(), random.size(), 0) == static_cast<ssize_t>(random.size()));
  return to_hex(random).substr(0, kDigits);
}

std::optional<Operation> parse_scope(std::string_view text) {
  for (const Operation operation : kOperations)
    if (to_string(operation) == text) return operation;
  return std::nullopt;
}

// Each once, in the order of kOperations. Nothing: one is none.
std::optional<std::vector<Operation>> parse_scopes(const std::vector<std::string>& texts) {
  for (const std::string& text : texts)
    if (!parse_scope(text)) return std::nullopt;
  std::vector<Operation> scopes;
  for (const Operation operation : kOperations)
    if (std::find(texts.begin(), texts.end(), to_string(operation)) != texts.end()) scopes.push_back(operation);
  return scopes;
}

std::string join(const std::vector<Operation>& scopes) {
  std::string text;
  for (const Operation scope : scopes) text += (text.empty() ? "" : ",") + std::string(to_string(scope));
  return text;
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(','), text.size());
    parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

bool has(const std::vector<Operation>& scopes, Operation scope) {
  return std::find(scopes.begin(), scopes.end(), scope) != scopes.end();
}

std::shared_ptr<const Grant> grant_of(const KeyInfo& info) {
  auto grant = std::make_shared<Grant>();
  grant->may_read = has(info.scopes, Operation::read);
  grant->may_write = has(info.scopes, Operation::write);
  grant->may_models = has(info.scopes, Operation::models);
  grant->labels = info.labels;
  return grant;
}

std::map<std::string, std::string> texts_of(const Quota& quota) {
  std::map<std::string, std::string> texts;
  const auto add = [&texts](const char* name, std::uint64_t number) {
    if (number > 0) texts.emplace(name, std::to_string(number));
  };
  add("requests_per_minute", quota.requests_per_minute);
  add("sandboxes", quota.sandboxes);
  add("memory_bytes", quota.memory.count());
  add("cpu_millis", quota.cpu_millis);
  add("disk_bytes", quota.disk.count());
  return texts;
}

// Beside how many requests it may make.
bool is_bound(const Quota& quota) {
  return quota.sandboxes > 0 || quota.memory.count() > 0 || quota.cpu_millis > 0 || quota.disk.count() > 0;
}

// Nothing: there is a bound that this version does not know, which must not be taken for none.
std::optional<Quota> quota_of_texts(const std::map<std::string, std::string>& texts) {
  Quota quota;
  for (const auto& [name, text] : texts) {
    std::uint64_t number = 0;
    const char* const end = text.data() + text.size();
    const auto read = std::from_chars(text.data(), end, number);
    if (read.ec != std::errc() || read.ptr != end || number == 0) return std::nullopt;
    const auto small = static_cast<std::uint32_t>(std::min<std::uint64_t>(number, UINT32_MAX));
    if (name == "requests_per_minute") {
      quota.requests_per_minute = small;
    } else if (name == "sandboxes") {
      quota.sandboxes = small;
    } else if (name == "memory_bytes") {
      quota.memory = Bytes(number);
    } else if (name == "cpu_millis") {
      quota.cpu_millis = small;
    } else if (name == "disk_bytes") {
      quota.disk = Bytes(number);
    } else {
      return std::nullopt;
    }
  }
  return quota;
}

store::KeyRow row_of(const KeyInfo& info, const Sha256& digest, std::int64_t end_ms) {
  store::KeyRow row;
  row.id = info.id;
  row.name = info.name;
  row.digest = to_hex(digest);
  row.created_at = info.created_at;
  row.created_by = info.created_by;
  row.scopes = join(info.scopes);
  row.labels = info.labels;
  row.quota = texts_of(info.quota);
  row.expires_at = info.expires_at.value_or("");
  row.expires_at_ms = end_ms;
  row.used_at = info.used_at.value_or("");
  return row;
}

}  // namespace

Keys::Keys(boost::asio::io_context& loop, Ledger& ledger, EventLog& events, Logger& log)
    : loop_(loop), ledger_(ledger), events_(events), log_(log), is_loaded_(!ledger.keeps_anything()), changed_(loop) {}

void Keys::take_over(std::vector<store::KeyRow> rows) {
  for (store::KeyRow& row : rows) enter_row(std::move(row));
  is_loaded_ = true;
}

void Keys::enter_row(store::KeyRow row) {
  const std::string id = row.id;
  const auto digest = parse_sha256(row.digest);
  const auto scopes = parse_scopes(split(row.scopes));
  const auto quota = quota_of_texts(row.quota);
  if (!digest || !scopes || scopes->empty() || !quota) {
    log_.log(LogLevel::error, "key.unreadable", {{"id", id}});
    return;
  }
  Kept kept;
  kept.info.id = std::move(row.id);
  kept.info.name = std::move(row.name);
  kept.info.scopes = *scopes;
  kept.info.labels = std::move(row.labels);
  kept.info.quota = *quota;
  kept.info.created_at = std::move(row.created_at);
  kept.info.created_by = std::move(row.created_by);
  if (!row.expires_at.empty()) {
    kept.info.expires_at = std::move(row.expires_at);
    kept.end = Wall::time_point(milliseconds(row.expires_at_ms));
  }
  if (!row.used_at.empty()) kept.info.used_at = std::move(row.used_at);
  kept.digest = *digest;
  add(std::move(kept));
}

void Keys::add(Kept kept) {
  kept.grant = grant_of(kept.info);
  kept.admin = has(kept.info.scopes, Operation::admin);
  kept.requests = kept.info.quota.requests_per_minute;
  kept.counted = Steady::now();
  const std::string id = kept.info.id;
  by_digest_.emplace(first_octets(kept.digest), id);
  kept_.emplace(id, std::move(kept));
  changed_.notify_all();
}

void Keys::drop(const std::string& id) {
  std::erase_if(by_digest_, [&id](const auto& entry) { return entry.second == id; });
  kept_.erase(id);
}

void Keys::keep_quota(const Kept& gone) {
  if (!is_bound(gone.info.quota)) return;
  quotas_of_gone_.emplace_back(std::string(kPrincipalPrefix) + gone.info.id, gone.info.quota);
  if (quotas_of_gone_.size() > kMaxKeys) quotas_of_gone_.pop_front();
}

// ---- Coming in

std::string Keys::id_of(std::string_view key) const {
  const std::string_view digits = digits_of(key);
  if (digits.empty()) return "";
  const Sha256 digest = sha256(digits);
  const auto [first, end] = by_digest_.equal_range(first_octets(digest));
  for (auto candidate = first; candidate != end; ++candidate) {
    const auto entry = kept_.find(candidate->second);
    if (entry != kept_.end() && equal_in_constant_time(entry->second.digest, digest)) return entry->first;
  }
  return "";
}

bool Keys::knows(std::string_view key) const { return !id_of(key).empty(); }

bool Keys::has_ours_in(std::string_view text) const { return ledger_.keeps_anything() && has_form_in(text); }

Result<Principal> Keys::enter(std::string_view key) {
  if (digits_of(key).empty()) return unknown_key();
  if (!is_loaded_)
    return Error(ErrorCode::unavailable, "the daemon is starting: its keys have yet to be read")
        .with_slug("not_ready")
        .with_hint("try again in a moment: GET /readyz says when");
  return let_in(id_of(key));
}

Result<Principal> Keys::enter_as(const std::string& principal) {
  const Kept* const kept = of_principal(principal);
  return let_in(kept == nullptr ? "" : kept->info.id);
}

Result<Principal> Keys::let_in(const std::string& id) {
  const auto found = kept_.find(id);
  if (found == kept_.end() || found->second.is_removed) return unknown_key();
  Kept& kept = found->second;
  if (kept.has_expired())
    return Error(ErrorCode::unauthenticated, "the API key expired at " + kept.info.expires_at.value_or(""))
        .with_slug("key_expired")
        .with_hint("ask an administrator for another one: lm-sandbox key create");
  LMSB_CHECK(count_request(kept));
  note_use(kept);
  return Principal{std::string(kPrincipalPrefix) + kept.info.id, kept.admin, kept.grant};
}

// A bucket that a minute fills.
Status Keys::count_request(Kept& kept) {
  const double most = kept.info.quota.requests_per_minute;
  if (most == 0) return {};
  const auto now = Steady::now();
  const double minutes = std::chrono::duration<double, std::ratio<60>>(now - kept.counted).count();
  kept.requests = std::min(most, kept.requests + minutes * most);
  kept.counted = now;
  if (kept.requests < 1) {
    const auto wait = static_cast<int>(std::ceil((1 - kept.requests) / most * 60));
    return Error(ErrorCode::resource_exhausted,
                 "this key may make " + std::to_string(kept.info.quota.requests_per_minute) + " requests a minute")
        .with_slug("rate_limited")
        .with_hint("try again in " + std::to_string(wait) + " s")
        .with_wait(seconds(wait));
  }
  kept.requests -= 1;
  return {};
}

void Keys::note_use(Kept& kept) {
  kept.info.used_at = rfc3339_now();
  const auto now = Steady::now();
  if (kept.written != Steady::time_point() && now - kept.written < kWriteUseEvery) return;
  kept.written = now;
  io::spawn(loop_, write_use(this, kept.info.id, *kept.info.used_at));
}

io::Always<void> Keys::write_use(Keys* self, std::string id, std::string used_at) {
  Logger& log = self->log_;
  const Status written = co_await self->ledger_.note_key_use(id, std::move(used_at));
  if (!written.ok() && written.error().code() != ErrorCode::cancelled)
    log.log(LogLevel::error, "ledger.failed", {{"id", id}, {"error", written.error().message()}});
}

const Keys::Kept* Keys::of_principal(const std::string& principal) const {
  if (!principal.starts_with(kPrincipalPrefix)) return nullptr;
  const auto found = kept_.find(principal.substr(kPrincipalPrefix.size()));
  return found == kept_.end() ? nullptr : &found->second;
}

bool Keys::is_valid(const std::string& principal) const {
  const Kept* const kept = of_principal(principal);
  return kept != nullptr && !kept->is_removed && !kept->has_expired();
}

const Quota* Keys::quota_of(const std::string& principal) const {
  if (!principal.starts_with(kPrincipalPrefix)) return nullptr;
  if (const Kept* const kept = of_principal(principal)) return is_bound(kept->info.quota) ? &kept->info.quota : nullptr;
  const auto is_it = [&principal](const auto& gone) { return gone.first == principal; };
  const auto gone = std::find_if(quotas_of_gone_.begin(), quotas_of_gone_.end(), is_it);
  return gone == quotas_of_gone_.end() ? nullptr : &gone->second;
}

// ---- Making and ending them

// Keys are administrators' business.
void Keys::tell(std::string_view what, const std::string& id, const std::string& name, const std::string& by) {
  Event event;
  event.type = what;
  event.subject = id;
  event.name = name;
  event.by = by;
  events_.tell(std::move(event));
}

Status Keys::check_new(const CreateKey& request) const {
  if (!ledger_.keeps_anything())
    return Error(ErrorCode::failed_precondition, "this daemon has no database, and so keeps no keys")
        .with_slug("keys_not_kept")
        .with_hint("set disks.kind to auto, or name keys in [auth]");
  LMSB_CHECK(check_name(request.name));
  if (request.name.starts_with(kKeyPrefix)) return invalid_name();
  LMSB_CHECK(check_labels(request.labels));
  if (request.scopes.empty() || !parse_scopes(request.scopes))
    return Error(ErrorCode::invalid_argument, "a key has one scope at least, of read, write, models and admin")
        .with_slug("invalid_scope")
        .with_hint("write and models is what a key has that names none");
  if (request.life && (*request.life < seconds(1) || *request.life > kMaxLife))
    return Error(ErrorCode::invalid_argument, "a key lives for a second to ten years")
        .with_slug("invalid_life")
        .with_hint("leave expires_in_s out for one that lives until it is deleted");
  const auto has_name = [&request](const Entry& entry) { return entry.second.info.name == request.name; };
  if (!request.name.empty() && std::any_of(kept_.begin(), kept_.end(), has_name))
    return name_taken("key", request.name);
  if (kept_.size() >= kMaxKeys)
    return Error(ErrorCode::resource_exhausted, "there are 1000 keys already")
        .with_slug("too_many_keys")
        .with_hint("delete some of them");
  return {};
}

Status Keys::check_maker(const Principal& who, const CreateKey& request) const {
  const Kept* const maker = of_principal(who.name);
  if (maker == nullptr) return {};
  if (!texts_of(maker->info.quota).empty()) return key_limited("a key that has a quota makes no keys");
  if (!maker->end || (request.life && Wall::now() + *request.life <= *maker->end)) return {};
  return key_limited("this key expires at " + maker->info.expires_at.value_or("") +
                     ", and so must those that it makes");
}

io::Task<MadeKey> Keys::create(Principal who, CreateKey request) {
  co_return co_await outlive(loop_, create_now(std::move(who), std::move(request)));
}

// Entered before it is written, so that nobody else gets its name; nobody has the key before it is.
io::Task<MadeKey> Keys::create_now(Principal who, CreateKey request) {
  LMSB_CO_CHECK(check_may(who, Operation::admin));
  LMSB_CO_CHECK(check_new(request));
  LMSB_CO_CHECK(check_maker(who, request));
  MadeKey made;
  made.key = Secret(std::string(kSpellings.front()) + random_digits());
  KeyInfo& info = made.info;
  info.id = create_prefixed_id(kKeyPrefix);
  info.name = std::move(request.name);
  info.scopes = *parse_scopes(request.scopes);
  info.labels = std::move(request.labels);
  info.quota = request.quota;
  info.created_at = rfc3339_now();
  info.created_by = who.name;
  Kept kept;
  if (request.life) {
    kept.end = Wall::now() + *request.life;
    info.expires_at = rfc3339_in(*request.life);
  }
  kept.info = info;
  kept.digest = sha256(digits_of(made.key.reveal()));
  const std::int64_t end_ms = kept.end ? std::chrono::floor<milliseconds>(kept.end->time_since_epoch()).count() : 0;
  store::KeyRow row = row_of(info, kept.digest, end_ms);
  add(std::move(kept));
  Status written = co_await ledger_.put(std::move(row));
  if (!written.ok()) {
    drop(info.id);
    co_return std::move(written).error();
  }
  log_.log(LogLevel::info, "key.created",
           {{"id", info.id}, {"name", info.name}, {"scopes", join(info.scopes)}, {"by", who.name}});
  const std::string scopes = join(info.scopes);
  events_.note("key.created", {{"key_id", info.id}, {"name", info.name}, {"scopes", scopes}, {"by", who.name}});
  tell("key.created", info.id, info.name, who.name);
  co_return made;
}

Result<KeyPage> Keys::list(const Principal& who, std::size_t limit, const std::string& cursor) {
  LMSB_CHECK(check_may(who, Operation::admin));
  std::vector<const Kept*> matching;
  for (const auto& [id, kept] : kept_)
    if (order_key(kept.info) > cursor) matching.push_back(&kept);
  const auto info_of = [](const Kept& kept) -> const KeyInfo& { return kept.info; };
  const auto show = [](const Kept& kept) { return kept.info; };
  return first_page<KeyPage>(std::move(matching), limit, info_of, show);
}

Keys::Entry* Keys::named(const std::string& id_or_name) {
  if (const auto exact = kept_.find(id_or_name); exact != kept_.end()) return &*exact;
  const auto is_it = [&id_or_name](const Entry& entry) { return entry.second.info.name == id_or_name; };
  const auto found = id_or_name.empty() ? kept_.end() : std::find_if(kept_.begin(), kept_.end(), is_it);
  return found == kept_.end() ? nullptr : &*found;
}

io::Task<void> Keys::remove(Principal who, std::string id_or_name) {
  LMSB_CO_CHECK(check_may(who, Operation::admin));
  Entry* const entry = named(id_or_name);
  if (entry == nullptr) co_return not_found(id_or_name);
  const std::string id = entry->first;
  entry->second.is_removed = true;
  be_over(entry->second);
  co_return co_await outlive(loop_, remove_now(std::move(who), id));
}

// It opens nothing, and what it had open ends, from before the row is erased, however long that takes and whether or
// not it goes well.
io::Task<void> Keys::remove_now(Principal who, std::string id) {
  Status erased = co_await ledger_.erase_key(id);
  const auto found = kept_.find(id);
  if (found == kept_.end()) co_return erased;  // somebody else was faster
  const std::string name = found->second.info.name;
  log_.log(LogLevel::info, "key.removed", {{"id", id}, {"name", name}, {"by", who.name}});
  events_.note("key.removed", {{"key_id", id}, {"name", name}, {"by", who.name}});
  tell("key.removed", id, name, who.name);
  if (!erased.ok())
    co_return std::move(erased)
        .error()
        .with_context("key " + id + " opens nothing any more, but is still written down")
        .with_hint("delete it again before the daemon is started again");
  keep_quota(found->second);
  drop(id);
  co_return Status();
}

// ---- Their ends

// Told from the loop: who is told may end the task that this is called by.
void Keys::be_over(Kept& kept) {
  if (std::exchange(kept.is_told_over, true) || !tell_over_) return;
  boost::asio::post(loop_, [this, principal = std::string(kPrincipalPrefix) + kept.info.id] { tell_over_(principal); });
}

void Keys::watch() { io::spawn(loop_, watch_ends(this)); }

Keys::Steady::duration Keys::until_next_end() const {
  auto next = Steady::duration::max();
  for (const auto& [id, kept] : kept_) {
    if (!kept.end || kept.is_told_over) continue;
    next = std::min<Steady::duration>(next, *kept.end - Wall::now());
  }
  return next == Steady::duration::max() ? next : std::clamp<Steady::duration>(next, milliseconds(1), kLookEvery);
}

io::Always<void> Keys::watch_ends(Keys* self) {
  for (;;) {
    const auto left = self->until_next_end();
    const auto deadline = left == Steady::duration::max() ? io::Deadline::never() : io::Deadline::in(left);
    const Status changed = co_await self->changed_.wait(deadline);
    if (!changed.ok() && changed.error().code() != ErrorCode::deadline_exceeded) co_return;
    for (auto& [id, kept] : self->kept_) {
      if (!kept.has_expired() || kept.is_told_over) continue;
      self->log_.log(LogLevel::info, "key.expired", {{"id", id}, {"name", kept.info.name}});
      self->be_over(kept);
    }
  }
}

}  // namespace lmsb::control
