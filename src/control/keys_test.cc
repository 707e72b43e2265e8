#include "control/keys.h"

#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <unistd.h>

#include <gmock/gmock.h>

#include "io/spawn.h"

namespace lmsb::control {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;

const Principal kRoot{"local:0", true};

std::string content_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

// A daemon's keys, over a database of its own.
struct Daemon {
  explicit Daemon(const std::string& directory)
      : events(loop, AuditLog(directory + "/audit.log", {}, log)), ledger(loop, directory + "/sandboxes.db", log) {
    keys = std::make_unique<Keys>(loop, ledger, events, log);
    keys->when_over([this](const std::string& principal) { over.push_back(principal); });
  }
  ~Daemon() { run(ledger_settled(&ledger)); }
  void load() {
    run(load_into(&ledger, keys.get()));
    keys->watch();
  }
  Result<MadeKey> make(CreateKey request, Principal who = kRoot) {
    return of(keys->create(std::move(who), std::move(request)));
  }
  Result<MadeKey> make(const std::string& name) {
    CreateKey request;
    request.name = name;
    return make(std::move(request));
  }
  Status remove(const std::string& key, Principal who = kRoot) { return of(keys->remove(std::move(who), key)); }

  // Runs the loop until `task` has ended.
  template <class T>
  Result<T> of(io::Task<T> task) {
    std::optional<Result<T>> result;
    io::spawn(loop, keep<T>(std::move(task), &result));
    loop.restart();
    while (!result) loop.run_one();
    loop.poll();
    return *std::move(result);
  }
  void run(io::Task<void> task) { EXPECT_TRUE(of(std::move(task)).ok()); }
  template <class T>
  static io::Always<void> keep(io::Task<T> task, std::optional<Result<T>>* result) {
    *result = co_await std::move(task);
  }
  static io::Task<void> load_into(Ledger* ledger, Keys* keys) {
    LMSB_CO_TRY(auto found, co_await ledger->load());
    keys->take_over(std::move(found.keys));
    co_return Status();
  }
  static io::Task<void> ledger_settled(Ledger* ledger) {
    co_await ledger->settle();
    co_return Status();
  }
  // Until `condition`, five seconds at most.
  template <class F>
  bool soon(F condition) {
    loop.restart();
    for (int i = 0; i < 500 && !condition(); ++i) loop.run_for(milliseconds(10));
    return condition();
  }

  boost::asio::io_context loop;
  Logger log{LogLevel::info, LogFormat::text};
  EventLog events;
  Ledger ledger;
  std::unique_ptr<Keys> keys;
  std::vector<std::string> over;
};

class KeysTest : public testing::Test {
 protected:
  KeysTest() { directory_ = ::mkdtemp(name_.data()); }
  ~KeysTest() override {
    daemon_.reset();
    std::filesystem::remove_all(directory_);
  }
  Daemon& daemon() {
    if (!daemon_) {
      daemon_ = std::make_unique<Daemon>(directory_);
      daemon_->load();
    }
    return *daemon_;
  }
  void restart() { daemon_.reset(); }

