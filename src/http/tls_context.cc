// TlsContext: what an end of a connection shows, and whom it trusts.
#include <ctime>
#include <utility>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/assert.h"
#include "http/tls.h"

namespace lmsb::http {
namespace {

// Mozilla's intermediate list (5.7) without finite-field Diffie-Hellman; those of TLS 1.3 are OpenSSL's own.
constexpr const char* kCiphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr const char* kGroups = "X25519:P-256:P-384";
constexpr const char* kHowToMake =
    "docs/user/tls.md shows how to make the two files, or `openssl x509 -in FILE -noout -text` what is in one";
constexpr int kMostCertificates = 16;

template <auto Function>
struct Freeing {
  template <class T>
  void operator()(T* object) const {
    Function(object);
  }
};
using Bio = std::unique_ptr<BIO, Freeing<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Freeing<X509_free>>;
using PrivateKey = std::unique_ptr<EVP_PKEY, Freeing<EVP_PKEY_free>>;

std::string reason() {
  const char* text = ERR_reason_error_string(ERR_peek_last_error());
  return text != nullptr ? text : "no reason given";
}

Bio bio_of(const std::string& text) {
  Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  LMSB_ASSERT(bio != nullptr);
  return bio;
}

// Nobody is asked for a passphrase: OpenSSL would ask the terminal.
int no_passphrase(char* /*room*/, int /*size*/, int /*writing*/, void* /*data*/) { return 0; }

Error bad(const std::string& file, const std::string& why) {
  return Error(ErrorCode::invalid_argument, file + ": " + why).with_hint(kHowToMake);
}

Result<std::chrono::system_clock::time_point> time_of(const ASN1_TIME* time, const std::string& file) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return bad(file, "the certificate's dates cannot be read");
  return std::chrono::system_clock::from_time_t(::timegm(&parts));
}

std::string date_of(std::chrono::system_clock::time_point time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32] = {};  // NOLINT: strftime's
  (void)std::strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &parts);
  return text;
}

// When it stops being valid. Error: it has, or is not yet.
Result<std::chrono::system_clock::time_point> check_dates(const X509* certificate, const std::string& file) {
  LMSB_TRY(const auto begin, time_of(X509_get0_notBefore(certificate), file));
  LMSB_TRY(const auto end, time_of(X509_get0_notAfter(certificate), file));
  const auto now = std::chrono::system_clock::now();
  if (now >= begin && now < end) return end;
  const std::string what = now < begin ? "is not valid before " + date_of(begin) : "has expired: " + date_of(end);
  return Error(ErrorCode::failed_precondition, file + ": the certificate " + what)
      .with_hint(now < begin ? "is this machine's clock right?" : "put a new one there, and its key");
}

// http/1.1, which a client that speaks something else only is told.
int choose_protocol(SSL* /*ssl*/, const unsigned char** chosen, unsigned char* size, const unsigned char* offered,
                    unsigned int offered_size, void* /*data*/) {
  static constexpr std::string_view kOurs = "http/1.1";
  for (unsigned int at = 0; at < offered_size; at += 1U + offered[at]) {
    const std::string_view name(reinterpret_cast<const char*>(offered) + at + 1, offered[at]);
    if (name != kOurs) continue;
    *chosen = offered + at + 1;
    *size = offered[at];
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

SSL_CTX* make_context(const SSL_METHOD* method) {
  SSL_CTX* context = SSL_CTX_new(method);
  LMSB_ASSERT(context != nullptr);
  std::string groups = kGroups;  // copied by it; the macro of this name casts in C's way
  LMSB_ASSERT(SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1);
  LMSB_ASSERT(SSL_CTX_set_cipher_list(context, kCiphers) == 1);
  LMSB_ASSERT(SSL_CTX_ctrl(context, SSL_CTRL_SET_GROUPS_LIST, 0, groups.data()) == 1);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context,
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_num_tickets(context, 0);
  return context;
}

}  // namespace

void TlsContext::Free::operator()(ssl_ctx_st* context) const { SSL_CTX_free(context); }

Status TlsContext::add_certificates(const TlsIdentity& identity) {
  const std::string& file = identity.certificates_name;
  const Bio bio = bio_of(identity.certificates);
  for (int count = 0;; ++count) {
    Certificate next(PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr));
    const bool is_end = !next && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    if (is_end && count > 0) return {};
    if (is_end) return bad(file, "there is no certificate in it (PEM: -----BEGIN CERTIFICATE-----)");
    if (!next) return bad(file, "certificate " + std::to_string(count + 1) + " cannot be read: " + reason());
    if (count == kMostCertificates) return bad(file, "more than 16 certificates; it takes those of one chain");
    if (count == 0) {
      LMSB_TRY(expires_at_, check_dates(next.get(), file));
      if (SSL_CTX_use_certificate(context_.get(), next.get()) != 1)
        return bad(file, "the certificate cannot be used: " + reason());
    } else if (SSL_CTX_ctrl(context_.get(), SSL_CTRL_CHAIN_CERT, 1, next.get()) != 1) {
      return bad(file, "certificate " + std::to_string(count + 1) + " cannot be used: " + reason());
    }
    ERR_clear_error();
  }
}

Status TlsContext::add_key(const TlsIdentity& identity) {
  const std::string& file = identity.key_name;
  const Bio bio = bio_of(identity.key.reveal());
  const PrivateKey key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  if (!key && identity.key.reveal().find("ENCRYPTED") != std::string::npos)
    return Error(ErrorCode::invalid_argument, file + ": the key has a passphrase, and nobody is there to type it")
        .with_hint("`openssl pkey -in FILE -out NEW` writes it without one; keep that file to root (chmod 600)");
  if (!key) return bad(file, "there is no private key in it (PEM: -----BEGIN PRIVATE KEY-----)");
  if (X509_check_private_key(SSL_CTX_get0_certificate(context_.get()), key.get()) != 1)
    return bad(file, "the key is not that of the certificate in " + identity.certificates_name);
  if (SSL_CTX_use_PrivateKey(context_.get(), key.get()) != 1) return bad(file, "the key cannot be used: " + reason());
  return {};
}

Result<std::shared_ptr<const TlsContext>> TlsContext::of_server(const TlsIdentity& identity) {
  ERR_clear_error();
  const std::shared_ptr<TlsContext> made(new TlsContext(make_context(TLS_server_method())));
  SSL_CTX_set_alpn_select_cb(made->get(), choose_protocol, nullptr);
  LMSB_CHECK(made->add_certificates(identity));
  LMSB_CHECK(made->add_key(identity));
  return std::shared_ptr<const TlsContext>(made);
}

Result<std::shared_ptr<const TlsContext>> TlsContext::of_client(const std::string& ca_file) {
  ERR_clear_error();
  const std::shared_ptr<TlsContext> made(new TlsContext(make_context(TLS_client_method())));
  SSL_CTX* const context = made->get();
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  if (ca_file.empty()) {
    if (SSL_CTX_set_default_verify_paths(context) != 1)
      return Error(ErrorCode::internal, "read the system's certificates: " + reason());
  } else if (SSL_CTX_load_verify_file(context, ca_file.c_str()) != 1) {
    return Error(ErrorCode::invalid_argument, ca_file + ": no certificates can be read from it: " + reason())
        .with_hint("it takes those of the authority that made the daemon's, as PEM");
  }
  return std::shared_ptr<const TlsContext>(made);
}

}  // namespace lmsb::http
