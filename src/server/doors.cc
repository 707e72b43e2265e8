#include "server/doors.h"

#include <algorithm>

#include "base/text.h"
#include "server/authority.h"

namespace lmsb::server {
namespace {

constexpr std::string_view kKeyPrincipal = "key:";

std::string principal_of(const ApiKey& key) { return std::string(kKeyPrincipal) + key.name; }

// Of an Authorization whose parts are looked at.
constexpr unsigned kMaxKeyParts = 256;
constexpr std::size_t kMaxKeySize = 1024;

// As whoever is lenient decodes it: of either alphabet, padded or not.
std::optional<std::string> decode_leniently(std::string_view word) {
  std::string text(word.substr(0, word.find('=')));
  std::replace(text.begin(), text.end(), '-', '+');
  std::replace(text.begin(), text.end(), '_', '/');
  while (text.size() % 4 != 0) text += '=';
  return base64_decode(text);
}

// A field's value, and what its words say that are Base64, as a password is sent.
std::vector<std::string> readings_of(std::string_view value) {
  std::vector<std::string> readings{std::string(value)};
  for (value = trim(value); !value.empty(); value = trim(value)) {
    const std::string_view word = value.substr(0, value.find_first_of(" \t"));
    value.remove_prefix(word.size());
    if (auto decoded = decode_leniently(word)) readings.push_back(*std::move(decoded));
  }
  return readings;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::optional<Refusal> refuse(int status, ErrorCode code, std::string slug, std::string message, std::string hint) {
  Error error(code, std::move(message));
  return Refusal{status, std::move(error).with_slug(std::move(slug)).with_hint(std::move(hint))};
}

std::optional<Refusal> refuse_host(const std::string& message) {
  return refuse(421, ErrorCode::permission_denied, "host_not_allowed", message,
                "use a loopback name, or start the daemon with --allow-host NAME");
}

std::optional<Refusal> refuse_origin(const std::string& message) {
  return refuse(403, ErrorCode::permission_denied, "origin_not_allowed", message,
                "pages of this origin may use the daemon when it is started with --allow-origin ORIGIN");
}

std::optional<Refusal> refuse_body(const std::string& message, const std::string& hint) {
  return refuse(415, ErrorCode::invalid_argument, "unsupported_media_type", message, hint);
}

std::optional<Refusal> check_encoding(const http::Request& request) {
  auto encoding = request.headers.find("Content-Encoding");
  if (!encoding || lower(*encoding) == "identity") return std::nullopt;
  return refuse_body("compressed request bodies are not read", "send the body without Content-Encoding");
}

// Without parameters; "" when there is none, or more than one.
std::string media_type(const http::Request& request) {
  if (request.headers.count("Content-Type") != 1) return "";
  std::string_view type = *request.headers.find("Content-Type");
  return lower(trim(type.substr(0, type.find(';'))));
}

std::optional<Refusal> refuse_type(const http::Request& request, const std::string& hint) {
  auto type = request.headers.find("Content-Type");
  return refuse_body(type ? "the body's Content-Type is " + quoted(*type) : "the body has no Content-Type", hint);
}

// Whether a body comes behind the header. One that is there already counts as well.
bool announces_body(const http::Request& request) {
  auto length = request.headers.find("Content-Length");
  return !request.body.empty() || request.headers.find("Transfer-Encoding") || (length && *length != "0");
}

// "application/..." but a form's: written well, since browsers take what is not for no type at all.
bool is_no_form(std::string_view media) {
  constexpr std::string_view kKind = "application/";
  if (!media.starts_with(kKind) || media.size() == kKind.size() || media == "application/x-www-form-urlencoded") {
    return false;
  }
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyz0123456789!#$&^_.+-";
  return media.substr(kKind.size()).find_first_not_of(kAllowed) == std::string_view::npos;
}

// An address as it stands in a Host field: IPv6 in brackets.
std::string as_host(const std::string& address) {
  bool bare_v6 = std::count(address.begin(), address.end(), ':') > 1 && !address.starts_with('[');
  return lower(bare_v6 ? "[" + address + "]" : address);
}

bool contains(const std::vector<std::string>& list, std::string_view item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

// What stands before the request's own machine: a proxy asks for somebody else, so its uid says nothing.
bool was_forwarded(const http::Headers& headers) {
  return headers.find("Forwarded") || headers.find("X-Forwarded-For") || headers.find("X-Real-IP");
}

// A path, or the absolute form with the same authority as the Host field (RFC 9112 section 3.2.2).
bool target_is_for(std::string_view target, std::string_view host) {
  if (target.starts_with('/')) return true;
  const std::size_t slashes = target.find("://");
  if (slashes == std::string_view::npos) return false;
  target.remove_prefix(slashes + 3);
  return lower(target.substr(0, target.find_first_of("/?"))) == lower(host);
}

std::optional<Refusal> check_host_field(const http::Request& request) {
  if (request.headers.count("Host") != 1) return refuse_host("the request needs exactly one Host field");
  if (target_is_for(request.target, *request.headers.find("Host"))) return std::nullopt;
  return refuse_host("the request's target names another server than its Host");
}

std::string_view bearer_of(std::string_view authorization) {
  const std::string_view value = trim(authorization);
  const std::size_t space = value.find(' ');
  if (space == std::string_view::npos || lower(value.substr(0, space)) != "bearer") return {};
  return trim(value.substr(space));
}

// The texts of all fields that carry a key; "" of one that carries something else.
std::vector<std::string_view> presented_texts(const http::Headers& headers) {
  std::vector<std::string_view> texts;
  for (const auto& [name, value] : headers.fields()) {
    const std::string field = lower(name);
    if (field == "x-api-key") texts.push_back(trim(value));
    if (field == "authorization") texts.push_back(bearer_of(value));
  }
  return texts;
}

// The key's text of the one field that carries it; nothing when there is none, or two.
std::optional<std::string_view> presented_key(const http::Headers& headers) {
  const auto texts = presented_texts(headers);
  if (texts.size() != 1 || texts.front().empty()) return std::nullopt;
  return texts.front();
}

Error unknown_key() {
  return Error(ErrorCode::unauthenticated, "the API key is not known here (or two were sent)").with_slug("key_unknown");
}

// Names below .localhost do not say which server of this machine is meant: the port does.
std::string port_of(std::string_view host) {
  const auto authority = Authority::parse(host);
  return authority ? authority->port : "";
}

// The unix socket, or loopback at both ends: the kernel knows whose the other end is.
bool is_local(const http::Peer& peer) { return peer.is_unix || (peer.is_loopback && peer.listener_is_loopback); }

}  // namespace

ApiKey ApiKey::from_secret(std::string name, const Secret& secret, bool admin) {
  return ApiKey{std::move(name), sha256(secret.reveal()), admin};
}

Doors::Doors(DoorPolicy policy, control::KeyService* keys) : policy_(std::move(policy)), keys_(keys) {
  for (std::string& host : policy_.own_hosts) host = as_host(host);
  for (std::string& host : policy_.allow_hosts) host = lower(host);
  for (std::string& origin : policy_.allow_origins) origin = lower(origin);
  any_address_ = contains(policy_.own_hosts, "0.0.0.0") || contains(policy_.own_hosts, "[::]");
}

bool Doors::host_is_ours(std::string_view host) const {
  std::optional<Authority> authority = Authority::parse(host);
  if (!authority) return false;
  if (authority->is_loopback() || contains(policy_.own_hosts, authority->host)) return true;
  // Rebinding needs a name: a browser that sends an address has connected to that address.
  if (any_address_ && authority->is_ip_literal()) return true;
  return contains(policy_.allow_hosts, authority->host) || contains(policy_.allow_hosts, lower(host));
}

std::optional<Refusal> Doors::check_source(const http::Request& request) const {
  if (auto refusal = check_host_field(request)) return refusal;
  std::string_view host = *request.headers.find("Host");
  if (PreviewHost::parse(host) || !host_is_ours(host))
    return refuse_host("this daemon does not answer for the host " + quoted(host));

  std::size_t origins = request.headers.count("Origin");
  if (origins == 0) return check_fetch_metadata(request);
  std::string origin = lower(*request.headers.find("Origin"));
  bool same = origin == "http://" + lower(host) || origin == "https://" + lower(host);
  const bool is_preview =
      PreviewHost::of_origin(origin).has_value();  // never, whoever lists it: a sandbox speaks there
  if (origins == 1 && !is_preview && (same || is_listed_origin(origin))) return std::nullopt;
  return refuse_origin("pages of the origin " + quoted(origin) + " may not use this daemon");
}

std::optional<Refusal> Doors::check_preview_source(const http::Request& request, const PreviewHost& place) const {
  if (auto refusal = check_host_field(request)) return refusal;
  std::size_t origins = request.headers.count("Origin");
  if (origins == 0) return check_fetch_metadata(request);
  std::string_view origin = *request.headers.find("Origin");
  const auto page = PreviewHost::of_origin(origin);
  const bool is_sibling = page && page->sandbox == place.sandbox &&
                          port_of(origin.substr(origin.find("://") + 3)) == port_of(*request.headers.find("Host"));
  if (origins == 1 && (is_sibling || is_listed_origin(origin))) return std::nullopt;
  return refuse(403, ErrorCode::permission_denied, "origin_not_allowed",
                "pages of the origin " + quoted(origin) + " may not use this sandbox's ports",
                "open the port's own URL; pages of the same sandbox may ask its other ports");
}

// For requests without Origin, which browsers send for simple GETs. Clients that are not browsers have no Sec-Fetch-*.
std::optional<Refusal> Doors::check_fetch_metadata(const http::Request& request) const {
  std::optional<std::string_view> site = request.headers.find("Sec-Fetch-Site");
  if (!site || *site == "same-origin" || *site == "none") return std::nullopt;
  auto is = [&request](std::string_view name, std::string_view value) {
    return request.headers.find(name) == std::optional<std::string_view>(value);
  };
  // Somebody follows a link to one of our pages: nothing is changed, and the other site cannot read it.
  if (request.method == "GET" && is("Sec-Fetch-Mode", "navigate") && is("Sec-Fetch-Dest", "document")) {
    return std::nullopt;
  }
  return refuse_origin("a page of another site may not use this daemon");
}

bool Doors::is_listed_origin(std::string_view origin) const {
  return contains(policy_.allow_origins, lower(origin)) && lower(origin) != "null";
}

bool Doors::is_valid(const std::string& principal) const {
  if (!is_of_key(principal)) return true;
  const auto is_it = [&principal](const ApiKey& key) { return principal_of(key) == principal; };
  return std::any_of(policy_.keys.begin(), policy_.keys.end(), is_it) ||
         (keys_ != nullptr && keys_->is_valid(principal));
}

std::vector<std::string> Doors::principals_not_of(const Doors& others) const {
  std::vector<std::string> gone;
  for (const ApiKey& key : policy_.keys)
    if (!others.is_valid(principal_of(key))) gone.push_back(principal_of(key));
  return gone;
}

const ApiKey* Doors::find_key(std::string_view text) const {
  if (text.empty()) return nullptr;
  const Sha256 digest = sha256(text);
  const ApiKey* found = nullptr;
  for (const ApiKey& key : policy_.keys) {
    if (equal_in_constant_time(key.digest, digest)) found = &key;  // no early end: all are compared
  }
  return found;
}

bool Doors::is_one_of_ours(std::string_view text) const {
  return find_key(text) != nullptr || (keys_ != nullptr && keys_->knows(text));
}

// As a whole, what stands behind any of its separators, and each part between two.
bool Doors::has_key_in(std::string_view text) const {
  constexpr std::string_view kSeparators = " \t:,;=\"'";
  const auto is_key = [this](std::string_view part) { return part.size() <= kMaxKeySize && is_one_of_ours(part); };
  text = trim(text);
  if (is_one_of_ours(text)) return true;
  for (unsigned parts = 0; !text.empty() && parts < kMaxKeyParts; ++parts) {
    const std::size_t end = text.find_first_of(kSeparators);
    if (is_key(text.substr(0, end))) return true;
    if (end == std::string_view::npos) return false;
    text.remove_prefix(end + 1);
    if (is_key(trim(text))) return true;
  }
  return !text.empty();  // too much to look at
}

bool Doors::may_pass_on_authorization(const http::Headers& headers) const {
  if (headers.count("Authorization") > 1 || headers.find("X-API-Key")) return false;
  if (policy_.keys.empty() && (keys_ == nullptr || keys_->is_empty())) return true;
  const auto readings = readings_of(headers.find("Authorization").value_or(""));
  return std::none_of(readings.begin(), readings.end(), [this](const auto& text) { return has_key_in(text); });
}

Result<control::Principal> Doors::by_key(const http::Request& request) const {
  const bool given = request.headers.find("Authorization") || request.headers.find("X-API-Key");
  if (!given) return Error(ErrorCode::unauthenticated, "this request needs an API key").with_slug("key_required");
  std::optional<std::string_view> presented = presented_key(request.headers);
  if (!presented) return unknown_key();
  if (const ApiKey* found = find_key(*presented)) return control::Principal{principal_of(*found), found->admin};
  if (keys_ == nullptr) return unknown_key();
  return keys_->enter(*presented);
}

Result<control::Principal> Doors::enter_as(const std::string& principal) const {
  for (const ApiKey& key : policy_.keys)
    if (principal_of(key) == principal) return control::Principal{principal, key.admin};
  if (keys_ == nullptr) return unknown_key();
  return keys_->enter_as(principal);
}

bool Doors::may_be_ignored(const http::Headers& headers) const {
  if (keys_ == nullptr) return true;
  const auto has_ours = [this](const std::string& text) { return keys_->has_ours_in(text); };
  for (const auto& [name, value] : headers.fields()) {
    const std::string field = lower(name);
    if (field != "x-api-key" && field != "authorization") continue;
    const auto readings = readings_of(value);
    if (std::any_of(readings.begin(), readings.end(), has_ours)) return false;
  }
  return true;
}

std::optional<control::Principal> Doors::by_uid(const http::Peer& peer) const {
  if (!is_local(peer) || policy_.auth_required || !peer.uid || !policy_.local_access) return std::nullopt;
  LocalAccess access = policy_.local_access(*peer.uid);
  if (access == LocalAccess::none) return std::nullopt;
  return control::Principal{"local:" + std::to_string(*peer.uid), access == LocalAccess::admin};
}

Error Doors::unauthenticated(const http::Request& request, const Error& about_key) const {
  Error error = about_key;
  std::string hint = "send `Authorization: Bearer KEY` or `X-API-Key: KEY`";
  if (is_local(request.peer) && !policy_.auth_required) {
    hint += "; without a key " + policy_.local_users + " served";
    if (!policy_.local_help.empty()) hint += ": " + policy_.local_help;
    if (!request.peer.uid && !was_forwarded(request.headers))
      hint +=
          ". Who you are could not be found out: does this kernel have tcp_diag? (lm-sandbox doctor); the unix socket "
          "works";
  }
  return std::move(error).with_hint(std::move(hint));
}

Result<control::Principal> Doors::authenticate(const http::Request& request) const {
  auto with_key = by_key(request);
  if (with_key.ok() || with_key.error().code() != ErrorCode::unauthenticated) return with_key;
  if (!was_forwarded(request.headers) && may_be_ignored(request.headers)) {
    if (auto principal = by_uid(request.peer)) return *std::move(principal);
  }
  return unauthenticated(request, with_key.error());
}

std::optional<Refusal> Doors::check_body(const http::Request& request) const {
  if (auto refusal = check_encoding(request)) return refusal;
  if (request.body.empty() || media_type(request) == "application/json") return std::nullopt;
  return refuse_type(request, "add the header `Content-Type: application/json`");
}

std::optional<Refusal> Doors::check_streamed_body(const http::Request& request) const {
  if (auto refusal = check_encoding(request)) return refusal;
  if (request.method != "POST" || !announces_body(request)) return std::nullopt;
  if (is_no_form(media_type(request))) return std::nullopt;
  return refuse_type(request, "add the header `Content-Type: application/octet-stream`");
}

}  // namespace lmsb::server