  std::array<char, 32> name_{"/tmp/lmsb-keys-XXXXXX"};
  std::string directory_;
  std::unique_ptr<Daemon> daemon_;
};

TEST_F(KeysTest, OpenInBothSpellingsAndNoOther) {
  const auto made = daemon().make("ci");
  ASSERT_TRUE(made.ok()) << made.error().message();
  const std::string key = made->key.reveal();
  EXPECT_THAT(key, testing::MatchesRegex("lmsb_[0-9a-f]{40}"));
  const std::string digits = key.substr(5);
  for (const std::string& right : {key, "e2b_" + digits}) {
    const auto who = daemon().keys->enter(right);
    ASSERT_TRUE(who.ok()) << right;
    EXPECT_EQ(who->name, "key:" + made->info.id);
    EXPECT_FALSE(who->admin);
  }
  std::string upper = digits;
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  std::string other = key;
  other.back() = other.back() == '0' ? '1' : '0';
  for (const std::string& wrong : {digits, "lmsb_" + upper + "A", "lmsb_e2b_" + digits, key + "0", key.substr(0, 44),
                                   "sk-" + digits, " " + key, key + " ", key + std::string(1, '\0'), other,
                                   std::string("lmsb_"), std::string(), made->info.id, "LMSB_" + digits}) {
    const auto refused = daemon().keys->enter(wrong);
    ASSERT_FALSE(refused.ok()) << wrong;
    EXPECT_EQ(refused.error().slug(), "key_unknown");
    EXPECT_THAT(refused.error().message(), Not(HasSubstr(digits)));
  }
}

TEST_F(KeysTest, AreKnownToTheNextDaemonByTheirDigestAlone) {
  CreateKey request;
  request.name = "ci";
  request.scopes = {"read", "admin", "read"};
  request.labels = {{"team", "a"}};
  request.quota.sandboxes = 3;
  request.quota.memory = Bytes::GiB(8);
  request.quota.cpu_millis = 1500;
  request.quota.disk = Bytes::GiB(20);
  request.quota.requests_per_minute = 60;
  request.life = seconds(3600);
  const auto made = daemon().make(std::move(request));
  ASSERT_TRUE(made.ok()) << made.error().message();
  ASSERT_TRUE(daemon().keys->enter(made->key.reveal()).ok());
  restart();
  const auto who = daemon().keys->enter(made->key.reveal());
  ASSERT_TRUE(who.ok()) << who.error().message();
  EXPECT_TRUE(who->admin);
  EXPECT_EQ(who->grant->labels.at("team"), "a");
  const auto page = daemon().keys->list(kRoot, 10, "");
  ASSERT_EQ(page->data.size(), 1U);
  const KeyInfo& found = page->data.front();
  EXPECT_EQ(found.scopes, (std::vector<Operation>{Operation::read, Operation::admin}));
  EXPECT_EQ(found.expires_at, made->info.expires_at);
  EXPECT_EQ(found.created_by, "local:0");
  EXPECT_EQ(found.quota.disk, Bytes::GiB(20));
  EXPECT_EQ(found.quota.cpu_millis, 1500U);
  EXPECT_EQ(daemon().keys->quota_of(who->name)->sandboxes, 3U);
  EXPECT_TRUE(found.used_at.has_value());
  const std::string digits = made->key.reveal().substr(5);
  for (const auto& file : std::filesystem::directory_iterator(directory_))
    EXPECT_THAT(content_of(file.path()), Not(HasSubstr(digits))) << file.path();
}

TEST_F(KeysTest, OpenNothingFromTheirRemovalOn) {
  const auto made = daemon().make("ci");
  const auto stays = daemon().make("other");
  const std::string principal = daemon().keys->enter(made->key.reveal())->name;
  EXPECT_TRUE(daemon().keys->is_valid(principal));
  ASSERT_TRUE(daemon().remove("ci").ok());
  EXPECT_EQ(daemon().keys->enter(made->key.reveal()).error().slug(), "key_unknown");
  EXPECT_FALSE(daemon().keys->knows(made->key.reveal()));
  EXPECT_FALSE(daemon().keys->is_valid(principal));
  EXPECT_EQ(daemon().over, (std::vector<std::string>{principal})) << "whoever has something open by it is told";
  EXPECT_EQ(daemon().remove("ci").error().slug(), "key_not_found");
  EXPECT_TRUE(daemon().keys->enter(stays->key.reveal()).ok());
  restart();
  EXPECT_EQ(daemon().keys->enter(made->key.reveal()).error().slug(), "key_unknown");
  EXPECT_TRUE(daemon().keys->enter(stays->key.reveal()).ok());
}

// The disk may be slow, and who has a stolen key would go on meanwhile.
TEST_F(KeysTest, EndWhatTheyHaveOpenBeforeTheirRemovalIsWrittenDown) {
  const auto made = daemon().make("ci");
  std::optional<Result<void>> removed;
  io::spawn(daemon().loop, Daemon::keep<void>(daemon().keys->remove(kRoot, "ci"), &removed));
  daemon().loop.restart();
  while (daemon().over.empty() && !removed) daemon().loop.run_one();
  EXPECT_FALSE(removed.has_value());
  EXPECT_EQ(daemon().over, (std::vector<std::string>{"key:" + made->info.id}));
  while (!removed) daemon().loop.run_one();
  EXPECT_TRUE(removed->ok());
}

// Else whoever has one makes himself another that has no end, or no bounds.
TEST_F(KeysTest, ThatEndMakeOnlyKeysThatEndBefore) {
  CreateKey request;
  request.scopes = {"admin"};
  request.life = seconds(3600);
  const auto made = daemon().make(request);
  const auto who = daemon().keys->enter(made->key.reveal());
  ASSERT_TRUE(who.ok());
  EXPECT_EQ(daemon().make(CreateKey(), *who).error().slug(), "key_limited");
  request.life = seconds(3700);
  EXPECT_EQ(daemon().make(request, *who).error().slug(), "key_limited");
  request.life = seconds(3000);
  const auto heir = daemon().make(request, *who);
  ASSERT_TRUE(heir.ok()) << heir.error().message();
  const auto child = daemon().keys->enter(heir->key.reveal());
  request.life = seconds(3500);
  EXPECT_EQ(daemon().make(request, *child).error().slug(), "key_limited") << "nor do those that they made";
}

TEST_F(KeysTest, WithAQuotaMakeNone) {
  for (int which = 0; which < 2; ++which) {
    CreateKey request;
    request.scopes = {"admin"};
    (which == 0 ? request.quota.requests_per_minute : request.quota.sandboxes) = 100;
    const auto made = daemon().make(std::move(request));
    const auto who = daemon().keys->enter(made->key.reveal());
    ASSERT_TRUE(who.ok());
    EXPECT_EQ(daemon().make(CreateKey(), *who).error().slug(), "key_limited");
  }
}

TEST_F(KeysTest, AreEnteredByTheirPrincipalAsByThemselves) {
  CreateKey request;
  request.quota.requests_per_minute = 2;
  const auto made = daemon().make(std::move(request));
  const std::string principal = "key:" + made->info.id;
  EXPECT_EQ(daemon().keys->enter_as(principal)->name, principal);
  EXPECT_TRUE(daemon().keys->enter(made->key.reveal()).ok());
  EXPECT_EQ(daemon().keys->enter_as(principal).error().slug(), "rate_limited") << "it counts as a request of the key's";
  for (const char* other : {"", "key:", "local:0", "key:key_none"})
    EXPECT_EQ(daemon().keys->enter_as(other).error().slug(), "key_unknown") << other;
  ASSERT_TRUE(daemon().remove(made->info.id).ok());
  EXPECT_EQ(daemon().keys->enter_as(principal).error().slug(), "key_unknown");
}

// Moves that had begun go on when their key goes, and administrators start what it left.
TEST_F(KeysTest, HoldWhatTheyLeaveToTheirQuotaWhenTheyAreGone) {
  CreateKey bounded;
  bounded.quota.memory = Bytes::GiB(1);
  const auto with = daemon().make(bounded);
  const auto without = daemon().make("free");
  ASSERT_TRUE(with.ok() && without.ok());
  const auto quota_of = [this](const MadeKey& key) { return daemon().keys->quota_of("key:" + key.info.id); };
  ASSERT_TRUE(daemon().remove(with->info.id).ok());
  ASSERT_TRUE(daemon().remove(without->info.id).ok());
  ASSERT_NE(quota_of(*with), nullptr);
  EXPECT_EQ(quota_of(*with)->memory, Bytes::GiB(1));
  EXPECT_EQ(quota_of(*without), nullptr);
}

TEST_F(KeysTest, AreReadAsOursByTheirForm) {
  const Keys& keys = *daemon().keys;
  for (const char* spelling : {"lmsb_", "e2b_"}) {
    const std::string key = spelling + std::string(40, '0');
    for (const std::string& text : {key, "Bearer " + key, "user:" + key, "a" + key + "b", "lmsb_ " + key})
      EXPECT_TRUE(keys.has_ours_in(text)) << text;
  }
  for (const std::string& text : {std::string(40, '0'), "sk-" + std::string(40, '0'), "lmsb_" + std::string(39, '0'),
                                  "lmsb_" + std::string(39, '0') + "g", std::string("lmsb_"), std::string()})
    EXPECT_FALSE(keys.has_ours_in(text)) << text;
}

// A use is written behind the removal: the row must not come back by it.
TEST_F(KeysTest, AreNotBroughtBackByALateUse) {
  const auto made = daemon().make("ci");
  ASSERT_TRUE(daemon().keys->enter(made->key.reveal()).ok());
  ASSERT_TRUE(daemon().remove(made->info.id).ok());
  restart();
  EXPECT_TRUE(daemon().keys->is_empty());
}

TEST_F(KeysTest, ExpireByThemselvesAndSayThatTheyDid) {
  CreateKey request;
  request.life = seconds(1);
  const auto made = daemon().make(std::move(request));
  const std::string principal = daemon().keys->enter(made->key.reveal())->name;
  EXPECT_TRUE(daemon().soon([this] { return !daemon().over.empty(); }));
  EXPECT_EQ(daemon().over, (std::vector<std::string>{principal}));
  EXPECT_EQ(daemon().keys->enter(made->key.reveal()).error().slug(), "key_expired");
  EXPECT_EQ(daemon().keys->enter(made->key.reveal()).error().code(), ErrorCode::unauthenticated);
  EXPECT_FALSE(daemon().keys->is_valid(principal));
  EXPECT_TRUE(daemon().keys->knows(made->key.reveal())) << "it is passed on to nobody, all the same";
  restart();
  EXPECT_EQ(daemon().keys->enter(made->key.reveal()).error().slug(), "key_expired");
}

TEST_F(KeysTest, MayMakeSoManyRequestsAMinute) {
  CreateKey request;
  request.quota.requests_per_minute = 3;
  const auto made = daemon().make(std::move(request));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(daemon().keys->enter("e2b_" + made->key.reveal().substr(5)).ok()) << i;
  const auto refused = daemon().keys->enter(made->key.reveal());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().slug(), "rate_limited");
  EXPECT_THAT(refused.error().hint(), HasSubstr("try again in "));
  EXPECT_GE(refused.error().wait(), seconds(1));
  EXPECT_LE(refused.error().wait(), seconds(20)) << "three a minute";
}

