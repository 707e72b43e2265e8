#include "http/websocket.h"

#include <atomic>
#include <vector>

#include "http/test_support.h"
#include "io/run_blocking.h"
#include "io/spawn.h"

namespace lmsb::http {
namespace {

using std::chrono::milliseconds;

// What the sessions saw; read by the test's thread.
struct Seen {
  std::atomic<int> sessions{0};
  std::atomic<int> ended{0};
  std::atomic<int> sent{0};
  std::atomic<int> code{0};                           // of the peer's goodbye
  std::atomic<ErrorCode> error{ErrorCode::internal};  // that ended read()
};

// Sends back what it hears, until the end. "close" makes it close itself, "leave" just return.
class Echo final : public WebSocketSession {
 public:
  explicit Echo(Seen* seen) : seen_(seen) {}

  io::Always<void> run(WebSocket socket) override {
    ++seen_->sessions;
    while (true) {
      Result<std::optional<WebSocketMessage>> message = co_await socket.read();
      if (!message.ok()) seen_->error = message.error().code();
      if (message.ok() && !message->has_value()) seen_->code = socket.close_reason().code;
      if (!message.ok() || !message->has_value() || (*message)->data == "leave") break;
      if ((*message)->data == "close") {
        const Status closed = co_await socket.close(4001, std::string(200, 'y'));
        EXPECT_TRUE(closed.ok());
      }
      const Status sent = co_await socket.send(**std::move(message));
      if (!sent.ok()) break;
    }
    ++seen_->ended;
  }

 private:
  Seen* seen_;
};

// Sends without end, from a task of its own, while it reads.
class Talker final : public WebSocketSession {
 public:
  explicit Talker(Seen* seen) : seen_(seen) {}

  io::Always<void> run(WebSocket socket) override {
    ++seen_->sessions;
    co_await io::spawn_here(talk(socket, seen_));
    const Result<std::optional<WebSocketMessage>> end = co_await socket.read();
    if (!end.ok()) seen_->error = end.error().code();
  }

 private:
  static io::Always<void> talk(WebSocket socket, Seen* seen) {
    while (true) {
      const Status sent = co_await socket.send(WebSocketMessage::binary(std::string(65536, 'x')));
      if (!sent.ok()) break;
      ++seen->sent;
    }
    ++seen->ended;
  }

  Seen* seen_;
};

// Two tasks say goodbye at once while a third reads.
class Quarrel final : public WebSocketSession {
 public:
  explicit Quarrel(Seen* seen) : seen_(seen) {}

  io::Always<void> run(WebSocket socket) override {
    ++seen_->sessions;
    co_await io::spawn_here(leave(socket, 4001, seen_));
    co_await io::spawn_here(leave(socket, 4002, seen_));
    const Result<std::optional<WebSocketMessage>> end = co_await socket.read();
    if (end.ok() && !end->has_value()) seen_->code = 1;
  }

 private:
  static io::Always<void> leave(WebSocket socket, std::uint16_t code, Seen* seen) {
    const Status sent = co_await socket.close(code);
    EXPECT_TRUE(sent.ok());
    ++seen->ended;
  }

