#include "control/event_log.h"

#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "io/spawn.h"

namespace lmsb::control {
namespace {

Event event_of(const std::string& sandbox, const std::string& owner = "ann") {
  Event event;
  event.type = "sandbox.paused";
  event.sandbox = sandbox;
  event.owner = owner;
  event.by = "idle";
  return event;
}

struct Fixture {
  explicit Fixture(std::string audit = {}, const std::string& journal = {})
      : events(loop, AuditLog(std::move(audit), {}, log),
               journal.empty() ? nullptr : std::make_unique<EventJournal>(journal, log)) {
    events.take_over(EventJournal::Before::nothing);
  }
  std::string id(std::uint64_t number) const { return std::to_string(events.life() + number); }
  std::unique_ptr<EventStream> follow(Principal who, const std::optional<std::string>& after = std::nullopt,
                                      const std::string& sandbox = {}, bool processes = false) {
    FollowEvents asked;
    asked.sandbox = sandbox;
    asked.after = after;
    asked.processes = processes;
    return *events.follow(std::move(who), asked);
  }
  // The sandboxes of the events that are there now.
  std::vector<std::string> told(EventStream& stream) {
    std::vector<std::string> all;
    io::spawn(loop, collect(&stream, &all, &missed));
    loop.restart();
    loop.run();
    return all;
  }
  std::vector<std::string> told_to(const Principal& who, const std::string& sandbox = {}) {
    return told(*follow(who, id(0), sandbox));
  }
  static io::Always<void> collect(EventStream* stream, std::vector<std::string>* all, std::uint64_t* missed) {
    while (true) {
      const auto next = co_await stream->next(io::Deadline::in(std::chrono::milliseconds(0)));
      if (!next.ok()) co_return;
      *missed += next->missed;
      all->push_back(next->event.sandbox);
    }
  }
  std::uint64_t missed = 0;
  boost::asio::io_context loop;
  Logger log{LogLevel::error, LogFormat::text};
  EventLog events;
};

TEST(EventLog, TellsWhatHappensFromNowOn) {
  Fixture fixture;
  fixture.events.add(event_of("before"));
  const auto stream = fixture.follow({"ann", false});
  EXPECT_EQ(stream->position(), fixture.id(1));
  EXPECT_FALSE(stream->has_restarted());
  fixture.events.add(event_of("after"));
  EXPECT_EQ(fixture.told(*stream), (std::vector<std::string>{"after"}));
}

TEST(EventLog, TellsWhatCameAfterAnEventOnceMore) {
  Fixture fixture;
  for (const char* sandbox : {"a", "b", "c"}) fixture.events.add(event_of(sandbox));
  const auto stream = fixture.follow({"ann", false}, fixture.id(1));
  EXPECT_EQ(fixture.told(*stream), (std::vector<std::string>{"b", "c"}));
}

TEST(EventLog, TellsEachOnlyOfHisOwnSandboxesAndTheAdministratorOfAll) {
  Fixture fixture;
  fixture.events.add(event_of("hers", "ann"));
  fixture.events.add(event_of("his", "bob"));
  EXPECT_EQ(fixture.told_to({"bob", false}), (std::vector<std::string>{"his"}));
  EXPECT_EQ(fixture.told_to({"root", true}).size(), 2U);
  EXPECT_EQ(fixture.told_to({"root", true}, "hers"), (std::vector<std::string>{"hers"}));
}

TEST(EventLog, SaysHowManyAreNoLongerKept) {
  Fixture fixture;
  for (std::size_t i = 0; i < EventLog::kKept + 5; ++i) fixture.events.add(event_of("x"));
  const auto stream = fixture.follow({"ann", false}, fixture.id(2));
  EXPECT_EQ(fixture.told(*stream).size(), EventLog::kKept);
  EXPECT_EQ(fixture.missed, 3U);
}

TEST(EventLog, AfterAnIdThatIsNoneTellsAllThatIsKnownAndThatItIsNotAll) {
  Fixture fixture;
  fixture.events.add(event_of("x"));
  const std::string later = fixture.id(99);
  for (const std::string& id : std::vector<std::string>{"ffffffff-1", "1", "", later}) {
    const auto stream = fixture.follow({"ann", false}, id);
    EXPECT_TRUE(stream->has_restarted()) << id;
    ASSERT_TRUE(stream->lost().has_value()) << id;
    EXPECT_FALSE(stream->lost()->count.has_value()) << id;
    EXPECT_EQ(fixture.told(*stream), (std::vector<std::string>{"x"})) << id;
  }
}

TEST(EventLog, FindsThoseOfASandboxThatIsGoneByItsName) {
  Fixture fixture;
  Event event = event_of("x");
  event.name = "box";
  fixture.events.add(event);
  EXPECT_EQ(fixture.told_to({"ann", false}, "box").size(), 1U);
}

TEST(EventLog, IsFollowedByNoMoreThanItsBound) {
  Fixture fixture;
  std::vector<std::unique_ptr<EventStream>> streams;
  for (std::size_t i = 0; i < EventLog::kMaxOfOwner; ++i) streams.push_back(fixture.follow({"ann", false}));
  EXPECT_EQ(fixture.events.follow({"ann", false}, FollowEvents()).error().slug(), "too_many_followers");
  EXPECT_TRUE(fixture.events.follow({"bob", false}, FollowEvents()).ok());
  streams.pop_back();
  EXPECT_TRUE(fixture.events.follow({"ann", false}, FollowEvents()).ok());
}

TEST(EventLog, WritesEachIntoTheAuditLog) {
  const std::filesystem::path directory = std::filesystem::temp_directory_path() / "lmsb-audit-XXXXXX";
  std::string made = directory.string();
  ASSERT_NE(::mkdtemp(made.data()), nullptr);
  const std::string path = made + "/audit.log";
  {
    Fixture fixture(path);
    fixture.events.add(event_of("one"));
    fixture.events.add(event_of("two"));
  }
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  EXPECT_NE(text.str().find(R"("event":"sandbox.paused","sandbox_id":"two","name":"","owner":"ann","by":"idle"})"),
            std::string::npos)
      << text.str();
  std::filesystem::remove_all(made);
}

TEST(EventLog, TellsEventsThatTheAuditLogCannotTake) {
  Fixture fixture("/nowhere/audit.log");
  const auto stream = fixture.follow({"ann", false});
  fixture.events.add(event_of("x"));
  EXPECT_EQ(fixture.told(*stream), (std::vector<std::string>{"x"}));
}

TEST(EventLog, TellsOfCommandsWhoAsksForThemAlone) {
  Fixture fixture;
  Event command = event_of("busy");
  command.type = "process.ended";
  const auto all = fixture.follow({"ann", false}, std::nullopt, {}, true);
  const auto some = fixture.follow({"ann", false});
  fixture.events.add(event_of("before"));
  fixture.events.add_command(command);
  fixture.events.add(event_of("after"));
  EXPECT_EQ(fixture.told(*all), (std::vector<std::string>{"before", "busy", "after"}));
  EXPECT_EQ(fixture.told(*some), (std::vector<std::string>{"before", "after"}));
  const auto again = fixture.follow({"ann", false}, fixture.id(0), {}, true);
  EXPECT_EQ(fixture.told(*again), (std::vector<std::string>{"before", "after"})) << "they are told as they happen";
}

TEST(EventLog, TellsNobodyOfTheCommandsOfOneShots) {
  Fixture fixture;
  const auto all = fixture.follow({"ann", false}, std::nullopt, {}, true);
  Event command = event_of("");
  command.type = "process.ended";
  fixture.events.note_command(command);
  fixture.events.add(event_of("after"));
  EXPECT_EQ(fixture.told(*all), (std::vector<std::string>{"after"}));
}

TEST(EventLog, SaysHowManyCommandsASlowReaderHasMissed) {
  Fixture fixture;
  Event command = event_of("busy");
  command.type = "process.ended";
  const auto stream = fixture.follow({"ann", false}, std::nullopt, {}, true);
  for (std::size_t i = 0; i < EventLog::kKeptCommands + 7; ++i) fixture.events.add_command(command);
  EXPECT_EQ(fixture.told(*stream).size(), EventLog::kKeptCommands);
  EXPECT_EQ(fixture.missed, 7U);
}

// Files of a daemon, and of those after it.
class EventFiles : public testing::Test {
 protected:
  EventFiles() { directory_ = ::mkdtemp(name_.data()); }
  ~EventFiles() override { std::filesystem::remove_all(directory_); }
  std::string journal() const { return directory_ + "/events.log"; }
  std::string audit() const { return directory_ + "/audit.log"; }
  static std::string content(const std::string& path) {
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
  // A daemon that is killed: what it had written is there, and no more.
  void live_and_die(const std::vector<std::string>& sandboxes) {
    std::string left;
    {
      Fixture daemon({}, journal());
      for (const std::string& sandbox : sandboxes) daemon.events.add(event_of(sandbox));
      last_ = daemon.id(sandboxes.size());
      left = content(journal());
    }
    std::ofstream(journal(), std::ios::trunc) << left;
  }

  std::array<char, 32> name_{"/tmp/lmsb-events-XXXXXX"};
  std::string directory_;
  std::string last_;  // id of the newest event
};

TEST_F(EventFiles, WhatADaemonToldTheNextTellsAfterIt) {
  live_and_die({"a", "b"});
  const std::string of_b = last_;
  const std::string of_a = std::to_string(std::stoull(of_b) - 1);
  live_and_die({"c"});
  Fixture fixture({}, journal());
  fixture.events.add(event_of("d"));
  const auto stream = fixture.follow({"ann", false}, of_a);
  EXPECT_TRUE(stream->has_restarted());
  EXPECT_FALSE(stream->lost().has_value());
  EXPECT_EQ(fixture.told(*stream), (std::vector<std::string>{"b", "c", "d"}));
  EXPECT_EQ(fixture.missed, 0U);
  EXPECT_EQ(fixture.told(*fixture.follow({"ann", false}, of_b)), (std::vector<std::string>{"c", "d"}));
  const auto from_the_beginning = fixture.follow({"ann", false}, "0");
  EXPECT_FALSE(from_the_beginning->lost().has_value());
  EXPECT_EQ(fixture.told(*from_the_beginning).size(), 4U);
}

TEST_F(EventFiles, IdsRiseFromDaemonToDaemonAlsoWhenTheClockIsSetBack) {
  live_and_die({"a"});
  const std::string before = last_;
  std::ofstream(journal(), std::ios::app) << R"({"life":8000000000000000,"boot":"later"})"
                                          << "\n"
                                          << R"({"number":8000000000000001,"type":"sandbox.paused","owner":"ann"})"
                                          << "\n";
  Fixture fixture({}, journal());
  EXPECT_GT(std::stoull(fixture.id(1)), 8'000'000'000'000'001U);
  EXPECT_TRUE(fixture.follow({"ann", false}, before)->lost().has_value()) << "the machine was started again";
}

TEST_F(EventFiles, WhatIsMissingIsSaid) {
  live_and_die({"a", "b", "c"});
  const std::uint64_t third = std::stoull(last_);
  std::string text = content(journal());
  const std::size_t second = text.find(R"({"number":)" + std::to_string(third - 1));
  text.erase(second, text.find('\n', second) + 1 - second);
  std::ofstream(journal(), std::ios::trunc) << text;
  Fixture fixture({}, journal());
  const auto lacking = fixture.follow({"ann", false}, std::to_string(third - 2));
  EXPECT_TRUE(lacking->lost().has_value());
  EXPECT_EQ(fixture.told(*lacking), (std::vector<std::string>{"c"})) << "what is known comes all the same";
  EXPECT_FALSE(fixture.follow({"ann", false}, last_)->lost().has_value());
  EXPECT_TRUE(fixture.follow({"ann", false}, std::to_string(third + 1))->lost().has_value()) << "told, and not written";
}

TEST_F(EventFiles, AnEndThatIsCutOffIsMissing) {
  live_and_die({"a", "b"});
  std::string text = content(journal());
  text.resize(text.size() - 5);
  std::ofstream(journal(), std::ios::trunc) << text;
  Fixture fixture({}, journal());
  EXPECT_TRUE(fixture.follow({"ann", false}, std::to_string(std::stoull(last_) - 1))->lost().has_value());
}

TEST_F(EventFiles, WhereThereIsNoFileThereMayHaveBeenOne) {
  Logger log{LogLevel::error, LogFormat::text};
  for (const auto before : {EventJournal::Before::nothing, EventJournal::Before::unknown}) {
    std::filesystem::remove(journal());
    EventRing ring(10, Bytes::MiB(1));
    const EventHistory history = EventJournal(journal(), log).begin(ring, before);
    EXPECT_EQ(history.unknown, before == EventJournal::Before::unknown ? history.lives.back() : 0);
  }
}

TEST_F(EventFiles, TheFileDoesNotGrowForEver) {
  std::uintmax_t largest = 0;
  Fixture fixture({}, journal());
  for (std::size_t i = 0; i < 5 * EventLog::kKept; ++i) {
    fixture.events.add(event_of("x"));
    if (i % 1000 == 0) largest = std::max(largest, std::filesystem::file_size(journal()));
  }
  EXPECT_LT(largest, 4 * EventLog::kKept * 256);
  Fixture next({}, journal());
  const auto stream = next.follow({"ann", false}, std::to_string(fixture.events.life() + 1));
  ASSERT_TRUE(stream->lost().has_value());
  EXPECT_EQ(stream->lost()->count, 4 * EventLog::kKept - 1);
  EXPECT_EQ(next.told(*stream).size(), EventLog::kKept);
}

TEST_F(EventFiles, TheAuditLogHasCommandsSoonAndInTheirOrder) {
  Fixture fixture(audit());
  Event command = event_of("box");
  command.type = "process.ended";
  command.subject = "prc_a";
  command.outcome = "exited";
  fixture.events.add_command(command);
  EXPECT_EQ(content(audit()), "") << "nobody waits for it";
  fixture.loop.poll();
  EXPECT_NE(content(audit()).find(R"("event":"process.ended","sandbox_id":"box","process_id":"prc_a","name":"",)"
                                  R"("owner":"ann","by":"idle","outcome":"exited","exit_code":0})"),
            std::string::npos)
      << content(audit());
  fixture.events.add_command(command);
  fixture.events.add(event_of("later"));
  const std::string text = content(audit());
  EXPECT_LT(text.rfind("process.ended"), text.find("later"));
}

}  // namespace
}  // namespace lmsb::control
