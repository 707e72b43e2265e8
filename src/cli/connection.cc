#include "cli/connection.h"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <limits>
#include <unistd.h>

#include <climits>

#include "base/secret.h"
#include "cli/private_daemon.h"
#include "http/body.h"
#include "io/run_blocking.h"
#include "os/atomic_file.h"

namespace lmsb::cli {
namespace {

constexpr std::size_t kMaxLine = std::size_t{4} << 20U;
constexpr std::size_t kPiece = std::size_t{256} << 10U;
constexpr Bytes kMaxWhole = Bytes::MiB(16);

// Gives `handle` every whole line of `text` and leaves the rest.
Status take_lines(std::string& text, const LineHandler& handle) {
  std::size_t begin = 0;
  for (std::size_t end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1)
    LMSB_CHECK(handle(std::string_view(text).substr(begin, end - begin)));
  text.erase(0, begin);
  if (text.size() <= kMaxLine) return {};
  return Error(ErrorCode::resource_exhausted, "a line of the answer is longer than " + format_bytes(Bytes(kMaxLine)));
}

// Takes a piece of an answer. An Error ends the exchange.
using PieceHandler = std::function<Status(std::string_view piece)>;

// Gives `handle`, which outlives the task, the pieces of a good answer; without one they become its body, as those of a
// refusal do in any case.
io::Task<Answer> exchange(http::Endpoint endpoint, http::ClientRequest request, const PieceHandler* handle) {
  LMSB_CO_TRY(const auto opened, co_await http::open_stream(std::move(endpoint), std::move(request)));
  Answer answer;
  answer.status = opened.status;
  while (true) {
    LMSB_CO_TRY(const std::string piece, co_await opened.body->read());
    if (piece.empty()) co_return answer;
    if (handle != nullptr && opened.status < 400) {
      LMSB_CO_CHECK((*handle)(piece));
    } else if ((answer.body += piece).size() > kMaxWhole.count()) {
      co_return Error(ErrorCode::resource_exhausted, "the answer is longer than " + format_bytes(kMaxWhole));
    }
  }
}

// What can be read from a descriptor. Blocks: nothing else is to be done meanwhile.
class FdSource final : public http::BodySource {
 public:
  FdSource(int fd, std::function<void(std::size_t)> moved) : fd_(fd), moved_(std::move(moved)) {}
  io::Task<std::string> next() override {
    std::string piece(kPiece, '\0');
    ssize_t n = 0;
    do n = ::read(fd_, piece.data(), piece.size());
    while (n < 0 && errno == EINTR);
    if (n < 0) co_return Error::from_errno(errno, "read what is to be sent");
    piece.resize(static_cast<std::size_t>(n));
    if (moved_) moved_(piece.size());
    co_return piece;
  }

 private:
  int fd_;
  std::function<void(std::size_t)> moved_;
};

class HttpConnection final : public Connection {
 public:
  HttpConnection(http::Endpoint endpoint, std::string base_path, std::string name)
      : endpoint_(std::move(endpoint)), base_path_(std::move(base_path)), name_(std::move(name)) {
    const char* key = std::getenv("LM_SANDBOX_API_KEY");
    if (key != nullptr) api_key_ = Secret(key);
  }
  void own(std::unique_ptr<PrivateDaemon> daemon) { private_daemon_ = std::move(daemon); }

  Result<Answer> send(const Call& call) override {
    auto response = call.stop.get() < 0 ? http::fetch_blocking(endpoint_, request_of(call))
                                        : io::run_blocking(http::fetch(endpoint_, request_of(call)), call.stop);
    if (!response.ok()) return unreachable(std::move(response).error());
    return Answer{response->status, std::move(response->body)};
  }
  Result<Answer> send_for_lines(const Call& call, const LineHandler& handle) override {
    http::ClientRequest request = request_of(call);
    request.headers.set("Accept", "application/x-ndjson");
    request.silence = call.silence;
    std::string lines;
    const auto take = [&](std::string_view piece) {
      lines += piece;
      return take_lines(lines, handle);
    };
    return carry_out(std::move(request), take, call.stop);
  }
  Result<Answer> send_octets(const Call& call, int in) override {
    http::ClientRequest request = request_of(call);
    request.source = std::make_shared<FdSource>(in, call.moved);
    request.headers.set("Content-Type", "application/octet-stream");
    return carry_out(std::move(request), nullptr);
  }
  Result<Answer> send_for_octets(const Call& call, int out) override {
    return carry_out(request_of(call), [&call, out](std::string_view piece) -> Status {
      const int error = os::write_exactly(out, piece.data(), piece.size());
      if (error == 0 && call.moved) call.moved(piece.size());
      return error == 0 ? Status() : Error::from_errno(error, "write what has come");
    });
  }

  const http::Endpoint& endpoint() const override { return endpoint_; }
  http::ClientRequest request_of(const Call& call) const override {
    http::ClientRequest request(call.method, base_path_ + call.target, call.body);
    request.timeout = call.timeout;
    if (!api_key_.empty()) request.headers.set("Authorization", "Bearer " + api_key_.reveal());
    return request;
  }
  std::optional<std::string> mounts_socket() const override { return socket_beside("mounts.sock"); }
  std::optional<std::string> files_socket() const override { return socket_beside("daemon/files.sock"); }
  std::string name() const override { return name_; }