TEST_F(KeysTest, AreMadeListedAndRemovedByAdministratorsAlone) {
  auto grant = std::make_shared<Grant>();
  grant->labels = {{"team", "a"}};
  const auto made = daemon().make("ci");
  for (const Principal& who : {Principal{"local:1000", false}, Principal{"key:x", true, grant}}) {
    EXPECT_EQ(daemon().make({}, who).error().slug(), "permission_denied");
    EXPECT_EQ(daemon().keys->list(who, 10, "").error().slug(), "permission_denied");
    EXPECT_EQ(daemon().remove("ci", who).error().slug(), "permission_denied");
    EXPECT_EQ(daemon().remove("nothing", who).error().slug(), "permission_denied") << "nor do they learn what there is";
  }
  EXPECT_TRUE(daemon().keys->enter(made->key.reveal()).ok());
}

TEST_F(KeysTest, RefuseWhatIsMalformed) {
  ASSERT_TRUE(daemon().make("ci").ok());
  EXPECT_EQ(daemon().make("ci").error().slug(), "name_taken");
  EXPECT_EQ(daemon().make("key_x").error().slug(), "invalid_name");
  EXPECT_EQ(daemon().make("a b").error().slug(), "invalid_name");
  CreateKey request;
  request.scopes = {"read", "root"};
  EXPECT_EQ(daemon().make(request).error().slug(), "invalid_scope");
  request.scopes = {"Admin"};
  EXPECT_EQ(daemon().make(request).error().slug(), "invalid_scope");
  request.scopes.clear();
  EXPECT_EQ(daemon().make(request).error().slug(), "invalid_scope") << "none is not the usual ones";
  request.scopes = {"read"};
  request.life = seconds(0);
  EXPECT_EQ(daemon().make(request).error().slug(), "invalid_life");
  request.life = seconds(INT64_MAX / 4);
  EXPECT_EQ(daemon().make(request).error().slug(), "invalid_life");
  request.life.reset();
  for (int i = 0; i < 65; ++i) request.labels.emplace("l" + std::to_string(i), "");
  EXPECT_EQ(daemon().make(request).error().slug(), "too_many_labels");
}

