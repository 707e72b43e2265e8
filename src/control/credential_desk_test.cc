#include "control/credential_desk.h"

#include <csignal>
#include <fcntl.h>
#include <functional>
#include <future>
#include <poll.h>
#include <sys/socket.h>
#include <thread>

#include <boost/asio/post.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/tls_test_support.h"
#include "network/request_head.h"

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
    order.sandbox = "box";
    order.credential = "api";
    order.tell = [this](const std::string& verdict) { told_.push_back(verdict); };
    order.cut = [this] {
      is_cut_ = true;
      if (cuts_) (void)::shutdown(cut_, SHUT_RDWR);  // as the gate ends it
    };
    order.lose = [] { FAIL() << "it was cut in time"; };
    auto streams = desk_.serve(std::move(order));
    EXPECT_TRUE(streams.ok());
    cut_ = streams->sandbox.get();
    const timeval kLong{20, 0};  // what never comes fails a test, and does not hold it up
    for (const UniqueFd* end : {&streams->sandbox, &streams->host}) {
      if (!*end) continue;
      (void)::fcntl(end->get(), F_SETFL, 0);
      (void)::setsockopt(end->get(), SOL_SOCKET, SO_RCVTIMEO, &kLong, sizeof kLong);
    }
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
  // For what another thread runs.
  void on_the_loop(std::function<void()> what) {
    std::promise<void> done;
    boost::asio::post(loop_, [&] {
      what();
      done.set_value();
    });
    done.get_future().wait();
  }
  // Whether something can be heard, or the end of it, within a moment.
  static bool is_told_something(const UniqueFd& socket) {
    pollfd look{socket.get(), POLLIN | POLLRDHUP, 0};
    return ::poll(&look, 1, 200) != 0;
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
  Metrics metrics_;
  CredentialDesk desk_{loop_, metrics_};
  std::thread thread_;
  std::vector<std::string> told_;
  bool is_cut_ = false;
  bool cuts_ = true;  // when it is asked to
  int cut_ = -1;      // the gate's end
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

TEST_F(CredentialDeskTest, EndsNoStreamInOrderWhoseAnswerIsAPart) {
  cuts_ = false;
  CredentialDesk::Streams streams = begin();
  say(streams.sandbox, kGet);
  (void)::shutdown(streams.sandbox.get(), SHUT_WR);  // the program has said that it says no more
  {
    Host host(certificate_, std::move(streams.host));
    (void)host.hear_until("\r\n\r\n");
    host.say("HTTP/1.1 200 OK\r\n\r\nhalf");
  }
  std::string heard(23, '\0');
  EXPECT_EQ(::recv(streams.sandbox.get(), heard.data(), heard.size(), MSG_WAITALL), 23);
  EXPECT_EQ(heard, "HTTP/1.1 200 OK\r\n\r\nhalf");
  EXPECT_FALSE(is_told_something(streams.sandbox));
  streams.sandbox.reset();
  EXPECT_THAT(told(), IsEmpty());
  EXPECT_TRUE(is_cut_);
}

TEST_F(CredentialDeskTest, PassesOnWhatAHostSaysThatTakesNoMoreOfTheRequest) {
  CredentialDesk::Streams streams = begin();
  say(streams.sandbox, "POST /a HTTP/1.1\r\nHost: api.internal\r\nContent-Length: 1000000\r\n\r\n");
  std::promise<void> go_on;
  {
    Host host(certificate_, std::move(streams.host));
    EXPECT_THAT(host.hear_until("\r\n\r\n"), HasSubstr("s3cret"));
    boost::asio::post(loop_, [&go_on] { go_on.get_future().wait(); });
    say(streams.sandbox, std::string(1000, 'x'));
    host.say("HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\n\r\nless");
  }
  go_on.set_value();
  EXPECT_THAT(hear_all(streams.sandbox), testing::EndsWith("\r\n\r\nless"));
  streams.sandbox.reset();
  EXPECT_THAT(told(), IsEmpty());
}

TEST_F(CredentialDeskTest, SaysOfARequestThatMayHaveBeenCarriedOutThatItIsNotToBeRepeated) {
  CredentialDesk::Streams streams = begin();
  say(streams.sandbox, kGet);
  {
    Host host(certificate_, std::move(streams.host));
    (void)host.hear_until("\r\n\r\n");
  }
  const std::string answer = hear_all(streams.sandbox);
  EXPECT_THAT(answer, HasSubstr("HTTP/1.1 502 "));
  EXPECT_THAT(answer, HasSubstr("\"credential_no_answer\""));
  EXPECT_THAT(answer, HasSubstr("\"retryable\":false"));
}

TEST_F(CredentialDeskTest, EndsWhatIsTakenBack) {
  const std::vector<std::function<void()>> changes = {
      [this] { desk_.use({}); },
      [this] { use("s3cret", "", "other.example"); },
      [this] { desk_.keep("box", {"another"}); },
  };
  for (const auto& change : changes) {
    use("s3cret", "");
    CredentialDesk::Streams streams = begin();
    say(streams.sandbox, kGet);
    Host host(certificate_, std::move(streams.host));
    (void)host.hear_until("\r\n\r\n");
    on_the_loop([this] {
      desk_.keep("box", {"api"});
      desk_.keep("other", {});
      use("another", "");
    });
    host.say("HTTP/1.1 200 OK\r\n");
    char first = 0;
    EXPECT_EQ(::recv(streams.sandbox.get(), &first, 1, 0), 1) << "that was of others, or of the secret alone";
    on_the_loop(change);
    EXPECT_EQ(host.hear_until("never"), "");
    (void)hear_all(streams.sandbox);
    streams.sandbox.reset();
    EXPECT_THAT(told(), IsEmpty());
    EXPECT_TRUE(std::exchange(is_cut_, false));
    loop_.restart();
  }
}

TEST_F(CredentialDeskTest, LeavesPlacesToOthers) {
  use("", "no descriptors for hosts are needed");
  const auto take = [&](const std::string& sandbox, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      CredentialDesk::Order order;
      order.sandbox = sandbox;
      order.owner = sandbox;
      order.credential = "api";
      auto streams = desk_.serve(std::move(order));
      if (!streams.ok()) return i;
    }
    return count;
  };
  EXPECT_GT(take("a", CredentialDesk::kMost), 128U) << "as many as its gate can ask for";
  for (const char* sandbox : {"b", "c", "d", "e", "f", "g", "h"}) take(sandbox, CredentialDesk::kMost);
  EXPECT_EQ(take("a", 1), 0U);
  EXPECT_GT(take("i", CredentialDesk::kMost), 16U);
}

