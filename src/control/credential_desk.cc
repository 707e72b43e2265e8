#include "control/credential_desk.h"

#include <algorithm>
#include <array>
#include <sys/socket.h>
#include <utility>

#include <boost/asio/this_coro.hpp>

#include "http/tls_stream.h"
#include "io/alarm.h"
#include "io/event.h"
#include "io/socket_stream.h"
#include "io/spawn.h"
#include "json/writer.h"
#include "network/credential_request.h"
#include "os/message_socket.h"

namespace lmsb::control {
namespace asio = boost::asio;
namespace {

constexpr std::uint32_t kHttp = 80;
constexpr std::size_t kPiece = std::size_t{16} << 10U;
constexpr int kBuffer = 64 << 10;  // that the kernel keeps of what the daemon sends, for each stream
constexpr std::chrono::seconds kHead{20};
constexpr std::chrono::seconds kHandshake{45};  // the gate tries addresses meanwhile
constexpr std::chrono::seconds kLeave{60};      // for a sandbox that still sends when it has been answered
constexpr std::chrono::seconds kSilence{600};   // of one end that takes nothing of what the other one sends

// The gate has the other end. It is a process that parses what strangers say: descriptors of it are not taken, where
// the kernel can refuse them.
Result<std::pair<UniqueFd, UniqueFd>> stream_pair() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0)
    return Error(ErrorCode::resource_exhausted, "no descriptors are left for a request with a credential");
  std::pair<UniqueFd, UniqueFd> pair{UniqueFd(ends[0]), UniqueFd(ends[1])};
  (void)refuse_descriptors(pair.first.get());
  (void)::setsockopt(pair.first.get(), SOL_SOCKET, SO_SNDBUF, &kBuffer, sizeof kBuffer);
  return pair;
}

int status_of(const Error& error) {
  if (error.code() == ErrorCode::permission_denied) return 403;
  return error.slug() == "credential_no_secret" ? 503 : 502;
}

std::string_view reason_of(int status) {
  if (status == 403) return "Forbidden";
  return status == 502 ? "Bad Gateway" : "Service Unavailable";
}

// As the API words errors.
std::string answer_of(const Error& error) {
  json::Writer body;
  body.begin_object().key("error").begin_object();
  body.key("code").string(error.slug()).key("message").string(error.message()).key("cause");
  error.cause().empty() ? body.null() : body.string(error.cause());
  body.key("hint");
  error.hint().empty() ? body.null() : body.string(error.hint());
  const bool is_for_good = error.code() == ErrorCode::permission_denied || error.slug() == "credential_no_answer";
  body.key("retryable").boolean(!is_for_good).end_object().end_object();
  const std::string text = std::move(body).str() + "\n";
  const int status = status_of(error);
  return "HTTP/1.1 " + std::to_string(status) + " " + std::string(reason_of(status)) +
         "\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: " + std::to_string(text.size()) +
         "\r\n\r\n" + text;
}

Error gone() { return Error(ErrorCode::cancelled, "the sandbox's end of the request is gone"); }

}  // namespace

// One request and its answer. Shared by the tasks that carry its directions, and the one that sees its end.
struct CredentialDesk::Errand {
  Errand(asio::io_context& loop, UniqueFd stream, Order o, Counter& counter)
      : sandbox(loop.get_executor(), io::HeldSocket(std::move(stream))),
        order(std::move(o)),
        bytes(counter),
        request_ended(loop),
        left(loop) {}

  static io::Always<void> run(std::shared_ptr<Errand> self);
  static io::Always<void> carry_request(std::shared_ptr<Errand> self);
  static io::Always<void> see_it_leave(std::shared_ptr<Errand> self);
  io::Task<void> begin();
  io::Task<network::RequestHead> read_head();
  io::Task<void> shake_hands();
  io::Task<void> send_to_host(std::string_view part);
  io::Task<void> copy_request();
  io::Task<void> copy_answer();
  io::Task<void> finish(Status answered);
  io::Always<void> reset();
  io::Task<void> wait_left();
  void end_host() {
    if (host) host->end();
  }
  // Its credential is not the sandbox's any more.
  void withdraw() {
    is_withdrawn = true;
    end_host();
  }

  io::SocketStream sandbox;
  std::shared_ptr<http::TlsStream> host;  // null: nothing is wanted of it
  Order order;
  Counter& bytes;
  KeptCredential kept;
  std::string octets;  // of the request, that have come and not gone
  network::RequestBody body;
  bool is_withdrawn = false;
  bool is_refused = false;  // the host takes no more of the request; it may have said why
  bool has_begun_answer = false;
  bool is_answered = false;  // what still comes of the request is nobody's
  bool has_request_ended = false;
  bool has_left = false;  // the gate has let go of it
  io::Event request_ended;
  io::Event left;
};

CredentialDesk::CredentialDesk(asio::io_context& loop, Metrics& metrics)
    : loop_(loop),
      requests_(metrics.counter("lmsb_credential_requests_total", "Requests of sandboxes with credentials")),
      bytes_(metrics.counter("lmsb_credential_bytes_total", "Octets of those and of their answers")) {}