TEST_F(KeysTest, OfTheDaemonBeforeLetNobodyInUntilTheyAreRead) {
  Daemon starting(directory_);
  EXPECT_EQ(starting.keys->enter("lmsb_" + std::string(40, '0')).error().slug(), "not_ready");
  EXPECT_EQ(starting.keys->enter("sk-anything").error().slug(), "key_unknown") << "whose it is is known already";
  starting.load();
  EXPECT_EQ(starting.keys->enter("lmsb_" + std::string(40, '0')).error().slug(), "key_unknown");
}

// What a later version may have written must not be taken for no bound.
TEST_F(KeysTest, WhoseRowSaysWhatIsNotUnderstoodOpenNothing) {
  boost::asio::io_context loop;
  store::KeyRow row;
  row.digest = to_hex(sha256(std::string(40, '0')));
  row.scopes = "write";
  std::vector<store::KeyRow> rows(6, row);
  rows[0].quota = {{"gpus", "1"}};
  rows[1].quota = {{"sandboxes", "-1"}};
  rows[2].scopes = "write,files";
  rows[3].scopes = "";
  rows[4].digest = "00";
  rows[5].quota = {{"sandboxes", "1x"}};
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i].id = "key_" + std::to_string(i);
  testing::internal::CaptureStderr();
  daemon().keys->take_over(rows);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("key.unreadable id=key_5"));
  EXPECT_TRUE(daemon().keys->is_empty());
}

