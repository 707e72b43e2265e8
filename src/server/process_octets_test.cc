#include "server/process_octets.h"

#include <gtest/gtest.h>

#include "io/run_blocking.h"
#include "server/test_support.h"

namespace lmsb::server {
namespace {

using control::CommandEvent;
using control::Outcome;
using control::Stream;

CommandEvent output(Stream stream, std::uint64_t offset, std::string data) {
  CommandEvent event;
  event.kind = CommandEvent::Kind::output;
  event.stream = stream;
  event.offset = offset;
  event.data = std::move(data);
  return event;
}

CommandEvent ended(Outcome outcome, std::optional<int> exit_code = std::nullopt) {
  CommandEvent event;
  event.kind = CommandEvent::Kind::result;
  event.result.emplace();
  event.result->outcome = outcome;
  event.result->exit_code = exit_code;
  return event;
}

struct Told {
  std::string octets;
  bool is_whole = false;
  http::Headers trailer;
};

Told told_of(http::BodySource& source) {
  Told told;
  while (true) {
    const auto piece = io::run_blocking(source.next());
    if (!piece.ok()) return told;
    if (piece->empty()) break;
    told.octets += *piece;
  }
  told.is_whole = true;
  told.trailer = source.trailer();
  return told;
}

Told told_of(std::vector<CommandEvent> events, Stream stream = Stream::out, std::uint64_t offset = 0) {
  CommandOctets source(std::make_shared<FakeProcesses::Events>(std::move(events)), stream, offset, nullptr);
  return told_of(source);
}

TEST(CommandOctets, AreThoseOfOneStreamAndHowItEndedStandsBehindThem) {
  const auto told = told_of({CommandEvent(), output(Stream::out, 0, "a\xff"), output(Stream::err, 0, "not this"),
                             output(Stream::out, 2, "b"), ended(Outcome::exited, 3)});
  EXPECT_EQ(told.octets,
            "a\xff"
            "b");
  EXPECT_TRUE(told.is_whole);
  EXPECT_EQ(told.trailer.find("X-Outcome"), "exited");
  EXPECT_EQ(told.trailer.find("X-Exit-Code"), "3");
}

TEST(CommandOctets, AreWholeWhereTheCommandWasKilledOnItsWay) {
  const auto told = told_of({output(Stream::err, 5, "x"), ended(Outcome::timed_out, 137)}, Stream::err, 5);
  EXPECT_EQ(told.octets, "x");
  EXPECT_TRUE(told.is_whole);
  EXPECT_EQ(told.trailer.find("X-Outcome"), "timed_out");
}

TEST(CommandOctets, BreakOffWhereSomeAreLost) {
  const auto told = told_of({output(Stream::out, 0, "abc"), output(Stream::out, 100, "d"), ended(Outcome::exited, 0)});
  EXPECT_EQ(told.octets, "abc");
  EXPECT_FALSE(told.is_whole);
}

TEST(CommandOctets, BreakOffWhereNobodyKnowsTheirEnd) {
  for (const auto outcome : {Outcome::lost, Outcome::cancelled}) {
    const auto told = told_of({output(Stream::out, 0, "abc"), ended(outcome)});
    EXPECT_EQ(told.octets, "abc");
    EXPECT_FALSE(told.is_whole);
  }
}

TEST(CommandOctets, OfACommandThatRunsEndWithoutAVerdict) {
  const auto told = told_of({output(Stream::out, 0, "abc")});
  EXPECT_TRUE(told.is_whole);
  EXPECT_EQ(told.trailer.fields().size(), 0U);
}

struct OctetRoutes : testing::Test, Fixture {
  http::Response ask(const std::string& method, const std::string& path, const std::string& body = {}) {
    http::Request request = local_request(method, path, body);
    request.headers.set("Accept", "application/octet-stream");
    request.query = query;
    return send(std::move(request));
  }
  std::map<std::string, std::string> query;
};

TEST_F(OctetRoutes, ExecGivesThemByARelay) {
  control.fake_processes.events = {ended(Outcome::exited, 0)};
  const auto response = ask("POST", "/v1/sandboxes/box/exec", R"({"cmd":"x"})");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.headers.find("Content-Type"), "application/octet-stream");
  EXPECT_EQ(response.headers.find("X-Content-Type-Options"), "nosniff");
  EXPECT_EQ(response.headers.find("Trailer"), "X-Outcome, X-Exit-Code");
  EXPECT_TRUE(control.fake_processes.relay);
  EXPECT_TRUE(told_of(*response.source).is_whole);
}

TEST_F(OctetRoutes, OutputGivesThemFromAnOffsetOn) {
  control.fake_processes.events = {output(Stream::err, 7, "abc")};
  query = {{"stream", "stderr"}, {"offset", "7"}, {"follow", "true"}};
  const auto response = ask("GET", "/v1/sandboxes/box/processes/prc_1/output");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(told_of(*response.source).octets, "abc");
  EXPECT_EQ(control.fake_processes.from.offsets[1], 7U);
  EXPECT_FALSE(control.fake_processes.from.offsets[0]);
  EXPECT_TRUE(control.fake_processes.from.wait);
}

}  // namespace
}  // namespace lmsb::server
