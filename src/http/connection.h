#pragma once
// Connection: one client of the server, from accept to close; one coroutine.
//
// A read is in flight whenever there is room, also while a request is being served: that is how the end of the client
// is noticed, and what comes early is kept for the next request. Its completion wakes the coroutine if that waits for
// input. Nothing is re-armed or allocated for an ordinary request besides the message itself.
//
// By TLS it is the same connection: what it reads and sends goes through a TlsSession, where there is one. That, and
// what comes before the first request then, is in connection_tls.cc. Bodies that are not whole, and connections that
// are given away, are in connection_streams.cc; what comes from the client otherwise is in connection_input.cc.
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/async_result.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "http/address.h"
#include "http/body.h"
#include "http/end_watch.h"
#include "http/gather.h"
#include "http/parser.h"
#include "http/server_state.h"
#include "http/tls.h"
#include "http/upgrade.h"
#include "io/event.h"
#include "io/spawn.h"

namespace lmsb::http {

class Connection {
 public:
  using Clock = ServerState::Clock;

  // `peer` is who connected, as far as accept() told; `canceller` that of the task that will be run(). `tls`: what is
  // shown, null for plain HTTP.
  Connection(std::shared_ptr<ServerState> state, UniqueFd fd, Address peer, io::Canceller canceller,
             const TlsContext* tls = nullptr);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Serves the client until it or the server ends the connection.
  static io::Always<void> run(std::unique_ptr<Connection> connection);

  Clock::time_point deadline() const { return deadline_; }
  // Waits for a request, or for a handshake's end.
  bool is_idle() const { return phase_ == Phase::idle || phase_ == Phase::greeting; }
  // Since when, of one that is idle.
  Clock::time_point idle_since() const;
  // Its handshake is not over, and it comes from where `other` does.
  bool is_greeting_from(const Address& other) const {
    return phase_ == Phase::greeting && !expired_ && address_.is_same_site(other);
  }
  // What it sends ends with its client alone; so does what is spoken instead of HTTP.
  bool is_endless() const { return phase_ == Phase::handing_over || (phase_ == Phase::streaming && is_endless_); }
  // Whether what it does now is done for `name`.
  bool is_for(const std::string& name) const { return !is_idle() && *on_behalf_of_ == name; }
  // Waits for a client that takes nothing of what there is for it; deadline() says since when.
  bool is_waiting() const { return unread_ > 0 && !expired_ && deadline_ != Clock::time_point::max(); }
  std::uint64_t unread() const { return unread_; }
  // Ends such a one: what it holds counts no more.
  void drop_unread();
  // The deadline has passed: ends the wait in progress.
  void expire();
  // Ends it now, cancelling what it serves.
  void close();

 private:
  enum class Phase : std::uint8_t { greeting, idle, reading, serving, writing, streaming, handing_over, leaving };
  enum class Got : std::uint8_t { request, refusal, end };
  enum class Greeting : std::uint8_t { done, plain, failed };  // plain: the client does not speak TLS
  using Wake = boost::asio::async_result<boost::asio::use_awaitable_t<>, void()>::handler_type;
  using Socket =
      boost::asio::basic_stream_socket<boost::asio::generic::stream_protocol, boost::asio::io_context::executor_type>;

  // What has been received and not yet used. Owned by the read in flight while there is one (a loop that is destroyed
  // then destroys the coroutine through it); what is there may be used meanwhile, but not moved.
  struct Inbox {
    static constexpr std::size_t kSmall = 8192;   // of a connection that has said nothing large yet
    static constexpr std::size_t kLarge = 65536;  // at most; what is read ahead of a request counts too
    std::string_view data() const { return {buffer.data() + begin, end - begin}; }
    // Makes the buffer `wanted_size` if it is smaller, more if it is full; false when it is full and may not grow.
    bool has_room(std::size_t wanted_size);
    void shrink();
    std::vector<char> buffer;
    std::size_t begin = 0;
    std::size_t end = 0;
    std::optional<Wake> waiting;
  };

  class Incoming;
  struct Crossing;  // what carries a connection by TLS that has been given away
  // Between a connection and who reads its request's body; the reader may keep it longer.
  struct BodyLink {
    explicit BodyLink(boost::asio::io_context& loop) : arrived(loop) {}
    Connection* owner = nullptr;  // null: that request is over
    io::Event arrived;            // something, or the end
  };

