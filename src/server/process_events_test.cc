#include "server/process_events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/clock.h"
#include "io/run_blocking.h"
#include "server/test_support.h"

namespace lmsb::server {
namespace {

using control::CommandEvent;
using control::Stream;
using testing::ElementsAre;
using testing::HasSubstr;

CommandEvent output(Stream stream, std::uint64_t offset, std::string data) {
  CommandEvent event;
  event.kind = CommandEvent::Kind::output;
  event.stream = stream;
  event.offset = offset;
  event.data = std::move(data);
  return event;
}

CommandEvent started(int pid) {
  CommandEvent event;
  event.pid = pid;
  return event;
}

CommandEvent result(int exit_code) {
  CommandEvent event;
  event.kind = CommandEvent::Kind::result;
  event.result.emplace();
  event.result->outcome = control::Outcome::exited;
  event.result->exit_code = exit_code;
  return event;
}

std::vector<std::string> texts_of(std::vector<CommandEvent> events) {
  CommandEvents source(std::make_shared<FakeProcesses::Events>(std::move(events)));
  std::vector<std::string> texts;
  while (true) {
    const auto next = io::run_blocking(source.next(io::Deadline::never()));
    EXPECT_TRUE(next.ok());
    if (!next.ok() || !*next) return texts;
    texts.push_back((*next)->json);
  }
}

TEST(CommandEvents, TellTheWholeCourse) {
  EXPECT_THAT(texts_of({started(7), output(Stream::out, 0, "a"), output(Stream::err, 0, "b"), result(3)}),
              ElementsAre(R"({"type":"started","process":{"pid":7}})", R"({"type":"stdout","offset":0,"text":"a"})",
                          R"({"type":"stderr","offset":0,"text":"b"})", HasSubstr(R"("exit_code":3)")));
}

TEST(CommandEvents, TellTheIdOfACommandThatOthersCanFind) {
  CommandEvent event = started(7);
  event.process = "prc_a";
  EXPECT_THAT(texts_of({event}), ElementsAre(R"({"type":"started","process":{"pid":7,"id":"prc_a"}})"));
}

TEST(CommandEvents, NeverTearACharacter) {
  EXPECT_THAT(
      texts_of({output(Stream::out, 0, "x\xe2\x82"), output(Stream::out, 3, "\xac"), output(Stream::out, 4, "y")}),
      ElementsAre(R"({"type":"stdout","offset":0,"text":"x"})", "{\"type\":\"stdout\",\"offset\":1,\"text\":\"€\"}",
                  R"({"type":"stdout","offset":4,"text":"y"})"));
}

TEST(CommandEvents, TellACharacterThatNeverEndedBeforeTheResult) {
  EXPECT_THAT(texts_of({output(Stream::out, 0, "\xe2\x82"), result(0)}),
              ElementsAre(R"({"type":"stdout","offset":0,"base64":"4oI="})", HasSubstr("result")));
}

TEST(CommandEvents, KeepTheStreamsIncompleteCharactersApart) {
  EXPECT_THAT(
      texts_of({output(Stream::out, 0, "\xe2\x82"), output(Stream::err, 0, "e"), output(Stream::out, 2, "\xac")}),
      ElementsAre(R"({"type":"stderr","offset":0,"text":"e"})", "{\"type\":\"stdout\",\"offset\":0,\"text\":\"€\"}"));
}

TEST(CommandEvents, PresentOctetsThatAreNoTextAsBase64) {
  EXPECT_THAT(texts_of({output(Stream::out, 5, "\xff\xfe!")}),
              ElementsAre(R"({"type":"stdout","offset":5,"base64":"//4h"})"));
}

TEST(CommandEvents, TellWhenTheFirstOctetOfEachCameAndWhatIsLost) {
  const std::uint64_t now = boottime_ms();
  const auto at = [now](std::uint64_t ago) { return R"("at":")" + rfc3339_of_boottime(now - ago) + '"'; };
  const auto came = [now](std::uint64_t offset, std::string data, std::uint64_t ago) {
    CommandEvent event = output(Stream::out, offset, std::move(data));
    event.came_ms = now - ago;
    return event;
  };
  CommandEvent behind_a_hole = came(9, "z", 100);
  behind_a_hole.lost = 4;
  CommandEvent all_lost = output(Stream::out, 20, "");
  all_lost.lost = 10;
  EXPECT_THAT(texts_of({came(0, "x\xe2", 50'000), came(2, "\x82", 40'000), came(3, "\xac\xe2", 30'000),
                        came(5, "\x82\xac", 20'000), behind_a_hole, all_lost}),
              ElementsAre(HasSubstr(at(50'000) + R"(,"text":"x")"), HasSubstr(at(50'000) + ",\"text\":\"€\""),
                          HasSubstr(at(30'000) + ",\"text\":\"€\""),
                          HasSubstr(R"("offset":9,"missing_bytes":4,)" + at(100) + R"(,"text":"z")"),
                          R"({"type":"stdout","offset":20,"missing_bytes":10,"text":""})"));
}

class ProcessRoutes : public testing::Test {
 protected:
  ProcessRoutes() {
    processes.info.id = "prc_00000000000000000000";
    processes.info.sandbox_id = "a0000000000000000000";
    processes.info.cmd = std::string("sleep 1");
    processes.info.pid = 5;
    processes.info.started_at = "2026-01-01T00:00:00.000Z";
  }
  http::Response send(std::string method, std::string path, std::string body = {}, const char* accept = nullptr) {
    http::Request request = local_request(std::move(method), std::move(path), std::move(body));
    if (accept != nullptr) request.headers.set("Accept", accept);
    return fixture.send(std::move(request));
  }
  Fixture fixture;
  FakeProcesses& processes = fixture.control.fake_processes;
};

TEST_F(ProcessRoutes, StartADetachedProcessWithoutATimeLimit) {
  const auto answer = send("POST", "/v1/sandboxes/box/exec", R"({"cmd":"sleep 1","detach":true,"keep_stdin":true})");
  EXPECT_EQ(answer.status, 201);
  EXPECT_EQ(processes.started.command.timeout.count(), 0);
  EXPECT_TRUE(processes.started.keep_stdin);
  EXPECT_EQ(*answer.headers.find("Location"), "/v1/sandboxes/a0000000000000000000/processes/prc_00000000000000000000");
  EXPECT_THAT(answer.body, HasSubstr(R"("state":"running")"));
}

TEST_F(ProcessRoutes, RefuseInputForACommandThatIsWaitedForAndNoTimeLimitForIt) {
  EXPECT_EQ(send("POST", "/v1/sandboxes/box/exec", R"({"cmd":"cat","keep_stdin":true})").status, 400);
  EXPECT_EQ(send("POST", "/v1/sandboxes/box/exec", R"({"cmd":"cat","timeout_ms":0})").status, 400);
  EXPECT_EQ(send("POST", "/v1/sandboxes/box/exec", R"({"cmd":"cat","session":"s","keep_stdin":true})").status, 400);
}

TEST_F(ProcessRoutes, ReadOnePieceAndSayWhereToGoOn) {
  processes.piece = {10, "abc", 100, false};
  const auto answer = send("GET", "/v1/sandboxes/box/processes/prc_1/output?stream=stderr&offset=4&wait_ms=500");
  EXPECT_EQ(processes.from.offsets[1], 4U);
  EXPECT_EQ(processes.waited.count(), 500);
  EXPECT_EQ(answer.body, R"({"stream":"stderr","offset":10,"missing_bytes":6,"text":"abc","next_offset":13,)"
                         R"("end":100,"ended":false})");
}

TEST_F(ProcessRoutes, LeaveATornCharacterForTheNextPiece) {
  processes.piece = {0, "a\xe2\x82", 9, false};
  EXPECT_THAT(send("GET", "/v1/sandboxes/box/processes/prc_1/output").body,
              testing::AllOf(HasSubstr(R"("text":"a","next_offset":1)")));
}

TEST_F(ProcessRoutes, TakeAnOffsetOfNoStreamForStdouts) {
  processes.piece = {3, "abc", 6, true};
  EXPECT_THAT(send("GET", "/v1/sandboxes/box/processes/prc_1/output?offset=3").body, HasSubstr(R"("stream":"stdout")"));
  const std::string follow = "/v1/sandboxes/box/processes/prc_1/output?follow=true";
  EXPECT_EQ(send("GET", follow + "&offset=3").status, 200);
  EXPECT_EQ(processes.from.offsets[0], 3U);
  EXPECT_FALSE(processes.from.offsets[1]);
  for (const char* from_the_beginning : {"", "&offset=0"}) {
    EXPECT_EQ(send("GET", follow + from_the_beginning).status, 200);
    EXPECT_EQ(processes.from.offsets[0], 0U);
    EXPECT_EQ(processes.from.offsets[1], 0U) << "both";
  }
}

TEST_F(ProcessRoutes, SayWhenAPieceCameWhereThatIsAsked) {
  processes.piece = {0, "abc", 3, true, boottime_ms()};
  const auto answer = send("GET", "/v1/sandboxes/box/processes/prc_1/output?timestamps=true");
  EXPECT_TRUE(processes.from.by_time);
  EXPECT_THAT(answer.body, HasSubstr(R"("at":")" + rfc3339_of_boottime(processes.piece.came_ms) + '"'));
}

TEST_F(ProcessRoutes, ReadWhatCameInATime) {
  const std::string output = "/v1/sandboxes/box/processes/prc_1/output?";
  processes.span = {40, 60};
  processes.piece = {40, std::string(20, 'x'), 100, true};
  const std::uint64_t before = boottime_ms();
  const auto answer = send("GET", output + "since=10m&until=5m");
  EXPECT_EQ(processes.from.offsets[0], 40U);
  EXPECT_EQ(processes.from.ends[0], 60U);
  EXPECT_THAT(answer.body, HasSubstr(R"("missing_bytes":0)"));
  EXPECT_THAT(answer.body, HasSubstr(R"("next_offset":60,"end":100,"ended":true)"));
  EXPECT_GE(processes.period.since_ms, before - std::min<std::uint64_t>(before, 600'000));
  EXPECT_LE(processes.period.since_ms, processes.period.until_ms);
  EXPECT_EQ(send("GET", output + "offset=50&since=10m").status, 200);
  EXPECT_EQ(processes.from.offsets[0], 50U) << "the later of both";
  EXPECT_EQ(processes.from.ends[0], UINT64_MAX);
  processes.piece = {60, "", 100, true};
  EXPECT_THAT(send("GET", output + "offset=18446744073709551615&until=5m").body, HasSubstr(R"("next_offset":60)"));
}

TEST_F(ProcessRoutes, FollowWhatCameSinceATime) {
  processes.span = {40, 60};
  const auto answer =
      send("GET", "/v1/sandboxes/box/processes/prc_1/output?follow=true&timestamps=1&since=2026-01-31T23:59:59.5Z");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(processes.from.offsets[0], 40U);
  EXPECT_EQ(processes.from.offsets[1], 40U);
  EXPECT_EQ(processes.from.ends[1], UINT64_MAX);
  EXPECT_TRUE(processes.from.by_time);
  EXPECT_EQ(send("GET", "/v1/sandboxes/box/logs?until=1h&timestamps=1", {}, "application/x-ndjson").status, 200);
  EXPECT_EQ(processes.from.ends[1], 60U);
}

TEST_F(ProcessRoutes, ReadTheEndOfWhatCameInATime) {
  processes.span = {40, 60};
  processes.piece = {40, "abc", 100, true};
  EXPECT_THAT(send("GET", "/v1/sandboxes/box/logs?until=1h").body, HasSubstr(R"("offset":40,"text":"abc")"));
  EXPECT_EQ(processes.from.offsets[1], 40U);
  processes.span = {60, 60};
  EXPECT_EQ(send("GET", "/v1/sandboxes/box/logs?until=1h").body, R"({"data":[],"next_cursor":null})");
}

TEST_F(ProcessRoutes, RefuseTimesThatAreNoneAndThatMakeNoSense) {
  const std::string output = "/v1/sandboxes/box/processes/prc_1/output?";
  for (const char* bad : {"since=10", "since=", "until=yesterday", "since=2026-01-31T23:59:59+01:00", "timestamps=yes",
                          "until=1h&wait_ms=10"})
    EXPECT_EQ(send("GET", output + bad).status, 400) << bad;
  EXPECT_EQ(send("GET", output + "until=1h&follow=true", {}, "application/x-ndjson").status, 400);
  EXPECT_EQ(send("GET", output + "timestamps=true", {}, "application/octet-stream").status, 400);
  EXPECT_EQ(send("GET", "/v1/sandboxes/box/logs?timestamps=true").status, 400);
  EXPECT_EQ(send("GET", "/v1/sandboxes/box/logs?until=1h&follow=true", {}, "application/x-ndjson").status, 400);
}

TEST_F(ProcessRoutes, RefuseFieldsThatAreNotThere) {
  EXPECT_EQ(send("GET", "/v1/sandboxes/box/processes/prc_1/output?ofset=3").status, 400);
  EXPECT_EQ(send("GET", "/v1/sandboxes/box/processes/prc_1?wait_ms=-1").status, 400);
}

TEST_F(ProcessRoutes, UnderstandSignalsByNameAndNumber) {
  for (const char* name : {"TERM", "SIGTERM", "15"}) {
    processes.signalled = 0;
    EXPECT_EQ(
        send("POST", "/v1/sandboxes/box/processes/prc_1/signal", R"({"signal":")" + std::string(name) + "\"}").status,
        204);
    EXPECT_EQ(processes.signalled, 15) << name;
  }
  EXPECT_EQ(send("POST", "/v1/sandboxes/box/processes/prc_1/signal", R"({"signal":"NOTHING"})").status, 400);
  EXPECT_EQ(send("POST", "/v1/sandboxes/box/processes/prc_1/signal", R"({"signal":"0"})").status, 400);
  EXPECT_EQ(send("POST", "/v1/sandboxes/box/processes/prc_1/signal", R"({"signal":10,"tree":true})").status, 204);
  EXPECT_EQ(processes.signalled, 10);
  EXPECT_TRUE(processes.to_tree);
  for (const char* body : {R"({"signal":0})", R"({"signal":-9})", R"({"signal":true})", R"({"signal":[]})", "{}"})
    EXPECT_EQ(send("POST", "/v1/sandboxes/box/processes/prc_1/signal", body).status, 400) << body;
  EXPECT_THAT(send("POST", "/v1/sandboxes/box/processes/prc_1/signal", R"({"signal":65})").body,
              HasSubstr("say TERM, SIGTERM or 15"));
}

TEST_F(ProcessRoutes, FollowAsEventsUnlessTheClientWantsOctetsAndRefuseItForOnePiece) {
  const std::string output = "/v1/sandboxes/box/processes/prc_1/output";
  EXPECT_EQ(*send("GET", output + "?follow=true").headers.find("Content-Type"), "application/x-ndjson");
  EXPECT_EQ(*send("GET", output + "?follow=true", "", "*/*").headers.find("Content-Type"), "application/x-ndjson");
  const auto refused = send("GET", output + "?follow=true", "", "application/json");
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.body, HasSubstr("follow needs Accept"));
  EXPECT_EQ(send("GET", output + "?wait_ms=5", "", "text/event-stream").status, 400) << "it would be ignored";
  EXPECT_EQ(send("GET", "/v1/sandboxes/box/processes?state=running").status, 400) << "so would this";
}

TEST_F(ProcessRoutes, MergeStreamsOfCommandsThatAreWaitedForFollowedDetachedOrOfASession) {
  for (const char* rest : {"", R"(,"detach":true)", R"(,"session":"s")"}) {
    const std::string body = std::string(R"({"cmd":"x","merge_stderr":true)") + rest + "}";
    for (const char* accept : {"application/json", "application/x-ndjson", "application/octet-stream"}) {
      processes.started.command.merge_stderr = fixture.control.command.merge_stderr = false;
      EXPECT_LT(send("POST", "/v1/sandboxes/box/exec", body, accept).status, 300);
      EXPECT_TRUE(processes.started.command.merge_stderr || fixture.control.command.merge_stderr) << body << accept;
    }
  }
  EXPECT_EQ(send("POST", "/v1/sandboxes/box/exec", R"({"cmd":"x","merge_stderr":1})").status, 400);
  EXPECT_EQ(send("POST", "/v1/sandboxes/box/exec", R"({"cmd":"x","session":""})").status, 400) << "not no session";
}

TEST_F(ProcessRoutes, TellWhoseAProcessIs) {
  processes.info.is_attached = true;
  processes.info.session = "main";
  EXPECT_THAT(send("GET", "/v1/sandboxes/box/processes").body,
              HasSubstr(R"("attached":true,"session":"main","stdin":false,"pty":false,"merge_stderr":false)"));
  EXPECT_EQ(send("GET", "/v1/sandboxes/box/logs").body, R"({"data":[],"next_cursor":null})") << "its caller's alone";
}

TEST_F(ProcessRoutes, ListSessionsAndWhatRunsInThem) {
  processes.session_info.name = "main";
  processes.session_info.sandbox_id = "a0000000000000000000";
  processes.session_info.pid = 9;
  EXPECT_EQ(send("GET", "/v1/sandboxes/box/sessions").body,
            R"({"data":[{"name":"main","sandbox_id":"a0000000000000000000","pid":9,"state":"idle","command":null,)"
            R"("waiting":0,"started_at":null}],"next_cursor":null})");
  processes.session_info.state = control::SessionInfo::State::busy;
  processes.session_info.command = processes.info;
  EXPECT_THAT(send("GET", "/v1/sandboxes/box/sessions/main").body,
              HasSubstr(R"("state":"busy","command":{"id":"prc_00000000000000000000")"));
  EXPECT_EQ(processes.named, "box/main");
}

TEST_F(ProcessRoutes, WriteInputAsTextOrOctets) {
  EXPECT_EQ(
      send("POST", "/v1/sandboxes/box/processes/prc_1/stdin", R"({"data":{"base64":"AAE="},"close":true})").status,
      204);
  EXPECT_EQ(processes.written, std::string("\0\1", 2));
  EXPECT_TRUE(processes.closed);
}

TEST_F(ProcessRoutes, AnswerInTheShapeOfErrors) {
  processes.error = Error(ErrorCode::not_found, "no process").with_slug("process_not_found");
  const auto answer = send("DELETE", "/v1/sandboxes/box/processes/prc_1");
  EXPECT_EQ(answer.status, 404);
  EXPECT_THAT(answer.body, HasSubstr("process_not_found"));
}

}  // namespace
}  // namespace lmsb::server
