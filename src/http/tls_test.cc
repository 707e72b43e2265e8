#include "http/tls.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <fcntl.h>
#include <memory>
#include <mutex>
#include <optional>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <boost/asio/this_coro.hpp>
#include <gtest/gtest.h>

#include "http/client.h"
#include "http/test_bracketing.h"
#include "http/test_support.h"
#include "http/tls_test_support.h"
#include "http/tunnel_answer.h"
#include "http/upgrade.h"
#include "http/websocket.h"
#include "io/run_blocking.h"
#include "io/spawn.h"
#include "io/stream.h"

namespace lmsb::http {
namespace {

using namespace std::chrono_literals;

std::string why_not(const TlsIdentity& identity) {
  const auto made = TlsContext::of_server(identity);
  return made.ok() ? "" : made.error().message();
}

TEST(TlsContext, TakesACertificateAndItsKey) {
  const TestCertificate certificate;
  const auto made = TlsContext::of_server(certificate.identity());
  ASSERT_TRUE(made.ok()) << made.error().message();
  const auto left = (*made)->expires_at() - std::chrono::system_clock::now();
  EXPECT_GT(left, 500s);
  EXPECT_LE(left, 601s);
}

TEST(TlsContext, TakesTheCertificatesBehindItsOwn) {
  const TestCertificate certificate;
  const TestCertificate authority;
  TlsIdentity identity = certificate.identity();
  identity.certificates += authority.certificate_pem();
  EXPECT_EQ(why_not(identity), "");
}

TEST(TlsContext, SaysWhichFileIsWrongAndWhat) {
  const TestCertificate certificate;
  const TestCertificate other;
  TlsIdentity identity = certificate.identity();
  identity.certificates = "not a certificate\n";
  EXPECT_EQ(why_not(identity), "cert.pem: there is no certificate in it (PEM: -----BEGIN CERTIFICATE-----)");
  identity.certificates = certificate.certificate_pem().substr(0, 200);
  EXPECT_TRUE(has(why_not(identity), "cert.pem: certificate 1 cannot be read"));
  identity.certificates = certificate.certificate_pem() + certificate.certificate_pem().substr(0, 200);
  EXPECT_TRUE(has(why_not(identity), "cert.pem: certificate 2 cannot be read"));
  identity = certificate.identity();
  identity.key = Secret("");
  EXPECT_EQ(why_not(identity), "key.pem: there is no private key in it (PEM: -----BEGIN PRIVATE KEY-----)");
  identity.key = Secret(other.key_pem());
  EXPECT_EQ(why_not(identity), "key.pem: the key is not that of the certificate in cert.pem");
  identity.key = Secret(certificate.key_pem_with_passphrase());
  EXPECT_EQ(why_not(identity), "key.pem: the key has a passphrase, and nobody is there to type it");
  std::swap(identity.certificates_name, identity.key_name);
  identity.certificates = certificate.key_pem();
  EXPECT_TRUE(has(why_not(identity), "key.pem: there is no certificate in it"));
}

TEST(TlsContext, RefusesACertificateThatIsNotValidNow) {
  const TestCertificate expired("DNS:localhost", -600, -60);
  EXPECT_TRUE(has(why_not(expired.identity()), "cert.pem: the certificate has expired: 20"));
  const TestCertificate early("DNS:localhost", 600, 6000);
  EXPECT_TRUE(has(why_not(early.identity()), "cert.pem: the certificate is not valid before 20"));
}

// ---- One session at each end of a pair of sockets

struct Pair {
  Pair() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()), 0);
    left.reset(ends[0]);
    right.reset(ends[1]);
    const int small = 4096;
    ::setsockopt(left.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    server = TlsSession::of_server(*certificate.context(), left);
    client = *TlsSession::of_client(**TlsContext::of_client(certificate.path), right, "localhost");
    for (int i = 0; i < 8; ++i) {
      (void)client->shake_hands();
      last = server->shake_hands();
    }
  }
  // All that is there.
  std::string hear() {
    std::string all;
    std::array<char, 1000> room{};
    std::size_t count = 0;
    while ((last = client->read(room.data(), room.size(), count)) == TlsSession::Step::done)
      all.append(room.data(), count);
    return all;
  }
  const TestCertificate certificate;
  UniqueFd left, right;
  std::unique_ptr<TlsSession> server;
  std::unique_ptr<TlsSession> client;
  TlsSession::Step last = TlsSession::Step::failed;
};

