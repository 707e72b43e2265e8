#pragma once
// Previews: ports of sandboxes by host name ("PORT-ID.localhost"), each an origin of its own, where browsers may run
// what the sandbox serves. Nothing of the API is there. Who may use the API on that sandbox may come in, by the same
// doors; so may who has a token for that port (preview_tokens.h).
//
// A token comes in the query once: a browser gets it back as a cookie of that origin, which its pages cannot read.
#include <chrono>
#include <string>

#include "base/result.h"
#include "control/control.h"
#include "http/message.h"
#include "io/task.h"
#include "server/doors.h"
#include "server/preview_host.h"
#include "server/preview_tokens.h"

namespace lmsb::server {

class Previews {
 public:
  // Both outlive it.
  Previews(control::Control& control, const Doors& doors) : control_(control), doors_(doors) {}

  // The port that browsers are sent to when their request does not say, and whether by https; 0: none.
  // `host`: where this machine's programs find it.
  void set_listening_port(std::uint16_t port, bool is_tls, std::string host) {
    listening_port_ = port;
    is_listening_by_tls_ = is_tls;
    local_host_ = std::move(host);
  }
  // "http://127.0.0.1:8000", of the API, for this machine's programs; "": the daemon listens on no TCP port of it.
  std::string local_url() const;

  struct Link {
    std::string url;
    std::string token;
    std::string expires_at;  // RFC 3339 UTC
  };
  // Made for `by`, who sent `request`. Where he is a key it is worth nothing while that could not come in, or may not
  // connect to the sandbox; each request counts as one of his. Error: no_preview_address (the daemon listens on no TCP
  // port).
  Result<Link> make(const PreviewHost& place, const control::Principal& by, std::chrono::seconds life,
                    const http::Request& request) const;

  // Whether a request may come in, and what for.
  struct Entry {
    std::optional<Refusal> refusal;
    control::Principal who;
    std::string on_behalf_of;  // who let him in
    std::string cookie;        // "" = none; else the browser is sent to the same URL without token, with this
  };
  Entry receive(const PreviewHost& place, const http::Request& request) const;
  // What the port says to a request that may come in.
  io::Task<http::Response> answer(PreviewHost place, Entry entry, http::Request request);

 private:
  // Whether who made a token could come in himself. Errors, beside those of PortService::may_connect(): key_unknown,
  // key_expired, rate_limited.
  Status check_maker(const std::string& by, const PreviewHost& place) const;

  control::Control& control_;
  const Doors& doors_;
  PreviewTokens tokens_;
  std::uint16_t listening_port_ = 0;
  bool is_listening_by_tls_ = false;
  std::string local_host_;
};

}  // namespace lmsb::server
