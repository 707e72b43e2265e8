#pragma once
// For tests of TLS: certificates made for the test, and a blocking client of OpenSSL's own that says what it is told.
#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <unistd.h>

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "http/test_support.h"
#include "http/tls.h"

namespace lmsb::http {

// A certificate that vouches for itself, its key, and both as PEM.
class TestCertificate {
 public:
  // `begin` and `end` of its validity count from now, in seconds. `subject`: its common name.
  explicit TestCertificate(const std::string& names = "DNS:localhost", long begin = -60, long end = 600,
                           const std::string& subject = "")
      : key(EVP_EC_gen("P-256")), x509(X509_new()) {
    X509_set_version(x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), begin);
    X509_gmtime_adj(X509_getm_notAfter(x509), end);
    X509_set_pubkey(x509, key);
    if (!subject.empty())
      X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(subject.data()),  // NOLINT: C interface
                                 static_cast<int>(subject.size()), -1, 0);
    X509_set_issuer_name(x509, X509_get_subject_name(x509));
    X509_EXTENSION* name = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names.c_str());
    X509_add_ext(x509, name, -1);
    X509_EXTENSION_free(name);
    X509_sign(x509, key, EVP_sha256());
    const int fd = ::mkstemp(path.data());
    std::FILE* file = ::fdopen(fd, "w");
    std::fputs(certificate_pem().c_str(), file);
    std::fclose(file);
  }
  ~TestCertificate() {
    ::unlink(path.c_str());
    X509_free(x509);
    EVP_PKEY_free(key);
  }
  TestCertificate(const TestCertificate&) = delete;
  TestCertificate& operator=(const TestCertificate&) = delete;

  std::string certificate_pem() const {
    return written([this](BIO* out) { PEM_write_bio_X509(out, x509); });
  }
  std::string key_pem() const {
    return written([this](BIO* out) { PEM_write_bio_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr); });
  }
  std::string key_pem_with_passphrase() const {
    return written([this](BIO* out) {
      std::string word = "secret";
      PEM_write_bio_PrivateKey(out, key, EVP_aes_128_cbc(), nullptr, 0, nullptr, word.data());
    });
  }
  TlsIdentity identity() const { return {certificate_pem(), "cert.pem", Secret(key_pem()), "key.pem"}; }
  std::shared_ptr<const TlsContext> context() const { return *TlsContext::of_server(identity()); }

  EVP_PKEY* key;
  X509* x509;
  std::string path = "/tmp/lmsb-tls-XXXXXX";  // of the certificate

 private:
  template <class Write>
  static std::string written(Write write) {
    BIO* out = BIO_new(BIO_s_mem());
    write(out);
    char* data = nullptr;
    const long size = BIO_ctrl(out, BIO_CTRL_INFO, 0, &data);
    std::string text(data, static_cast<std::size_t>(size));
    BIO_free(out);
    return text;
  }
};

// Trusts anybody: it is told whom it meets.
class TlsClient {
 public:
  // How the other end stopped.
  enum class End : std::uint8_t { goodbye, cut_off };

  explicit TlsClient(const std::string& bound, int most_version = TLS1_3_VERSION, std::string_view protocols = "")
      : tcp_(*to_address(*parse_host_port(bound))), context_(SSL_CTX_new(TLS_client_method())) {
    SSL_CTX_set_security_level(context_, 0);
    SSL_CTX_set_min_proto_version(context_, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context_, most_version);
    ssl_ = SSL_new(context_);
    SSL_set_fd(ssl_, tcp_.fd());
    if (!protocols.empty())
      SSL_set_alpn_protos(ssl_, reinterpret_cast<const unsigned char*>(protocols.data()),
                          static_cast<unsigned int>(protocols.size()));
    ERR_clear_error();
    is_connected_ = SSL_connect(ssl_) == 1;
    if (!is_connected_) {
      const char* reason = ERR_reason_error_string(ERR_peek_last_error());
      failure_ = reason != nullptr ? reason : "the connection was closed";
    }
  }
  ~TlsClient() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
  }
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  bool is_connected() const { return is_connected_; }
  const std::string& failure() const { return failure_; }
  std::string version() const { return SSL_get_version(ssl_); }
  std::string protocol() const {
    const unsigned char* name = nullptr;
    unsigned int size = 0;
    SSL_get0_alpn_selected(ssl_, &name, &size);
    return {reinterpret_cast<const char*>(name), size};
  }
  bool meets(const TestCertificate& certificate) const {
    X509* met = SSL_get1_peer_certificate(ssl_);
    const bool same = met != nullptr && X509_cmp(met, certificate.x509) == 0;
    X509_free(met);
    return same;
  }
  TlsClient& say(std::string_view text) {
    std::size_t sent = 0;
    EXPECT_TRUE(text.empty() || (SSL_write_ex(ssl_, text.data(), text.size(), &sent) == 1 && sent == text.size()));
    return *this;
  }
  void say_goodbye() { SSL_shutdown(ssl_); }
  void hang_up() { tcp_.hang_up(); }
  std::string hear_some() {
    std::string chunk(65536, '\0');
    std::size_t count = 0;
    ERR_clear_error();
    const int result = SSL_read_ex(ssl_, chunk.data(), chunk.size(), &count);
    if (result != 1) end_ = SSL_get_error(ssl_, result) == SSL_ERROR_ZERO_RETURN ? End::goodbye : End::cut_off;
    chunk.resize(count);
    return chunk;
  }
  std::string hear_all() {
    std::string all;
    for (std::string more = "-"; !more.empty(); all += more) more = hear_some();
    return all;
  }
  std::string hear_until(std::string_view marker) {
    std::string all;
    while (all.find(marker) == std::string::npos) {
      const std::string more = hear_some();
      if (more.empty()) break;
      all += more;
    }
    return all;
  }
  // Once nothing more came.
  End end() const { return end_; }

 private:
  RawClient tcp_;
  SSL_CTX* context_;
  SSL* ssl_ = nullptr;
  bool is_connected_ = false;
  std::string failure_;
  End end_ = End::cut_off;
};

}  // namespace lmsb::http