TEST(TlsSession, TakesANameInTheExtensionForItAndAWholeLabelForAStar) {
  const auto is_taken = [](const std::string& names, const std::string& subject, const std::string& host) {
    const TestCertificate certificate(names, -60, 600, subject);
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()), 0);
    const UniqueFd left(ends[0]);
    const UniqueFd right(ends[1]);
    const auto server = TlsSession::of_server(*certificate.context(), left);
    const auto client = *TlsSession::of_client(**TlsContext::of_client(certificate.path), right, host);
    TlsSession::Step step = TlsSession::Step::failed;
    for (int i = 0; i < 8; ++i) {
      step = client->shake_hands();
      (void)server->shake_hands();
    }
    return step == TlsSession::Step::done;
  };
  EXPECT_TRUE(is_taken("DNS:api.example", "", "api.example"));
  EXPECT_TRUE(is_taken("DNS:*.api.example", "other.example", "a.api.example"));
  EXPECT_FALSE(is_taken("DNS:a*.api.example", "", "ab.api.example"));
  EXPECT_FALSE(is_taken("IP:45.67.0.1", "api.example", "api.example")) << "that is the subject's alone";
}

TEST(TlsSession, LosesNothingToASocketThatIsFull) {
  Pair pair;
  ASSERT_EQ(pair.last, TlsSession::Step::done);
  const std::string head = "head ";
  std::string body(200'000, 'x');
  for (std::size_t i = 0; i < body.size(); i += 1000) body[i] = static_cast<char>('a' + i / 1000 % 26);
  Gather out;
  out.add(head);
  out.add(body);
  std::string heard;
  Gather::Sent sent = pair.server->send_now(out);
  EXPECT_EQ(sent, Gather::Sent::full);
  for (int i = 0; i < 1000 && sent == Gather::Sent::full; ++i) {
    heard += pair.hear();
    sent = pair.server->send_now(out);
  }
  EXPECT_EQ(sent, Gather::Sent::all);
  EXPECT_EQ(heard + pair.hear(), head + body);
}

TEST(TlsSession, WhatIsSentAsideComesBeforeWhatFollowsOrNotAtAll) {
  Pair pair;
  pair.server->send_aside("aside ");
  Gather out;
  out.add("and on");
  EXPECT_EQ(pair.server->send_now(out), Gather::Sent::all);
  EXPECT_EQ(pair.hear(), "aside and on");

  const std::string body(200'000, 'x');
  Gather much;
  much.add(body);
  EXPECT_EQ(pair.server->send_now(much), Gather::Sent::full);
  pair.server->send_aside("lost");  // into the middle of it
  std::string heard;
  Gather::Sent sent = Gather::Sent::full;
  for (int i = 0; i < 1000 && sent == Gather::Sent::full; ++i) {
    heard += pair.hear();
    sent = pair.server->send_now(much);
  }
  EXPECT_EQ(heard + pair.hear(), body);
}

TEST(TlsSession, WhatIsSentAsideIntoAFullSocketIsSentLater) {
  Pair pair;
  const int plain = pair.left.get();
  const std::string filler(1000, 'f');
  std::size_t filled = 0;
  for (ssize_t sent = 0; (sent = ::send(plain, filler.data(), filler.size(), MSG_DONTWAIT)) > 0;)
    filled += static_cast<std::size_t>(sent);
  pair.server->send_aside("aside ");
  Gather out;
  out.add("and on");
  EXPECT_EQ(pair.server->send_now(out), Gather::Sent::full);
  std::string drained(filled, '\0');
  EXPECT_EQ(::recv(pair.right.get(), drained.data(), drained.size(), MSG_WAITALL),
            static_cast<ssize_t>(drained.size()));
  EXPECT_EQ(pair.server->send_now(out), Gather::Sent::all);
  EXPECT_EQ(pair.hear(), "aside and on");
}

TEST(TlsSession, TellsAGoodbyeFromAnEnd) {
  Pair orderly;
  orderly.server->say_goodbye();
  orderly.hear();
  EXPECT_EQ(orderly.last, TlsSession::Step::ended);
  Pair cut;
  cut.left.reset();
  cut.hear();
  EXPECT_EQ(cut.last, TlsSession::Step::failed);
}

TEST(TlsSession, SaysNoGoodbyeBehindWhatIsHalfSent) {
  Pair pair;
  const std::string body(200'000, 'x');
  Gather much;
  much.add(body);
  EXPECT_EQ(pair.server->send_now(much), Gather::Sent::full);
  pair.hear();  // there is room for a goodbye then
  EXPECT_EQ(pair.server->say_goodbye(), TlsSession::Step::failed);
  pair.left.reset();
  pair.hear();
  EXPECT_EQ(pair.last, TlsSession::Step::failed);
}

TEST(TlsSession, SaysItsGoodbyeLaterToASocketThatIsFull) {
  Pair pair;
  const std::string filler(1000, 'f');
  std::size_t filled = 0;
  for (ssize_t sent = 0; (sent = ::send(pair.left.get(), filler.data(), filler.size(), MSG_DONTWAIT)) > 0;)
    filled += static_cast<std::size_t>(sent);
  EXPECT_EQ(pair.server->say_goodbye(), TlsSession::Step::wants_write);
  std::string drained(filled, '\0');
  EXPECT_EQ(::recv(pair.right.get(), drained.data(), drained.size(), MSG_WAITALL), static_cast<ssize_t>(filled));
  EXPECT_EQ(pair.server->say_goodbye(), TlsSession::Step::done);
  pair.hear();
  EXPECT_EQ(pair.last, TlsSession::Step::ended);
}

TEST(TlsSession, ReadsWhatWasSaidBeforeTheOtherEndTookNothingMore) {
  Pair pair;
  Gather last;
  last.add("last words");
  EXPECT_EQ(pair.server->send_now(last), Gather::Sent::all);
  ::shutdown(pair.right.get(), SHUT_WR);  // as if the socket were broken
  Gather more;
  more.add("more");
  EXPECT_EQ(pair.client->send_now(more), Gather::Sent::failed);
  EXPECT_EQ(pair.hear(), "last words");
}

// A client of OpenSSL's own at one end of a pair of sockets.
struct Restless {
  Restless() : context(SSL_CTX_new(TLS_client_method())), ssl(SSL_new(context)) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()), 0);
    left.reset(ends[0]);
    right.reset(ends[1]);
    server = TlsSession::of_server(*certificate.context(), left);
    SSL_set_fd(ssl, right.get());
    SSL_set_connect_state(ssl);
    for (int i = 0; i < 8; ++i) {
      (void)SSL_do_handshake(ssl);
      (void)server->shake_hands();
    }
  }
  ~Restless() {
    SSL_free(ssl);
    SSL_CTX_free(context);
  }
  Restless(const Restless&) = delete;
  Restless& operator=(const Restless&) = delete;
  // False: the socket is full.
  bool change_keys() {
    ERR_clear_error();
    return SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1 && SSL_do_handshake(ssl) == 1;
  }

  const TestCertificate certificate;
  UniqueFd left, right;
  std::unique_ptr<TlsSession> server;
  SSL_CTX* context;
  SSL* ssl;
};

