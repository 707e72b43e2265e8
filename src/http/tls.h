#pragma once
// TLS 1.2 and 1.3 on a connected socket, at either end, over OpenSSL: what both ends show and trust (TlsContext), and
// one connection's state (TlsSession). Nothing here waits: who uses it waits for the socket (http/tls_stream.h,
// http/connection_tls.cc).
//
// A server speaks what Mozilla's intermediate list names, and offers http/1.1 by ALPN. Nothing is renegotiated, resumed
// or sent early. A client takes a certificate of whom it trusts, for the name that it wants, or does not connect.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"
#include "base/unique_fd.h"
#include "http/gather.h"

struct ssl_ctx_st;
struct ssl_st;

namespace lmsb::http {

struct TlsOctets;  // http/tls_octets.h

// What a server shows, as PEM. The names are for messages.
struct TlsIdentity {
  std::string certificates;  // its own first, then those between it and an authority
  std::string certificates_name;
  Secret key;
  std::string key_name;
};

// Does not change once it is made; sessions keep what they need of it.
class TlsContext {
 public:
  // Errors: invalid_argument (not PEM, a key of another certificate, one with a passphrase), failed_precondition (not
  // valid now).
  static Result<std::shared_ptr<const TlsContext>> of_server(const TlsIdentity& identity);
  // Trusts the authorities in the file `ca_file` and no others; the system's, when it is "". Blocks, small.
  static Result<std::shared_ptr<const TlsContext>> of_client(const std::string& ca_file);

  // When the certificate that is shown stops being valid.
  std::chrono::system_clock::time_point expires_at() const { return expires_at_; }
  ssl_ctx_st* get() const { return context_.get(); }

 private:
  struct Free {
    void operator()(ssl_ctx_st* context) const;
  };
  explicit TlsContext(ssl_ctx_st* context) : context_(context) {}
  Status add_certificates(const TlsIdentity& identity);
  Status add_key(const TlsIdentity& identity);

  std::unique_ptr<ssl_ctx_st, Free> context_;
  std::chrono::system_clock::time_point expires_at_;
};

// One end of a connection. Owned by who owns the socket, which stays open as long as this lives. One thread. A call
// reads little: the other end may send what is not for us (KeyUpdate), as much as it likes. The socket can be read
// still when it returns wants_read then, so a wait for that gives others their turn and goes on.
class TlsSession {
 public:
  // wants_read, wants_write: the same call again, once the socket can be read or written. ended: the other end has said
  // that it sends nothing more. failed: the connection is of no use any more.
  enum class Step : std::uint8_t { done, wants_read, wants_write, ended, failed };

  static std::unique_ptr<TlsSession> of_server(const TlsContext& context, BorrowedFd socket);
  // `host` is whom the certificate must be for: a name, or an address.
  static Result<std::unique_ptr<TlsSession>> of_client(const TlsContext& context, BorrowedFd socket,
                                                       const std::string& host);
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  Step shake_hands();
  // `count` octets into `room` when done.
  Step read(char* room, std::size_t size, std::size_t& count);
  // Whether read() may have something, though nothing can be read from the socket.
  bool has_read_ahead() const;
  // Sends what `out` has, as Gather::send_now() does. What was begun is finished before anything else is sent.
  Gather::Sent send_now(Gather& out);
  // Sends a few octets between two Gathers, now or before the next one; nothing while one is half sent.
  void send_aside(std::string_view text);
  // Says that nothing more will be sent (close_notify). Not behind something half sent: that is no orderly end.
  Step say_goodbye();

  // Why the last step failed, as an Error `unavailable`: with the errno where a system call did, and the slug
  // certificate_not_trusted where the other end's certificate is not.
  Error failure(std::string_view what) const;

 private:
  TlsSession(const TlsContext& context, BorrowedFd socket);
  void begin_step();
  Step step_of(int result);
  Gather::Sent write(Gather& out);

  std::unique_ptr<TlsOctets> octets_;
  ssl_st* ssl_;
  std::string aside_;          // of send_aside(), not taken yet
  bool is_half_sent_ = false;  // OpenSSL has a record that the socket has not taken
  bool is_broken_ = false;
  bool is_read_only_ = false;  // the other end takes nothing more; what it has said can be read
  bool is_established_ = false;
  unsigned long reason_ = 0;  // OpenSSL's
};

}  // namespace lmsb::http
