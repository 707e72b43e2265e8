#include "http/server.h"

#include <atomic>
#include <chrono>
#include <fcntl.h>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "http/listener.h"
#include "http/test_support.h"
#include "io/spawn.h"

namespace lmsb::http {
namespace {

using std::chrono::milliseconds;

// What the handlers of these tests saw; read by the test's thread.
struct Seen {
  std::atomic<int> requests{0};
  std::atomic<int> cancelled{0};
};

io::Always<Response> handle(Seen* seen, Request request) {
  ++seen->requests;
  if (request.headers.find("X-For")) *request.on_behalf_of = *request.headers.find("X-For");
  if (request.path == "/wait") {
    const Status slept = co_await io::sleep_until(io::Deadline::in(std::chrono::seconds(30)));
    if (!slept.ok()) ++seen->cancelled;
    co_return Response::text(200, "woken");
  }
  if (request.path == "/soon") {
    const Status slept = co_await io::sleep_until(io::Deadline::in(milliseconds(50)));
    co_return Response::text(200, slept.ok() ? "soon" : "cancelled");
  }
  if (request.path == "/large") co_return Response::text(200, std::string(20'000'000, 'x'));
  if (request.path == "/larger") co_return Response::text(200, std::string(50'000'000, 'x'));
  if (request.path == "/throw") throw std::runtime_error("bug");
  if (request.path == "/nothing") co_return Response::text(204, "not sent");
  if (request.path == "/split") {
    Response response = Response::text(200, "");
    response.headers.add("X-Evil", "a\r\nX-Injected: b");
    co_return response;
  }
  if (request.path == "/peer") {
    const std::string uid = request.peer.uid ? std::to_string(*request.peer.uid) : "unknown";
    co_return Response::text(200, uid + (request.peer.is_unix ? " unix" : " tcp") +
                                      (request.peer.is_loopback ? " loopback" : "") +
                                      (request.peer.listener_is_loopback ? " here" : " elsewhere"));
  }
  co_return Response::text(200, request.method + " " + request.path + " [" + request.body + "]");
}

class ServerTest : public ServerFixture {
 protected:
  void start(ServerLimits limits = ServerLimits()) {
    start_with(limits, [this](Request request) { return handle(&seen_, std::move(request)); });
  }
  Seen seen_;
};

TEST_F(ServerTest, AnswersARequestWithTheHandlersAnswer) {
  start();
  const std::string answer =
      ask("POST /a%20b?x=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
  EXPECT_TRUE(has_status(answer, 200)) << answer;
  EXPECT_TRUE(has(answer, "\r\n\r\nPOST /a b [hello]")) << answer;
  EXPECT_TRUE(has(answer, "\r\nConnection: close\r\n"));
  EXPECT_TRUE(has(answer, "\r\nDate: "));
}

TEST_F(ServerTest, KeepsAConnectionForTheNextRequest) {
  start();
  RawClient client = connect();
  for (int i = 0; i < 50; ++i) EXPECT_TRUE(has(client.say(get("/x")).hear_until("GET /x []"), " 200 OK")) << i;
  EXPECT_EQ(on_loop([this] { return server_->open_connections(); }), 1U);
}

TEST_F(ServerTest, AnswersPipelinedRequestsInOrder) {
  start();
  std::string all;
  for (int i = 0; i < 100; ++i) all += get("/" + std::to_string(i));
  const std::string answers = connect().say(all + get("/last", kClose)).hear_all();
  std::size_t at = 0;
  for (int i = 0; i < 100 && at != std::string::npos; ++i) at = answers.find("GET /" + std::to_string(i) + " []", at);
  EXPECT_NE(at, std::string::npos);
  EXPECT_TRUE(has(answers.substr(at), "GET /last []"));
}

TEST_F(ServerTest, ReadsARequestThatComesOctetByOctet) {
  start();
  RawClient client = connect();
  for (const char c :
       std::string("POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")) {
    client.say(std::string_view(&c, 1));
  }
  EXPECT_TRUE(has(client.hear_until("[abc]"), "POST /x [abc]"));
}

TEST_F(ServerTest, SendsNoBodyForHeadButItsLength) {
  start();
  RawClient client = connect();
  client.say("HEAD /x HTTP/1.1\r\nHost: h\r\n\r\n");
  const std::string answer = client.say(get("/y")).hear_until("GET /y []");
  EXPECT_TRUE(has(answer, "Content-Length: 10\r\n")) << answer;
  EXPECT_FALSE(has(answer, "HEAD /x []"));
}

TEST_F(ServerTest, SendsNoBodyAndNoLengthForNoContent) {
  start();
  const std::string answer = ask(get("/nothing", kClose));
  EXPECT_TRUE(has_status(answer, 204));
  EXPECT_FALSE(has(answer, "Content-Length"));
  EXPECT_FALSE(has(answer, "not sent"));
}

TEST_F(ServerTest, SpeaksHttp10) {
  start();
  EXPECT_TRUE(has(ask("GET /x HTTP/1.0\r\n\r\n"), "GET /x []"));
  RawClient kept = connect();
  kept.say("GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_TRUE(has(kept.hear_until("GET /x []"), "Connection: keep-alive"));
}

TEST_F(ServerTest, InvitesTheBodyOfAClientThatWaitsFor100Continue) {
  start();
  RawClient client = connect();
  client.say("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.hear_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_TRUE(has(client.say("abc").hear_until("[abc]"), "200 OK"));
}

TEST_F(ServerTest, RefusesATooLargeBodyInsteadOfInvitingIt) {
  ServerLimits limits;
  limits.body = Bytes(10);
  start(limits);
  const std::string answer = ask("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_TRUE(has_status(answer, 413)) << answer;
  EXPECT_EQ(seen_.requests, 0);
}

TEST_F(ServerTest, RefusesATooLargeBodyAndLetsTheClientReadWhy) {
  ServerLimits limits;
  limits.body = Bytes(1000);
  start(limits);
  RawClient client = connect();
  client.say("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n" + std::string(100'000, 'x'));
  const std::string answer = client.hear_all();
  EXPECT_TRUE(has_status(answer, 413)) << answer;
  EXPECT_TRUE(has(answer, "{\"detail\":\"the request's body is larger than 1000\"}")) << answer;
}

TEST_F(ServerTest, CountsTheBodyOfChunksToo) {
  ServerLimits limits;
  limits.body = Bytes(10);
  start(limits);
  const std::string chunks = "6\r\nabcdef\r\n6\r\nabcdef\r\n0\r\n\r\n";
  const std::string answer = ask("POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks);
  EXPECT_TRUE(has_status(answer, 413)) << answer;
}

TEST_F(ServerTest, BoundsTheBodiesOfAllRequestsTogether) {
  ServerLimits limits;
  limits.bodies = Bytes(1500);
  start(limits);
  RawClient first = connect();
  first.say("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n" + std::string(1000, 'x'));
  ASSERT_TRUE(soon([this] { return on_loop([this] { return server_->open_connections(); }) == 1; }));
  std::this_thread::sleep_for(milliseconds(50));  // until the first body has been read
  const std::string second = "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n" + std::string(1000, 'x');
  EXPECT_TRUE(has_status(ask(second), 503));
  EXPECT_TRUE(has(first.say("x").hear_until("x]"), "200 OK"));
  RawClient third = connect();
  EXPECT_TRUE(has(third.say(second).hear_until("x]"), "200 OK")) << "the others' bodies are gone";
}

TEST_F(ServerTest, RefusesATooLargeHeader) {
  start();
  EXPECT_TRUE(has_status(ask(get("/x", "X: " + std::string(40'000, 'a') + "\r\n")), 431));
  EXPECT_TRUE(has_status(ask(get("/" + std::string(40'000, 'a'))), 431));
  std::string many;
  for (int i = 0; i < 200; ++i) many += "X-" + std::to_string(i) + ": y\r\n";
  EXPECT_TRUE(has_status(ask(get("/x", many)), 431));
}

TEST_F(ServerTest, RefusesATooLargeHeaderThatComesInSmallPieces) {
  start();
  RawClient client = connect();
  client.say("GET /x HTTP/1.1\r\nHost: h\r\n");
  const std::string field = "X: " + std::string(500, 'a') + "\r\n";
  for (int i = 0; i < 80; ++i) {
    if (::send(client.fd(), field.data(), field.size(), MSG_NOSIGNAL) < 0) break;
    std::this_thread::sleep_for(milliseconds(1));
  }
  EXPECT_TRUE(has_status(client.hear_all(), 431));
}

struct Malformed {
  const char* why;
  const char* text;
  int status;
};

class ServerRefuses : public ServerTest, public testing::WithParamInterface<Malformed> {};

TEST_P(ServerRefuses, AndCloses) {
  start();
  const std::string answer = ask(GetParam().text);
  EXPECT_TRUE(has_status(answer, GetParam().status)) << GetParam().why << ": " << answer;
  EXPECT_TRUE(has(answer, "{\"detail\":\"")) << answer;
  EXPECT_FALSE(has(answer, "(timeout)"));
  EXPECT_EQ(seen_.requests, 0);
}

INSTANTIATE_TEST_SUITE_P(
    Malformed, ServerRefuses,
    testing::Values(
        Malformed{"no host", "GET / HTTP/1.1\r\n\r\n", 400},
        Malformed{"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
        Malformed{"two equal lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
                  400},
        Malformed{"two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", 400},
        Malformed{"a list of lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\nx", 400},
        Malformed{"a negative length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400},
        Malformed{"a signed length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx", 400},
        Malformed{"a hexadecimal length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\nx", 400},
        Malformed{"a length beyond 64 bits",
                  "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n", 400},
        Malformed{"length and chunks",
                  "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                  400},
        Malformed{"chunks and length",
                  "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
                  400},
        Malformed{"an unknown coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
        Malformed{"a coding before chunked",
                  "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
        Malformed{
            "chunked twice",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400},
        Malformed{"chunks in 1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        Malformed{"a space before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
        Malformed{"a bare line feed", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400},
        Malformed{"a NUL in a field", "GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n", 400},
        Malformed{"a bad chunk size", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
        Malformed{"an endless chunk size",
                  "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 400},
        Malformed{"a huge chunk size",
                  "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffff\r\n", 413},
        Malformed{"a bad escape", "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        Malformed{"half an escape", "GET /%4 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        Malformed{"an escaped NUL", "GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        Malformed{"not UTF-8", "GET /%ff HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        Malformed{"a bad escape in the query", "GET /?a=%g0 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        Malformed{"another host in the target", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        Malformed{"a target without a slash", "GET x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        Malformed{"the authority form", "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        Malformed{"a fragment", "GET /#x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        Malformed{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505}, Malformed{"HTTP/0.9", "GET /\r\n", 400},
        Malformed{"TLS", "\x16\x03\x01\x02\x05\x01", 400},
        Malformed{"an unknown expectation", "POST / HTTP/1.1\r\nHost: a\r\nExpect: x\r\nContent-Length: 1\r\n\r\nx",
                  417}),
    [](const auto& row) { return "Case" + std::to_string(row.index); });

TEST_F(ServerTest, TakesThePathOfAnAbsoluteTarget) {
  start();
  EXPECT_TRUE(has(ask("GET http://a:1/x?y HTTP/1.1\r\nHost: A:1\r\nConnection: close\r\n\r\n"), "GET /x []"));
  EXPECT_TRUE(has(ask("GET http://a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), "GET / []"));
}

TEST_F(ServerTest, KeepsTrailersOutOfTheHeader) {
  start();
  const std::string answer =
      ask("POST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nHost: "
          "evil\r\n\r\n");
  EXPECT_TRUE(has(answer, "POST /x [a]")) << answer;
}

TEST_F(ServerTest, LetsNoHandlerSplitItsAnswer) {
  start();
  EXPECT_FALSE(has(ask(get("/split", kClose)), "\r\nX-Injected"));
}

TEST_F(ServerTest, AnswersAHandlersBugWith500) {
  start();
  RawClient client = connect();
  EXPECT_TRUE(has_status(client.say(get("/throw")).hear_until("}"), 500));
}

TEST_F(ServerTest, GivesASlowHeaderItsTimeAndNoMore) {
  ServerLimits limits;
  limits.header_timeout = milliseconds(200);
  start(limits);
  RawClient client = connect();
  const auto begin = std::chrono::steady_clock::now();
  client.say("GET / HTTP/1.1\r\n");
  for (int i = 0; i < 8; ++i) {  // a field every 50 ms does not prolong it
    std::this_thread::sleep_for(milliseconds(50));
    if (::send(client.fd(), "X: y\r\n", 6, MSG_NOSIGNAL) < 0) break;
  }
  EXPECT_TRUE(has_status(client.hear_all(), 408));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(3000));
}

TEST_F(ServerTest, GivesASlowBodyItsTimeAndNoMore) {
  ServerLimits limits;
  limits.body_timeout = milliseconds(100);
  start(limits);
  const std::string answer = ask("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab");
  EXPECT_TRUE(has_status(answer, 408)) << answer;
  EXPECT_TRUE(has(answer, "body"));
}

TEST_F(ServerTest, ClosesAnIdleConnectionSilently) {
  ServerLimits limits;
  limits.idle_timeout = milliseconds(100);
  start(limits);
  RawClient fresh = connect();
  RawClient used = connect();
  EXPECT_TRUE(has(used.say(get("/x")).hear_until("[]"), "200"));
  EXPECT_EQ(used.hear_all(), "");
  EXPECT_EQ(fresh.hear_all(), "");
}

TEST_F(ServerTest, ClosesOnAClientThatDoesNotReadItsAnswer) {
  ServerLimits limits;
  limits.write_timeout = milliseconds(100);
  start(limits);
  RawClient client = connect();
  client.say(get("/large"));
  EXPECT_TRUE(soon([this] { return seen_.requests == 1; }));
  EXPECT_TRUE(soon([this] { return on_loop([this] { return server_->open_connections(); }) == 0; }));
}

// Of /large 20 MB each, of which the sockets take some.
TEST_F(ServerTest, BoundsTheAnswersThatNobodyReads) {
  ServerLimits limits;
  limits.answers = Bytes(45'000'000);
  start(limits);
  std::vector<RawClient> readers;
  for (int i = 1; i <= 8; ++i) {
    readers.push_back(connect());
    readers.back().say(get("/large", kClose));
    ASSERT_TRUE(soon([this, i] { return seen_.requests == i; }));
  }
  ASSERT_TRUE(soon([this] { return open_connections() <= 4; })) << "who has read nothing for longest makes way";
  EXPECT_LT(readers.front().hear_all().size(), 20'000'000U);
  EXPECT_TRUE(has_status(ask(get("/x", kClose)), 200));
  EXPECT_GT(readers.back().hear_all().size(), 20'000'000U) << "who reads is answered";
}

TEST_F(ServerTest, EndsNoAnswerForARequestsBody) {
  ServerLimits limits;
  limits.bodies = Bytes(1000);
  start(limits);
  RawClient reads_nothing = connect();
  reads_nothing.say(get("/large", kClose));
  ASSERT_TRUE(soon([this] { return seen_.requests == 1; }));
  const std::string post = "POST /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: ";
  EXPECT_TRUE(has_status(ask(post + "500\r\n\r\n" + std::string(500, 'x')), 200)) << "answers take no room of theirs";
  EXPECT_TRUE(has_status(ask(post + "1001\r\n\r\n" + std::string(1001, 'x')), 503));
  EXPECT_GT(reads_nothing.hear_all().size(), 20'000'000U);
}

// Of four connections each has 20 MB as its part: /large is less, by what the sockets take.
TEST_F(ServerTest, EndsNoAnswerThatHoldsNoMoreThanItsPart) {
  ServerLimits limits;
  limits.connections = 4;
  limits.answers = Bytes(80'000'000);
  start(limits);
  RawClient holds_little = connect();
  holds_little.say(get("/large", kClose));
  ASSERT_TRUE(soon([this] { return seen_.requests == 1; }));
  RawClient holds_much = connect();
  holds_much.say(get("/larger", kClose));
  ASSERT_TRUE(soon([this] { return seen_.requests == 2; }));
  EXPECT_EQ(open_connections(), 2U);
  RawClient comes_last = connect();
  comes_last.say(get("/larger", kClose));
  ASSERT_TRUE(soon([this] { return seen_.requests == 3; }));
  EXPECT_LT(holds_much.hear_all().size(), 50'000'000U);
  EXPECT_GT(holds_little.hear_all().size(), 20'000'000U) << "though it has waited for longer";
  EXPECT_GT(comes_last.hear_all().size(), 50'000'000U);
}

TEST_F(ServerTest, SendsAnAnswerThatDoesNotFitTheSocket) {
  start();
  EXPECT_GT(ask(get("/large", kClose)).size(), 20'000'000U);
}

TEST_F(ServerTest, CancelsTheHandlerWhenTheClientGoesAway) {
  start();
  RawClient client = connect();
  client.say(get("/wait"));
  EXPECT_TRUE(soon([this] { return seen_.requests == 1; }));
  client.hang_up();
  EXPECT_TRUE(soon([this] { return seen_.cancelled == 1; }));
  EXPECT_TRUE(soon([this] { return on_loop([this] { return server_->open_connections(); }) == 0; }));
}

TEST_F(ServerTest, IsNotFooledByPipelinedRequestsWhenTheClientGoesAway) {
  start();
  RawClient client = connect();
  client.say(get("/wait") + get("/x") + get("/y"));
  EXPECT_TRUE(soon([this] { return seen_.requests == 1; }));
  client.say(get("/z"));
  client.hang_up();
  EXPECT_TRUE(soon([this] { return seen_.cancelled == 1; }));
  EXPECT_EQ(seen_.requests, 1) << "nobody is there to read the other answers";
}

TEST_F(ServerTest, DoesNotTakePipelinedRequestsForTheEnd) {
  start();
  RawClient client = connect();
  client.say(get("/soon")).say(get("/x"));
  const std::string answers = client.hear_until("GET /x []");
  EXPECT_TRUE(has(answers, "soon")) << answers;
  EXPECT_FALSE(has(answers, "cancelled"));
}

TEST_F(ServerTest, AcceptsNoMoreThanItsBound) {
  ServerLimits limits;
  limits.connections = 2;
  start(limits);
  RawClient first = connect();
  RawClient second = connect();
  first.say(get("/wait"));
  second.say(get("/wait"));
  EXPECT_TRUE(soon([this] { return seen_.requests == 2; }));
  RawClient third = connect();
  third.say(get("/x", kClose));
  std::this_thread::sleep_for(milliseconds(50));
  EXPECT_EQ(seen_.requests, 2) << "both places are taken";
  first.hang_up();
  EXPECT_TRUE(has(third.hear_all(), "GET /x []"));
}

TEST_F(ServerTest, LetsAnIdleConnectionMakeWayForANewOne) {
  ServerLimits limits;
  limits.connections = 2;
  start(limits);
  RawClient idle = connect();
  EXPECT_TRUE(has(idle.say(get("/x")).hear_until("[]"), "200"));
  RawClient busy = connect();
  busy.say(get("/wait"));
  EXPECT_TRUE(soon([this] { return seen_.requests == 2; }));
  EXPECT_TRUE(has(ask(get("/y", kClose)), "GET /y []"));
  EXPECT_TRUE(idle.is_closed());
}

TEST_F(ServerTest, SaysWhoIsAtTheOtherEndOfATcpConnection) {
  start();
  EXPECT_TRUE(has(ask(get("/peer", kClose)), std::to_string(::getuid()) + " tcp loopback here"));
}

TEST_F(ServerTest, SaysWhoIsAtTheOtherEndOfAUnixSocket) {
  start();
  const TemporaryDirectory directory;
  const std::string path = directory.path + "/api.sock";
  ASSERT_TRUE(on_loop([&] { return server_->listen_unix(path, 0600).ok(); }));
  RawClient client(*to_unix_address(path));
  EXPECT_TRUE(has(client.say(get("/peer", kClose)).hear_all(), std::to_string(::getuid()) + " unix here"));
}

TEST_F(ServerTest, ReplacesAStaleSocketButNotALiveOne) {
  const TemporaryDirectory directory;
  const std::string path = directory.path + "/api.sock";
  {
    const UniqueFd stale(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const Address address = *to_unix_address(path);
    ASSERT_EQ(::bind(stale.get(), address.get(), address.size), 0);
  }
  start();
  EXPECT_TRUE(on_loop([&] { return server_->listen_unix(path, 0600).ok(); }));
  struct stat info {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  EXPECT_EQ(on_loop([&] { return server_->listen_unix(path, 0600).error().code(); }), ErrorCode::already_exists);
  on_loop([&] { return server_.reset(), 0; });
  EXPECT_NE(::stat(path.c_str(), &info), 0) << "the socket file goes with the server";
}

TEST_F(ServerTest, NamesTheHolderOfATakenPort) {
  start();
  const Error error = on_loop([this] { return server_->listen_tcp(bound_).error(); });
  EXPECT_EQ(error.slug(), "port_in_use");
  EXPECT_TRUE(has(error.message(), "process " + std::to_string(::getpid()))) << error.message();
  EXPECT_TRUE(has(error.hint(), "--listen 127.0.0.1:0"));
}

TEST_F(ServerTest, FinishesRunningAnswersWhenItShutsDown) {
  start();
  RawClient busy = connect();
  RawClient idle = connect();
  EXPECT_TRUE(has(idle.say(get("/x")).hear_until("[]"), "200"));
  busy.say(get("/soon"));
  EXPECT_TRUE(soon([this] { return seen_.requests == 2; }));
  io::spawn(loop_, server_->shutdown(std::chrono::seconds(20)));
  EXPECT_TRUE(idle.is_closed());
  const std::string answer = busy.hear_all();
  EXPECT_TRUE(has(answer, "soon")) << answer;
  EXPECT_TRUE(has(answer, "Connection: close"));
  const Address address = *to_address(*parse_host_port(bound_));
  const UniqueFd late(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_NE(::connect(late.get(), address.get(), address.size), 0) << "nobody listens any more";
}

TEST_F(ServerTest, CancelsWhatStillRunsAfterTheGrace) {
  start();
  RawClient client = connect();
  client.say(get("/wait"));
  EXPECT_TRUE(soon([this] { return seen_.requests == 1; }));
  io::spawn(loop_, server_->shutdown(milliseconds(50)));
  client.hear_all();
  EXPECT_TRUE(soon([this] { return seen_.cancelled == 1; }));
}

TEST_F(ServerTest, EndsWhatIsDoneForSomebodyAndNothingElse) {
  start();
  RawClient ann = connect();
  RawClient bob = connect();
  RawClient idle = connect();
  EXPECT_TRUE(has(idle.say(get("/x", "X-For: ann\r\n")).hear_until("[]"), "200"));
  ann.say(get("/wait", "X-For: ann\r\n"));
  bob.say(get("/wait", "X-For: bob\r\n"));
  EXPECT_TRUE(soon([this] { return seen_.requests == 3; }));
  on_loop([this] { return server_->close_of("ann"), 0; });
  EXPECT_FALSE(has(ann.hear_all(), "(timeout)"));
  EXPECT_TRUE(soon([this] { return seen_.cancelled == 1; }));
  EXPECT_EQ(open_connections(), 2U);
  EXPECT_TRUE(has(idle.say(get("/x")).hear_until("[]"), "200")) << "what it did before is done";
  on_loop([this] { return server_->close_of(""), 0; });
  EXPECT_EQ(seen_.cancelled, 1) << "nobody has no name";
}

TEST_F(ServerTest, GoesAwayWithItsLoopWhileConnectionsAreOpen) {
  start();
  RawClient idle = connect();
  RawClient waiting = connect();
  waiting.say(get("/wait"));
  RawClient slow = connect();
  slow.say("POST / HTTP/1.1\r\nHost");
  EXPECT_TRUE(soon([this] { return seen_.requests == 1; }));
  loop_.stop();
  thread_.join();
  server_.reset();  // the loop is destroyed with the test, without running again: nothing may leak
}

// A socket of a sandbox's, that is somebody else's as well.
class ForeignServer : public ServerFixture {
 protected:
  void start(ServerLimits limits = ServerLimits(), std::shared_ptr<Server::SharedOctets> bodies = nullptr) {
    server_ =
        std::make_unique<Server>(loop_, limits, [this](Request request) { return handle(&seen_, std::move(request)); });
    if (bodies) server_->share_octets(std::move(bodies));
    UniqueFd bound;
    Address address;
    for (int tries = 0; tries < 100 && !bound; ++tries) {  // of a number that is named: the kernel takes back its own
      bound.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      address = free_address();
      if (::bind(bound.get(), address.get(), address.size) != 0) bound.reset();
    }
    ASSERT_TRUE(bound);
    bound_ = address.str();
    other_.reset(::dup(bound.get()));
    const linger long_time{1, 600};
    EXPECT_EQ(::setsockopt(other_.get(), SOL_SOCKET, SO_LINGER, &long_time, sizeof long_time), 0);
    ASSERT_TRUE(server_->listen_on_foreign(std::move(bound), 4).ok());
    thread_ = std::thread([this] { loop_.run(); });
  }
  static Address free_address() {
    const UniqueFd probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    Address address = *to_address(*parse_host_port("127.0.0.1:0"));
    EXPECT_EQ(::bind(probe.get(), address.get(), address.size), 0);
    EXPECT_EQ(::getsockname(probe.get(), address.get(), &address.size), 0);
    return address;
  }
  Seen seen_;
  UniqueFd other_;
};

TEST_F(ForeignServer, AnswersAndAsksNobodyWhoTheOtherIs) {
  start();
  const std::string answer = ask(get("/peer", kClose));
  EXPECT_TRUE(has(answer, "\r\n\r\nunknown tcp elsewhere")) << answer;
}

TEST_F(ForeignServer, IsOverWhenTheOtherOwnerStopsListening) {
  start();
  RawClient before = connect();
  before.say(get("/a"));
  EXPECT_TRUE(has(before.hear_until("[]"), "GET /a"));
  ASSERT_EQ(::shutdown(other_.get(), SHUT_RDWR), 0);
  before.say(get("/b"));
  EXPECT_TRUE(has(before.hear_until("[]"), "GET /b")) << "who was there stays";
  const Address address = *to_address(*parse_host_port(bound_));
  const UniqueFd later(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_NE(::connect(later.get(), address.get(), address.size), 0);
  EXPECT_EQ(on_loop([] { return 1; }), 1) << "and the loop is free";
}

// As after a daemon that has ended: what it has served is not forgotten by the kernel for a minute.
TEST_F(ForeignServer, ListensAgainWhereAnotherHasServed) {
  start();
  EXPECT_TRUE(has_status(ask(get("/a", kClose)), 200));
  on_loop([this] {
    server_.reset();
    return 1;
  });
  ASSERT_EQ(::shutdown(other_.get(), SHUT_RDWR), 0);  // as the guest does
  const Address address = *to_address(*parse_host_port(bound_));
  const int yes = 1;
  const UniqueFd rival(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::setsockopt(rival.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes), 0);
  EXPECT_NE(::bind(rival.get(), address.get(), address.size), 0) << "nobody has its place meanwhile";
  const Status again = on_loop([this] {
    server_ = std::make_unique<Server>(loop_, ServerLimits(),
                                       [this](Request request) { return handle(&seen_, std::move(request)); });
    return server_->listen_on_foreign(UniqueFd(::dup(other_.get())), 4);
  });
  ASSERT_TRUE(again.ok()) << again.error().message();
  EXPECT_TRUE(has_status(ask(get("/b", kClose)), 200));
}

TEST_F(ForeignServer, DoesNotLingerOverWhatASandboxDoesNotRead) {
  start();
  std::vector<RawClient> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(connect());
    clients.back().say(get("/large"));
  }
  EXPECT_TRUE(soon([this] { return seen_.requests == 3; }));
  boost::asio::post(loop_, [this] { server_.reset(); });
  thread_.join();  // ten minutes are asked for, each time
  clients.clear();
}

constexpr std::string_view kPost = "POST /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: ";

TEST_F(ForeignServer, SharesABoundOfBodiesWithOthers) {
  const auto bodies = std::make_shared<Server::SharedOctets>(Bytes(1000));
  bodies->servers = 9;
  bodies->octets = 900;  // another one's
  start(ServerLimits(), bodies);
  const std::string head(kPost);
  EXPECT_TRUE(has_status(ask(head + "200\r\n\r\n" + std::string(200, 'x')), 503));
  EXPECT_TRUE(has_status(ask(head + "50\r\n\r\n" + std::string(50, 'x')), 200));
  EXPECT_TRUE(soon([&] { return on_loop([&] { return bodies->octets; }) == 900; })) << "what is over is given back";
}

TEST_F(ForeignServer, AnswersWithinItsPartWhateverOthersHave) {
  const auto bodies = std::make_shared<Server::SharedOctets>(Bytes(1000));
  bodies->servers = 9;
  bodies->octets = 5000;  // others'
  start(ServerLimits(), bodies);
  const std::string head(kPost);
  EXPECT_TRUE(has_status(ask(get("/a", kClose)), 200)) << "what has no body is nobody's too many";
  EXPECT_TRUE(has_status(ask(head + "50\r\n\r\n" + std::string(50, 'x')), 200));
  EXPECT_TRUE(has_status(ask(head + "101\r\n\r\n" + std::string(101, 'x')), 503)) << "a tenth is its part";
  RawClient holds = connect();
  holds.say(head + "90\r\n\r\n" + std::string(80, 'x'));
  EXPECT_TRUE(soon([&] { return on_loop([&] { return bodies->octets; }) == 5080; }));
  EXPECT_TRUE(has_status(ask(head + "50\r\n\r\n" + std::string(50, 'x')), 503));
  EXPECT_TRUE(has_status(ask(get("/a", kClose)), 200));
}

TEST_F(ForeignServer, SharesABoundOfAnswersWithOthers) {
  const auto bodies = std::make_shared<Server::SharedOctets>(Bytes(30'000'000));
  bodies->servers = 9;
  bodies->unread = 30'000'000;  // others'
  start(ServerLimits(), bodies);
  RawClient first = connect();
  first.say(get("/large", kClose));
  ASSERT_TRUE(soon([&] { return on_loop([&] { return bodies->unread; }) > 30'000'000; }));
  EXPECT_EQ(open_connections(), 1U) << "who alone is too much is answered";
  RawClient second = connect();
  second.say(get("/large", kClose));
  ASSERT_TRUE(soon([this] { return seen_.requests == 2; }));
  EXPECT_LT(first.hear_all().size(), 20'000'000U) << "a tenth is its part";
  EXPECT_GT(second.hear_all().size(), 20'000'000U);
  EXPECT_TRUE(soon([&] { return on_loop([&] { return bodies->unread; }) == 30'000'000; }));
}

TEST_F(ForeignServer, DoesNotWaitForWhoDoesNotComeThoughTheOtherOwnerWantsIt) {
  start();
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(::fcntl(other_.get(), F_SETFL, 0), 0);
    EXPECT_TRUE(has_status(ask(get("/a", kClose)), 200));
    EXPECT_EQ(on_loop([] { return 1; }), 1);
  }
}

// Connected by its other owner before anybody listens, with much that is on its way and a closing that waits.
TEST(ForeignListener, IsClosedAtOnceWhereItCannotListen) {
  const UniqueFd peer(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  Address address = *to_address(*parse_host_port("127.0.0.1:0"));
  ASSERT_EQ(::bind(peer.get(), address.get(), address.size), 0);
  ASSERT_EQ(::getsockname(peer.get(), address.get(), &address.size), 0);
  ASSERT_EQ(::listen(peer.get(), 1), 0);
  UniqueFd connected(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const linger long_time{1, 600};
  ASSERT_EQ(::setsockopt(connected.get(), SOL_SOCKET, SO_LINGER, &long_time, sizeof long_time), 0);
  (void)::connect(connected.get(), address.get(), address.size);
  const std::string much(1 << 20, 'x');
  while (::send(connected.get(), much.data(), much.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) continue;
  EXPECT_FALSE(listen_on_foreign(std::move(connected), 4).ok());  // ten minutes later, else
}

}  // namespace
}  // namespace lmsb::http
