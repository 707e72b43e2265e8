#include "control/credential_desk.h"

#include <csignal>
#include <fcntl.h>
#include <sys/socket.h>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/tls_test_support.h"

namespace lmsb::control {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// The host at the other end of the TLS, as blocking as can be, with no goodbye at its end unless it is told so.
class Host {
 public:
  Host(const http::TestCertificate& certificate, UniqueFd socket)
      : socket_(std::move(socket)), context_(SSL_CTX_new(TLS_server_method())) {
    (void)::fcntl(socket_.get(), F_SETFL, 0);
    SSL_CTX_use_certificate(context_, certificate.x509);
    SSL_CTX_use_PrivateKey(context_, certificate.key);
    ssl_ = SSL_new(context_);
    SSL_set_fd(ssl_, socket_.get());
    is_connected_ = SSL_accept(ssl_) == 1;
  }
  ~Host() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
  }
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  std::string hear_until(const std::string& marker) {
    std::string all;
    char c = 0;
    std::size_t count = 0;
    while (is_connected_ && all.find(marker) == std::string::npos && SSL_read_ex(ssl_, &c, 1, &count) == 1) all += c;
    return all;
  }
  void say(const std::string& text) {
    std::size_t count = 0;
    EXPECT_EQ(SSL_write_ex(ssl_, text.data(), text.size(), &count), 1);
  }
  void say_goodbye() { SSL_shutdown(ssl_); }

 private:
  UniqueFd socket_;
  SSL_CTX* context_;
  SSL* ssl_ = nullptr;
  bool is_connected_ = false;
};

class CredentialDeskTest : public testing::Test {
 protected:
  CredentialDeskTest() {
    (void)::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL
    use("s3cret", "");
  }
  ~CredentialDeskTest() override {
    work_.reset();
    loop_.stop();
    if (thread_.joinable()) thread_.join();
  }