TEST_F(CredentialDeskTest, LeavesPlacesForOtherOwnersHoweverManySandboxesOneHas) {
  use("", "no descriptors for hosts are needed");
  const auto take_all = [&](const std::string& owner) {
    std::size_t taken = 0;
    for (int sandbox = 0; sandbox < 40; ++sandbox) {
      while (true) {
        CredentialDesk::Order order;
        order.sandbox = owner + std::to_string(sandbox);
        order.owner = owner;
        order.credential = "api";
        auto streams = desk_.serve(std::move(order));
        if (!streams.ok()) break;
        ++taken;
      }
    }
    return taken;
  };
  EXPECT_EQ(take_all("ann"), CredentialDesk::kMost / 2);
  EXPECT_EQ(take_all("bob"), CredentialDesk::kMost / 4);
  EXPECT_EQ(take_all("cid"), CredentialDesk::kMost / 8);
}

TEST_F(CredentialDeskTest, TakesAHeadThatAGateHasMadeLonger) {
  CredentialDesk::Streams streams = begin();
  std::string fields;
  while (fields.size() < network::kMaxRequestHead) fields += "a: b\r\n";
  say(streams.sandbox, "GET /a HTTP/1.1\r\nHost: api.internal\r\n" + fields + "\r\n");
  Host host(certificate_, std::move(streams.host));
  EXPECT_THAT(host.hear_until("\r\n\r\n"), HasSubstr("s3cret"));
}

TEST_F(CredentialDeskTest, EndsTheHandshakeWhenTheSandboxIsGone) {
  CredentialDesk::Streams streams = begin();
  say(streams.sandbox, kGet);
  std::string hello(1, '\0');
  EXPECT_EQ(::recv(streams.host.get(), hello.data(), 1, 0), 1);  // and the host never answers
  streams.sandbox.reset();
  pollfd look{streams.host.get(), 0, 0};
  EXPECT_EQ(::poll(&look, 1, 20'000), 1) << "it waits for the host on and on";
  EXPECT_THAT(told(), IsEmpty());
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
