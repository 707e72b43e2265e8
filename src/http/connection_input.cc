// Connection: what comes from the client: requests, as far as their bodies are read whole, and the end.
#include <algorithm>

#include <boost/asio/buffer.hpp>

#include "http/connection.h"

namespace lmsb::http {
namespace asio = boost::asio;

void Connection::Inbox::shrink() {
  if (begin == end && buffer.size() > kSmall) buffer = std::vector<char>(kSmall);
}

bool Connection::Inbox::has_room(std::size_t wanted_size) {
  if (begin == end) begin = end = 0;
  if (end == buffer.size() && begin > 0) {
    std::copy(buffer.begin() + static_cast<std::ptrdiff_t>(begin), buffer.end(), buffer.begin());
    end -= begin;
    begin = 0;
  }
  if (end == buffer.size()) wanted_size = std::max(wanted_size, end * 2);
  if (buffer.size() < std::min(wanted_size, kLarge)) buffer.resize(std::min(wanted_size, kLarge));
  return end < buffer.size();
}

// ---- Requests

io::Always<Connection::Got> Connection::read_request() {
  parser_.reset();
  continued_ = false;
  end_watch_.reset();
  phase_ = Phase::idle;
  if (inbox_) inbox_->shrink();
  Stage before = Stage::idle;
  while (true) {
    if (const auto got = take_input(before)) co_return *got;
    if (input_ended_ || expired_) co_return on_input_end();
    if (phase_ == Phase::idle && !state_->stopping) set_deadline(state_->limits.idle_timeout);
    if (phase_ == Phase::idle && state_->stopping) co_return Got::end;
    start_read();
    served_in_a_row_ = 0;
    co_await wait_input();
  }
}

// Gives the parser what there is. Nothing: more is needed.
std::optional<Connection::Got> Connection::take_input(Stage& before) {
  Inbox& in = inbox();
  if (in.begin == in.end) return std::nullopt;
  in.begin += parser_.feed(in.data());
  account_body();
  if (accounted_body_ > 0 && state_->has_too_many_bodies()) {
    parser_.refuse({503, "too many large requests at once; try again in a moment"});
  } else if (inbox_ && !inbox_->has_room(Inbox::kSmall)) {
    parser_.refuse({400, "malformed request: a line of the body is too long"});
  }
  const Stage stage = parser_.stage();
  if (stage == Stage::failed) return Got::refusal;
  if (stage == Stage::complete || parser_.is_streamed()) return Got::request;
  note_progress(before);
  before = stage;
  if (stage == Stage::body && parser_.expects_continue() && !continued_) send_continue();
  return std::nullopt;
}

// Starts the clock of the part that the request has come to.
void Connection::note_progress(Stage before) {
  const Stage stage = parser_.stage();
  if (stage == Stage::idle || stage == before) return;
  phase_ = Phase::reading;
  set_deadline(stage == Stage::header ? state_->limits.header_timeout : state_->limits.body_timeout);
}

Connection::Got Connection::on_input_end() {
  const Stage stage = parser_.stage();
  if (input_ended_ || stage == Stage::idle) return Got::end;
  parser_.refuse({408, stage == Stage::header ? "the request's header did not arrive in time"
                                              : "the request's body did not arrive in time"});
  expired_ = false;  // the answer has its own time
  return Got::refusal;
}

void Connection::account_body() {
  const std::uint64_t size = parser_.request().body.size();
  state_->count_body(accounted_body_, size);
  accounted_body_ = size;
}

void Connection::send_continue() {
  continued_ = true;
  static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  // A client whose socket is too full for 25 octets sends its body unasked after a while.
  if (tls_) return tls_->send_aside(kContinue);
  (void)::send(socket_.native_handle(), kContinue.data(), kContinue.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void Connection::start_read() {
  const std::size_t wanted = parser_.stage() == Stage::body ? Inbox::kLarge : Inbox::kSmall;
  if (!inbox_ || input_ended_) return;
  if (!inbox_->has_room(wanted)) return watch_end();
  in_flight_ = inbox_.get();
  if (tls_) return start_read_by_tls(std::move(inbox_));
  const auto room =
      asio::buffer(in_flight_->buffer.data() + in_flight_->end, in_flight_->buffer.size() - in_flight_->end);
  socket_.async_read_some(
      room, [this, inbox = std::move(inbox_)](const boost::system::error_code& error, std::size_t count) mutable {
        inbox_ = std::move(inbox);
        in_flight_ = nullptr;
        on_read(error, count);
      });
}

// Of a client that has sent more than is read ahead: reads do not come to its end.
void Connection::watch_end() {
  if (end_watch_ || (phase_ != Phase::serving && phase_ != Phase::streaming)) return;
  end_watch_ = std::make_unique<EndWatch>(state_->loop, BorrowedFd(socket_.native_handle()), [this] {
    if (in_flight_ != nullptr) return end_watch_.reset();  // that read sees it, behind what comes before
    input_ended_ = true;
    on_end_of_input();
  });
}

void Connection::on_end_of_input() {
  if (body_) body_->arrived.notify_all();
  if (phase_ == Phase::serving || phase_ == Phase::streaming) canceller_.cancel();
}

void Connection::on_read(const boost::system::error_code& error, std::size_t count) {
  inbox_->end += count;
  // A read that expire() or hand_over() ended is not the end of the input.
  const bool ended_by_us = error == asio::error::operation_aborted && (expired_ || phase_ == Phase::handing_over);
  if (error && !ended_by_us) input_ended_ = true;
  if (body_) body_->arrived.notify_all();
  if (inbox_->waiting) {
    Wake wake = *std::exchange(inbox_->waiting, std::nullopt);
    std::move(wake)();
  } else if (phase_ == Phase::serving || phase_ == Phase::streaming) {
    if (input_ended_) {
      on_end_of_input();
    } else {
      start_read();
    }
  }
}

// Ends when the read in flight has.
io::Always<void> Connection::wait_input() {
  if (in_flight_ == nullptr) co_return;
  auto start = [this](auto handler) { in_flight_->waiting.emplace(std::move(handler)); };
  auto wait = asio::async_initiate<const asio::use_awaitable_t<>, void()>(std::move(start), asio::use_awaitable);
  co_await std::move(wait);
}

}  // namespace lmsb::http
