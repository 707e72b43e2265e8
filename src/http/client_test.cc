#include "http/client.h"

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <signal.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include "http/listener.h"
#include "http/tls_test_support.h"
#include "io/run_blocking.h"

namespace lmsb::http {
namespace {

using std::chrono::milliseconds;

// A server that accepts one connection, reads a request's header, and then does what it is told with the socket.
class OneShotServer {
 public:
  using Act = std::function<void(int fd)>;
  explicit OneShotServer(Act act) : listener_(make_tcp_listener("127.0.0.1:0").value()) {
    ::fcntl(listener_.fd.get(), F_SETFL, 0);
    thread_ = std::thread([this, act = std::move(act)] {
      const UniqueFd fd(::accept4(listener_.fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
      act(fd.get());
    });
  }
  ~OneShotServer() {
    ::shutdown(listener_.fd.get(), SHUT_RDWR);
    thread_.join();
  }
  Endpoint endpoint() const { return Endpoint::parse("http://" + listener_.address).value(); }
  std::string port() const { return listener_.address.substr(listener_.address.rfind(':') + 1); }

 private:
  Listener listener_;
  std::thread thread_;
};

std::string read_request(int fd) {
  std::string text;
  std::array<char, 4096> chunk{};
  while (text.find("\r\n\r\n") == std::string::npos) {
    const ssize_t count = ::recv(fd, chunk.data(), chunk.size(), 0);
    if (count <= 0) break;
    text.append(chunk.data(), static_cast<std::size_t>(count));
  }
  return text;
}

OneShotServer::Act answer_with(std::string text, std::string* request = nullptr) {
  return [text = std::move(text), request](int fd) {
    std::string heard = read_request(fd);
    if (request != nullptr) *request = std::move(heard);
    (void)!::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
  };
}

TEST(Client, ReadsAnAnswer) {
  std::string request;
  Result<Response> response = Error(ErrorCode::internal, "");
  {
    const OneShotServer server(answer_with("HTTP/1.1 201 Created\r\nX: y\r\nContent-Length: 2\r\n\r\nok", &request));
    response = fetch_blocking(server.endpoint(), ClientRequest("POST", "/x?y", "{}"));
  }
  ASSERT_TRUE(response.ok()) << response.error().message();
  EXPECT_EQ(response->status, 201);
  EXPECT_EQ(response->body, "ok");
  EXPECT_EQ(response->headers.find("x"), "y");
  EXPECT_TRUE(has(request, "POST /x?y HTTP/1.1\r\nHost: 127.0.0.1:")) << request;
  EXPECT_TRUE(has(request, "Content-Type: application/json\r\nContent-Length: 2\r\n")) << request;
}

TEST(Client, ReadsChunks) {
  const OneShotServer server(answer_with("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"));
  EXPECT_EQ(fetch_blocking(server.endpoint(), ClientRequest())->body, "ok");
}

TEST(Client, NamesTheEndpointThatNobodyListensOn) {
  std::string url;
  {
    const Listener listener = make_tcp_listener("127.0.0.1:0").value();
    url = "http://" + listener.address;
  }
  const auto response = fetch_blocking(*Endpoint::parse(url), ClientRequest());
  EXPECT_EQ(response.error().code(), ErrorCode::unavailable);
  EXPECT_TRUE(has(response.error().message(), url)) << response.error().message();
  EXPECT_TRUE(has(response.error().message(), "refused")) << response.error().message();
}

TEST(Client, GivesUpOnAServerThatDoesNotAnswerInTime) {
  const OneShotServer server([](int fd) {
    read_request(fd);
    std::array<char, 1> octet{};
    (void)!::recv(fd, octet.data(), octet.size(), 0);  // until the client leaves
  });
  ClientRequest request;
  request.timeout = milliseconds(50);
  const auto response = fetch_blocking(server.endpoint(), request);
  EXPECT_EQ(response.error().code(), ErrorCode::deadline_exceeded);
  EXPECT_TRUE(has(response.error().message(), "50 ms")) << response.error().message();
}

TEST(Client, GivesUpOnAnAnswerThatDripsForever) {
  const OneShotServer server([](int fd) {
    read_request(fd);
    std::string text = "HTTP/1.1 200 OK\r\n\r\n";
    while (::send(fd, text.data(), text.size(), MSG_NOSIGNAL) > 0) {
      text = "x";
      std::this_thread::sleep_for(milliseconds(5));
    }
  });
  ClientRequest request;
  request.timeout = milliseconds(60);
  EXPECT_EQ(fetch_blocking(server.endpoint(), request).error().code(), ErrorCode::deadline_exceeded);
}

TEST(Client, BoundsTheAnswer) {
  const OneShotServer server(answer_with("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"));
  ClientRequest request;
  request.max_body = Bytes(99);
  EXPECT_EQ(fetch_blocking(server.endpoint(), request).error().code(), ErrorCode::resource_exhausted);
}

TEST(Client, SaysThatAConnectionWasLost) {
  const OneShotServer server(answer_with("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart"));
  EXPECT_EQ(fetch_blocking(server.endpoint(), ClientRequest()).error().code(), ErrorCode::unavailable);
}

TEST(Client, SaysThatTheOtherSideSpeaksNoHttp) {
  const OneShotServer server(answer_with("220 mail.example ESMTP\r\n"));
  EXPECT_EQ(fetch_blocking(server.endpoint(), ClientRequest()).error().code(), ErrorCode::invalid_argument);
}

TEST(Client, ReadsTheRefusalOfABodyThatWasNotRead) {
  const OneShotServer server([](int fd) {
    read_request(fd);
    const std::string text = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno";
    (void)!::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    ::shutdown(fd, SHUT_WR);
    std::array<char, 65536> chunk{};
    while (::recv(fd, chunk.data(), chunk.size(), 0) > 0) {
    }
  });
  const auto response = fetch_blocking(server.endpoint(), ClientRequest("POST", "/", std::string(5'000'000, 'x')));
  ASSERT_TRUE(response.ok()) << response.error().message();
  EXPECT_EQ(response->status, 413);
}

TEST(Client, RefusesToSendAFieldThatEndsItself) {
  ClientRequest request;
  request.headers.add("X", "a\r\nY: b");
  Endpoint nowhere;
  nowhere.host = "127.0.0.1";
  EXPECT_EQ(fetch_blocking(nowhere, request).error().code(), ErrorCode::invalid_argument);
  EXPECT_EQ(fetch_blocking(nowhere, ClientRequest("GET", "/ HTTP/1.1\r\nX: y")).error().code(),
            ErrorCode::invalid_argument);
}

// A pipe that waits on reading: whoever made it may have cleared O_NONBLOCK.
struct BlockingPipe {
  BlockingPipe() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    read.reset(ends[0]);
    write.reset(ends[1]);
  }
  void say(const std::string& text) {
    EXPECT_EQ(::write(write.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  UniqueFd read;
  UniqueFd write;
};

Result<Response> answer_of(BlockingPipe& pipe, std::chrono::milliseconds limit = std::chrono::seconds(60)) {
  boost::asio::io_context loop(1);
  io::ForeignPipe end(loop, std::move(pipe.read));
  return io::run_on(loop, read_answer(std::move(end), Bytes::KiB(4), io::Deadline::in(limit)));
}

TEST(Client, WritesARequestWithItsBodyForOthersToCarry) {
  const auto octets = to_octets(ClientRequest("POST", "/x", "{}"), "runner");
  ASSERT_TRUE(octets.ok());
  EXPECT_EQ(*octets,
            "POST /x HTTP/1.1\r\nHost: runner\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
            "Connection: close\r\n\r\n{}");
}

TEST(Client, ReadsAnAnswerFromAPipe) {
  BlockingPipe pipe;
  pipe.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  EXPECT_EQ(answer_of(pipe)->body, "ok");
}

TEST(Client, DoesNotHangOnAPipeThatStaysSilentOrNeverEnds) {
  BlockingPipe silent;
  EXPECT_EQ(answer_of(silent, std::chrono::milliseconds(20)).error().code(), ErrorCode::deadline_exceeded);
  ::signal(SIGPIPE, SIG_IGN);
  BlockingPipe endless;
  std::thread writer([fd = endless.write.get()] {
    const std::string interim = "HTTP/1.1 102 Processing\r\n\r\n";
    while (::write(fd, interim.data(), interim.size()) > 0) {
    }
  });
  EXPECT_EQ(answer_of(endless, std::chrono::milliseconds(50)).error().code(), ErrorCode::invalid_argument);
  writer.join();  // answer_of() has closed the reading end
}

TEST(Client, RefusesWhatIsNoAnswerOrTooMuchOfOneFromAPipe) {
  BlockingPipe garbage;
  garbage.say("hello, world\r\n\r\n");
  EXPECT_EQ(answer_of(garbage).error().code(), ErrorCode::invalid_argument);
  BlockingPipe large;
  large.say("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n");
  EXPECT_EQ(answer_of(large).error().code(), ErrorCode::resource_exhausted);
  BlockingPipe cut;
  cut.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok");
  cut.write.reset();
  EXPECT_FALSE(answer_of(cut).ok());
  BlockingPipe empty;
  empty.write.reset();
  EXPECT_FALSE(answer_of(empty).ok());
}

TEST(Client, ReadsAnAnswerFromAPipeAsItComes) {
  BlockingPipe pipe;
  pipe.say("HTTP/1.1 200 OK\r\nContent-Type: x/y\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n");
  boost::asio::io_context loop(1);
  const auto in_a_minute = io::Deadline::in(std::chrono::minutes(1));
  io::ForeignPipe end(loop, std::move(pipe.read));
  auto answer = io::run_on(loop, open_answer(std::move(end), Bytes::KiB(4), in_a_minute, milliseconds(20)));
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->headers.find("Content-Type"), "x/y");
  EXPECT_EQ(io::run_on(loop, answer->body->read()).value(), "ok");
  EXPECT_EQ(io::run_on(loop, answer->body->read()).error().code(), ErrorCode::deadline_exceeded);
  pipe.say("3\r\nend\r\n0\r\n\r\n");
  EXPECT_EQ(io::run_on(loop, answer->body->read()).value(), "end");
  EXPECT_EQ(io::run_on(loop, answer->body->read()).value(), "");
}

io::Always<void> note(io::Task<Response> task, std::vector<Result<Response>>* out) {
  Result<Response> response = co_await std::move(task);
  out->push_back(std::move(response));
}

TEST(Client, EndsWhenItsTaskIsCancelled) {
  const OneShotServer server([](int fd) {
    std::array<char, 4096> chunk{};
    while (::recv(fd, chunk.data(), chunk.size(), 0) > 0) {
    }
  });
  boost::asio::io_context loop(1);
  std::vector<Result<Response>> ended;
  io::Canceller canceller;
  io::spawn(loop, note(fetch(server.endpoint(), ClientRequest()), &ended), canceller);
  loop.run_for(milliseconds(50));
  canceller.cancel();
  loop.run();
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended[0].error().code(), ErrorCode::cancelled);
}

TEST(Endpoint, IsReadFromUrls) {
  std::string base;
  const Endpoint plain = *Endpoint::parse("http://127.0.0.1:11434/v1/", &base);
  EXPECT_EQ(plain.kind, Endpoint::Kind::tcp);
  EXPECT_EQ(plain.host, "127.0.0.1");
  EXPECT_EQ(plain.port, 11434);
  EXPECT_EQ(base, "/v1");
  const Endpoint secure = *Endpoint::parse("https://api.example", &base);
  EXPECT_EQ(secure.kind, Endpoint::Kind::tls);
  EXPECT_EQ(secure.port, 443);
  EXPECT_EQ(base, "");
  EXPECT_EQ(Endpoint::parse("http://[::1]:80")->host, "::1");
  EXPECT_EQ(Endpoint::parse("http://[::1]")->port, 80);
  EXPECT_EQ(Endpoint::parse("unix:/run/x.sock")->path, "/run/x.sock");
  EXPECT_EQ(Endpoint::parse("unix:///run/x.sock")->path, "/run/x.sock");
}

TEST(Endpoint, IsRefusedWhenMalformed) {
  for (const char* url : {"", "127.0.0.1:80", "ftp://h", "http://", "http://h:0", "http://h:x", "http://u:p@h/",
                          "unix:", "http://h/?q"}) {
    EXPECT_FALSE(Endpoint::parse(url).ok()) << url;
  }
}

// ---- TLS, against OpenSSL's own server side, with a certificate made for this test

constexpr std::string_view kWhole = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

// Without `goodbye` it only closes.
OneShotServer::Act answer_over_tls(const TestCertificate& certificate, std::string_view answer = kWhole,
                                   bool goodbye = true) {
  return [&certificate, answer, goodbye](int fd) {
    SSL_CTX* context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(context, certificate.x509);
    SSL_CTX_use_PrivateKey(context, certificate.key);
    SSL* ssl = SSL_new(context);
    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1) {
      std::array<char, 4096> request{};
      SSL_read(ssl, request.data(), static_cast<int>(request.size()));
      SSL_write(ssl, answer.data(), static_cast<int>(answer.size()));
      if (goodbye) SSL_shutdown(ssl);
    }
    SSL_free(ssl);
    SSL_CTX_free(context);
  };
}

TEST(ClientTls, TrustsACertificateOfTheStoreForItsName) {
  const TestCertificate certificate;
  ::setenv("SSL_CERT_FILE", certificate.path.c_str(), 1);
  const OneShotServer server(answer_over_tls(certificate));
  const auto response = fetch_blocking(*Endpoint::parse("https://localhost:" + server.port()), ClientRequest());
  ::unsetenv("SSL_CERT_FILE");
  ASSERT_TRUE(response.ok()) << response.error().message();
  EXPECT_EQ(response->body, "ok");
}

TEST(ClientTls, RefusesACertificateOfAnotherName) {
  const TestCertificate certificate;
  ::setenv("SSL_CERT_FILE", certificate.path.c_str(), 1);
  const OneShotServer server(answer_over_tls(certificate));
  const auto response = fetch_blocking(*Endpoint::parse("https://127.0.0.1:" + server.port()), ClientRequest());
  ::unsetenv("SSL_CERT_FILE");
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(response.error().slug(), "certificate_not_trusted");
  EXPECT_TRUE(has(response.error().message(), "IP address mismatch")) << response.error().message();
}

TEST(ClientTls, TrustsTheAuthoritiesOfAFileAndNoOthersThen) {
  const TestCertificate certificate;
  const TestCertificate other;
  const OneShotServer server(answer_over_tls(certificate));
  Endpoint endpoint = *Endpoint::parse("https://localhost:" + server.port());
  endpoint.ca_file = certificate.path;
  const auto response = fetch_blocking(endpoint, ClientRequest());
  ASSERT_TRUE(response.ok()) << response.error().message();

  const OneShotServer again(answer_over_tls(certificate));
  ::setenv("SSL_CERT_FILE", certificate.path.c_str(), 1);
  Endpoint elsewhere = *Endpoint::parse("https://localhost:" + again.port());
  elsewhere.ca_file = other.path;
  const auto refused = fetch_blocking(elsewhere, ClientRequest());
  ::unsetenv("SSL_CERT_FILE");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().slug(), "certificate_not_trusted");
}

TEST(ClientTls, SaysOfAFileWithoutCertificatesThatItHasNone) {
  Endpoint endpoint = *Endpoint::parse("https://localhost:1");
  endpoint.ca_file = "/dev/null";
  const OneShotServer server([](int) {});
  endpoint.port = static_cast<std::uint16_t>(std::stoi(server.port()));
  const auto response = fetch_blocking(endpoint, ClientRequest());
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(response.error().code(), ErrorCode::invalid_argument);
  EXPECT_TRUE(has(response.error().message(), "/dev/null")) << response.error().message();
}

TEST(ClientTls, AnAnswerThatIsCutOffIsAnErrorThoughItEndsWithTheConnection) {
  const TestCertificate certificate;
  const OneShotServer server(answer_over_tls(certificate, "HTTP/1.1 200 OK\r\n\r\npart", false));
  Endpoint endpoint = *Endpoint::parse("https://localhost:" + server.port());
  endpoint.ca_file = certificate.path;
  EXPECT_FALSE(fetch_blocking(endpoint, ClientRequest()).ok());
}

TEST(ClientTls, RefusesACertificateThatNobodyVouchesFor) {
  const TestCertificate certificate;
  const OneShotServer server(answer_over_tls(certificate));
  EXPECT_FALSE(fetch_blocking(*Endpoint::parse("https://localhost:" + server.port()), ClientRequest()).ok());
}

}  // namespace
}  // namespace lmsb::http
