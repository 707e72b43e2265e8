#include <array>
#include <atomic>
#include <csignal>
#include <fcntl.h>
#include <stdexcept>
#include <vector>

#include <boost/asio/this_coro.hpp>

#include "http/test_bracketing.h"
#include "http/test_support.h"
#include "http/upgrade.h"
#include "io/spawn.h"
#include "io/stream.h"

namespace lmsb::http {
namespace {

using std::chrono::milliseconds;

// What happened on the server's side; read by the test's thread.
struct Seen {
  std::atomic<int> requests{0};
  std::atomic<int> asked{0};      // how often a source was
  std::atomic<int> cancelled{0};  // waits that ended by that
  std::atomic<int> destroyed{0};  // sources
  std::atomic<std::size_t> octets{0};
};

// Gives its pieces, then what `last` says.
class ListSource : public BodySource {
 public:
  enum class Last : std::uint8_t { end, error, bug, silence };
  ListSource(Seen* seen, std::vector<std::string> pieces, Last last)
      : seen_(seen), pieces_(std::move(pieces)), last_(last) {}
  ~ListSource() override { ++seen_->destroyed; }

  io::Task<std::string> next() override {
    ++seen_->asked;
    if (at_ < pieces_.size()) co_return pieces_[at_++];
    if (last_ == Last::error) co_return Error(ErrorCode::unavailable, "broken");
    if (last_ == Last::bug) throw std::runtime_error("bug");
    if (last_ == Last::end) co_return std::string();
    const Status slept = co_await io::sleep_until(io::Deadline::in(std::chrono::seconds(30)));
    if (!slept.ok()) ++seen_->cancelled;
    co_return std::string("woken");
  }

 private:
  Seen* seen_;
  std::vector<std::string> pieces_;
  Last last_;
  std::size_t at_ = 0;
};

// Always has something.
class EndlessSource : public BodySource {
 public:
  explicit EndlessSource(Seen* seen) : seen_(seen) {}
  ~EndlessSource() override { ++seen_->destroyed; }
  io::Task<std::string> next() override {
    ++seen_->asked;
    co_return std::string(65536, 'x');
  }

 private:
  Seen* seen_;
};

// Gives its pieces by a relay, each from a pipe that waits; "" = the next one comes as octets. Says how it ended.
class RelayedSource : public BodySource {
 public:
  RelayedSource(Seen* seen, std::vector<std::string> pieces) : seen_(seen), pieces_(std::move(pieces)) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    read_.reset(ends[0]);
    write_.reset(ends[1]);
    io::PipeRelay::widen(write_);
  }
  ~RelayedSource() override { ++seen_->destroyed; }

  io::Task<std::string> next() override { co_return Error(ErrorCode::internal, "a relay is used"); }
  io::Task<BodyPiece> next_piece() override {
    ++seen_->asked;
    BodyPiece piece;
    if (at_ == pieces_.size()) co_return piece;
    std::string octets = pieces_[at_++];
    if (octets.empty()) {
      piece.octets = pieces_[at_++];
      co_return piece;
    }
    EXPECT_EQ(::write(write_.get(), octets.data(), octets.size()), static_cast<ssize_t>(octets.size()));
    EXPECT_EQ(relay_->take_now(read_, octets.size()), static_cast<ssize_t>(octets.size()));
    piece.relay = relay_;
    co_return piece;
  }
  Headers trailer() const override {
    Headers fields;
    fields.set("X-Ended", "well\r\nX-Forged: 1");
    return fields;
  }

 private:
  Seen* seen_;
  std::vector<std::string> pieces_;
  std::size_t at_ = 0;
  UniqueFd read_, write_;
  std::shared_ptr<io::PipeRelay> relay_ = *io::PipeRelay::make();
};

// Sends back what comes, as it comes.
class EchoSource : public BodySource {
 public:
  explicit EchoSource(std::shared_ptr<BodyReader> from) : from_(std::move(from)) {}
  io::Task<std::string> next() override { return from_->read(); }