 private:
  std::optional<std::string> socket_beside(const std::string& name) const {
    if (endpoint_.kind != http::Endpoint::Kind::unix_socket) return std::nullopt;
    return endpoint_.path.substr(0, endpoint_.path.rfind('/') + 1) + name;
  }
  // An answer that comes bit by bit, however long, unless `stop` can be read.
  Result<Answer> carry_out(http::ClientRequest request, const PieceHandler& handle, BorrowedFd stop = BorrowedFd(-1)) {
    request.max_body = Bytes(std::numeric_limits<std::uint64_t>::max());
    auto task = exchange(endpoint_, std::move(request), handle ? &handle : nullptr);
    auto answer = stop.get() < 0 ? io::run_blocking(std::move(task)) : io::run_blocking(std::move(task), stop);
    if (!answer.ok()) return unreachable(std::move(answer).error());
    return answer;
  }
  Error unreachable(Error error) const {
    if (error.slug() == "certificate_not_trusted") {
      const bool has_ca = !endpoint_.ca_file.empty();
      return std::move(error).with_hint(has_ca ? "is " + endpoint_.ca_file +
                                                     " of the authority that made it, and the address one of its names?"
                                               : "where its authority is your own: --ca FILE, or LM_SANDBOX_CA");
    }
    if (error.code() != ErrorCode::unavailable || !error.hint().empty()) return error;
    const bool is_unix = endpoint_.kind == http::Endpoint::Kind::unix_socket;
    if (is_unix && ::access(endpoint_.path.c_str(), W_OK) < 0 && errno == EACCES) {
      return std::move(error).with_hint(kJoinGroup);
    }
    const bool is_tls = endpoint_.kind == http::Endpoint::Kind::tls;
    return std::move(error).with_hint(is_tls ? "is a daemon with [tls] running there? without, its address is http://"
                                             : "is the daemon running? lm-sandbox serve starts one");
  }

  http::Endpoint endpoint_;
  std::string base_path_;
  std::string name_;
  Secret api_key_;
  std::unique_ptr<PrivateDaemon> private_daemon_;
};

// Whose certificates are trusted: what the command says, else what the environment does.
// An empty --ca is a mistake of whoever meant to trust few: it does not mean to trust all.
Status choose_authorities(const std::optional<std::string>& ca_flag, http::Endpoint& endpoint) {
  if (ca_flag && ca_flag->empty()) return Error(ErrorCode::invalid_argument, "--ca: it needs the name of a file");
  if (endpoint.kind != http::Endpoint::Kind::tls) {
    if (!ca_flag) return {};
    return Error(ErrorCode::invalid_argument,
                 "--ca " + *ca_flag + " has no meaning here: the daemon is not asked by https")
        .with_hint("give its address with --host https://HOST:PORT");
  }
  const char* variable = std::getenv("LM_SANDBOX_CA");
  endpoint.ca_file = ca_flag ? *ca_flag : variable != nullptr ? variable : "";
  return {};
}

Result<std::unique_ptr<HttpConnection>> connection_to(const std::string& url, const std::string& name,
                                                      const std::optional<std::string>& ca_flag = {}) {
  std::string base_path;
  LMSB_TRY(auto endpoint, http::Endpoint::parse(url, &base_path));
  LMSB_CHECK(choose_authorities(ca_flag, endpoint));
  if (base_path == "/") base_path.clear();
  return std::make_unique<HttpConnection>(std::move(endpoint), std::move(base_path), name);
}

Result<std::unique_ptr<HttpConnection>> private_connection(const std::string& data_dir, Console& console) {
  note(console, "no daemon is running; using a private one");
  LMSB_TRY(const std::string program, program_beside("lm-sandbox"));
  LMSB_TRY(auto daemon, PrivateDaemon::start(program, data_dir));
  LMSB_TRY(auto connection, connection_to("unix:" + daemon->socket(), "a private daemon"));
  connection->own(std::move(daemon));
  return connection;
}

}  // namespace

Result<std::unique_ptr<Connection>> Connection::open(const Target& target, PrivateDaemonUse use, Console& console) {
  LMSB_TRY(const auto url, choose_daemon(target.host, use, surroundings_of_this_process()));
  if (!url) {
    LMSB_TRY(auto connection, private_connection(target.data_dir, console));
    return std::unique_ptr<Connection>(std::move(connection));
  }
  LMSB_TRY(auto connection, connection_to(*url, *url, target.ca));
  return std::unique_ptr<Connection>(std::move(connection));
}

std::optional<std::string> fetch_body(const std::string& url, std::chrono::milliseconds timeout) {
  std::string path;
  const auto endpoint = http::Endpoint::parse(url, &path);
  if (!endpoint.ok()) return std::nullopt;
  http::ClientRequest request("GET", path);
  request.timeout = timeout;
  request.max_body = Bytes::MiB(1);
  auto response = http::fetch_blocking(*endpoint, request);
  if (!response.ok() || response->status != 200) return std::nullopt;
  return std::move(response->body);
}

Result<std::string> program_beside(const std::string& name) {
  std::array<char, PATH_MAX> path;
  const ssize_t size = ::readlink("/proc/self/exe", path.data(), path.size());
  if (size <= 0) return Error::from_errno(errno, "read /proc/self/exe");
  const std::string own(path.data(), static_cast<std::size_t>(size));
  const std::string directory = own.substr(0, own.rfind('/') + 1);
  for (const std::string& found : {directory + name, directory + "../libexec/lm-sandbox/" + name}) {
    if (::access(found.c_str(), X_OK) == 0) return found;
  }
  return Error(ErrorCode::not_found, "program " + name + " is not beside " + own).with_hint("install lm-sandbox again");
}

}  // namespace lmsb::cli