TEST(TlsSession, IsNotHeldByWhoChangesKeysWithoutEnd) {
  Restless client;
  int changes = 0;
  while (changes < 200 && client.change_keys()) ++changes;
  ASSERT_GT(changes, 60);
  std::array<char, 100> room{};
  std::size_t count = 0;
  pollfd rest{client.left.get(), POLLIN, 0};
  EXPECT_EQ(client.server->read(room.data(), room.size(), count), TlsSession::Step::wants_read);
  EXPECT_EQ(::poll(&rest, 1, 0), 1) << "one call has read all of them";
  for (int i = 0; i < changes && ::poll(&rest, 1, 0) == 1; ++i)
    EXPECT_EQ(client.server->read(room.data(), room.size(), count), TlsSession::Step::wants_read);
  EXPECT_EQ(::poll(&rest, 1, 0), 0);
}

// ---- The server

// "one" and "two".
class Pieces final : public BodySource {
 public:
  explicit Pieces(bool fails) : fails_(fails) {}
  io::Task<std::string> next() override {
    ++asked_;
    if (asked_ == 1) co_return std::string("one");
    if (asked_ == 2) co_return std::string("two");
    if (fails_) co_return Error(ErrorCode::internal, "broken");
    co_return std::string();
  }

 private:
  const bool fails_;
  int asked_ = 0;
};

