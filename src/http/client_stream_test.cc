// Client: answers that are read as they come, from our own server.
#include <atomic>

#include <gtest/gtest.h>

#include "http/body.h"
#include "http/client.h"
#include "http/test_support.h"
#include "io/run_blocking.h"

namespace lmsb::http {
namespace {

using std::chrono::milliseconds;

// `count` pieces, then silence or the end.
class Pieces final : public BodySource {
 public:
  Pieces(std::size_t count, std::string piece, bool silent, std::atomic<int>* cancelled)
      : left_(count), piece_(std::move(piece)), silent_(silent), cancelled_(cancelled) {}

  io::Task<std::string> next() override {
    if (left_ > 0) {
      --left_;
      co_return piece_;
    }
    if (!silent_) co_return std::string();
    const Status slept = co_await io::sleep_until(io::Deadline::in(std::chrono::seconds(30)));
    if (!slept.ok()) ++*cancelled_;
    co_return std::string();
  }

 private:
  std::size_t left_;
  const std::string piece_;
  const bool silent_;
  std::atomic<int>* cancelled_;
};

io::Always<Response> handle(std::atomic<int>* cancelled, Request request) {
  Response response = Response::text(200, "whole");
  if (request.path == "/chunks") response.source = std::make_shared<Pieces>(3, "abc", false, cancelled);
  if (request.path == "/large")
    response.source = std::make_shared<Pieces>(200, std::string(100'000, 'x'), false, cancelled);
  if (request.path == "/silent") response.source = std::make_shared<Pieces>(1, "abc", true, cancelled);
  if (request.path == "/sized" || request.path == "/short") {
    response.source = std::make_shared<Pieces>(2, "abc", false, cancelled);
    response.source_size = request.path == "/sized" ? 6 : 7;
  }
  if (request.path == "/late") {
    const Status slept = co_await io::sleep_until(io::Deadline::in(std::chrono::seconds(30)));
    if (!slept.ok()) ++*cancelled;
  }
  if (request.path == "/refused") response.status = 409;
  if (request.path == "/echo") response.body = request.method + " " + request.body;
  co_return response;
}

// "status octets", or the Error's code; `first`: only until something has come.
io::Always<std::string> hear(Endpoint endpoint, ClientRequest request, bool first) {
  Result<StreamedAnswer> answer = co_await open_stream(std::move(endpoint), std::move(request));
  if (!answer.ok()) co_return std::string(to_string(answer.error().code()));
  std::string heard = std::to_string(answer->status) + " ";
  std::size_t more = 0;
  while (true) {
    Result<std::string> piece = co_await answer->body->read();
    if (!piece.ok()) co_return heard + "! " + std::string(to_string(piece.error().code()));
    if (piece->empty()) break;
    EXPECT_LE(piece->size(), 65536U);
    if (heard.size() < 100) heard += *piece;
    more += piece->size();
    if (first) break;
  }
  co_return more < 100 ? heard : std::to_string(more);
}

class ClientStream : public ServerFixture {
 protected:
  void SetUp() override {
    start_with(ServerLimits(), [this](Request request) { return handle(&cancelled_, std::move(request)); });
  }
  std::string get_stream(const std::string& path, bool first = false) {
    ClientRequest request("GET", path);
    return get_stream(std::move(request), first);
  }
  std::string get_stream(ClientRequest request, bool first = false) {
    return io::run_blocking(hear(*Endpoint::parse("http://" + bound_), std::move(request), first));
  }
  std::atomic<int> cancelled_{0};
};

TEST_F(ClientStream, ReadsChunksALengthAndWholeAnswers) {
  EXPECT_EQ(get_stream("/chunks"), "200 abcabcabc");
  EXPECT_EQ(get_stream("/sized"), "200 abcabc");
  EXPECT_EQ(get_stream("/whole"), "200 whole");
  EXPECT_EQ(get_stream("/refused"), "409 whole");
  EXPECT_EQ(get_stream(ClientRequest("HEAD", "/chunks")), "200 ");
}

TEST_F(ClientStream, ReadsUntilTheConnectionEnds) {
  const UniqueFd listening = [] {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::listen(fd.get(), 1), 0);
    return fd;
  }();
  Address address;
  ASSERT_EQ(::getsockname(listening.get(), address.get(), &address.size), 0);
  std::thread server([&] {
    const UniqueFd fd(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
    std::string heard(4096, '\0');
    (void)!::recv(fd.get(), heard.data(), heard.size(), 0);
    constexpr std::string_view kAnswer = "HTTP/1.1 200 OK\r\n\r\nuntil the end";
    (void)!::send(fd.get(), kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL);
  });
  const Endpoint endpoint = *Endpoint::parse("http://127.0.0.1:" + std::to_string(address.port()));
  EXPECT_EQ(io::run_blocking(hear(endpoint, ClientRequest("GET", "/"), false)), "200 until the end");
  server.join();
}

TEST_F(ClientStream, SendsABodyAsItComes) {
  ClientRequest request("PUT", "/echo");
  request.source = std::make_shared<Pieces>(3, "abc", false, &cancelled_);
  EXPECT_EQ(get_stream(request), "200 PUT abcabcabc");
  request.source = std::make_shared<Pieces>(0, "", false, &cancelled_);
  EXPECT_EQ(get_stream(request), "200 PUT ");
  request.source = std::make_shared<Pieces>(1, std::string(1 << 18U, 'x'), false, &cancelled_);
  EXPECT_EQ(get_stream(request), std::to_string((1 << 18U) + 4));
}

TEST_F(ClientStream, HearsARefusalOfABodyThatIsNotRead) {
  ClientRequest request("PUT", "/echo");
  request.source = std::make_shared<Pieces>(10'000, std::string(100'000, 'x'), false, &cancelled_);
  EXPECT_TRUE(get_stream(request).starts_with("413 "));
}

class BrokenSource final : public BodySource {
 public:
  io::Task<std::string> next() override { co_return Error(ErrorCode::not_found, "gone"); }
};

TEST_F(ClientStream, SaysWhyABodyDidNotCome) {
  ClientRequest request("PUT", "/echo");
  request.source = std::make_shared<BrokenSource>();
  EXPECT_EQ(get_stream(request), "not_found");
}

TEST_F(ClientStream, ReadsMoreThanItKeeps) { EXPECT_EQ(get_stream("/large"), "20000000"); }

TEST_F(ClientStream, KeepsItsBound) {
  ClientRequest request("GET", "/chunks");
  request.max_body = Bytes(8);
  EXPECT_TRUE(get_stream(request).ends_with("resource_exhausted"));
}

TEST_F(ClientStream, SaysWhenAnAnswerIsCutOff) { EXPECT_EQ(get_stream("/short"), "200 abcabc! unavailable"); }

TEST_F(ClientStream, WaitsForTheHeadOnlyAsLongAsItIsTold) {
  ClientRequest request("GET", "/late");
  request.timeout = milliseconds(100);
  EXPECT_EQ(get_stream(request), "deadline_exceeded");
}

TEST_F(ClientStream, WaitsForTheBodyLongerUnlessItIsTold) {
  ClientRequest request("GET", "/silent");
  request.timeout = milliseconds(2000);
  request.silence = milliseconds(100);
  EXPECT_EQ(get_stream(request), "200 abc! deadline_exceeded");
}

TEST_F(ClientStream, ClosesWithItsReader) {
  EXPECT_EQ(get_stream("/silent", true), "200 abc");
  EXPECT_TRUE(soon([this] { return cancelled_ == 1; }));
}

}  // namespace
}  // namespace lmsb::http
