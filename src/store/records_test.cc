#include "store/records.h"

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "store/packed_map.h"

namespace lmsb::store {
namespace {

using testing::HasSubstr;

class RecordsTest : public testing::Test {
 protected:
  RecordsTest() { path_ = std::string(::mkdtemp(name_.data())) + "/sandboxes.db"; }
  ~RecordsTest() override { std::filesystem::remove_all(name_.data()); }

  static SandboxRow some_row(const std::string& id) {
    SandboxRow row;
    row.id = id;
    row.owner = "key:1";
    row.name = "box";
    row.image = "base";
    row.image_digest = "sha256:00";
    row.created_at = "2026-01-31T23:59:59.123Z";
    row.workdir = "/workspace";
    row.env = {{"A", "1"}, {"EMPTY", ""}, {"LINES", "a\nb"}};
    row.labels = {{"nul", std::string("a\0b", 3)}, {"3:x", "4:yz"}};
    row.memory_bytes = 1ULL << 40;
    row.disk_bytes = 7;
    row.shm_bytes = 1ULL << 28;
    row.cpu_millis = 1500;
    row.processes = 64;
    row.timeout_ms = 1000;
    row.idle_ms = 2000;
    row.at_timeout = "remove";
    row.at_idle = "stop";
    row.ends_at_ms = 1'800'000'000'000;
    row.has_mounts = true;
    return row;
  }