 private:
  std::shared_ptr<BodyReader> from_;
};

Response streamed(std::shared_ptr<BodySource> source, std::optional<std::uint64_t> size = std::nullopt) {
  Response response = Response::text(200, "not sent");
  response.source = std::move(source);
  response.source_size = size;
  return response;
}

Response list(Seen* seen, std::vector<std::string> pieces, ListSource::Last last = ListSource::Last::end,
              std::optional<std::uint64_t> size = std::nullopt) {
  return streamed(std::make_shared<ListSource>(seen, std::move(pieces), last), size);
}

Response answer_with_source(Seen* seen, const std::string& path) {
  using Last = ListSource::Last;
  if (path == "/chunks") return list(seen, {"hello", std::string(20, 'x')});
  if (path == "/sized") return list(seen, {"hello", " world"}, Last::end, 11);
  if (path == "/short") return list(seen, {"hello"}, Last::end, 11);
  if (path == "/long") return list(seen, {"hello", " world"}, Last::end, 7);
  if (path == "/broken") return list(seen, {"hello"}, Last::error);
  if (path == "/bug") return list(seen, {"hello"}, Last::bug);
  if (path == "/silent") return list(seen, {"hello"}, Last::silence);
  if (path == "/following") {
    Response response = list(seen, {"hello"}, Last::silence);
    response.is_endless = true;
    return response;
  }
  if (path == "/relayed")
    return streamed(std::make_shared<RelayedSource>(seen, std::vector<std::string>{"hello", "", " ", "world"}));
  if (path == "/relayed-sized")
    return streamed(std::make_shared<RelayedSource>(seen, std::vector<std::string>{"hello", " world"}), 11);
  if (path == "/relayed-long")
    return streamed(std::make_shared<RelayedSource>(seen, std::vector<std::string>{"hello", " world"}), 7);
  if (path == "/relayed-much")
    return streamed(std::make_shared<RelayedSource>(seen, std::vector<std::string>(64, std::string(1U << 20U, 'x'))));
  if (path == "/endless") return streamed(std::make_shared<EndlessSource>(seen));
  if (path == "/upgrade") {
    Response response;
    response.status = 101;
    response.headers.set("Upgrade", "brackets");
    response.upgrade = std::make_shared<Bracketing>([seen] { ++seen->cancelled; });
    return response;
  }
  if (path == "/nothing") {
    Response response = list(seen, {"hello"});
    response.status = 204;
    return response;
  }
  return Response::text(200, "whole " + path);
}

io::Always<Response> read_all(Seen* seen, std::shared_ptr<BodyReader> body) {
  std::size_t size = 0;
  while (true) {
    const Result<std::string> piece = co_await body->read();
    if (!piece.ok()) {
      if (piece.error().code() == ErrorCode::cancelled) ++seen->cancelled;
      co_return Response::text(400, std::string(to_string(piece.error().code())) + " " + piece.error().message());
    }
    if (piece->empty()) break;
    size += piece->size();
    EXPECT_LE(piece->size(), 65536U);
    seen->octets += piece->size();
  }
  co_return Response::text(200, "read " + std::to_string(size));
}

io::Always<Response> handle(Seen* seen, Request request) {
  ++seen->requests;
  if (request.headers.find("X-For")) *request.on_behalf_of = *request.headers.find("X-For");
  if (!request.incoming) co_return answer_with_source(seen, request.path);
  EXPECT_EQ(request.body, "");
  if (request.path == "/in/early") co_return Response::text(409, "early");
  if (request.path == "/in/echo") co_return streamed(std::make_shared<EchoSource>(std::move(request.incoming)));
  if (request.path == "/in/one") {
    const Result<std::string> piece = co_await request.incoming->read();
    if (piece.ok()) seen->octets += piece->size();
    const Status slept = co_await io::sleep_until(io::Deadline::in(std::chrono::seconds(30)));
    if (!slept.ok()) ++seen->cancelled;
    co_return Response::text(200, "one");
  }
  co_return co_await read_all(seen, std::move(request.incoming));
}

// Outlives the fixture's loop, with which the last sources go.
struct Observed {
  Seen seen_;
};

class StreamsTest : protected Observed, public ServerFixture {
 protected:
  void start(ServerLimits limits = ServerLimits()) {
    StreamedBody rule = [](const Request& request) -> std::optional<Bytes> {
      if (request.path == "/in/small") return Bytes(10);
      if (request.path.starts_with("/in/")) return Bytes::MiB(1000);
      return std::nullopt;
    };
    start_with(
        limits, [this](Request request) { return handle(&seen_, std::move(request)); }, std::move(rule));
  }
  // Waits until the source is not asked any more; how often it was.
  int asked_until_it_stops() {
    int before = -1;
    while (before != seen_.asked) {
      before = seen_.asked;
      std::this_thread::sleep_for(milliseconds(100));
    }
    return before;
  }
};

std::string put(std::string_view path, std::size_t length, std::string_view more = "") {
  return "PUT " + std::string(path) + " HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(length) + "\r\n" +
         std::string(more) + "\r\n";
}
std::string put_chunks(std::string_view path) {
  return "PUT " + std::string(path) + " HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
}

// ---- Answers

TEST_F(StreamsTest, SendsAnAnswerOfUnknownSizeInChunksAndKeepsTheConnection) {
  start();
  RawClient client = connect();
  const std::string answer = client.say(get("/chunks")).hear_until("\r\n0\r\n\r\n");
  EXPECT_TRUE(has(answer, "Transfer-Encoding: chunked\r\n")) << answer;
  EXPECT_FALSE(has(answer, "Content-Length")) << answer;
  EXPECT_TRUE(has(answer, "\r\n\r\n5\r\nhello\r\n14\r\nxxxxxxxxxxxxxxxxxxxx\r\n0\r\n\r\n")) << answer;
  EXPECT_TRUE(has(client.say(get("/x")).hear_until("whole /x"), "200 OK"));
  EXPECT_EQ(seen_.destroyed, 1);
}

TEST_F(StreamsTest, SendsAnAnswerOfKnownSizeWithItsLength) {
  start();
  RawClient client = connect();
  const std::string answer = client.say(get("/sized")).hear_until("world");
  EXPECT_TRUE(has(answer, "Content-Length: 11\r\n")) << answer;
  EXPECT_TRUE(has(answer, "\r\n\r\nhello world")) << answer;
  EXPECT_FALSE(has(answer, "chunked"));
  EXPECT_TRUE(has(client.say(get("/x")).hear_until("whole /x"), "200 OK"));
}

TEST_F(StreamsTest, EndsTheConnectionWhenThereIsLessThanAnnounced) {
  start();
  const std::string answer = ask(get("/short"));
  EXPECT_TRUE(has(answer, "Content-Length: 11\r\n")) << answer;
  EXPECT_TRUE(answer.ends_with("\r\n\r\nhello")) << answer;
}

TEST_F(StreamsTest, NeverSendsMoreThanAnnounced) {
  start();
  EXPECT_TRUE(ask(get("/long")).ends_with("\r\n\r\nhello"));
}

TEST_F(StreamsTest, LeavesOutTheLastChunkWhenTheSourceFails) {
  start();
  for (const char* path : {"/broken", "/bug"}) {
    const std::string answer = ask(get(path));
    EXPECT_TRUE(answer.ends_with("\r\n\r\n5\r\nhello\r\n")) << answer;
  }
}

TEST_F(StreamsTest, AsksNoSourceForHeadNorForWhatHasNoBody) {
  start();
  RawClient client = connect();
  client.say("HEAD /chunks HTTP/1.1\r\nHost: h\r\n\r\nHEAD /sized HTTP/1.1\r\nHost: h\r\n\r\n" + get("/nothing"));
  const std::string answers = client.say(get("/x")).hear_until("whole /x");
  EXPECT_TRUE(has(answers, "Transfer-Encoding: chunked")) << answers;
  EXPECT_TRUE(has(answers, "Content-Length: 11")) << answers;
  EXPECT_TRUE(has(answers, " 204 ")) << answers;
  EXPECT_FALSE(has(answers, "hello"));
  EXPECT_EQ(seen_.asked, 0);
  EXPECT_EQ(seen_.destroyed, 3);
}

TEST_F(StreamsTest, SendsWhatARelayHoldsAmongTheOctetsAndSaysBehindItWhatThereIsToSay) {
  start();
  RawClient client = connect();
  const std::string answer = client.say(get("/relayed")).hear_until("Forged: 1\r\n\r\n");
  EXPECT_TRUE(has(answer, "\r\n\r\n5\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\nX-Ended: well  X-Forged: 1\r\n\r\n"))
      << answer;
  EXPECT_TRUE(has(client.say(get("/x")).hear_until("whole /x"), "200 OK"));
}

TEST_F(StreamsTest, SendsNoMoreOfARelayThanAnnounced) {
  start();
  EXPECT_TRUE(ask(get("/relayed-sized", kClose)).ends_with("\r\n\r\nhello world"));
  EXPECT_TRUE(ask(get("/relayed-long")).ends_with("\r\n\r\nhello"));
}

TEST_F(StreamsTest, RelaysNoMoreThanTheClientTakes) {
  start();
  RawClient client = connect();
  client.say(get("/relayed-much", kClose));
  ASSERT_TRUE(soon([this] { return seen_.asked > 0; }));
  EXPECT_LT(asked_until_it_stops(), 32) << "what the kernel keeps, not what there is";
  EXPECT_GT(client.hear_all().size(), std::size_t{64} << 20U);
}

TEST_F(StreamsTest, DropsARelayWhenTheClientGoesAway) {
  ::signal(SIGPIPE, SIG_IGN);  // as the program does
  start();
  RawClient client = connect();
  client.say(get("/relayed-much"));
  client.hear_some();
  client.hang_up();
  EXPECT_TRUE(soon([this] { return seen_.destroyed == 1; }));
  EXPECT_TRUE(soon([this] { return open_connections() == 0; }));
}

TEST_F(StreamsTest, ClosesOnAClientThatTakesNothingOfARelay) {
  ServerLimits limits;
  limits.write_timeout = milliseconds(100);
  start(limits);
  RawClient client = connect();
  client.say(get("/relayed-much"));
  EXPECT_TRUE(soon([this] { return seen_.destroyed == 1; }));
}

TEST_F(StreamsTest, SendsUntilTheConnectionsEndInHttp10) {
  start();
  const std::string answer = ask("GET /chunks HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_TRUE(has(answer, "Connection: close\r\n")) << answer;
  EXPECT_FALSE(has(answer, "chunked")) << answer;
  EXPECT_TRUE(answer.ends_with("\r\n\r\nhelloxxxxxxxxxxxxxxxxxxxx")) << answer;
  RawClient kept = connect();
  kept.say("GET /sized HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_TRUE(has(kept.hear_until("world"), "Connection: keep-alive\r\n"));
}

TEST_F(StreamsTest, ResetsAnHttp10ConnectionWhoseAnswerIsNotWhole) {
  start();
  RawClient client = connect();
  client.say("GET /broken HTTP/1.0\r\n\r\n");
  std::string heard(1000, '\0');
  while (::recv(client.fd(), heard.data(), heard.size(), 0) > 0) continue;
  EXPECT_EQ(errno, ECONNRESET);
}

TEST_F(StreamsTest, AsksForNoMoreThanTheClientTakes) {
  start();
  RawClient client = connect();
  client.say(get("/endless"));
  ASSERT_TRUE(soon([this] { return seen_.asked > 0; }));
  const int before = asked_until_it_stops();
  EXPECT_LT(before, 400) << "what the kernel keeps, not what there is";
  for (int i = 0; i < 200; ++i) client.hear_some();
  EXPECT_TRUE(soon([&] { return seen_.asked > before; })) << "and goes on when the client does";
}

TEST_F(StreamsTest, ClosesOnAClientThatTakesNothing) {
  ServerLimits limits;
  limits.write_timeout = milliseconds(100);
  start(limits);
  RawClient client = connect();
  client.say(get("/endless"));
  EXPECT_TRUE(soon([this] { return seen_.destroyed == 1; }));
}

TEST_F(StreamsTest, HasNoTimeLimitForASourceThatIsSilent) {
  ServerLimits limits;
  limits.write_timeout = limits.idle_timeout = limits.header_timeout = limits.body_timeout = milliseconds(50);
  start(limits);
  RawClient client = connect();
  EXPECT_TRUE(has(client.say(get("/silent")).hear_until("hello"), "200 OK"));
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_EQ(seen_.destroyed, 0);
}

TEST_F(StreamsTest, CancelsASilentSourceWhenTheClientGoesAway) {
  start();
  RawClient client = connect();
  EXPECT_TRUE(has(client.say(get("/silent")).hear_until("hello"), "200 OK"));
  client.hang_up();
  EXPECT_TRUE(soon([this] { return seen_.cancelled == 1 && seen_.destroyed == 1; }));
  EXPECT_TRUE(soon([this] { return open_connections() == 0; }));
}

TEST_F(StreamsTest, EndsASilentSourceThatIsForSomebody) {
  start();
  RawClient client = connect();
  EXPECT_TRUE(has(client.say(get("/silent", "X-For: ann\r\n")).hear_until("hello"), "200 OK"));
  on_loop([this] { return server_->close_of("ann"), 0; });
  const std::string rest = client.hear_all();
  EXPECT_FALSE(has(rest, "(timeout)") || has(rest, "0\r\n")) << "cut off, and to be seen as that: " << rest;
  EXPECT_TRUE(soon([this] { return seen_.cancelled == 1 && seen_.destroyed == 1; }));
}

TEST_F(StreamsTest, SeesTheClientGoThoughItHasSentMoreThanIsReadAhead) {
  start();
  RawClient client = connect();
  EXPECT_TRUE(has(client.say(get("/silent")).hear_until("hello"), "200 OK"));
  std::string more;
  while (more.size() < 150000) more += get("/whole");
  client.say(more);
  std::this_thread::sleep_for(milliseconds(50));
  EXPECT_EQ(seen_.destroyed, 0);
  client.hang_up();
  EXPECT_TRUE(soon([this] { return seen_.cancelled == 1 && seen_.destroyed == 1; }));
  EXPECT_TRUE(soon([this] { return open_connections() == 0; }));
}

TEST_F(StreamsTest, AnswersAllThatWasSentAheadThoughMoreThanIsReadAhead) {
  start();
  RawClient client = connect();
  std::string more;
  for (int i = 0; i < 3000; ++i) more += get("/chunks");
  more += get("/last", kClose);
  std::thread speaker([&] { client.say(more); });
  const std::string all = client.hear_all();
  speaker.join();
  EXPECT_TRUE(has(all, "whole /last"));
}

TEST_F(StreamsTest, DropsASourceThatNeverWaitsWhenTheClientGoesAway) {
  start();
  RawClient client = connect();
  client.say(get("/endless"));
  client.hear_some();
  client.hang_up();
  EXPECT_TRUE(soon([this] { return seen_.destroyed == 1; }));
}

TEST_F(StreamsTest, ServesOthersWhileASourceNeverWaits) {
  start();
  RawClient greedy = connect();
  greedy.say(get("/endless"));
  std::atomic<bool> over{false};
  std::thread reader([&] {
    while (!over) greedy.hear_some();
  });
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(has(ask(get("/x", kClose)), "whole /x"));
  over = true;
  reader.join();
}

TEST_F(StreamsTest, AnswersAPipelinedRequestBehindAStream) {
  start();
  const std::string answers = ask(get("/chunks") + get("/sized") + get("/x", kClose));
  EXPECT_TRUE(has(answers, "\r\n0\r\n\r\nHTTP/1.1 200 OK")) << answers;
  EXPECT_TRUE(has(answers, "hello worldHTTP/1.1 200 OK")) << answers;
  EXPECT_TRUE(answers.ends_with("whole /x"));
}

TEST_F(StreamsTest, LetsAStreamGoOnForTheGraceAndCancelsItThen) {
  start();
  RawClient client = connect();
  EXPECT_TRUE(has(client.say(get("/silent")).hear_until("hello"), "200 OK"));
  io::spawn(loop_, server_->shutdown(milliseconds(300)));
  std::this_thread::sleep_for(milliseconds(50));
  EXPECT_EQ(seen_.cancelled, 0);
  EXPECT_FALSE(has(client.hear_all(), "\r\n0\r\n\r\n"));
  EXPECT_TRUE(soon([this] { return seen_.cancelled == 1; }));
}

TEST_F(StreamsTest, DoesNotWaitForAnAnswerWithoutAnEndWhenItShutsDown) {
  start();
  RawClient client = connect();
  EXPECT_TRUE(has(client.say(get("/following")).hear_until("hello"), "200 OK"));
  io::spawn(loop_, server_->shutdown(std::chrono::seconds(20)));
  EXPECT_TRUE(soon([this] { return seen_.cancelled == 1; }));
  EXPECT_FALSE(has(client.hear_all(), "\r\n0\r\n\r\n"));
}

TEST_F(StreamsTest, GoesAwayWithItsLoopWhileStreamsAreOpen) {
  start();
  RawClient silent = connect();
  EXPECT_TRUE(has(silent.say(get("/silent")).hear_until("hello"), "200 OK"));
  RawClient half = connect();
  half.say(put("/in/all", 10) + "abc");
  RawClient given_away = connect();
  EXPECT_TRUE(has(given_away.say(get("/upgrade")).hear_until("]"), "101"));
  EXPECT_TRUE(soon([this] { return seen_.octets == 3; }));
  loop_.stop();
  thread_.join();
  server_.reset();
}

// ---- Requests

TEST_F(StreamsTest, HandsOnABodyAsItComes) {
  start();
  RawClient client = connect();
  client.say(put("/in/all", 6) + "abc");
  EXPECT_TRUE(soon([this] { return seen_.octets == 3; })) << "before it is whole";
  EXPECT_TRUE(has(client.say("def").hear_until("read 6"), "200 OK"));
  client.say(put_chunks("/in/all") + "3\r\nabc\r\n");
  EXPECT_TRUE(soon([this] { return seen_.octets == 9; }));
  EXPECT_TRUE(has(client.say("2\r\nde\r\n0\r\n\r\n").hear_until("read 5"), "200 OK"));
  EXPECT_TRUE(has(client.say(get("/x")).hear_until("whole /x"), "200 OK"));
  EXPECT_TRUE(has(client.say("PUT /in/all HTTP/1.1\r\nHost: h\r\n\r\n").hear_until("read 0"), "200 OK"));
  EXPECT_EQ(open_connections(), 1U);
}

TEST_F(StreamsTest, HandsOnABodyThatComesOctetByOctet) {
  start();
  RawClient client = connect();
  for (const char c : put_chunks("/in/all") + "3\r\nabc\r\n0\r\n\r\n") client.say(std::string_view(&c, 1));
  EXPECT_TRUE(has(client.hear_until("read 3"), "200 OK"));
}

TEST_F(StreamsTest, HandsOnMoreThanTheLimitOfWholeBodies) {
  ServerLimits limits;
  limits.body = Bytes(1000);
  limits.bodies = Bytes(1000);
  start(limits);
  RawClient client = connect();
  client.say(put("/in/all", 20'000'000));
  std::thread writer([&] {
    const std::string piece(100'000, 'x');
    for (int i = 0; i < 200; ++i) ::send(client.fd(), piece.data(), piece.size(), MSG_NOSIGNAL);
  });
  EXPECT_TRUE(has(client.hear_until("read 20000000"), "200 OK"));
  writer.join();
  EXPECT_TRUE(has_status(ask("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n"), 413));
}

TEST_F(StreamsTest, ReadsNoFurtherAheadThanItsBound) {
  start();
  RawClient client = connect();
  client.say(put("/in/one", 100'000'000));
  const std::string piece(1 << 20U, 'x');
  std::size_t taken = 0;
  for (int i = 0; i < 200; ++i) {
    const ssize_t count = ::send(client.fd(), piece.data(), piece.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count > 0) taken += static_cast<std::size_t>(count);
    if (count <= 0) std::this_thread::sleep_for(milliseconds(1));
  }
  EXPECT_LT(taken, 20'000'000U) << "what the kernel keeps, not what there is";
  EXPECT_LE(seen_.octets, 65536U);
}

TEST_F(StreamsTest, RefusesABodyLongerThanItsRouteAllows) {
  start();
  const std::string answer = ask(put("/in/small", 11));
  EXPECT_TRUE(has_status(answer, 413)) << answer;
  EXPECT_TRUE(has(answer, "larger than 10")) << answer;
  EXPECT_EQ(seen_.requests, 0);
  RawClient client = connect();
  client.say(put_chunks("/in/small") + "3\r\nabc\r\n");
  EXPECT_TRUE(soon([this] { return seen_.octets == 3; }));
  const std::string late = client.say("8\r\nabcdefgh\r\n0\r\n\r\n").hear_all();
  EXPECT_TRUE(has(late, "invalid_argument the request's body is larger than 10")) << late;
}

TEST_F(StreamsTest, TellsTheHandlerOfAMalformedChunk) {
  start();
  RawClient client = connect();
  client.say(put_chunks("/in/all") + "3\r\nabc\r\n");
  EXPECT_TRUE(soon([this] { return seen_.octets == 3; }));
  const std::string answer = client.say("zz\r\n").hear_all();
  EXPECT_TRUE(has(answer, "invalid_argument malformed request")) << answer;
  EXPECT_TRUE(has(answer, "Connection: close"));
}

TEST_F(StreamsTest, TellsTheHandlerOfALineOfTheBodyThatHasNoEnd) {
  start();
  RawClient client = connect();
  client.say(put_chunks("/in/all") + "3;" + std::string(70'000, 'x'));
  EXPECT_TRUE(has(client.hear_all(), "line of the body is too long"));
}

TEST_F(StreamsTest, GivesABodyItsTimeToProgress) {
  ServerLimits limits;
  limits.body_timeout = milliseconds(200);
  start(limits);
  RawClient client = connect();
  client.say(put("/in/all", 10) + "a");
  for (int i = 0; i < 6; ++i) {
    std::this_thread::sleep_for(milliseconds(60));
    client.say("b");
  }
  const std::string answer = client.hear_all();
  EXPECT_TRUE(has(answer, "deadline_exceeded")) << answer;
  EXPECT_EQ(seen_.octets, 7U) << "progress prolongs it";
}

TEST_F(StreamsTest, DoesNotTakeTheOctetsOfAChunksFrameForProgress) {
  ServerLimits limits;
  limits.body_timeout = milliseconds(200);
  start(limits);
  RawClient client = connect();
  client.say(put_chunks("/in/all") + "3;");
  for (int i = 0; i < 20; ++i) {
    std::this_thread::sleep_for(milliseconds(50));
    if (::send(client.fd(), "x", 1, MSG_NOSIGNAL) < 0) break;
  }
  EXPECT_TRUE(has(client.hear_all(), "deadline_exceeded"));
}

TEST_F(StreamsTest, CancelsAReadWhenTheClientGoesAway) {
  start();
  RawClient client = connect();
  client.say(put("/in/all", 10) + "abc");
  EXPECT_TRUE(soon([this] { return seen_.octets == 3; }));
  client.hang_up();
  EXPECT_TRUE(soon([this] { return seen_.cancelled == 1; }));
  EXPECT_TRUE(soon([this] { return open_connections() == 0; }));
}

TEST_F(StreamsTest, SendsAnAnswerThatComesBeforeTheBodyIsReadAndCloses) {
  start();
  RawClient client = connect();
  client.say(put("/in/early", 1'000'000) + std::string(1000, 'x'));
  const std::string answer = client.hear_until("early");
  EXPECT_TRUE(has_status(answer, 409)) << answer;
  EXPECT_TRUE(has(answer, "Connection: close"));
  client.hang_up();
  EXPECT_TRUE(soon([this] { return open_connections() == 0; }));
}

TEST_F(StreamsTest, KeepsTheConnectionWhenTheUnreadBodyHasComeWhole) {
  start();
  RawClient client = connect();
  EXPECT_TRUE(has(client.say(put("/in/early", 3) + "abc").hear_until("early"), "409"));
  EXPECT_TRUE(has(client.say(get("/x")).hear_until("whole /x"), "200 OK"));
}

TEST_F(StreamsTest, InvitesABodyWhenTheHandlerReadsIt) {
  start();
  RawClient client = connect();
  client.say(put("/in/all", 3, "Expect: 100-continue\r\n"));
  EXPECT_EQ(client.hear_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_TRUE(has(client.say("abc").hear_until("read 3"), "200 OK"));
  const std::string refused = ask(put("/in/early", 3, "Expect: 100-continue\r\n"));
  EXPECT_TRUE(has_status(refused, 409)) << refused;
  EXPECT_TRUE(has(refused, "Connection: close"));
}

TEST_F(StreamsTest, SendsBackABodyWhileItComes) {
  start();
  RawClient client = connect();
  client.say(put_chunks("/in/echo") + "3\r\nabc\r\n");
  EXPECT_TRUE(has(client.hear_until("abc\r\n"), "200 OK"));
  EXPECT_EQ(client.say("2\r\nde\r\n").hear_until("de\r\n"), "2\r\nde\r\n");
  EXPECT_TRUE(has(client.say("0\r\n\r\n").hear_until("0\r\n\r\n"), "0\r\n\r\n"));
}

// ---- Connections that are given away

TEST_F(StreamsTest, GivesAConnectionAwayWithWhatWasReadAhead) {
  start();
  RawClient client = connect();
  const std::string answer = client.say(get("/upgrade") + "ahead").hear_until("]");
  EXPECT_TRUE(has_status(answer, 101)) << answer;
  EXPECT_TRUE(has(answer, "Connection: Upgrade\r\n")) << answer;
  EXPECT_TRUE(has(answer, "Upgrade: brackets\r\n")) << answer;
  EXPECT_FALSE(has(answer, "Content-Length")) << answer;
  EXPECT_TRUE(answer.ends_with("\r\n\r\n[ahead]")) << answer;
  EXPECT_EQ(client.say("x").hear_until("]"), "[x]");
  EXPECT_EQ(open_connections(), 1U);
  client.hang_up();
  EXPECT_TRUE(soon([this] { return open_connections() == 0; }));
}

TEST_F(StreamsTest, EndsAConnectionThatWasGivenAwayForSomebody) {
  start();
  RawClient client = connect();
  EXPECT_TRUE(has(client.say(get("/upgrade", "X-For: ann\r\n")).hear_until("]"), "101"));
  on_loop([this] { return server_->close_of("bob"), 0; });
  EXPECT_EQ(client.say("x").hear_until("]"), "[x]");
  on_loop([this] { return server_->close_of("ann"), 0; });
  EXPECT_TRUE(client.is_closed());
  EXPECT_TRUE(soon([this] { return seen_.cancelled == 1; }));
}

TEST_F(StreamsTest, CancelsWhoeverHasTakenAConnectionOverWhenItShutsDown) {
  start();
  RawClient client = connect();
  EXPECT_TRUE(has(client.say(get("/upgrade")).hear_until("]"), "101"));
  io::spawn(loop_, server_->shutdown(std::chrono::hours(1)));  // at once: it has no end of its own
  EXPECT_TRUE(client.is_closed());
  EXPECT_TRUE(soon([this] { return seen_.cancelled == 1; }));
}

}  // namespace
}  // namespace lmsb::http