  io::Always<void> serve_all();
  io::Always<Greeting> greet();
  io::Always<Greeting> shake_hands();
  void tell_why_it_failed() const;
  io::Always<bool> wait_for(TlsSession::Step step);
  io::Always<Got> read_request();
  std::optional<Got> take_input(Stage& before);
  Got on_input_end();
  void note_progress(Stage before);
  void account_body();
  void account_unread(std::uint64_t octets);
  void send_continue();
  io::Always<bool> answer();
  io::Always<Response> call_handler(Request request);
  io::Always<void> refuse(Refusal refusal);
  bool may_keep_alive(const Response& response) const;
  io::Always<bool> send(Response response, bool keep_alive, bool with_body);
  Gather::Sent send_now(Gather& out, Gather::Then then = Gather::Then::nothing);
  io::Always<bool> finish(Gather out);
  io::Always<bool> send_rest(Gather out);
  io::Always<bool> wait_writable();
  io::Always<bool> send_all(Gather out, Gather::Then then = Gather::Then::nothing);
  io::Always<void> let_others();

  std::shared_ptr<BodyReader> open_body();
  void close_body();
  std::optional<Result<std::string>> next_of_body();
  io::Always<bool> stream(std::shared_ptr<BodySource> source, std::optional<std::uint64_t> size, bool http10);
  io::Always<bool> send_piece(BodyPiece piece, bool chunked);
  io::Always<bool> send_relayed(std::shared_ptr<io::PipeRelay> relay);
  io::Always<bool> send_read_out(std::shared_ptr<io::PipeRelay> relay);
  io::Always<void> hand_over(Response response);
  std::shared_ptr<Crossing> give_socket(TakenOver& taken);
  io::Always<void> end_crossing(std::shared_ptr<Crossing> crossing);

  io::Always<void> say_goodbye();
  io::Always<void> leave();

  Inbox& inbox() { return inbox_ ? *inbox_ : *in_flight_; }
  void start_read();
  void start_read_by_tls(std::unique_ptr<Inbox> inbox);
  void wait_to_read(std::unique_ptr<Inbox> inbox, bool until_writable);
  void read_by_tls(const boost::system::error_code& error, std::unique_ptr<Inbox> inbox);
  void watch_end();
  void on_end_of_input();
  void on_read(const boost::system::error_code& error, std::size_t count);
  io::Always<void> wait_input();
  void set_deadline(std::chrono::milliseconds from_now);
  void no_deadline() { deadline_ = Clock::time_point::max(); }
  const Peer& peer();

  std::shared_ptr<ServerState> state_;
  io::Canceller canceller_;
  Socket socket_;
  std::unique_ptr<TlsSession> tls_;  // null: plain. On the socket.
  const bool is_tls_;
  Address address_;
  std::optional<Peer> peer_;
  RequestParser parser_;
  std::unique_ptr<Inbox> inbox_;  // null while a read is in flight
  Inbox* in_flight_ = nullptr;    // it is here then
  bool input_ended_ = false;      // no more will come: the client closed, or the connection failed
  bool expired_ = false;
  bool continued_ = false;               // "100 Continue" was sent for this request
  bool cut_off_ = false;                 // what was sent is not all, and only a reset can tell the client
  std::unique_ptr<EndWatch> end_watch_;  // once the inbox was full while a request is served
  Phase phase_ = Phase::idle;
  Clock::time_point deadline_ = Clock::time_point::max();
  std::shared_ptr<std::string> on_behalf_of_ = std::make_shared<std::string>();  // of the present request
  std::shared_ptr<BodyLink> body_;                                               // of a request whose body is streamed
  std::uint64_t accounted_body_ = 0;
  std::uint64_t unread_ = 0;      // octets of an answer that the socket does not take
  bool is_endless_ = false;       // of the answer being sent
  unsigned served_in_a_row_ = 0;  // without a wait in between
  std::string head_;              // of the answer; kept for its memory
  std::list<Connection*>::iterator self_;
};

}  // namespace lmsb::http
