#pragma once
// Doors: who may come in. Decides, before any handler runs, whether a request's Host, Origin and fetch metadata are
// ours, who asks, and whether its body is of a kind that we read (interfaces.md, "Doors").
//
// Why each check: Host, against DNS rebinding; Origin and Sec-Fetch-*, against pages of other sites that post to
// 127.0.0.1; the JSON content type, since a form or a no-cors fetch cannot send it; the peer's uid, since on a machine
// with several users loopback is open to all of them.
// Pure functions of the request and the policy; nothing here blocks.
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/result.h"
#include "base/secret.h"
#include "control/control.h"
#include "control/key_service.h"
#include "http/message.h"
#include "server/preview_host.h"

namespace lmsb::server {

struct ApiKey {
  std::string name;  // becomes the principal "key:NAME"
  Sha256 digest{};   // of the key's text
  bool admin = false;

  static ApiKey from_secret(std::string name, const Secret& secret, bool admin = false);
};

// What a user of this machine may do without a key.
enum class LocalAccess : std::uint8_t {
  none,   // needs a key
  own,    // sees its own sandboxes: a member of the socket's group
  admin,  // sees all: root and the daemon's own user
};

struct DoorPolicy {
  std::vector<std::string> own_hosts;      // the addresses listened on: "192.168.1.5", "::1", "0.0.0.0"
  std::vector<std::string> allow_hosts;    // --allow-host: "sandbox.lan" (any port) or "sandbox.lan:8443"
  std::vector<std::string> allow_origins;  // --allow-origin: "https://console.lan"
  std::vector<ApiKey> keys;
  bool auth_required = false;  // [auth] required: everyone needs a key
  // Asked for each request that comes by loopback or the unix socket without a valid key. Must not block. Empty: none.
  std::function<LocalAccess(std::uint32_t uid)> local_access;
  // Whom it lets in, for a sentence.
  std::string local_users = "this machine's root, the daemon's own user and members of the socket's group are";
  // What a user of this machine whom it turns away can do, a sentence: which group to join. "" = said in general.
  std::string local_help;
};

// A request turned away: the answer's status, and why.
struct Refusal {
  int status;
  Error error;
};

class Doors {
 public:
  // `keys`, where there are any beside those of the policy, outlive it.
  explicit Doors(DoorPolicy policy, control::KeyService* keys = nullptr);

  // Whether the request comes from where it may: Host (421), Origin and fetch metadata (403).
  std::optional<Refusal> check_source(const http::Request& request) const;
  // The same for what comes by the name of a port of a sandbox: its own pages, those of the sandbox's other ports and
  // of listed origins may.
  std::optional<Refusal> check_preview_source(const http::Request& request, const PreviewHost& place) const;
  // Whether we answer for a Host field's name, with any port; names of previews aside.
  bool answers_for(std::string_view host) const { return host_is_ours(host); }
  // Whether a program that is not us may see its Authorization: no when there are several, an X-API-Key beside it, or
  // one of our keys anywhere in it.
  bool may_pass_on_authorization(const http::Headers& headers) const;
  // Who asks; an Error `unauthenticated` says what to do. A valid key decides; else the peer's uid, where that is
  // enough; a key that is not needed is ignored, unless it is one of ours that may not come in (key_expired,
  // rate_limited, not_ready), or anything in what was sent for one reads as ours, whatever it was sent as: nobody
  // becomes somebody else when his key ends. `X-Access-Token` opens nothing here. Counts as one request of the key's.
  Result<control::Principal> authenticate(const http::Request& request) const;
  // The principal of a key, for who has from it what stands in for it. Counts as a request of that key's. Errors:
  // key_unknown, key_expired, rate_limited.
  Result<control::Principal> enter_as(const std::string& principal) const;
  // Whether a request's body is declared as JSON and not compressed (415). No body: no declaration needed.
  std::optional<Refusal> check_body(const http::Request& request) const;
  // The same where the body is read as it comes, and may be of any kind that keeps other sites' pages out (415): what a
  // form or a no-cors fetch can send is POST, with one of three types or none. So POST needs another `application/...`;
  // other methods need no type, since no browser sends them unasked to another site.
  std::optional<Refusal> check_streamed_body(const http::Request& request) const;
  // Whether `origin` may read answers from a page of its own (CORS): the listed ones, nothing else.
  bool is_listed_origin(std::string_view origin) const;
  // Whether it is the principal of a key, one that is or was.
  static bool is_of_key(std::string_view principal) { return principal.starts_with("key:"); }
  // Whether who came in by that name still could: a key that is gone may not.
  bool is_valid(const std::string& principal) const;
  // The principals of configured keys that `others` have not.
  std::vector<std::string> principals_not_of(const Doors& others) const;

 private:
  bool host_is_ours(std::string_view host) const;
  std::optional<Refusal> check_fetch_metadata(const http::Request& request) const;
  const ApiKey* find_key(std::string_view text) const;
  bool has_key_in(std::string_view text) const;
  bool is_one_of_ours(std::string_view text) const;
  bool may_be_ignored(const http::Headers& headers) const;
  Result<control::Principal> by_key(const http::Request& request) const;
  std::optional<control::Principal> by_uid(const http::Peer& peer) const;
  Error unauthenticated(const http::Request& request, const Error& about_key) const;

  DoorPolicy policy_;
  control::KeyService* keys_;
  bool any_address_ = false;  // listening on a wildcard address
};

}  // namespace lmsb::server