  Seen* seen_;
};

io::Always<Response> handle(Seen* seen, WebSocketOptions options, Request request) {
  if (const auto refusal = check_web_socket(request)) {
    Response response = Response::text(refusal->status, refusal->detail);
    add_web_socket_headers(response);
    co_return response;
  }
  std::shared_ptr<WebSocketSession> session = std::make_shared<Echo>(seen);
  if (request.path == "/quarrel") session = std::make_shared<Quarrel>(seen);
  if (request.path == "/talk") session = std::make_shared<Talker>(seen);
  co_return web_socket_answer(request, std::move(session), std::move(options));
}

class WebSocketTest : public ServerFixture {
 protected:
  void start(WebSocketOptions options = WebSocketOptions()) {
    start_with(ServerLimits(),
               [this, options](Request request) { return handle(&seen_, options, std::move(request)); });
  }
  RawClient open(std::string_view path = "/echo");
  Seen seen_;
};

std::string handshake(std::string_view path, std::string_view version = "13",
                      std::string_view key = "dGhlIHNhbXBsZSBub25jZQ==") {
  return get(path, "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Version: " +
                       std::string(version) + "\r\nSec-WebSocket-Key: " + std::string(key) + "\r\n");
}

RawClient WebSocketTest::open(std::string_view path) {
  RawClient client = connect();
  const std::string answer = client.say(handshake(path)).hear_until("\r\n\r\n");
  EXPECT_TRUE(has_status(answer, 101)) << answer;
  return client;
}

enum class Opcode : unsigned char { more = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };
constexpr unsigned kFinal = 0x80;

// The size in as few octets as it needs.
std::string head(unsigned first, unsigned second, std::size_t size) {
  std::string out{static_cast<char>(first)};
  if (size < 126) return out + static_cast<char>(second | size);
  const bool is_long = size > 65535;
  out += static_cast<char>(second | (is_long ? 127U : 126U));
  for (unsigned octets = is_long ? 8 : 2; octets > 0; --octets) out += static_cast<char>(size >> (octets - 1) * 8);
  return out;
}

// As a client sends it: masked.
std::string frame(Opcode opcode, std::string_view data, unsigned final = kFinal) {
  constexpr std::string_view kMask = "\x12\x34\x56\x78";
  std::string out = head(final | static_cast<unsigned>(opcode), 0x80, data.size()) + std::string(kMask);
  for (std::size_t i = 0; i < data.size(); ++i) out += static_cast<char>(data[i] ^ kMask[i % 4]);
  return out;
}

// As the server sends it.
std::string plain(Opcode opcode, std::string_view data) {
  return head(kFinal | static_cast<unsigned>(opcode), 0, data.size()) + std::string(data);
}

std::string goodbye(unsigned code, std::string_view text = "") {
  return std::string{static_cast<char>(code >> 8U), static_cast<char>(code & 0xffU)} + std::string(text);
}

TEST_F(WebSocketTest, AnswersTheHandshakeAndEchoes) {
  start();
  RawClient client = connect();
  const std::string answer = client.say(handshake("/echo")).hear_until("\r\n\r\n");
  EXPECT_TRUE(has_status(answer, 101)) << answer;
  EXPECT_TRUE(has(answer, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n")) << answer;
  EXPECT_FALSE(has(answer, "Beast")) << answer;
  const std::string text = plain(Opcode::text, "h\xc3\xa9");
  EXPECT_EQ(client.say(frame(Opcode::text, "h\xc3\xa9")).hear_until(text), text);
  const std::string binary = plain(Opcode::binary, std::string("\0\xff", 2));
  EXPECT_EQ(client.say(frame(Opcode::binary, std::string("\0\xff", 2))).hear_until(binary), binary);
}

TEST_F(WebSocketTest, AnswersWithTheProtocolThatTheHandlerChose) {
  WebSocketOptions options;
  options.protocol = "pty";
  start(options);
  EXPECT_TRUE(has(connect().say(handshake("/echo")).hear_until("\r\n\r\n"), "Sec-WebSocket-Protocol: pty\r\n"));
}

TEST_F(WebSocketTest, PutsAFragmentedMessageTogether) {
  start();
  RawClient client = open();
  client.say(frame(Opcode::text, "he", 0)).say(frame(Opcode::ping, "now")).say(frame(Opcode::more, "llo"));
  const std::string expected = plain(Opcode::pong, "now") + plain(Opcode::text, "hello");
  EXPECT_EQ(client.hear_until("hello"), expected) << "a ping in between is answered at once";
}

TEST_F(WebSocketTest, SendsALargeMessageInOneFrame) {
  start();
  RawClient client = open();
  const std::string large(100'000, 'x');
  client.say(frame(Opcode::binary, large));
  const std::string expected = plain(Opcode::binary, large);
  std::string heard;
  while (heard.size() < expected.size()) {
    const std::string more = client.hear_some();
    if (more.empty() || more == "(timeout)") break;
    heard += more;
  }
  EXPECT_TRUE(heard == expected);
}

TEST_F(WebSocketTest, TakesFramesThatCameBehindTheRequest) {
  start();
  RawClient client = connect();
  client.say(handshake("/echo") + frame(Opcode::text, "early"));
  EXPECT_TRUE(has(client.hear_until("early"), plain(Opcode::text, "early")));
}

TEST_F(WebSocketTest, EndsAConnectionWhoseClientSendsMuchBeforeItMay) {
  start();
  RawClient client = connect();
  client.say(handshake("/echo") + frame(Opcode::binary, std::string(5000, 'x')));
  EXPECT_FALSE(has(client.hear_all(), "101"));
  EXPECT_EQ(seen_.sessions, 0);
}

TEST_F(WebSocketTest, AnswersTheClientsGoodbye) {
  start();
  RawClient client = open();
  const std::string heard = client.say(frame(Opcode::close, goodbye(4000, "done"))).hear_all();
  EXPECT_EQ(heard.substr(0, 1) + heard.substr(2, 2), plain(Opcode::close, "").substr(0, 1) + goodbye(4000));
  EXPECT_TRUE(soon([this] { return seen_.ended == 1; }));
  EXPECT_EQ(seen_.code, 4000);
  client.hang_up();
  EXPECT_TRUE(soon([this] { return open_connections() == 0; }));
}

TEST_F(WebSocketTest, SaysGoodbyeWithItsReason) {
  start();
  RawClient client = open();
  client.say(frame(Opcode::text, "close"));
  const std::string bye = plain(Opcode::close, goodbye(4001, std::string(120, 'y')));
  EXPECT_EQ(client.hear_until(bye), bye) << "cut so that it fits";
  client.say(frame(Opcode::close, goodbye(4001)));
  EXPECT_TRUE(client.is_closed());
}

TEST_F(WebSocketTest, TakesTheFirstOfTwoGoodbyes) {
  start();
  RawClient client = connect();
  const std::string bye = plain(Opcode::close, goodbye(4001));
  EXPECT_TRUE(client.say(handshake("/quarrel")).hear_until(bye).ends_with("\r\n\r\n" + bye));
  client.say(frame(Opcode::close, goodbye(4001)));
  EXPECT_TRUE(client.is_closed());
  EXPECT_TRUE(soon([this] { return seen_.ended == 2; }));
  EXPECT_TRUE(soon([this] { return seen_.code == 1; })) << "the read ended in order";
}

TEST_F(WebSocketTest, SaysGoodbyeWhenTheSessionReturns) {
  start();
  RawClient client = open();
  const std::string bye = plain(Opcode::close, goodbye(1000));
  EXPECT_EQ(client.say(frame(Opcode::text, "leave")).hear_until(bye), bye);
}

TEST_F(WebSocketTest, DoesNotWaitForeverForTheAnswerToItsGoodbye) {
  WebSocketOptions options;
  options.close = milliseconds(100);
  start(options);
  RawClient client = open();
  client.say(frame(Opcode::text, "leave"));
  EXPECT_TRUE(soon([this] { return open_connections() == 0; }));
}

TEST_F(WebSocketTest, WaitsForAPeerThatDoesNotCloseNoLongerThanItSays) {
  WebSocketOptions options;
  options.close = milliseconds(100);
  start(options);
  RawClient client = open();
  client.say(frame(Opcode::close, goodbye(1000)));
  EXPECT_TRUE(soon([this] { return open_connections() == 0; }));
}

TEST_F(WebSocketTest, RefusesAMessageThatIsTooLarge) {
  WebSocketOptions options;
  options.max_message = Bytes(1000);
  start(options);
  RawClient whole = open();
  const std::string bye = plain(Opcode::close, goodbye(1009));
  whole.say(frame(Opcode::binary, std::string(1001, 'x')).substr(0, 20));  // its head says enough
  EXPECT_EQ(whole.hear_until(bye).substr(0, 4), bye.substr(0, 4));
  EXPECT_TRUE(soon([this] { return seen_.error == ErrorCode::resource_exhausted; }));
  RawClient pieces = open();
  pieces.say(frame(Opcode::binary, std::string(600, 'x'), 0) + frame(Opcode::more, std::string(600, 'x')));
  EXPECT_EQ(pieces.hear_until(bye).substr(0, 4), bye.substr(0, 4));
}

struct Hostile {
  const char* why;
  std::string octets;
  unsigned code;
};

class WebSocketRefuses : public WebSocketTest, public testing::WithParamInterface<Hostile> {};

TEST_P(WebSocketRefuses, AndSaysWhy) {
  start();
  RawClient client = open();
  const std::string heard = client.say(GetParam().octets).hear_some();
  EXPECT_EQ(heard.substr(2, 2), goodbye(GetParam().code)) << GetParam().why;
  EXPECT_TRUE(soon([this] { return seen_.ended == 1; }));
  EXPECT_EQ(seen_.error, ErrorCode::invalid_argument) << GetParam().why;
  client.hang_up();
  EXPECT_TRUE(soon([this] { return open_connections() == 0; }));
}

INSTANTIATE_TEST_SUITE_P(
    Hostile, WebSocketRefuses,
    testing::Values(Hostile{"no mask", plain(Opcode::text, "hello"), 1002},
                    Hostile{"a reserved bit", "\xc1" + frame(Opcode::text, "hello").substr(1), 1002},
                    Hostile{"an unknown opcode", "\x83" + frame(Opcode::text, "hello").substr(1), 1002},
                    Hostile{"a continuation of nothing", frame(Opcode::more, "hello"), 1002},
                    Hostile{"a message within a message", frame(Opcode::text, "he", 0) + frame(Opcode::text, "llo"),
                            1002},
                    Hostile{"a ping in fragments", frame(Opcode::ping, "hello", 0), 1002},
                    Hostile{"a large ping", frame(Opcode::ping, std::string(126, 'x')), 1002},
                    Hostile{"text that is not UTF-8", frame(Opcode::text, "\xff\xfe"), 1007},
                    Hostile{"half a close code", frame(Opcode::close, "x"), 1002},
                    Hostile{"a close code that is never sent", frame(Opcode::close, goodbye(1005)), 1002},
                    Hostile{"a size in more octets than it needs", std::string("\x82\xfe\x00\x01mask1", 9), 1002}),
    [](const auto& row) { return "Case" + std::to_string(row.index); });

TEST_F(WebSocketTest, PingsAPeerThatIsSilentAndGivesUpOneThatIsDead) {
  WebSocketOptions options;
  options.ping = milliseconds(100);
  start(options);
  RawClient alive = open();
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(alive.hear_some().substr(0, 1), plain(Opcode::ping, "").substr(0, 1)) << i;
    alive.say(frame(Opcode::pong, ""));
  }
  EXPECT_EQ(seen_.ended, 0);
  EXPECT_TRUE(soon([this] { return seen_.ended == 1; })) << "it answers no more";
  EXPECT_EQ(seen_.error, ErrorCode::deadline_exceeded);
  EXPECT_TRUE(soon([this] { return open_connections() == 0; }));
}

TEST_F(WebSocketTest, EndsWithAPeerThatVanishes) {
  start();
  RawClient client = open();
  client.say(frame(Opcode::text, "half", 0));
  client.hang_up();
  EXPECT_TRUE(soon([this] { return seen_.ended == 1; }));
  EXPECT_EQ(seen_.error, ErrorCode::unavailable);
  EXPECT_TRUE(soon([this] { return open_connections() == 0; }));
}

TEST_F(WebSocketTest, SendsNoMoreThanThePeerTakes) {
  start();
  RawClient client = open("/talk");
  ASSERT_TRUE(soon([this] { return seen_.sent > 0; }));
  int before = -1;
  while (before != seen_.sent) {
    before = seen_.sent;
    std::this_thread::sleep_for(milliseconds(100));
  }
  EXPECT_LT(before, 400) << "what the kernel keeps";
  client.hang_up();
  EXPECT_TRUE(soon([this] { return seen_.ended == 1; })) << "its task ends, too";
  EXPECT_TRUE(soon([this] { return open_connections() == 0; }));
}

TEST_F(WebSocketTest, GoesAwayWhenTheServerShutsDown) {
  start();
  RawClient client = open();
  ASSERT_TRUE(soon([this] { return seen_.sessions == 1; }));
  on_loop([] { return true; });  // and it reads
  io::spawn(loop_, server_->shutdown(milliseconds(20)));
  EXPECT_EQ(client.hear_all(), plain(Opcode::close, goodbye(1001)));
  EXPECT_TRUE(soon([this] { return seen_.ended == 1; }));
  EXPECT_EQ(seen_.error, ErrorCode::cancelled);
}

TEST_F(WebSocketTest, GoesAwayWithItsLoopWhileOpen) {
  start();
  const RawClient idle = open();
  RawClient full = open("/talk");
  EXPECT_TRUE(soon([this] { return seen_.sent > 0; }));
  loop_.stop();
  thread_.join();
  server_.reset();
}

TEST_F(WebSocketTest, RefusesWhatDoesNotAskForOne) {
  start();
  for (const std::string& request :
       {get("/echo"), "POST" + handshake("/echo").substr(3), handshake("/echo", "12"),
        get("/echo", "Upgrade: websocket\r\n"), get("/echo", "Connection: Upgrade\r\nUpgrade: h2c\r\n")}) {
    RawClient client = connect();
    const std::string answer = client.say(request).hear_until("spoken here");
    EXPECT_TRUE(has_status(answer, 426)) << answer;
    EXPECT_TRUE(has(answer, "Upgrade: websocket\r\n")) << answer;
    EXPECT_TRUE(has(answer, "Connection: Upgrade\r\n")) << answer;
    EXPECT_TRUE(has(answer, "Sec-WebSocket-Version: 13\r\n")) << answer;
  }
  for (const char* key : {"", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ",
                          "dGhlIHNhbXBsZSBub25j!Q==", "dGhlIHNhbXBsZSBub25jZQ==dGhlIHNhbXBsZSBub25jZQ=="}) {
    const std::string answer = connect().say(handshake("/echo", "13", key)).hear_until("base64");
    EXPECT_TRUE(has_status(answer, 400)) << answer;
  }
  EXPECT_EQ(seen_.sessions, 0);
}

// ---- The client's end, against our server

// Sends `messages` and puts together what comes back.
io::Task<std::string> converse(Endpoint endpoint, ClientRequest request, std::vector<WebSocketMessage> messages) {
  LMSB_CO_TRY(WebSocketOpening opening, co_await open_web_socket(std::move(endpoint), std::move(request)));
  if (!opening.socket) co_return std::to_string(opening.refusal.status) + " " + opening.refusal.body;
  std::string heard;
  for (WebSocketMessage& message : messages) {
    LMSB_CO_CHECK(co_await opening.socket->send(std::move(message)));
    LMSB_CO_TRY(const auto back, co_await opening.socket->read());
    if (!back) co_return heard + "closed " + std::to_string(opening.socket->close_reason().code);
    heard += (back->is_text ? "text " : "binary ") + back->data + "\n";
  }
  LMSB_CO_CHECK(co_await opening.socket->close());
  co_return heard;
}

TEST_F(WebSocketTest, IsOpenedByItsOwnClientByTcpAndAUnixSocket) {
  start();
  const TemporaryDirectory directory;
  const std::string path = directory.path + "/api.sock";
  ASSERT_TRUE(on_loop([&] { return server_->listen_unix(path, 0600).ok(); }));
  const std::vector<WebSocketMessage> messages{WebSocketMessage::text("a"), WebSocketMessage::binary("b")};
  for (const std::string& url : {"http://" + bound_, "unix:" + path}) {
    const ClientRequest request("GET", "/echo");
    const Result<std::string> heard = io::run_blocking(converse(*Endpoint::parse(url), request, messages));
    ASSERT_TRUE(heard.ok()) << heard.error().message();
    EXPECT_EQ(*heard, "text a\nbinary b\n") << url;
  }
  EXPECT_TRUE(soon([this] { return seen_.ended == 2; }));
  EXPECT_EQ(seen_.code, CloseReason::kNormal);
}

TEST_F(WebSocketTest, TellsItsClientOfAGoodbye) {
  start();
  const std::vector<WebSocketMessage> messages{WebSocketMessage::text("leave")};
  const Endpoint endpoint = *Endpoint::parse("http://" + bound_);
  const Result<std::string> heard = io::run_blocking(converse(endpoint, ClientRequest("GET", "/echo"), messages));
  ASSERT_TRUE(heard.ok()) << heard.error().message();
  EXPECT_EQ(*heard, "closed 1000");
}

TEST_F(WebSocketTest, TellsItsClientWhatTheServerAnswersInstead) {
  start_with(ServerLimits(), [](Request request) -> io::Always<Response> {
    co_return Response::text(403, request.headers.find("X-API-Key") ? "not yours" : "no key");
  });
  ClientRequest request("GET", "/echo");
  request.headers.set("X-API-Key", "k");
  const Result<std::string> heard = io::run_blocking(converse(*Endpoint::parse("http://" + bound_), request, {}));
  ASSERT_TRUE(heard.ok()) << heard.error().message();
  EXPECT_EQ(*heard, "403 not yours");
}

TEST_F(WebSocketTest, NamesTheServerThatCannotBeReached) {
  const Endpoint endpoint = *Endpoint::parse("unix:/nonexistent/api.sock");
  const Result<std::string> heard = io::run_blocking(converse(endpoint, ClientRequest("GET", "/echo"), {}));
  ASSERT_FALSE(heard.ok());
  EXPECT_EQ(heard.error().code(), ErrorCode::unavailable);
  EXPECT_TRUE(has(heard.error().message(), "WebSocket \"/echo\" of unix:/nonexistent/api.sock"))
      << heard.error().message();
}

}  // namespace
}  // namespace lmsb::http