void CredentialDesk::use(CredentialSettings settings) {
  settings_ = std::move(settings);
  for (const auto& errand : running()) {
    const KeptCredential* const now = find(errand->order.credential);
    if (now == nullptr || !(now->credential == errand->kept.credential)) errand->withdraw();
  }
}

void CredentialDesk::keep(const std::string& sandbox, const std::vector<std::string>& credentials) {
  for (const auto& errand : running()) {
    const bool has = std::find(credentials.begin(), credentials.end(), errand->order.credential) != credentials.end();
    if (errand->order.sandbox == sandbox && !has) errand->withdraw();
  }
}

const KeptCredential* CredentialDesk::find(const std::string& name) const {
  const auto found = settings_.credentials.find(name);
  return found == settings_.credentials.end() ? nullptr : &found->second;
}

std::vector<std::shared_ptr<CredentialDesk::Errand>> CredentialDesk::running() {
  std::erase_if(errands_, [](const auto& errand) { return errand.expired(); });
  std::vector<std::shared_ptr<Errand>> all;
  for (const auto& errand : errands_) all.push_back(errand.lock());
  return all;
}

bool CredentialDesk::has_place(const std::vector<std::shared_ptr<Errand>>& all, const Order& order) {
  std::size_t of_one = 0;
  std::size_t of_owner = 0;
  for (const auto& errand : all) {
    if (errand->order.sandbox == order.sandbox) ++of_one;
    if (errand->order.owner == order.owner) ++of_owner;
  }
  const std::size_t left = kMost - all.size();
  return of_owner < left && of_one < (left + kPartOfWhatIsLeft - 1) / kPartOfWhatIsLeft;
}

Result<CredentialDesk::Streams> CredentialDesk::serve(Order order) {
  const KeptCredential* const kept = find(order.credential);
  if (kept == nullptr) return Error(ErrorCode::not_found, "there is no such credential");
  const auto all = running();
  if (!has_place(all, order)) return Error(ErrorCode::resource_exhausted, "too many requests with credentials at once");
  Streams streams;
  LMSB_TRY(auto sandbox, stream_pair());
  streams.sandbox = std::move(sandbox.second);
  const auto errand = std::make_shared<Errand>(loop_, std::move(sandbox.first), std::move(order), bytes_);
  errand->kept = *kept;
  if (kept->fault.empty()) {
    LMSB_TRY(auto host, stream_pair());
    LMSB_TRY(auto session, http::TlsSession::of_client(*settings_.trust, host.first, kept->credential.host));
    errand->host = std::make_shared<http::TlsStream>(loop_.get_executor(), std::move(host.first), std::move(session));
    streams.host = std::move(host.second);
  }
  errands_.push_back(errand);
  requests_.increment();
  io::spawn(loop_, Errand::run(errand));
  return streams;
}

io::Always<void> CredentialDesk::Errand::run(std::shared_ptr<Errand> self) {
  co_await io::spawn_here(see_it_leave(self));
  const Status begun = co_await self->begin();
  if (!begun.ok()) self->is_answered = true;
  co_await io::spawn_here(carry_request(self));
  if (!begun.ok()) {
    (void)co_await self->finish(Error(begun.error()));  // whether it could be told or not
  } else {
    Status answered = co_await self->copy_answer();
    (void)co_await self->finish(std::move(answered));
  }
  self->end_host();
  self->sandbox.end();
}

// Whoever asked has gone, or will hear no more of it.
io::Always<void> CredentialDesk::Errand::see_it_leave(std::shared_ptr<Errand> self) {
  (void)co_await self->sandbox.hung_up();  // or it has been ended here
  self->has_left = true;
  self->end_host();
  self->left.notify_all();
}

// The secret is sent to nobody before whose certificate it is has been seen.
io::Task<void> CredentialDesk::Errand::begin() {
  LMSB_CO_TRY(const auto head, co_await read_head());
  octets.erase(0, head.size);
  body = network::RequestBody(head);
  const network::Credential& credential = kept.credential;
  if (!kept.fault.empty()) {
    order.tell("no_secret");
    co_return Error(ErrorCode::unavailable, "credential " + credential.name + " has no secret here")
        .with_slug("credential_no_secret")
        .with_hint("this machine's operator sees why in the daemon's log");
  }
  auto text = network::request_with(credential, kept.secret.reveal(), head);
  if (!text.ok()) {
    order.tell("request_refused");
    co_return std::move(text).error();
  }
  LMSB_CO_CHECK(co_await shake_hands());
  const Status sent = co_await send_to_host(*text);
  is_refused = !sent.ok();
  co_return Status();
}

// The gate has read it as we do, but is not asked to be trusted with that. What it makes of a head is longer.
io::Task<network::RequestHead> CredentialDesk::Errand::read_head() {
  const io::Deadline deadline = io::Deadline::in(kHead);
  std::string piece(kPiece, '\0');
  while (true) {
    network::RequestHead head = network::read_request_head(octets, kHttp, 2 * network::kMaxRequestHead);
    if (head.state == network::RequestHead::State::found) co_return head;
    if (head.state == network::RequestHead::State::bad)
      co_return Error(ErrorCode::permission_denied, "that is no request, or one that could be read in two ways")
          .with_slug("credential_request_refused");
    LMSB_CO_TRY(const std::size_t count, co_await sandbox.read_some(piece.data(), piece.size(), deadline));
    if (count == 0) co_return gone();
    octets.append(piece, 0, count);
  }
}