  std::array<char, 32> name_{"/tmp/lmsb-store-XXXXXX"};
  std::string path_;
};

TEST_F(RecordsTest, WhatWasPutIsFoundByTheNextThatOpensIt) {
  const SandboxRow row = some_row("aaaaaaaaaaaaaaaaaaaa");
  {
    auto table = Records::open(path_);
    ASSERT_TRUE(table.ok()) << table.error().message();
    EXPECT_TRUE((*table)->is_new());
    ASSERT_TRUE((*table)->sandboxes().put(row).ok());
  }
  auto table = Records::open(path_);
  ASSERT_TRUE(table.ok());
  EXPECT_FALSE((*table)->is_new());
  const auto all = (*table)->sandboxes().all();
  ASSERT_TRUE(all.ok());
  ASSERT_EQ(all->size(), 1U);
  const SandboxRow& found = all->front();
  EXPECT_EQ(found.name, "box");
  EXPECT_EQ(found.env, row.env);
  EXPECT_EQ(found.labels, row.labels);
  EXPECT_EQ(found.memory_bytes, row.memory_bytes);
  EXPECT_EQ(found.processes, 64U);
  EXPECT_EQ(found.shm_bytes, row.shm_bytes);
  EXPECT_EQ(found.at_idle, "stop");
  EXPECT_EQ(found.ends_at_ms, row.ends_at_ms);
  EXPECT_TRUE(found.has_mounts);
  EXPECT_FALSE(found.is_removed);
}

TEST_F(RecordsTest, ARowTakesThePlaceOfTheOneBefore) {
  auto table = Records::open(path_);
  ASSERT_TRUE(table.ok());
  SandboxRow row = some_row("aaaaaaaaaaaaaaaaaaaa");
  ASSERT_TRUE((*table)->sandboxes().put(row).ok());
  row.name = "";
  row.ends_at_ms.reset();
  ASSERT_TRUE((*table)->sandboxes().put(row).ok());
  const auto all = (*table)->sandboxes().all();
  ASSERT_EQ(all->size(), 1U);
  EXPECT_EQ(all->front().name, "");
  EXPECT_EQ(all->front().ends_at_ms, std::nullopt);
  ASSERT_TRUE((*table)->sandboxes().erase(row.id).ok());
  ASSERT_TRUE((*table)->sandboxes().erase(row.id).ok());
  EXPECT_TRUE((*table)->sandboxes().all()->empty());
}

TEST_F(RecordsTest, OneProcessHasItAtATime) {
  const auto table = Records::open(path_);
  ASSERT_TRUE(table.ok());
  const auto second = Records::open(path_);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code(), ErrorCode::already_exists);
}

TEST_F(RecordsTest, AnotherProcessIsKeptOutToo) {
  const auto table = Records::open(path_);
  ASSERT_TRUE(table.ok());
  const pid_t other = ::fork();
  if (other == 0) {
    const auto second = Records::open(path_);
    ::_exit(!second.ok() && second.error().code() == ErrorCode::already_exists ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(other, &status, 0), other);
  EXPECT_EQ(status, 0);
}

TEST_F(RecordsTest, AFileThatIsNoDatabaseIsRefusedAndLeftAsItIs) {
  std::ofstream(path_)
      << "something else, long enough to be read as the header of a database, and then some more of it";
  const auto table = Records::open(path_);
  ASSERT_FALSE(table.ok());
  EXPECT_EQ(table.error().slug(), "database_damaged");
  EXPECT_THAT(table.error().message(), HasSubstr(path_));
  EXPECT_GT(std::filesystem::file_size(path_), 90U);
}

TEST_F(RecordsTest, ADatabaseOfALaterVersionIsRefused) {
  {
    const std::vector<const char*> later(100, "SELECT 1;");
    ASSERT_TRUE(Database::open(path_, later).ok());
  }
  const auto table = Records::open(path_);
  ASSERT_FALSE(table.ok());
  EXPECT_EQ(table.error().slug(), "database_newer");
}

TEST_F(RecordsTest, AnUpgradeIsOneStepAndKeepsACopyOfWhatWas) {
  constexpr std::array kFirst = {"CREATE TABLE a (x); INSERT INTO a VALUES (1);"};
  constexpr std::array kBroken = {kFirst[0], "CREATE TABLE b (x); INSERT INTO nothing VALUES (1);"};
  constexpr std::array kSecond = {kFirst[0], "CREATE TABLE b (x);"};
  ASSERT_TRUE(Database::open(path_, kFirst).ok());
  EXPECT_FALSE(Database::open(path_, kBroken).ok());
  auto upgraded = Database::open(path_, kSecond);  // fails if the broken one had left its table
  ASSERT_TRUE(upgraded.ok()) << upgraded.error().message();
  EXPECT_FALSE(upgraded->is_new());
  EXPECT_EQ(std::filesystem::status(path_ + ".before-2").permissions(), std::filesystem::perms(0600));
  auto copy = Database::open(path_ + ".before-2", kFirst);
  ASSERT_TRUE(copy.ok()) << copy.error().message();
  auto rows = copy->prepare("SELECT x FROM a");
  ASSERT_TRUE(rows.ok());
  EXPECT_TRUE(*rows->step());
  EXPECT_EQ(rows->number(), 1);
}

TEST_F(RecordsTest, OneThatIsGoneOrEmptyIsMadeOnlyWhereThatIsMeant) {
  const auto refused = [this] { return std::string(Records::open(path_, Missing::refuse).error().slug()); };
  EXPECT_EQ(refused(), "database_missing");
  EXPECT_FALSE(std::filesystem::exists(path_));
  std::ofstream(path_).flush();
  EXPECT_EQ(refused(), "database_missing");
  EXPECT_EQ(std::filesystem::file_size(path_), 0U);
  ASSERT_TRUE(Database::open(path_, {}).ok());  // of a log that was lost: a database, with nothing in it
  EXPECT_EQ(refused(), "database_missing");
  ASSERT_TRUE(Records::open(path_).ok());
  EXPECT_TRUE(Records::open(path_, Missing::refuse).ok());
}

// A small file system of its own, which is filled up.
class FullRecordsTest : public RecordsTest {
 protected:
  void SetUp() override {
    if (::mount("lmsb-test", name_.data(), "tmpfs", 0, "size=1536k") < 0) GTEST_SKIP() << "needs root";
    auto opened = Records::open(path_);
    ASSERT_TRUE(opened.ok()) << opened.error().message();
    records_ = *std::move(opened);
  }
  void TearDown() override {
    records_.reset();
    (void)::umount(name_.data());
  }
  void fill() const {
    std::ofstream file(std::string(name_.data()) + "/fill", std::ios::app);
    const std::string page(4096, 'x');
    while (file.write(page.data(), static_cast<std::streamsize>(page.size())).flush()) continue;
  }
  Status add(const std::string& id) {
    return records_->add([&] { return records_->sandboxes().put(some_row(id)); });
  }
  // Until nothing more can be added; the ids.
  std::vector<std::string> add_all() {
    std::vector<std::string> ids;
    for (int i = 100'000; i < 200'000; ++i) {
      const std::string id = "aaaaaaaaaaaaaa" + std::to_string(i);
      if (!add(id).ok()) return ids;
      ids.push_back(id);
    }
    return {};
  }
  std::unique_ptr<Records> records_;
};

TEST_F(FullRecordsTest, AddsNothingAndRemovesAllWhoeverTakesTheRoom) {
  std::vector<std::string> ids;
  for (int i = 0; i < 40; ++i) {
    ids.push_back("aaaaaaaaaaaaaa" + std::to_string(200'000 + i));
    ASSERT_TRUE(add(ids.back()).ok());
  }
  fill();
  for (const std::string& more : add_all()) ids.push_back(more);
  EXPECT_EQ(add("bbbbbbbbbbbbbbbbbbbb").error().slug(), "store_full");
  EXPECT_EQ(records_->check_room().error().slug(), "store_full");
  for (const std::string& id : ids) {
    SandboxRow row = some_row(id);
    row.is_removed = true;
    const Status marked = records_->note([&] { return records_->sandboxes().put(row); });
    ASSERT_TRUE(marked.ok()) << marked.error().message();
    const Status erased = records_->note([&] { return records_->sandboxes().erase(id); });
    ASSERT_TRUE(erased.ok()) << erased.error().message();
    fill();
  }
  records_.reset();
  auto again = Records::open(path_);
  ASSERT_TRUE(again.ok()) << again.error().message();
  EXPECT_TRUE((*again)->sandboxes().all()->empty());
}

TEST_F(FullRecordsTest, AddsAgainOnceThereIsRoom) {
  fill();
  (void)add_all();
  EXPECT_FALSE(records_->try_out().ok());
  std::filesystem::remove(std::string(name_.data()) + "/fill");
  EXPECT_TRUE(records_->try_out().ok());
  EXPECT_TRUE(add("bbbbbbbbbbbbbbbbbbbb").ok());
}

TEST_F(RecordsTest, SnapshotsAreKeptBesideTheSandboxes) {
  SnapshotRow row;
  row.id = "snp_aaaaaaaaaaaaaaaaaaaa";
  row.name = "before";
  row.sandbox = "aaaaaaaaaaaaaaaaaaaa";
  row.env = {{"A", "1"}};
  row.disk_bytes = 1ULL << 33;
  row.processes = 7;
  row.shm_bytes = 1ULL << 29;
  {
    auto records = Records::open(path_);
    ASSERT_TRUE(records.ok());
    ASSERT_TRUE((*records)->snapshots().put(row).ok());
  }
  auto records = Records::open(path_);
  ASSERT_TRUE(records.ok());
  const auto all = (*records)->snapshots().all();
  ASSERT_TRUE(all.ok());
  ASSERT_EQ(all->size(), 1U);
  EXPECT_EQ(all->front().sandbox, row.sandbox);
  EXPECT_EQ(all->front().env, row.env);
  EXPECT_EQ(all->front().disk_bytes, row.disk_bytes);
  EXPECT_EQ(all->front().processes, 7U);
  EXPECT_EQ(all->front().shm_bytes, row.shm_bytes);
  EXPECT_FALSE(all->front().is_removed);
  row.is_removed = true;
  ASSERT_TRUE((*records)->snapshots().put(row).ok());
  EXPECT_TRUE((*records)->snapshots().all()->front().is_removed);
  EXPECT_TRUE((*records)->sandboxes().all()->empty());
  ASSERT_TRUE((*records)->snapshots().erase(row.id).ok());
  EXPECT_TRUE((*records)->snapshots().all()->empty());
}

TEST_F(RecordsTest, VolumesAreKeptAndSandboxesNameTheirs) {
  VolumeRow row;
  row.id = "vol_aaaaaaaaaaaaaaaaaaaa";
  row.owner = "local:1000";
  row.name = "data";
  row.labels = {{"a", "1"}};
  row.size_bytes = 1ULL << 40;
  SandboxRow sandbox = some_row("aaaaaaaaaaaaaaaaaaaa");
  sandbox.volumes = {{"/data", row.id}, {"/in", row.id + ":ro"}};
  {
    auto records = Records::open(path_);
    ASSERT_TRUE(records.ok());
    ASSERT_TRUE((*records)->volumes().put(row).ok());
    ASSERT_TRUE((*records)->sandboxes().put(sandbox).ok());
  }
  auto records = Records::open(path_);
  ASSERT_TRUE(records.ok());
  const auto all = (*records)->volumes().all();
  ASSERT_TRUE(all.ok());
  ASSERT_EQ(all->size(), 1U);
  EXPECT_EQ(all->front().name, "data");
  EXPECT_EQ(all->front().owner, row.owner);
  EXPECT_EQ(all->front().labels, row.labels);
  EXPECT_EQ(all->front().size_bytes, row.size_bytes);
  EXPECT_EQ((*records)->sandboxes().all()->front().volumes, sandbox.volumes);
  ASSERT_TRUE((*records)->volumes().erase(row.id).ok());
  EXPECT_TRUE((*records)->volumes().all()->empty());
}

TEST_F(RecordsTest, KeysAreKeptAndOneThatIsGoneIsNotUsedAgain) {
  KeyRow row;
  row.id = "key_aaaaaaaaaaaaaaaaaaaa";
  row.name = "ci";
  row.digest = std::string(64, 'a');
  row.scopes = "write,models";
  row.labels = {{"team", "a"}};
  row.quota = {{"sandboxes", "10"}};
  row.expires_at = "2026-01-31T23:59:59.123Z";
  row.expires_at_ms = 1'800'000'000'000;
  {
    auto records = Records::open(path_);
    ASSERT_TRUE(records.ok());
    ASSERT_TRUE((*records)->keys().put(row).ok());
    ASSERT_TRUE((*records)->keys().note_use(row.id, "2026-01-02T00:00:00.000Z").ok());
  }
  auto records = Records::open(path_);
  ASSERT_TRUE(records.ok());
  const auto all = (*records)->keys().all();
  ASSERT_EQ(all->size(), 1U);
  const KeyRow& found = all->front();
  EXPECT_EQ(found.digest, row.digest);
  EXPECT_EQ(found.scopes, row.scopes);
  EXPECT_EQ(found.labels, row.labels);
  EXPECT_EQ(found.quota, row.quota);
  EXPECT_EQ(found.expires_at, row.expires_at);
  EXPECT_EQ(found.expires_at_ms, row.expires_at_ms);
  EXPECT_EQ(found.used_at, "2026-01-02T00:00:00.000Z");
  ASSERT_TRUE((*records)->keys().erase(row.id).ok());
  ASSERT_TRUE((*records)->keys().note_use(row.id, "2026-01-03T00:00:00.000Z").ok());
  EXPECT_TRUE((*records)->keys().all()->empty()) << "a use that is written late makes no key";
}

// What an upgrade gives the rows that were there.
TEST_F(RecordsTest, AnEmptyDefaultIsAnEmptyMap) {
  constexpr std::array kTable = {
      "CREATE TABLE a (x INTEGER); INSERT INTO a VALUES (1);"
      "ALTER TABLE a ADD COLUMN map BLOB NOT NULL DEFAULT x'';"};
  auto database = Database::open(path_, kTable);
  ASSERT_TRUE(database.ok());
  auto rows = database->prepare("SELECT map FROM a");
  ASSERT_TRUE(*rows->step());
  const auto map = rows->map();
  ASSERT_TRUE(map.ok()) << map.error().message();
  EXPECT_TRUE(map->empty());
}

// To open a database of this version without its steps.
constexpr std::array<const char*, 12> kAllApplied{};

// Before its sixth step the database knew nothing of networks.
TEST_F(RecordsTest, ASandboxOfAnEarlierVersionHasNoNetworkAndALaterOneTheNetworkThatItWasGiven) {
  SandboxRow row = some_row("aaaaaaaaaaaaaaaaaaaa");
  row.egress = "allowlist good.test";
  {
    auto records = Records::open(path_);
    ASSERT_TRUE((*records)->sandboxes().put(row).ok());
    EXPECT_EQ((*records)->sandboxes().all()->front().egress, row.egress);
  }
  {
    auto database = Database::open(path_, kAllApplied);
    ASSERT_TRUE(database
                    ->run("ALTER TABLE sandboxes DROP COLUMN models; ALTER TABLE sandboxes DROP COLUMN profile;"
                          "ALTER TABLE sandboxes DROP COLUMN egress; ALTER TABLE snapshots DROP COLUMN is_removed;"
                          "ALTER TABLE sandboxes DROP COLUMN shm_bytes; ALTER TABLE snapshots DROP COLUMN shm_bytes;"
                          "DROP TABLE answers; PRAGMA user_version = 5")
                    .ok());
  }
  auto records = Records::open(path_);
  ASSERT_TRUE(records.ok());
  const auto all = (*records)->sandboxes().all();
  ASSERT_TRUE(all.ok());
  EXPECT_EQ(all->front().id, row.id);
  EXPECT_EQ(all->front().egress, "none");
  EXPECT_EQ(all->front().shm_bytes, 64U << 20U);
}

TEST_F(RecordsTest, ASandboxOfAnEarlierVersionHasTheProfileOfUsersAndALaterOneItsOwn) {
  SandboxRow row = some_row("aaaaaaaaaaaaaaaaaaaa");
  row.profile = "root";
  {
    auto records = Records::open(path_);
    ASSERT_TRUE((*records)->sandboxes().put(row).ok());
    EXPECT_EQ((*records)->sandboxes().all()->front().profile, "root");
  }
  {
    auto database = Database::open(path_, kAllApplied);
    ASSERT_TRUE(database
                    ->run("ALTER TABLE sandboxes DROP COLUMN models; ALTER TABLE sandboxes DROP COLUMN profile;"
                          "ALTER TABLE sandboxes DROP COLUMN shm_bytes; ALTER TABLE snapshots DROP COLUMN shm_bytes;"
                          "DROP TABLE answers; PRAGMA user_version = 7")
                    .ok());
  }
  auto records = Records::open(path_);
  ASSERT_TRUE(records.ok());
  EXPECT_EQ((*records)->sandboxes().all()->front().profile, "user");
}

// Before its eleventh step several snapshots of one owner could have one name.
TEST_F(RecordsTest, OfSeveralSnapshotsOfOneNameTheNewestKeepsIt) {
  const auto put = [this](const std::string& id, const std::string& owner, const std::string& name,
                          const std::string& created_at, bool is_removed = false) {
    SnapshotRow row;
    row.id = id;
    row.owner = owner;
    row.name = name;
    row.created_at = created_at;
    row.is_removed = is_removed;
    auto records = Records::open(path_);
    ASSERT_TRUE((*records)->snapshots().put(row).ok());
  };
  put("snp_a", "local:1", "x", "2026-01-02T00:00:00.000Z");
  put("snp_b", "local:1", "x", "2026-01-01T00:00:00.000Z");
  put("snp_c", "local:1", "x", "2026-01-02T00:00:00.000Z");
  put("snp_d", "local:1", "x", "2026-01-03T00:00:00.000Z", true);
  put("snp_e", "local:2", "x", "2026-01-01T00:00:00.000Z");
  put("snp_f", "local:1", "y", "2026-01-01T00:00:00.000Z");
  put("snp_g", "local:1", "", "2026-01-01T00:00:00.000Z");
  {
    auto database = Database::open(path_, kAllApplied);
    for (const char* later : {"sandboxes", "snapshots"})
      ASSERT_TRUE(database->run("ALTER TABLE " + std::string(later) + " DROP COLUMN shm_bytes").ok());
    ASSERT_TRUE(database->run("PRAGMA user_version = 10").ok());
  }
  auto records = Records::open(path_);
  ASSERT_TRUE(records.ok());
  std::string names;
  const auto all = (*records)->snapshots().all();
  ASSERT_TRUE(all.ok());
  for (const SnapshotRow& row : *all) names += row.id.substr(4) + "=" + row.name + " ";
  EXPECT_EQ(names, "a= b= c=x d=x e=x f=y g= ");
}

TEST_F(RecordsTest, ASandboxHasItsModelsAgain) {
  SandboxRow row = some_row("aaaaaaaaaaaaaaaaaaaa");
  row.models = {{"names", "tiny other"}, {"prompt_tokens", "12"}};
  auto records = Records::open(path_);
  ASSERT_TRUE((*records)->sandboxes().put(row).ok());
  EXPECT_EQ((*records)->sandboxes().all()->front().models, row.models);
}

AnswerRow some_answer(const std::string& key, const std::string& made) {
  return {"me", key, std::string(64, 'a'), 1'800'000'000'000, made, "{\"id\":\"" + made + "\"}"};
}

TEST_F(RecordsTest, AThingAndTheAnswerThatTellsItAreWrittenInOneStepOrNeitherIs) {
  auto table = Records::open(path_);
  const SandboxRow row = some_row("aaaaaaaaaaaaaaaaaaaa");
  const AnswerRow answer = some_answer("k", row.id);
  Records& records = **table;
  const Status failed = records.add([&]() -> Status {
    EXPECT_TRUE(records.sandboxes().put(row).ok());
    EXPECT_TRUE(records.answers().put(answer).ok());
    return Error(ErrorCode::internal, "no");
  });
  EXPECT_FALSE(failed.ok());
  EXPECT_TRUE(records.sandboxes().all()->empty());
  EXPECT_TRUE(records.answers().all()->empty());
  const auto both = [&]() -> Status {
    LMSB_CHECK(records.sandboxes().put(row));
    return records.answers().put(answer);
  };
  ASSERT_TRUE(records.add(both).ok());
  ASSERT_EQ(records.answers().all()->size(), 1U);
  EXPECT_EQ(records.answers().all()->front().body, answer.body);
  ASSERT_TRUE(records.take_back(row.id).ok());
  EXPECT_TRUE(records.sandboxes().all()->empty());
  EXPECT_TRUE(records.answers().all()->empty());
}

TEST_F(RecordsTest, AnswersGoByTheirKeyAndByTheirAge) {
  auto table = Records::open(path_);
  AnswerTable& answers = (*table)->answers();
  AnswerRow old = some_answer("old", "a");
  old.made_at_ms -= 1000;
  for (const AnswerRow& row : {some_answer("k", "b"), old, some_answer("l", "c")}) ASSERT_TRUE(answers.put(row).ok());
  EXPECT_EQ(answers.all()->front().key, "old");
  ASSERT_TRUE(answers.erase_before(old.made_at_ms + 1).ok());
  ASSERT_TRUE(answers.erase("me", "l").ok());
  ASSERT_TRUE(answers.erase("another", "k").ok());
  ASSERT_EQ(answers.all()->size(), 1U);
  EXPECT_EQ(answers.all()->front().made, "b");
}

TEST_F(RecordsTest, WhatIsNoMapIsSaidToBeDamaged) {
  {
    auto records = Records::open(path_);
    ASSERT_TRUE((*records)->sandboxes().put(some_row("aaaaaaaaaaaaaaaaaaaa")).ok());
  }
  {
    auto database = Database::open(path_, kAllApplied);
    ASSERT_TRUE(database->run("UPDATE sandboxes SET env = 'x'").ok());
  }
  auto records = Records::open(path_);
  const auto all = (*records)->sandboxes().all();
  ASSERT_FALSE(all.ok());
  EXPECT_EQ(all.error().slug(), "database_damaged");
}

TEST(PackedMap, OctetsThatAreNoMapAreNone) {
  for (const char* octets : {"1", "x", "1:a", "9:a1:b", "1:a1:", "99999999999999999999:a", "-1:a1:b"})
    EXPECT_EQ(unpack(octets), std::nullopt) << octets;
  EXPECT_EQ(unpack(""), (std::map<std::string, std::string>{}));
}

}  // namespace
}  // namespace lmsb::store