class Relayed final : public BodySource {
 public:
  Relayed() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    read_.reset(ends[0]);
    write_.reset(ends[1]);
    io::PipeRelay::widen(write_);
  }
  io::Task<std::string> next() override { co_return Error(ErrorCode::internal, "a relay is used"); }
  io::Task<BodyPiece> next_piece() override {
    BodyPiece piece;
    if (++pieces_ > 8) co_return piece;
    const std::string octets(1000 * 1000, 'r');
    EXPECT_EQ(::write(write_.get(), octets.data(), octets.size()), static_cast<ssize_t>(octets.size()));
    EXPECT_EQ(relay_->take_now(read_, octets.size()), static_cast<ssize_t>(octets.size()));
    piece.relay = relay_;
    co_return piece;
  }

 private:
  int pieces_ = 0;
  UniqueFd read_, write_;
  std::shared_ptr<io::PipeRelay> relay_ = *io::PipeRelay::make();
};

class Echo final : public BodySource {
 public:
  explicit Echo(std::shared_ptr<BodyReader> from) : from_(std::move(from)) {}
  io::Task<std::string> next() override { return from_->read(); }

 private:
  std::shared_ptr<BodyReader> from_;
};

// Writes as long as somebody takes it.
class Flooding final : public Upgrade {
 public:
  io::Always<void> run(TakenOver taken) override {
    const auto loop = co_await boost::asio::this_coro::executor;
    io::FdStream stream(loop, std::move(taken.socket));
    const std::string much(100'000, 'f');
    for (Status said = co_await stream.write_all(taken.head); said.ok();) said = co_await stream.write_all(much);
  }
};

class Shouting final : public WebSocketSession {
 public:
  io::Always<void> run(WebSocket socket) override {
    while (true) {
      auto message = co_await socket.read();
      if (!message.ok() || !*message) co_return;
      WebSocketMessage answer = WebSocketMessage::text((*message)->data + "!");
      const Status sent = co_await socket.send(std::move(answer));
      if (!sent.ok()) co_return;
    }
  }
};

Response with_source(std::shared_ptr<BodySource> source) {
  Response response;
  response.source = std::move(source);
  return response;
}

io::Always<Response> serve(Request request) {
  if (request.path == "/whole") co_return Response::text(200, std::string(300'000, 'w'));
  if (request.path == "/pieces" || request.path == "/broken")
    co_return with_source(std::make_shared<Pieces>(request.path == "/broken"));
  if (request.path == "/relayed") co_return with_source(std::make_shared<Relayed>());
  if (request.path == "/echo") co_return with_source(std::make_shared<Echo>(request.incoming));
  if (request.path == "/brackets") {
    Response response;
    response.status = 101;
    response.headers.set("Upgrade", "brackets");
    response.upgrade = std::make_shared<Bracketing>();
    co_return response;
  }
  if (request.path == "/flood") {
    Response response;
    response.status = 101;
    response.headers.set("Upgrade", "flood");
    response.upgrade = std::make_shared<Flooding>();
    co_return response;
  }
  if (request.path == "/shout") {
    if (check_web_socket(request)) co_return Response::text(426, "no");
    co_return web_socket_answer(request, std::make_shared<Shouting>());
  }
  co_return Response::text(200, request.path + " " + (request.peer.is_tls ? "by TLS" : "plain") + " " + request.body);
}

std::optional<Bytes> streams(const Request& request) {
  if (request.path == "/echo") return Bytes::GiB(1);
  return std::nullopt;
}

// How many of these there are behind the head.
std::ptrdiff_t body_octets(const std::string& answer, char octet) {
  const std::size_t head = std::min(answer.find("\r\n\r\n"), answer.size());
  return std::count(answer.begin() + static_cast<std::ptrdiff_t>(head), answer.end(), octet);
}

class TlsServer : public ServerFixture {
 protected:
  explicit TlsServer(ServerLimits limits = {}) {
    ::signal(SIGPIPE, SIG_IGN);  // as the program does
    start_with(limits, serve, streams);
    use(certificate_);
  }
  void use(const TestCertificate& certificate) {
    on_loop([&] {
      server_->use_tls(certificate.context());
      return true;
    });
  }
  Endpoint endpoint() {
    Endpoint endpoint = *Endpoint::parse("https://localhost:" + bound_.substr(bound_.rfind(':') + 1));
    endpoint.ca_file = certificate_.path;
    return endpoint;
  }
  TestCertificate certificate_;
};

TEST_F(TlsServer, AnswersOneRequestAfterTheOther) {
  TlsClient client(bound_);
  ASSERT_TRUE(client.is_connected()) << client.failure();
  EXPECT_EQ(client.version(), "TLSv1.3");
  EXPECT_TRUE(has(client.say(get("/a")).hear_until("by TLS "), "/a by TLS "));
  EXPECT_TRUE(has(client.say(get("/b")).hear_until("by TLS "), "/b by TLS "));
  EXPECT_TRUE(has(client.say(get("/c", kClose)).hear_all(), "/c by TLS "));
  EXPECT_EQ(client.end(), TlsClient::End::goodbye);
}

TEST_F(TlsServer, AnswersRequestsThatComeInOneRecord) {
  TlsClient client(bound_);
  const std::string all = client.say(get("/a") + get("/b") + get("/c", kClose)).hear_all();
  EXPECT_TRUE(has(all, "/a by TLS") && has(all, "/b by TLS") && has(all, "/c by TLS")) << all;
}

TEST_F(TlsServer, SpeaksTls12AndNothingOlder) {
  TlsClient older(bound_, TLS1_2_VERSION);
  ASSERT_TRUE(older.is_connected()) << older.failure();
  EXPECT_EQ(older.version(), "TLSv1.2");
  EXPECT_TRUE(has(older.say(get("/a", kClose)).hear_all(), "/a by TLS"));
  const TlsClient too_old(bound_, TLS1_1_VERSION);
  EXPECT_FALSE(too_old.is_connected());
  EXPECT_EQ(too_old.failure(), "tlsv1 alert protocol version");
}

TEST_F(TlsServer, AgreesOnHttp11AndOnNothingElse) {
  using namespace std::string_view_literals;
  EXPECT_EQ(TlsClient(bound_, TLS1_3_VERSION, "\2h2\10http/1.1"sv).protocol(), "http/1.1");
  const TlsClient other(bound_, TLS1_3_VERSION, "\2h2"sv);
  EXPECT_FALSE(other.is_connected());
}

TEST_F(TlsServer, TellsWhoSpeaksPlainHttpWhatIsSpokenHere) {
  for (const std::string& request : {get("/a"), std::string("POST /run HTTP/1.1\r\n")}) {
    const std::string answer = ask(request);
    EXPECT_TRUE(has_status(answer, 400)) << answer;
    EXPECT_TRUE(has(answer, "this port speaks HTTPS: its address begins with https://")) << answer;
  }
}

TEST_F(TlsServer, SpeaksPlainHttpOnItsUnixSocket) {
  const TemporaryDirectory directory;
  const std::string path = directory.path + "/api.sock";
  ASSERT_TRUE(on_loop([&] { return server_->listen_unix(path, 0600); }).ok());
  RawClient client(*to_unix_address(path));
  EXPECT_TRUE(has(client.say(get("/a", kClose)).hear_all(), "/a plain"));
}

TEST_F(TlsServer, ShowsANewCertificateToNewConnectionsAlone) {
  const TestCertificate fresh;
  TlsClient open(bound_);
  EXPECT_TRUE(open.meets(certificate_));
  use(fresh);
  const TlsClient later(bound_);
  EXPECT_TRUE(later.meets(fresh));
  EXPECT_TRUE(has(open.say(get("/a", kClose)).hear_all(), "/a by TLS"));
}

TEST_F(TlsServer, SendsBodiesOfEveryKindWhole) {
  EXPECT_TRUE(has(TlsClient(bound_).say(get("/whole", kClose)).hear_all(), std::string(300'000, 'w')));
  EXPECT_TRUE(
      has(TlsClient(bound_).say(get("/pieces", kClose)).hear_all(), "\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"));
  const std::string relayed = TlsClient(bound_).say(get("/relayed", kClose)).hear_all();
  EXPECT_EQ(body_octets(relayed, 'r'), 8'000'000);
  EXPECT_TRUE(relayed.ends_with("\r\n0\r\n\r\n"));
}

TEST_F(TlsServer, ABodyThatEndsWithTheConnectionEndsWithAGoodbyeOnlyWhenItIsWhole) {
  TlsClient whole(bound_);
  EXPECT_TRUE(whole.say("GET /pieces HTTP/1.0\r\n\r\n").hear_all().ends_with("\r\n\r\nonetwo"));
  EXPECT_EQ(whole.end(), TlsClient::End::goodbye);
  TlsClient broken(bound_);
  broken.say("GET /broken HTTP/1.0\r\n\r\n").hear_all();
  EXPECT_EQ(broken.end(), TlsClient::End::cut_off);
}

TEST_F(TlsServer, AsksForABodyThatWaitsToBeAskedFor) {
  TlsClient client(bound_);
  client.say("POST /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_TRUE(has_status(client.hear_until("\r\n\r\n"), 100));
  EXPECT_TRUE(has(client.say("body").hear_all(), "/x by TLS body"));
}

TEST_F(TlsServer, EchoesALargeBodyWhileItComes) {
  TlsClient client(bound_);
  const std::string piece(1U << 20U, 'e');
  client.say("POST /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: " + std::to_string(piece.size()) +
             "\r\n\r\n");
  std::string heard;
  std::thread sender([&] { client.say(piece); });
  while (!heard.ends_with("\r\n0\r\n\r\n")) {
    const std::string more = client.hear_some();
    if (more.empty()) break;
    heard += more;
  }
  sender.join();
  EXPECT_EQ(body_octets(heard, 'e'), static_cast<std::ptrdiff_t>(piece.size()));
}

TEST_F(TlsServer, EndsWhatItDoesForAClientThatBreaksOffInABody) {
  TlsClient client(bound_);
  client.say("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\npart").hear_until("part");
  EXPECT_EQ(open_connections(), 1U);
  client.hang_up();
  EXPECT_TRUE(soon([this] { return open_connections() == 0; }));
}

TEST_F(TlsServer, GivesAConnectionAway) {
  TlsClient client(bound_);
  client.say("GET /brackets HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: brackets\r\n\r\nahead");
  EXPECT_TRUE(has(client.hear_until("]"), "\r\n\r\n[ahead]"));
  EXPECT_EQ(client.say("more").hear_until("]"), "[more]");
  EXPECT_EQ(client.say("q").hear_all(), "bye");
  EXPECT_EQ(client.end(), TlsClient::End::goodbye);
  client.hang_up();
  EXPECT_TRUE(soon([this] { return open_connections() == 0; }));
}

TEST_F(TlsServer, AConnectionThatWasGivenAwayEndsWithItsClient) {
  TlsClient client(bound_);
  client.say("GET /brackets HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: brackets\r\n\r\n").hear_until("]");
  EXPECT_EQ(open_connections(), 1U);
  client.hang_up();
  EXPECT_TRUE(soon([this] { return open_connections() == 0; }));
}

TEST_F(TlsServer, EndsAConnectionThatWasGivenAwayAlthoughItsClientTakesNothing) {
  TlsClient client(bound_);
  client.say("GET /flood HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: flood\r\n\r\n").hear_until("ff");
  on_loop([this] {
    io::spawn(loop_, server_->shutdown(60s));  // those that were given away are told at once
    return true;
  });
  EXPECT_TRUE(soon([this] { return open_connections() == 0; }));
}

// ---- Our own client against it

io::Task<std::string> shout(Endpoint endpoint) {
  ClientRequest request("GET", "/shout");
  LMSB_CO_TRY(auto opening, co_await open_web_socket(std::move(endpoint), std::move(request)));
  if (!opening.socket) co_return Error(ErrorCode::internal, "refused");
  WebSocketMessage message = WebSocketMessage::text("hey");
  LMSB_CO_CHECK(co_await opening.socket->send(std::move(message)));
  LMSB_CO_TRY(const auto answer, co_await opening.socket->read());
  LMSB_CO_CHECK(co_await opening.socket->close());
  co_return answer ? answer->data : "closed";
}

TEST_F(TlsServer, SpeaksWebSocketWithOurClient) {
  const auto heard = io::run_blocking(shout(endpoint()));
  ASSERT_TRUE(heard.ok()) << heard.error().message();
  EXPECT_EQ(*heard, "hey!");
}

io::Task<std::string> bracket(Endpoint endpoint) {
  ClientRequest request("GET", "/brackets");
  request.upgrade = "brackets";
  LMSB_CO_TRY(auto opening, co_await open_upgrade(std::move(endpoint), std::move(request)));
  if (!opening.connection) co_return Error(ErrorCode::internal, "refused");
  const auto loop = co_await boost::asio::this_coro::executor;
  UniqueFd socket(::dup(opening.connection->socket.fd().get()));
  std::string heard = opening.connection->read_ahead;
  opening.connection.reset();
  io::FdStream stream(loop, std::move(socket));
  LMSB_CO_CHECK(co_await stream.write_all("q"));
  LMSB_CO_TRY(const std::string rest, co_await stream.read_all(Bytes::KiB(1)));
  co_return heard + rest;
}

TEST_F(TlsServer, ChangesTheProtocolWithOurClient) {
  const auto heard = io::run_blocking(bracket(endpoint()));
  ASSERT_TRUE(heard.ok()) << heard.error().message();
  EXPECT_EQ(*heard, "[]bye");
}

TEST_F(TlsServer, AnswersOurClientWhatIsLarge) {
  ClientRequest request("POST", "/x", std::string(3'000'000, 'b'));
  const auto response = fetch_blocking(endpoint(), request);
  ASSERT_TRUE(response.ok()) << response.error().message();
  EXPECT_EQ(response->body.size(), 3'000'000 + std::string("/x by TLS ").size());
}

TEST_F(TlsServer, TellsWhyAHandshakeFailed) {
  std::mutex mutex;
  std::vector<std::string> told;
  on_loop([&] {
    server_->when_handshake_fails([&](const Error& why) {
      const std::lock_guard lock(mutex);
      told.push_back(why.message());
    });
    return true;
  });
  EXPECT_FALSE(TlsClient(bound_, TLS1_1_VERSION).is_connected());
  EXPECT_TRUE(has(TlsClient(bound_).say(get("/a", kClose)).hear_all(), "/a by TLS"));
  EXPECT_TRUE(soon([&] {
    const std::lock_guard lock(mutex);
    return !told.empty();
  }));
  const std::lock_guard lock(mutex);
  EXPECT_EQ(told, std::vector<std::string>{"TLS handshake: unsupported protocol"});
}

// ---- Bounds

class HastyTlsServer : public TlsServer {
 protected:
  HastyTlsServer() : TlsServer(limits()) {}
  static ServerLimits limits() {
    ServerLimits limits;
    limits.handshake_timeout = 200ms;
    return limits;
  }
};

TEST_F(HastyTlsServer, WaitsForAHandshakeNoLongerThanItsLimit) {
  RawClient silent = connect();
  EXPECT_TRUE(silent.is_closed());
  RawClient slow = connect();
  slow.say("\x16\x03\x01");
  EXPECT_TRUE(slow.is_closed());
}

class SmallTlsServer : public TlsServer {
 protected:
  SmallTlsServer() : TlsServer(limits()) {}
  static ServerLimits limits() {
    ServerLimits limits;
    limits.connections = 4;
    return limits;
  }
};

TEST_F(SmallTlsServer, WhoHasBeenIdleLongestMakesWayAndNotWhoShakesHands) {
  TlsClient first(bound_);
  TlsClient second(bound_);
  TlsClient third(bound_);
  ASSERT_TRUE(first.is_connected() && second.is_connected() && third.is_connected());
  RawClient greeting = connect();
  greeting.say("\x16\x03\x01");
  EXPECT_TRUE(soon([this] { return open_connections() == 4; }));
  EXPECT_TRUE(has(TlsClient(bound_).say(get("/a", kClose)).hear_all(), "/a by TLS"));
  EXPECT_EQ(first.hear_all(), "");
  char octet = 0;
  EXPECT_EQ(::recv(greeting.fd(), &octet, 1, MSG_DONTWAIT), -1) << "it was closed";
}

class NarrowTlsServer : public TlsServer {
 protected:
  NarrowTlsServer() : TlsServer(limits()) {}
  static ServerLimits limits() {
    ServerLimits limits;
    limits.handshakes = 4;
    return limits;
  }
};

TEST_F(NarrowTlsServer, HandshakesThatTakeLongestMakeWay) {
  std::vector<RawClient> slow;
  for (int i = 0; i < 8; ++i) {
    slow.push_back(connect());
    slow.back().say("\x16\x03\x01");
  }
  EXPECT_TRUE(soon([this] { return open_connections() == 4; }));
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(slow[static_cast<std::size_t>(i)].is_closed());
  EXPECT_TRUE(has(TlsClient(bound_).say(get("/a", kClose)).hear_all(), "/a by TLS"));
}

}  // namespace
}  // namespace lmsb::http