io::Task<void> CredentialDesk::Errand::shake_hands() {
  const auto loop = co_await asio::this_coro::executor;
  const io::Alarm alarm(loop, io::Deadline::in(kHandshake), [stream = host] { stream->end(); });
  const Status shaken = co_await host->shake_hands();
  if (shaken.ok()) co_return Status();
  if (shaken.error().slug() == "certificate_not_trusted") order.tell("not_trusted");
  co_return Error(shaken.error())
      .with_code(ErrorCode::unavailable)
      .with_context(kept.credential.host + " was not reached")
      .with_slug("credential_not_reached")
      .with_hint("the events of the sandbox's network say more");
}

io::Task<void> CredentialDesk::Errand::send_to_host(std::string_view part) {
  const auto loop = co_await asio::this_coro::executor;
  const io::Alarm alarm(loop, io::Deadline::in(kSilence), [stream = host] { stream->end(); });
  bytes.increment(static_cast<double>(part.size()));
  co_return co_await host->write_all(part);
}

// Until the sandbox has no more to say. What it says once it has been answered, or once the host takes no more, is
// read, since to close before would take back what was sent to it.
io::Task<void> CredentialDesk::Errand::copy_request() {
  std::string piece = std::exchange(octets, {});
  while (true) {
    const std::size_t own = is_answered ? 0 : body.take(piece);
    if (!is_answered && own < piece.size()) co_return gone();  // a second request, which a gate of ours cuts off
    if (own > 0 && !is_refused) {
      const Status sent = co_await send_to_host(std::string_view(piece).substr(0, own));
      is_refused = !sent.ok();
    }
    piece.resize(kPiece);
    LMSB_CO_TRY(const std::size_t count, co_await sandbox.read_some(piece.data(), piece.size()));
    if (count == 0) break;
    piece.resize(count);
  }
  if (is_answered) co_return Status();
  if (sandbox.is_hung_up()) co_return gone();
  co_await host->end_writing();
  co_return Status();
}

io::Always<void> CredentialDesk::Errand::carry_request(std::shared_ptr<Errand> self) {
  const Status ended = co_await self->copy_request();
  if (!ended.ok()) self->end_host();
  self->has_request_ended = true;
  self->request_ended.notify_all();
}

io::Task<void> CredentialDesk::Errand::copy_answer() {
  network::AnswerFraming framing;
  std::string piece(kPiece, '\0');
  while (true) {
    const auto count = co_await host->read_some(piece.data(), piece.size());
    const bool is_end = count.ok() && *count == 0;
    if ((is_end || !count.ok()) && !has_begun_answer)
      co_return Error(ErrorCode::unavailable, kept.credential.host + " ended the connection without an answer")
          .with_slug("credential_no_answer")
          .with_hint("it may have done what it was asked for");
    if (is_end) co_return Status();
    // Many servers close without the goodbye of TLS. Where the answer has said where it ends, that is enough.
    if (!count.ok() && framing.is_said()) co_return Status();
    if (!count.ok()) co_return Error(count.error());
    const std::string_view part = std::string_view(piece).substr(0, *count);
    framing.take(part);
    has_begun_answer = true;
    bytes.increment(static_cast<double>(part.size()));
    LMSB_CO_CHECK(co_await sandbox.write_all(part, io::Deadline::in(kSilence)));
  }
}

// Says why there is no answer, or that there was no more.
io::Task<void> CredentialDesk::Errand::finish(Status answered) {
  is_answered = true;
  end_host();
  const bool is_told = answered.ok() || answered.error().slug().starts_with("credential_");
  if (is_withdrawn || !is_told) {
    co_await reset();
    co_return Status();
  }
  if (!answered.ok()) {
    const std::string answer = answer_of(answered.error());
    LMSB_CO_CHECK(co_await sandbox.write_all(answer, io::Deadline::in(kLeave)));
  }
  sandbox.end_writing();
  const io::Deadline deadline = io::Deadline::in(kLeave);
  while (!has_request_ended) LMSB_CO_CHECK(co_await request_ended.wait(deadline));
  co_return Status();
}

// An end of the stream could reach the sandbox before the reset does, and would look like that of the answer: there is
// none as long as somebody is there to pass it on.
io::Always<void> CredentialDesk::Errand::reset() {
  if (has_left) co_return;
  order.cut();
  const Status in_time = co_await wait_left();
  if (in_time.ok()) co_return;
  order.lose();
  (void)co_await wait_left();
}

io::Task<void> CredentialDesk::Errand::wait_left() {
  const io::Deadline deadline = io::Deadline::in(kLeave);
  while (!has_left) LMSB_CO_CHECK(co_await left.wait(deadline));
  co_return Status();
}

}  // namespace lmsb::control