  void use(const std::string& secret, const std::string& fault, const std::string& host = "api.example") {
    CredentialSettings settings;
    settings.credentials["api"] = {{"api", host, 443, "", "Authorization", "Bearer ", "/f"}, Secret(secret), fault};
    settings.trust = *http::TlsContext::of_client(certificate_.path);
    desk_.use(std::move(settings));
  }
  // The gate's ends, blocking.
  CredentialDesk::Streams begin() {
    CredentialDesk::Order order;
    order.credential = "api";
    order.tell = [this](const std::string& verdict) { told_.push_back(verdict); };
    order.cut = [this] {
      is_cut_ = true;
      (void)::shutdown(cut_, SHUT_RDWR);  // as the gate ends it
    };
    auto streams = desk_.serve(std::move(order));
    EXPECT_TRUE(streams.ok());
    cut_ = streams->sandbox.get();
    (void)::fcntl(cut_, F_SETFL, 0);
    thread_ = std::thread([this] { loop_.run(); });
    return *std::move(streams);
  }
  static void say(const UniqueFd& socket, const std::string& text) {
    EXPECT_EQ(::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  static std::string hear_all(const UniqueFd& socket) {
    std::string all;
    char buffer[4096];  // NOLINT: recv's
    for (ssize_t n = 0; (n = ::recv(socket.get(), buffer, sizeof buffer, 0)) > 0;)
      all.append(buffer, static_cast<std::size_t>(n));
    return all;
  }
  // What was told, once all is over.
  std::vector<std::string> told() {
    work_.reset();
    thread_.join();
    return told_;
  }

  http::TestCertificate certificate_{"DNS:api.example"};
  boost::asio::io_context loop_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{loop_.get_executor()};
  CredentialDesk desk_{loop_};
  std::thread thread_;
  std::vector<std::string> told_;
  bool is_cut_ = false;
  int cut_ = -1;  // the gate's end
};

const std::string kGet = "GET /a HTTP/1.1\r\nHost: api.internal\r\nAuthorization: mine\r\n\r\n";

TEST_F(CredentialDeskTest, PutsTheHeaderInAndCarriesBothBodies) {
  CredentialDesk::Streams streams = begin();
  say(streams.sandbox, "POST /a HTTP/1.1\r\nHost: api.internal\r\nContent-Length: 6\r\n\r\nabc");
  Host host(certificate_, std::move(streams.host));
  EXPECT_THAT(host.hear_until("abc"), HasSubstr("Host: api.example\r\nAuthorization: Bearer s3cret\r\n"));
  say(streams.sandbox, "def");
  EXPECT_EQ(host.hear_until("def"), "def");
  host.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  host.say_goodbye();
  EXPECT_EQ(hear_all(streams.sandbox), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  streams.sandbox.reset();
  EXPECT_THAT(told(), IsEmpty());
  EXPECT_FALSE(is_cut_);
}

TEST_F(CredentialDeskTest, SendsNothingToAHostWhoseCertificateIsAnothers) {
  use("s3cret", "", "other.example");
  CredentialDesk::Streams streams = begin();
  say(streams.sandbox, kGet);
  Host host(certificate_, std::move(streams.host));
  const std::string answer = hear_all(streams.sandbox);
  EXPECT_THAT(answer, HasSubstr("HTTP/1.1 502 "));
  EXPECT_THAT(answer, HasSubstr("credential_not_reached"));
  EXPECT_EQ(host.hear_until("never"), "");
  streams.sandbox.reset();
  EXPECT_THAT(told(), ElementsAre("not_trusted"));
}

TEST_F(CredentialDeskTest, AnswersByItselfWhereThereIsNoSecret) {
  use("", "open /f: No such file or directory");
  CredentialDesk::Streams streams = begin();
  EXPECT_FALSE(streams.host) << "nobody is connected to";
  say(streams.sandbox, kGet);
  EXPECT_THAT(hear_all(streams.sandbox), HasSubstr("HTTP/1.1 503 "));
  streams.sandbox.reset();
  EXPECT_THAT(told(), ElementsAre("no_secret"));
}

TEST_F(CredentialDeskTest, RefusesWhatNoGateOfOursWouldPassOn) {
  for (const char* octets :
       {"GET /a HTTP/1.1\r\nHost: other.internal\r\n\r\n", "GET /a HTTP/1.1\nHost: api.internal\n\n\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: api.internal\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"}) {
    CredentialDesk::Streams streams = begin();
    say(streams.sandbox, octets);
    EXPECT_THAT(hear_all(streams.sandbox), HasSubstr("HTTP/1.1 403 ")) << octets;
    streams.sandbox.reset();
    streams.host.reset();
    loop_.stop();
    thread_.join();
    loop_.restart();
  }
}

TEST_F(CredentialDeskTest, SendsNoSecondRequest) {
  CredentialDesk::Streams streams = begin();
  say(streams.sandbox, kGet + "GET /b HTTP/1.1\r\nHost: api.internal\r\n\r\n");
  Host host(certificate_, std::move(streams.host));
  EXPECT_THAT(host.hear_until("never"), testing::Not(HasSubstr("/b")));
  EXPECT_THAT(hear_all(streams.sandbox), HasSubstr("502"));
}

TEST_F(CredentialDeskTest, TakesAnEndWithoutGoodbyeForOneOnlyWhereTheAnswerSaidWhereItEnds) {
  for (const bool is_said : {true, false}) {
    CredentialDesk::Streams streams = begin();
    say(streams.sandbox, kGet);
    {
      Host host(certificate_, std::move(streams.host));
      (void)host.hear_until("\r\n\r\n");
      host.say(std::string("HTTP/1.1 200 OK\r\n") + (is_said ? "Content-Length: 2\r\n" : "") + "\r\nok");
    }
    EXPECT_THAT(hear_all(streams.sandbox), testing::EndsWith("ok"));
    streams.sandbox.reset();
    EXPECT_THAT(told(), IsEmpty());
    EXPECT_EQ(is_cut_, !is_said);
    loop_.restart();
  }
}

TEST_F(CredentialDeskTest, EndsWhenTheSandboxIsGone) {
  CredentialDesk::Streams streams = begin();
  say(streams.sandbox, kGet);
  Host host(certificate_, std::move(streams.host));
  (void)host.hear_until("\r\n\r\n");
  streams.sandbox.reset();
  EXPECT_EQ(host.hear_until("never"), "");
}

}  // namespace
}  // namespace lmsb::control
