// TlsSession: one end of a connection.
#include <array>
#include <utility>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/assert.h"
#include "http/address.h"
#include "http/tls.h"
#include "http/tls_octets.h"

namespace lmsb::http {
namespace {

constexpr std::size_t kRecord = 16384;   // octets of one at most: so much is encrypted and sent at once
constexpr unsigned kRecordsInARow = 16;  // before others have their turn; the other end may want them small
constexpr unsigned kReadsInAStep = 64;   // from the socket: a record is two of them

bool is_address(const std::string& host) {
  HostPort host_port;
  host_port.host = host;
  return host != "localhost" && to_address(host_port).ok();
}

}  // namespace

TlsSession::TlsSession(const TlsContext& context, BorrowedFd socket)
    : octets_(std::make_unique<TlsOctets>(TlsOctets{socket})), ssl_(SSL_new(context.get())) {
  LMSB_ASSERT(ssl_ != nullptr);
  BIO* bio = make_bio(*octets_);
  SSL_set_bio(ssl_, bio, bio);
}

TlsSession::~TlsSession() { SSL_free(ssl_); }

std::unique_ptr<TlsSession> TlsSession::of_server(const TlsContext& context, BorrowedFd socket) {
  std::unique_ptr<TlsSession> session(new TlsSession(context, socket));
  SSL_set_accept_state(session->ssl_);
  return session;
}

Result<std::unique_ptr<TlsSession>> TlsSession::of_client(const TlsContext& context, BorrowedFd socket,
                                                          const std::string& host) {
  std::unique_ptr<TlsSession> session(new TlsSession(context, socket));
  SSL* const ssl = session->ssl_;
  SSL_set_connect_state(ssl);
  bool is_set = false;
  if (is_address(host)) {  // addresses are no names: none is sent for them (RFC 6066 section 3)
    is_set = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1;
  } else {
    // Names are those of the extension for them, and "*" stands for a whole label (RFC 9525).
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    std::string name = host;  // copied by it; the macro of this name casts in C's way
    is_set = SSL_set1_host(ssl, host.c_str()) == 1 &&
             SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name.data()) == 1;
  }
  if (!is_set) return Error(ErrorCode::invalid_argument, "no certificate could be for this name");
  return session;
}

void TlsSession::begin_step() {
  ERR_clear_error();
  octets_->reads_left = kReadsInAStep;
}

// What OpenSSL made of the last call.
TlsSession::Step TlsSession::step_of(int result) {
  if (result == 1) return Step::done;
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ: return Step::wants_read;
    case SSL_ERROR_WANT_WRITE: return Step::wants_write;
    case SSL_ERROR_ZERO_RETURN: return Step::ended;
    default: break;
  }
  reason_ = ERR_peek_last_error();
  return Step::failed;
}

TlsSession::Step TlsSession::shake_hands() {
  begin_step();
  const Step step = step_of(SSL_do_handshake(ssl_));
  if (step == Step::done) is_established_ = true;
  if (step == Step::failed) is_broken_ = true;
  return step;
}

TlsSession::Step TlsSession::read(char* room, std::size_t size, std::size_t& count) {
  count = 0;
  if (is_broken_) return Step::failed;
  begin_step();
  const Step step = step_of(SSL_read_ex(ssl_, room, size, &count));
  if (step == Step::failed) is_broken_ = true;
  return step;
}

bool TlsSession::has_read_ahead() const { return SSL_has_pending(ssl_) == 1; }

Gather::Sent TlsSession::send_now(Gather& out) {
  if (!aside_.empty()) {
    Gather first;
    first.add(aside_);
    const Gather::Sent sent = write(first);
    if (sent != Gather::Sent::all) return sent;
    aside_.clear();
  }
  return write(out);
}

// OpenSSL has encrypted what it could not send, and wants to hear the same octets again until it has: a Gather has them
// still, since it is told of none before.
Gather::Sent TlsSession::write(Gather& out) {
  std::array<char, kRecord> record;  // NOLINT: what is used of it is filled
  std::size_t piece = record.size();
  for (unsigned records = 0; !is_broken_ && !is_read_only_; ++records) {
    const std::size_t size = out.copy_to(record.data(), piece);
    if (size == 0) return Gather::Sent::all;
    if (records == kRecordsInARow) return Gather::Sent::full;
    begin_step();
    std::size_t sent = 0;
    const Step step = step_of(SSL_write_ex(ssl_, record.data(), size, &sent));
    is_half_sent_ = step == Step::wants_write;
    if (is_half_sent_) return Gather::Sent::full;
    if (step != Step::done) is_read_only_ = true;
    if (sent > 0) piece = sent;
    out.took(sent);
  }
  return Gather::Sent::failed;
}

void TlsSession::send_aside(std::string_view text) {
  if (is_half_sent_) return;
  aside_ = text;
  Gather first;
  first.add(aside_);
  if (write(first) != Gather::Sent::full) aside_.clear();
}

TlsSession::Step TlsSession::say_goodbye() {
  if (!is_established_ || is_broken_ || is_read_only_ || is_half_sent_) return Step::failed;
  begin_step();
  const int result = SSL_shutdown(ssl_);
  return result < 0 ? step_of(result) : Step::done;  // 0: the other end has not said so yet, and need not
}

Error TlsSession::failure(std::string_view what) const {
  const std::string step = std::string(what) + ": ";
  const long verdict = SSL_get_verify_result(ssl_);
  if (!is_established_ && verdict != X509_V_OK) {
    return Error(ErrorCode::unavailable,
                 step + "the certificate is not trusted: " + X509_verify_cert_error_string(verdict))
        .with_slug("certificate_not_trusted");
  }
  if (octets_->error != 0) return Error::from_errno(octets_->error, what);
  const char* reason = ERR_reason_error_string(reason_);
  return Error(ErrorCode::unavailable, step + (reason != nullptr ? reason : "the other end closed the connection"));
}

}  // namespace lmsb::http
