#pragma once
// SHA-256 for API keys and idempotency: what is kept is a digest, never the secret; keyed, for what we sign.
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

struct evp_md_ctx_st;  // OpenSSL's EVP_MD_CTX

namespace lmsb {

using Sha256 = std::array<std::uint8_t, 32>;

Sha256 sha256(std::string_view bytes);

// The same of what comes in pieces.
class Sha256Sum {
 public:
  Sha256Sum();
  void add(std::string_view bytes);
  // Of all that was added. Once, and nothing is added afterwards.
  Sha256 finish();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

// HMAC (RFC 2104).
Sha256 hmac_sha256(std::string_view key, std::string_view bytes);
// Takes the same time wherever the first difference is.
bool equal_in_constant_time(const Sha256& a, const Sha256& b);
// 64 lower case hexadecimal digits.
std::string to_hex(const Sha256& digest);
// 64 hexadecimal digits; nothing for anything else.
std::optional<Sha256> parse_sha256(std::string_view hex);

}  // namespace lmsb
