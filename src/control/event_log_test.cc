#include "control/event_log.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "io/spawn.h"

namespace lmsb::control {
namespace {

SandboxEvent event_of(const std::string& sandbox, const std::string& owner = "ann") {
  SandboxEvent event;
  event.kind = SandboxEvent::Kind::paused;
  event.sandbox = sandbox;
  event.owner = owner;
  event.by = "idle";
  return event;
}

struct Fixture {
  explicit Fixture(std::string audit = {}) : events(loop, AuditLog(std::move(audit), {}, log)) {}
  // The sandboxes of the events that are there now.
  std::vector<std::string> told(EventStream& stream) {
    std::vector<std::string> all;
    io::spawn(loop, collect(&stream, &all, &missed));
    loop.restart();
    loop.run();
    return all;
  }
  std::vector<std::string> told_to(const Principal& who, const std::string& sandbox = {}) {
    return told(**events.follow(who, sandbox, events.id_of(0)));
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
  const auto stream = *fixture.events.follow({"ann", false}, "", std::nullopt);
  EXPECT_EQ(stream->position(), fixture.events.id_of(1));
  EXPECT_FALSE(stream->has_restarted());
  fixture.events.add(event_of("after"));
  EXPECT_EQ(fixture.told(*stream), (std::vector<std::string>{"after"}));
}

TEST(EventLog, TellsWhatCameAfterAnEventOnceMore) {
  Fixture fixture;
  for (const char* sandbox : {"a", "b", "c"}) fixture.events.add(event_of(sandbox));
  const auto stream = *fixture.events.follow({"ann", false}, "", fixture.events.id_of(1));
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
  const auto stream = *fixture.events.follow({"ann", false}, "", fixture.events.id_of(2));
  EXPECT_EQ(fixture.told(*stream).size(), EventLog::kKept);
  EXPECT_EQ(fixture.missed, 3U);
}

TEST(EventLog, AfterAnEventOfAnotherDaemonsLifeTellsAllThatIsKnown) {
  Fixture fixture;
  fixture.events.add(event_of("x"));
  const std::string later = fixture.events.id_of(99);
  for (const std::string& id : std::vector<std::string>{"ffffffff-1", "1", "", later}) {
    const auto stream = *fixture.events.follow({"ann", false}, "", id);
    EXPECT_TRUE(stream->has_restarted()) << id;
    EXPECT_EQ(fixture.told(*stream), (std::vector<std::string>{"x"})) << id;
  }
}

TEST(EventLog, FindsThoseOfASandboxThatIsGoneByItsName) {
  Fixture fixture;
  SandboxEvent event = event_of("x");
  event.name = "box";
  fixture.events.add(event);
  EXPECT_EQ(fixture.told_to({"ann", false}, "box").size(), 1U);
}

TEST(EventLog, IsFollowedByNoMoreThanItsBound) {
  Fixture fixture;
  std::vector<std::unique_ptr<EventStream>> streams;
  for (std::size_t i = 0; i < EventLog::kMaxOfOwner; ++i)
    streams.push_back(*fixture.events.follow({"ann", false}, "", std::nullopt));
  EXPECT_EQ(fixture.events.follow({"ann", false}, "", std::nullopt).error().slug(), "too_many_followers");
  EXPECT_TRUE(fixture.events.follow({"bob", false}, "", std::nullopt).ok());
  streams.pop_back();
  EXPECT_TRUE(fixture.events.follow({"ann", false}, "", std::nullopt).ok());
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
  const auto stream = *fixture.events.follow({"ann", false}, "", std::nullopt);
  fixture.events.add(event_of("x"));
  EXPECT_EQ(fixture.told(*stream), (std::vector<std::string>{"x"}));
}

}  // namespace
}  // namespace lmsb::control
