#include "server/log_events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/run_blocking.h"
#include "server/process_events.h"
#include "server/test_support.h"

namespace lmsb::server {
namespace {

using control::CommandEvent;
using testing::ElementsAre;
using testing::UnorderedElementsAre;

LogSource source(const std::string& process, std::vector<std::string> texts) {
  std::vector<CommandEvent> events;
  std::uint64_t offset = 0;
  for (std::string& text : texts) {
    CommandEvent event;
    event.kind = CommandEvent::Kind::output;
    event.offset = offset;
    offset += text.size();
    event.data = std::move(text);
    events.push_back(std::move(event));
  }
  return {process, std::make_unique<CommandEvents>(std::make_shared<FakeProcesses::Events>(std::move(events)))};
}

io::Task<std::vector<std::string>> all_of(std::unique_ptr<EventSequence> log) {
  std::vector<std::string> texts;
  while (true) {
    LMSB_CO_TRY(auto event, co_await log->next(io::Deadline::never()));
    if (!event) co_return texts;
    texts.push_back(std::move(event->json));
  }
}

std::vector<LogSource> two() {
  std::vector<LogSource> sources;
  sources.push_back(source("prc_a", {"1", "2"}));
  sources.push_back(source("prc_b", {"3"}));
  return sources;
}

TEST(LogSoFar, TellsOneProcessAfterTheOther) {
  EXPECT_THAT(*io::run_blocking(all_of(log_so_far(two()))),
              ElementsAre(R"({"process":"prc_a","type":"stdout","offset":0,"text":"1"})",
                          R"({"process":"prc_a","type":"stdout","offset":1,"text":"2"})",
                          R"({"process":"prc_b","type":"stdout","offset":0,"text":"3"})"));
}

TEST(FollowedLog, TellsWhatAllWriteAndEndsWithTheLast) {
  EXPECT_THAT(*io::run_blocking(all_of(followed_log({}, two()))),
              UnorderedElementsAre(R"({"process":"prc_a","type":"stdout","offset":0,"text":"1"})",
                                   R"({"process":"prc_a","type":"stdout","offset":1,"text":"2"})",
                                   R"({"process":"prc_b","type":"stdout","offset":0,"text":"3"})"));
}

TEST(FollowedLog, BeginsWithWhatHasEnded) {
  std::vector<LogSource> running;
  running.push_back(source("prc_c", {"4"}));
  const auto all = *io::run_blocking(all_of(followed_log(two(), std::move(running))));
  ASSERT_EQ(all.size(), 4U);
  EXPECT_EQ(all.back(), R"({"process":"prc_c","type":"stdout","offset":0,"text":"4"})");
}

TEST(FollowedLog, OfNothingIsOver) { EXPECT_TRUE(io::run_blocking(all_of(followed_log({}, {})))->empty()); }

}  // namespace
}  // namespace lmsb::server
