#include "http/forward.h"

#include <array>
#include <cerrno>
#include <sys/socket.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/upgrade.h"
#include "io/run_blocking.h"

namespace lmsb::http {
namespace {

using std::chrono::milliseconds;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

// A body whose pieces the test gives; then it waits until told how it ends.
class GivenBody final : public BodyReader {
 public:
  explicit GivenBody(std::vector<std::string> pieces, std::optional<Error> end = {})
      : pieces_(std::move(pieces)), end_(std::move(end)) {}
  io::Task<std::string> read() override {
    if (at_ < pieces_.size()) co_return pieces_[at_++];
    if (end_) co_return *end_;
    co_return std::string();
  }

 private:
  std::vector<std::string> pieces_;
  std::optional<Error> end_;
  std::size_t at_ = 0;
};

Request request_of(std::string method, std::vector<Headers::Field> fields = {}) {
  Request request;
  request.method = std::move(method);
  request.target = "/a?b";
  request.headers.add("Host", "h");
  for (auto& [name, value] : fields) request.headers.add(name, value);
  return request;
}

// A server whose words are the test's.
class Forwarding : public testing::Test {
 protected:
  Forwarding() {
    std::array<int, 2> pair{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()), 0);
    near_.reset(pair[0]);
    server_.reset(pair[1]);
  }
  void begin(Request request, milliseconds patience = kForwardPatience) {
    auto task = forward(io::HeldSocket(std::move(near_)), ForwardedRequest(std::move(request)), patience);
    io::spawn(loop_, io::detail::keep(std::move(task), &answer_), canceller_);
    run();
  }
  void run() {
    loop_.restart();
    while (loop_.poll() > 0) {
    }
  }
  void say(std::string_view text) {
    EXPECT_EQ(::send(server_.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
    run();
  }
  void hang_up() {
    (void)heard();  // closed with something unread, it would be a reset
    server_.reset();
    run();
  }
  std::string heard() {
    std::string text(65536, '\0');
    const ssize_t count = ::recv(server_.get(), text.data(), text.size(), MSG_DONTWAIT);
    if (count == 0 || (count < 0 && errno == ECONNRESET)) return "(the end)";
    text.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
    return text;
  }
  Result<std::string> next_piece() {
    std::optional<Result<std::string>> piece;
    io::spawn(loop_, io::detail::keep(answer_->value().source->next(), &piece));
    run();
    return piece ? *std::move(piece) : Result<std::string>(std::string("(not yet)"));
  }
  Response& answer() { return answer_->value(); }
  ErrorCode error() { return answer_ && !answer_->ok() ? answer_->error().code() : ErrorCode::internal; }

  boost::asio::io_context loop_{1};
  io::Canceller canceller_;
  UniqueFd near_;
  UniqueFd server_;
  std::optional<Result<Response>> answer_;
};

TEST_F(Forwarding, PassesOnWhatIsOfTheMessageAndNotOfTheConnection) {
  begin(request_of("GET", {{"Connection", "keep-alive, X-Hop"}, {"X-Hop", "1"}, {"TE", "trailers"}, {"X-Own", "2"}}));
  EXPECT_EQ(heard(), "GET /a?b HTTP/1.1\r\nHost: h\r\nX-Own: 2\r\nConnection: close\r\n\r\n");
  say("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 2\r\n\r\nok");
  ASSERT_TRUE(answer_ && answer_->ok());
  EXPECT_EQ(answer().body, "ok");
  EXPECT_EQ(answer().headers.count("Set-Cookie"), 2U);
  EXPECT_FALSE(answer().headers.find("Keep-Alive"));
  EXPECT_EQ(heard(), "(the end)");
}

TEST_F(Forwarding, SendsABodyWithItsLengthWhereThatIsKnown) {
  Request request = request_of("POST", {{"Content-Length", "6"}, {"Expect", "100-continue"}});
  request.incoming = std::make_shared<GivenBody>(std::vector<std::string>{"abc", "def"});
  begin(std::move(request));
  const std::string text = heard();
  EXPECT_THAT(text, HasSubstr("Content-Length: 6\r\n"));
  EXPECT_THAT(text, Not(HasSubstr("Expect")));
  EXPECT_THAT(text, EndsWith("\r\n\r\nabcdef"));
}

TEST_F(Forwarding, SendsABodyInChunksElse) {
  Request request = request_of("POST", {{"Transfer-Encoding", "chunked"}});
  request.incoming = std::make_shared<GivenBody>(std::vector<std::string>{"abc", std::string(17, 'x')});
  begin(std::move(request));
  const std::string text = heard();
  EXPECT_THAT(text, HasSubstr("Transfer-Encoding: chunked\r\n"));
  EXPECT_THAT(text, EndsWith("\r\n\r\n3\r\nabc\r\n11\r\n" + std::string(17, 'x') + "\r\n0\r\n\r\n"));
}

TEST_F(Forwarding, GivesTheAnswersBodyAsItComes) {
  begin(request_of("GET"));
  say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n\r\n");
  ASSERT_TRUE(answer_ && answer_->ok());
  EXPECT_TRUE(answer().is_endless);
  EXPECT_EQ(next_piece().value(), "(not yet)");
}

TEST_F(Forwarding, TellsTheEndOfABodyFromTheEndOfAConnection) {
  begin(request_of("GET"));
  say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfour");
  EXPECT_EQ(answer().source_size, 10U);
  EXPECT_EQ(next_piece().value(), "four");
  hang_up();
  EXPECT_FALSE(next_piece().ok());
}

TEST_F(Forwarding, TakesTheEndOfTheConnectionForThatOfABodyWithoutLength) {
  begin(request_of("GET"));
  say("HTTP/1.0 200 OK\r\n\r\nfour");
  EXPECT_FALSE(answer().source_size);
  EXPECT_EQ(next_piece().value(), "four");
  hang_up();
  EXPECT_EQ(next_piece().value(), "");
}

TEST_F(Forwarding, PassesOverInterimAnswers) {
  begin(request_of("GET"));
  say("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nX: y\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n");
  ASSERT_TRUE(answer_ && answer_->ok());
  EXPECT_EQ(answer().status, 204);
  EXPECT_FALSE(answer().headers.find("X"));
}

TEST_F(Forwarding, SaysOfAnAnswerToHeadWhatGetWouldGive) {
  begin(request_of("HEAD"));
  say("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n");
  ASSERT_TRUE(answer_ && answer_->ok());
  EXPECT_EQ(answer().source_size, 1234U);
}

TEST_F(Forwarding, HearsAServerThatAnswersBeforeItHasReadAll) {
  Request request = request_of("POST", {{"Content-Length", "100000000"}});
  request.incoming = std::make_shared<GivenBody>(std::vector<std::string>(1000, std::string(65536, 'x')));
  begin(std::move(request));
  EXPECT_FALSE(answer_);
  say("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
  ASSERT_TRUE(answer_ && answer_->ok());
  EXPECT_EQ(answer().status, 413);
}

TEST_F(Forwarding, EndsWithARequestWhoseBodyHasNoEnd) {
  const Error late(ErrorCode::deadline_exceeded, "late");
  Request request = request_of("POST", {{"Content-Length", "100"}});
  request.incoming = std::make_shared<GivenBody>(std::vector<std::string>{"a"}, late);
  begin(std::move(request));
  ASSERT_TRUE(answer_ && !answer_->ok());
  EXPECT_EQ(answer_->error().slug(), "request_timeout");
  (void)heard();
  EXPECT_EQ(heard(), "(the end)");
}

TEST_F(Forwarding, EndsTheConnectionWithItsClient) {
  begin(request_of("GET"));
  canceller_.cancel();
  run();
  EXPECT_EQ(error(), ErrorCode::cancelled);
  (void)heard();
  EXPECT_EQ(heard(), "(the end)");
}

TEST_F(Forwarding, EndsTheConnectionWithTheAnswersBody) {
  begin(request_of("GET"));
  say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfour");
  (void)heard();
  answer_.reset();
  run();
  EXPECT_EQ(heard(), "(the end)");
}

TEST_F(Forwarding, GivesUpOnAServerThatSaysNothing) {
  begin(request_of("GET"), milliseconds(20));
  loop_.restart();
  loop_.run_for(milliseconds(2000));
  EXPECT_EQ(error(), ErrorCode::deadline_exceeded);
}

TEST_F(Forwarding, GivesUpOnAServerThatGoesOnWithoutAnAnswer) {
  begin(request_of("GET"), milliseconds(50));
  for (int i = 0; i < 1000 && !answer_; ++i) {
    say("HTTP/1.1 102 Processing\r\n\r\n");
    loop_.restart();
    loop_.run_for(milliseconds(5));
  }
  EXPECT_EQ(error(), ErrorCode::deadline_exceeded);
}

TEST_F(Forwarding, SaysWhatAServerDidInsteadOfAnswering) {
  begin(request_of("GET"));
  hang_up();
  EXPECT_EQ(error(), ErrorCode::unavailable);
}

struct Wrong {
  std::string name;
  std::string answer;
};

class WrongAnswers : public Forwarding, public testing::WithParamInterface<Wrong> {};

TEST_P(WrongAnswers, AreNoHttp) {
  begin(request_of("GET"));
  say(GetParam().answer);
  EXPECT_EQ(error(), ErrorCode::invalid_argument);
  (void)heard();
  EXPECT_EQ(heard(), "(the end)");
}

INSTANTIATE_TEST_SUITE_P(
    Forwarding, WrongAnswers,
    testing::Values(Wrong{"Garbage", "SSH-2.0-OpenSSH_9.2\r\n\r\n"},
                    Wrong{"Switch", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"},
                    Wrong{"TwoLengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"},
                    Wrong{"BothFramings", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"},
                    Wrong{"EndlessInterims",
                          []() {
                            std::string text;
                            for (int i = 0; i < 1000; ++i) text += "HTTP/1.1 102 Processing\r\n\r\n";
                            return text;
                          }()},
                    Wrong{"OtherCoding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"},
                    Wrong{"HugeHeader", "HTTP/1.1 200 OK\r\nX: " + std::string(65536, 'x')}),
    [](const auto& parameter) { return parameter.param.name; });

TEST_F(Forwarding, HandsAWebSocketOverWithWhatCameBehindItsHead) {
  begin(request_of("GET", {{"Connection", "Upgrade"}, {"Upgrade", "websocket"}, {"Sec-WebSocket-Key", "k"}}));
  const std::string text = heard();
  EXPECT_THAT(text, HasSubstr("Connection: Upgrade\r\nUpgrade: websocket\r\n"));
  EXPECT_THAT(text, HasSubstr("Sec-WebSocket-Key: k\r\n"));
  say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: a\r\n\r\nahead");
  ASSERT_TRUE(answer_ && answer_->ok());
  ASSERT_TRUE(answer().upgrade);
  EXPECT_EQ(answer().headers.find("Sec-WebSocket-Accept"), "a");

  std::array<int, 2> pair{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()), 0);
  const UniqueFd client(pair[1]);
  TakenOver taken;
  taken.socket.reset(pair[0]);
  taken.head = "head ";
  taken.read_ahead = "early";
  io::spawn(loop_, answer().upgrade->run(std::move(taken)));
  run();
  std::string seen(100, '\0');
  seen.resize(static_cast<std::size_t>(std::max<ssize_t>(0, ::recv(client.get(), seen.data(), 100, MSG_DONTWAIT))));
  EXPECT_EQ(seen, "head ahead");
  EXPECT_EQ(heard(), "early");
}

TEST_F(Forwarding, PassesOnARefusalOfAWebSocket) {
  begin(request_of("GET", {{"Connection", "Upgrade"}, {"Upgrade", "websocket"}}));
  say("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno");
  ASSERT_TRUE(answer_ && answer_->ok());
  EXPECT_EQ(answer().status, 404);
  EXPECT_FALSE(answer().upgrade);
}

TEST_F(Forwarding, PassesOnNoOtherProtocol) {
  begin(request_of("GET", {{"Connection", "Upgrade, HTTP2-Settings"}, {"Upgrade", "h2c"}, {"HTTP2-Settings", "x"}}));
  EXPECT_EQ(heard(), "GET /a?b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
}

}  // namespace
}  // namespace lmsb::http