TEST_F(KeysTest, LeaveNoSecretInLogsAndATrailOfWhoDidWhat) {
  testing::internal::CaptureStderr();
  const auto made = daemon().make("ci");
  ASSERT_TRUE(daemon().keys->enter(made->key.reveal()).ok());
  ASSERT_TRUE(daemon().remove("ci").ok());
  restart();
  const std::string log = testing::internal::GetCapturedStderr();
  const std::string audit = content_of(directory_ + "/audit.log");
  for (const std::string* text : {&log, &audit}) {
    EXPECT_THAT(*text, HasSubstr(made->info.id));
    EXPECT_THAT(*text, HasSubstr("key.removed"));
    EXPECT_THAT(*text, HasSubstr("local:0"));
    EXPECT_THAT(*text, Not(HasSubstr(made->key.reveal().substr(5))));
  }
}

TEST(KeysWithoutALedger, AreNotKept) {
  boost::asio::io_context loop;
  Logger log{LogLevel::error, LogFormat::text};
  EventLog events(loop, AuditLog("", {}, log));
  Ledger ledger(loop, "", log);
  Keys keys(loop, ledger, events, log);
  std::optional<Result<MadeKey>> made;
  io::spawn(loop, Daemon::keep<MadeKey>(keys.create(kRoot, CreateKey()), &made));
  while (!made) loop.run_one();
  EXPECT_EQ(made->error().slug(), "keys_not_kept");
  EXPECT_EQ(keys.enter("lmsb_" + std::string(40, '0')).error().slug(), "key_unknown");
  EXPECT_FALSE(keys.has_ours_in("lmsb_" + std::string(40, '0'))) << "it is another daemon's";
}

}  // namespace
}  // namespace lmsb::control
